"""Linear and convolutional layers through whose circuits the data pass."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from qiskit import QuantumCircuit
from qiskit.providers import BackendV2
from torch import Tensor, nn

from hybridopt import _validation
from hybridopt._modules import keep_dtype
from hybridopt.bridges.mesh.circuit import mesh_program, num_qubits_of
from hybridopt.bridges.mesh.closed_form import ClosedFormMesh, mesh_matrices
from hybridopt.bridges.mesh.decomposition import MeshShape
from hybridopt.bridges.mesh.linear_form import (
    arranged,
    classical,
    groups_of,
    has_trainable_bias,
    matrices_of,
    shape_of,
    vectors_of,
)
from hybridopt.bridges.mesh.readout import MeshReader, Reading, loader_turns
from hybridopt.bridges.mesh.readout_selection import Pass, choose, cost, reason
from hybridopt.bridges.readout_cache import HasReadoutCache, ReadoutCache, is_own
from hybridopt.circuits.counts import count_gates
from hybridopt.errors import ArgumentError, ArgumentTypeError, LayerAttributeError
from hybridopt.execution import Cost, Executor
from hybridopt.gradients import GradientRule
from hybridopt.nn.summary import RunsCircuits, SummaryParts, SummaryRow

NEARLY_ZERO = 1e-3  # spectral norm; a layer of (almost) zeros shall be able to grow, too
ROOM = 3.0  # automatic scale: how often the norm fits into alpha
LEAST_NORM = 2.0  # automatic scale: what a smaller norm counts as
AUTOCAST = frozenset({torch.float16, torch.bfloat16, torch.float32})  # it leaves others alone
HOOKS = [name for name in vars(nn.Module()) if "hook" in name and "state_dict" not in name]
UNSEEN = "the number of patches is known after the first forward pass."


class MeshLayer(nn.Module, RunsCircuits, HasReadoutCache):
    r"""A layer ``W x + b`` as one mesh for each of its groups, trainable biases in it as a column.

    The plain layer is taken over and loses its weight; a frozen bias stays in it. The ``angles`` t
    [rad] are in the order of `MeshShape.pairs`, group by group, one for each weight. The ``alphas``
    are the largest spectral norms that training can reach.
    """

    plain: nn.Linear | nn.Conv2d
    angles: nn.Parameter
    alphas: Tensor
    like: Tensor

    def __init__(
        self,
        plain: nn.Linear | nn.Conv2d,
        *,
        scale: str | float,
        readout: str,
        executor: Executor,
        gradient: GradientRule,
    ) -> None:
        super().__init__()
        self.readout = readout
        self.executor = executor
        self.gradient = gradient
        weight = plain.weight.detach()
        self.groups = groups_of(plain)
        self.weight_shape = weight.shape
        self.holds_bias = has_trainable_bias(plain)
        self.mesh = shape_of(plain)
        alphas, angles = _encoded(self.mesh, matrices_of(plain).numpy(), scale)
        self.register_buffer("alphas", torch.from_numpy(alphas).to(weight.device))
        self.register_buffer("like", weight.new_empty(0), persistent=False)
        self.angles = nn.Parameter(torch.from_numpy(angles).to(weight.device))
        plain._parameters["weight"] = None
        if self.holds_bias:
            plain._parameters["bias"] = None
        self.plain = plain
        self.training = plain.training
        for name in HOOKS:
            setattr(self, name, getattr(plain, name))
        self.passes: list[Pass] = []  # of the last forward pass of the network
        self._samples = 1  # in the last of them
        self._cache: ReadoutCache[Reading] = ReadoutCache()

    @property
    def reader(self) -> MeshReader:
        """Reads from circuits, with the executor and the rule that the layer has now."""
        return MeshReader(self.mesh, self.executor, self.gradient)

    def forward(self, x: Tensor) -> Tensor:
        """What the layer returns, in its dtype; shapes alone on torch's meta device."""
        shape = self._output_shape(x)  # refuses what the plain layer refuses, before a circuit runs
        task = self._pass(x, shape)
        self.passes.append(task)
        self._samples = len(x) if x.ndim > (3 if isinstance(self.plain, nn.Conv2d) else 1) else 1
        if x.is_meta or self.angles.is_meta:
            return classical(self.plain, x, *self._split(self._matrices(None)))
        chosen = choose(self.reader, self.readout, task)
        if chosen == "process":
            weight, bias = self._split(self._matrices(self._reading()))
            return classical(self.plain, x, weight, bias)
        outputs = self._through(vectors_of(self.plain, x), chosen)
        return arranged(self.plain, outputs, shape).to(self.like.dtype)

    def explain(self, batch_size: int | None = None) -> str:
        """How a batch would be read, and why; see `RunsCircuits`."""
        task = self._task(_validation.optional_integer("batch_size", batch_size, minimum=0))
        return UNSEEN if task is None else reason(self.reader, self.readout, task)

    def step_cost(self, batch_size: int | None = None) -> Cost | None:
        """Cost of one forward and backward; None of a convolution that has seen no input."""
        task = self._task(_validation.optional_integer("batch_size", batch_size, minimum=0))
        return None if task is None else self.pass_cost(task)

    def pass_cost(self, task: Pass) -> Cost:
        """Settings, shots and runs of a pass; nothing for the formula."""
        if not self.in_circuit:
            return Cost()
        return cost(self.reader, choose(self.reader, self.readout, task), task)

    def first_pass(self, samples: int, *, input_grad: bool) -> Pass | None:
        """A training step on samples of unseen shape, one vector each; None of a convolution."""
        if isinstance(self.plain, nn.Conv2d) and self.readout != "process":
            return None
        return Pass(samples, self.groups, self.angles.requires_grad, input_grad)

    def circuits(self) -> Mapping[str, QuantumCircuit]:
        """The circuit at the present angles under the name ``""``, or ``"[g]"`` of each group."""
        return {name: self.circuit(group=group) for group, name in enumerate(self.circuit_names)}

    @property
    def circuit_names(self) -> list[str]:
        """Names of the circuits, one per group: ``""`` if there is only one; none for a control."""
        if not self.in_circuit:
            return []
        return [""] if self.groups == 1 else [f"[{group}]" for group in range(self.groups)]

    @property
    def in_circuit(self) -> bool:
        """Whether circuits are run, not their formula."""
        return not isinstance(self.executor, ClosedFormMesh)

    @torch.no_grad()
    def decoded(self, readout: str = "angles") -> tuple[Tensor, Tensor | None]:
        """Weight and bias: from the angles, or as the circuits say; a frozen bias as it is."""
        if readout == "circuit":
            return self._split(self._matrices(None))
        return self._split(self._scaled(mesh_matrices(self.mesh, self._rows())))

    def circuit(self, x: Float64[np.ndarray, " n"] | None = None, group: int = 0) -> QuantumCircuit:
        """The circuit that takes a vector, the 1 of the bias included, through the mesh."""
        vector = np.ones(self.mesh.num_inputs) if x is None else x
        turns, _ = loader_turns(torch.from_numpy(vector)[None])
        feed = "reference" if self.readout == "reference" else "data"
        program = mesh_program(self.mesh, feed, native=True)
        angles = self._rows().detach().cpu().numpy()
        return program.bind(turns[0].numpy(), -2 * angles[group])

    @property
    def num_qubits(self) -> int:
        """Modes, and reference modes if there are some."""
        return num_qubits_of(self.mesh, self.readout)

    def extra_repr(self) -> str:
        """Sizes and readout."""
        return (
            f"{self.groups} mesh{'es' if self.groups > 1 else ''} of {self.mesh.num_outputs} by "
            f"{self.mesh.num_inputs}, num_qubits={self.num_qubits}, readout={self.readout!r}"
        )

    def __repr__(self) -> str:
        with self._plain_with_bias():
            return super().__repr__()

    @contextmanager
    def _plain_with_bias(self) -> Iterator[nn.Module]:
        """The plain layer with a bias if it had one, so that its repr is true."""
        if self.holds_bias:
            self.plain._parameters["bias"] = nn.Parameter(self.like)
        try:
            yield self.plain
        finally:
            if self.holds_bias:
                self.plain._parameters["bias"] = None

    def summary_row(self, device: BackendV2 | None, name: str, cost: Cost | None) -> SummaryRow:
        """One row; the groups of a convolution have circuits of one shape."""
        trainable = sum(p.numel() for p in self.parameters() if p.requires_grad)
        if not self.in_circuit:
            return SummaryRow(name, f"{type(self.plain).__name__}, weights by a formula", trainable)
        groups = f", {self.groups} groups" if self.groups > 1 else ""
        kind = f"mesh {self.mesh.num_outputs} x {self.mesh.num_inputs}{groups}"
        gates, angles = count_gates(self.circuit(), device), self.angles.numel()
        return SummaryRow(name, kind, trainable, self.num_qubits, angles, cost, gates)

    def _summary_parts(self, device: BackendV2 | None, batch_size: int | None) -> SummaryParts:
        row = self.summary_row(device, "", self.step_cost(batch_size))
        return f"mesh of {type(self.plain).__name__}", [row], ()

    def _task(self, samples: int | None) -> Pass | None:
        """A training step like the last pass, or the first one."""
        if not self.passes:
            return self.first_pass(1 if samples is None else samples, input_grad=False)
        last, before = self.passes[-1], max(1, self._samples)
        rows = math.ceil(last.rows * (before if samples is None else samples) / before)
        return replace(last, rows=rows, trains=self.angles.requires_grad, known=False)

    def cached_readout(self) -> dict[str, Tensor]:
        """What `eval` mode read, if it still holds: shared angles and the values there."""
        known = self._known() or {}
        return {
            f"{feed}/{number}": tensor
            for feed, pair in known.items()
            for number, tensor in enumerate(pair)
        }

    def restore_readout(self, read: dict[str, Tensor]) -> None:
        """Take this for what was read at the present angles."""
        known: dict[str | int, tuple[Tensor, Tensor]] = {}
        for feed in dict.fromkeys(key.rpartition("/")[0] for key in read):
            number = int(feed) if feed.isdecimal() else feed  # of a mode
            known[number] = (read[f"{feed}/0"], read[f"{feed}/1"])
        self._cache.keep(self.executor, self.angles, known)

    def __getattr__(self, name: str) -> Any:
        """What the plain layer says of itself (``in_features``, ``kernel_size``, ...)."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            plain = self.__dict__.get("_modules", {}).get("plain")
            if plain is None or name.startswith("_"):
                raise
        if name == "weight" or (name == "bias" and self.holds_bias):
            raise LayerAttributeError(
                f"The layer {type(plain).__name__} is in a circuit and holds angles, no `{name}`. "
                "A network that reads the tensor itself must keep the layer classical: "
                "`keep_classical=[name]`; `to_classical` gives the tensors back."
            )
        return getattr(plain, name)

    def _output_shape(self, x: Tensor) -> torch.Size:
        """Of what the layer returns for x; refuses x before a circuit runs."""
        if not isinstance(x, Tensor):
            raise ArgumentTypeError(
                f"The input of a layer must be a tensor, but is of type {type(x).__name__}. "
                "Convert it: `torch.as_tensor(x)`."
            )
        if x.dtype != self.like.dtype and not self._casts(x):
            raise ArgumentTypeError(
                f"The weights of this mesh are {self.like.dtype}, but its input is {x.dtype}. "
                "Convert the input by `x.to(dtype)`, or the network by `network.to(dtype)`."
            )
        weight = torch.empty(self.weight_shape, dtype=x.dtype, device="meta")
        try:
            with torch.no_grad():
                return classical(self.plain, x.detach().to("meta"), weight, None).shape
        except (RuntimeError, IndexError) as error:
            with self._plain_with_bias() as plain:
                raise ArgumentError(
                    f"The layer {plain} cannot take an input of shape {tuple(x.shape)}: "
                    f"{_validation.first_line(error)}"
                ) from error

    def _casts(self, x: Tensor) -> bool:
        """Whether torch's autocast brings x and the weights to one dtype."""
        on = not x.is_meta and torch.is_autocast_enabled(x.device.type)  # meta: torch cannot say
        return on and {x.dtype, self.like.dtype} <= AUTOCAST

    def _pass(self, x: Tensor, shape: torch.Size) -> Pass:
        """What is to be read for x, whose outputs have this shape."""
        grad = torch.is_grad_enabled()
        return Pass(
            rows=math.prod(shape) // max(1, self.weight_shape[0]),
            groups=self.groups,
            trains=grad and self.angles.requires_grad,
            input_grad=grad and x.requires_grad,
            known=self._known() is not None,
        )

    def _rows(self) -> Float64[Tensor, "groups P"]:
        return self.angles.reshape(self.groups, self.mesh.num_angles)

    def _scaled(self, units: Float64[Tensor, "groups m n"]) -> Float64[Tensor, "groups m n"]:
        return self.alphas[:, None, None] * units

    def _matrices(self, known: Reading | None) -> Float64[Tensor, "groups m n"]:
        return self._scaled(self.reader.matrices(self._rows(), known))

    def _reading(self) -> Reading | None:
        """Return the readout of all matrices in eval mode, made once per change of the angles."""
        if self.training or not is_own(self.angles):
            self._cache.forget()
            return None
        return self._cache.recall_or(
            self.executor, self.angles, lambda: self.reader.read(self._rows())
        )

    def _known(self) -> Reading | None:
        reuses = not self.training and is_own(self.angles)
        return self._cache.recall(self.executor, self.angles) if reuses else None

    def _split(self, matrices: Float64[Tensor, "groups m n"]) -> tuple[Tensor, Tensor | None]:
        """Weight and bias in the dtype and shape of the layer."""
        matrices = matrices.to(self.like.dtype)
        if not self.holds_bias:
            return matrices.reshape(self.weight_shape), self.plain.bias
        return matrices[..., :-1].reshape(self.weight_shape), matrices[..., -1].reshape(-1)

    def _through(
        self, vectors: Float64[Tensor, "groups B inputs"], feed: str
    ) -> Float64[Tensor, "groups B m"]:
        if self.holds_bias:
            vectors = torch.cat([vectors, torch.ones_like(vectors[..., :1])], dim=2)
        rows = self._rows()
        outputs = torch.stack(
            [self.reader.outputs(vectors[g], rows[g], feed) for g in range(self.groups)]
        )
        outputs = self.alphas[:, None, None] * outputs
        if self.holds_bias or self.plain.bias is None:
            return outputs
        return outputs + self.plain.bias.double().reshape(self.groups, 1, -1)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> MeshLayer:
        exact = [self.angles, self.alphas]
        super()._apply(keep_dtype(fn, exact), recurse)  # type: ignore[no-untyped-call]
        return self


def _encoded(
    mesh: MeshShape, matrices: Float64[np.ndarray, "groups m n"], scale: str | float
) -> tuple[Float64[np.ndarray, " groups"], Float64[np.ndarray, " P"]]:
    norms = np.linalg.norm(matrices, ord=2, axis=(1, 2))
    if isinstance(scale, str):
        alphas = ROOM * np.maximum(norms, LEAST_NORM)
    else:
        alphas = scale * np.where(norms > NEARLY_ZERO, norms, 1.0)
    angles = [mesh.decompose(w, float(alpha)) for w, alpha in zip(matrices, alphas, strict=True)]
    return alphas, np.concatenate(angles)
