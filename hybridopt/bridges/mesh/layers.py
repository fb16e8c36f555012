"""Linear and convolutional layers as circuits that the data pass through."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float64
from qiskit import QuantumCircuit
from qiskit.providers import BackendV2
from torch import Tensor, nn
from torch.nn import functional

from hybridopt import _validation
from hybridopt._copies import CALL_HOOKS
from hybridopt._modules import keep_dtype
from hybridopt.bridges.mesh.circuit import mesh_program, num_qubits_of
from hybridopt.bridges.mesh.closed_form import ClosedFormMesh, mesh_matrices
from hybridopt.bridges.mesh.decomposition import MeshShape
from hybridopt.bridges.mesh.readout import MeshReader, loader_angles
from hybridopt.bridges.mesh.readout_selection import Pass, choose, cost
from hybridopt.bridges.readout_cache import HasReadoutCache, Reading, ReadoutCache, is_own
from hybridopt.circuits.counts import count_gates
from hybridopt.errors import ArgumentError, ArgumentTypeError, LayerAttributeError
from hybridopt.execution import Cost, Executor
from hybridopt.gradients import GradientRule
from hybridopt.nn.output_errors import HasOutputErrors
from hybridopt.nn.summary import SummaryRow

NEARLY_ZERO = 1e-3  # spectral norm; a layer of (almost) zeros must be able to grow
ROOM = 3.0  # automatic scale: ratio of alpha to the norm
LEAST_NORM = 2.0  # automatic scale: smaller norms count as this one
Plain = nn.Linear | nn.Conv2d
AUTOCAST = frozenset({torch.float16, torch.bfloat16, torch.float32})  # dtypes that torch casts


class MeshLayer(nn.Module, HasReadoutCache, HasOutputErrors):
    """Layer ``W x + b`` as one mesh per group, with a trainable bias as a column."""

    plain: Plain  # without its weight; a frozen bias stays in it
    angles: nn.Parameter  # t [rad], group by group in the order of `MeshShape.pairs`
    alphas: Tensor  # largest spectral norms that training can reach
    like: Tensor  # an empty tensor with dtype and device of the weights

    def __init__(
        self,
        plain: Plain,
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
            del plain._parameters["bias"]
            plain.__dict__["bias"] = True  # its repr shows that there is one
        self.plain = plain
        self.training = plain.training
        for name in CALL_HOOKS:  # the same hooks, so that both have later ones
            setattr(self, name, getattr(plain, name))
        self.passes: list[Pass] = []  # of the last forward pass of the network
        self._cache = ReadoutCache()

    @property
    def reader(self) -> MeshReader:
        """Reader with the present executor and gradient rule."""
        return MeshReader(
            self.mesh, self.executor, self.gradient, self._errors, training=self.training
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's outputs in its dtype; only shapes on torch's meta device."""
        shape = self._output_shape(x)  # raises like the plain layer, before a circuit is run
        task = self._pass(x, shape)
        self.passes.append(task)
        if x.is_meta or self.angles.is_meta:
            return classical(self.plain, x, *self._split(self._matrices(None)))
        chosen = choose(self.reader, self.readout, task)
        if chosen == "process":
            known = self._read_once(lambda: self.reader.read(self._rows()))
            return classical(self.plain, x, *self._split(self._matrices(known)))
        outputs = self._through(vectors_of(self.plain, x), chosen)
        return arranged(self.plain, outputs, shape).to(self.like.dtype)

    def pass_cost(self, task: Pass) -> Cost:
        """Return settings, shots and runs of a pass; zero for a control."""
        if not self.in_circuit:
            return Cost()
        return cost(self.reader, choose(self.reader, self.readout, task), task)

    @property
    def circuit_names(self) -> list[str]:
        """Name suffixes of the circuits, one per group; none for a control."""
        if not self.in_circuit:
            return []
        return [""] if self.groups == 1 else [f"[{group}]" for group in range(self.groups)]

    @property
    def in_circuit(self) -> bool:
        """Whether circuits are run; False for a control."""
        return not isinstance(self.executor, ClosedFormMesh)

    @torch.no_grad()
    def decoded(self, readout: str = "angles") -> tuple[Tensor, Tensor | None]:
        """Return weight and bias, from the angles or with ``"circuit"`` from a run."""
        if readout == "circuit":
            return self._split(self._matrices(None))
        return self._split(self._scaled(mesh_matrices(self.mesh, self._rows())))

    def circuit(self, x: Float64[np.ndarray, " n"] | None = None, group: int = 0) -> QuantumCircuit:
        """Return the circuit for a vector that includes the 1 for the bias."""
        vector = np.ones(self.mesh.num_inputs) if x is None else x
        row_angles, _ = loader_angles(torch.from_numpy(vector)[None])
        feed = "reference" if self.readout == "reference" else "data"
        program = mesh_program(self.mesh, feed, native=True)
        angles = self._rows().detach().cpu().numpy()
        return program.bind(row_angles[0].numpy(), -2 * angles[group])

    @property
    def num_qubits(self) -> int:
        """Number of modes, including reference modes."""
        return num_qubits_of(self.mesh, self.readout)

    def extra_repr(self) -> str:
        """Return the sizes and the readout."""
        return (
            f"{self.groups} mesh{'es' if self.groups > 1 else ''} of {self.mesh.num_outputs} by "
            f"{self.mesh.num_inputs}, num_qubits={self.num_qubits}, readout={self.readout!r}"
        )

    def summary_row(self, device: BackendV2 | None, name: str, cost: Cost | None) -> SummaryRow:
        """Return the row of a summary; all groups of a convolution have circuits of one shape."""
        trainable = sum(p.numel() for p in self.parameters() if p.requires_grad)
        if not self.in_circuit:
            return SummaryRow(name, f"{type(self.plain).__name__}, weights by a formula", trainable)
        groups = f", {self.groups} groups" if self.groups > 1 else ""
        kind = f"mesh {self.mesh.num_outputs} x {self.mesh.num_inputs}{groups}"
        gates, angles = count_gates(self.circuit(), device), self.angles.numel()
        return SummaryRow(name, kind, trainable, self.num_qubits, angles, cost, gates)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the plain layer (``in_features``, ``kernel_size``, ...)."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            plain = self.__dict__.get("_modules", {}).get("plain")
            if plain is None or name.startswith("_"):
                raise
        if name == "weight" or (name == "bias" and self.holds_bias):
            raise LayerAttributeError(
                f"`{name}` of a {type(plain).__name__} in a circuit is not available, because the "
                "layer has angles instead. Pass `keep_classical=[name]`, or use `to_classical`."
            )
        return getattr(plain, name)

    def _output_shape(self, x: Tensor) -> torch.Size:
        """Return the shape of the outputs; raise for unfit x before a circuit is run."""
        if not isinstance(x, Tensor):
            raise ArgumentTypeError(
                f"`x` must be a tensor (got a {type(x).__name__}). Use `torch.as_tensor(x)`."
            )
        if x.dtype != self.like.dtype and not self._casts(x):
            raise ArgumentTypeError(
                f"`x` must have the dtype of the weights, {self.like.dtype} (got {x.dtype}). "
                "Convert the input by `x.to(dtype)`, or the network by `network.to(dtype)`."
            )
        weight = torch.empty(self.weight_shape, dtype=x.dtype, device="meta")
        try:
            with torch.no_grad():
                shape = classical(self.plain, x.detach().to("meta"), weight, None).shape
                if 0 in shape and x.numel():  # torch 2.5 checks a kernel only off the meta device
                    classical(
                        self.plain, x.detach(), torch.empty_like(weight, device=x.device), None
                    )
                return shape
        except (RuntimeError, IndexError) as error:
            raise ArgumentError(
                f"`x` must fit the layer {self.plain} (got shape {tuple(x.shape)}). "
                f"{_validation.first_line(error)}"
            ) from error

    def _casts(self, x: Tensor) -> bool:
        """Return True if torch's autocast converts x and the weights to one dtype."""
        on = not x.is_meta and torch.is_autocast_enabled(x.device.type)  # no meta autocast in torch
        return on and {x.dtype, self.like.dtype} <= AUTOCAST

    def _pass(self, x: Tensor, shape: torch.Size) -> Pass:
        grad = torch.is_grad_enabled()
        return Pass(
            rows=math.prod(shape) // max(1, self.weight_shape[0]),
            groups=self.groups,
            trains=grad and self.angles.requires_grad,
            input_grad=grad and x.requires_grad,
            known=self._reuses_readout and bool(self.cached_readout()),
        )

    def _rows(self) -> Float64[Tensor, "groups P"]:
        return self.angles.reshape(self.groups, self.mesh.num_angles)

    def _scaled(self, units: Float64[Tensor, "groups m n"]) -> Float64[Tensor, "groups m n"]:
        return self.alphas[:, None, None] * units

    def _matrices(self, known: Reading | None) -> Float64[Tensor, "groups m n"]:
        return self._scaled(self.reader.matrices(self._rows(), known))

    @property
    def _reuses_readout(self) -> bool:
        return not self.training and is_own(self.angles)

    def _split(self, matrices: Float64[Tensor, "groups m n"]) -> tuple[Tensor, Tensor | None]:
        """Return weight and bias in the dtype and shape of the layer."""
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
        outputs = self._scaled(outputs)
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


def groups_of(plain: Plain) -> int:
    """Return the number of matrices, one per group of a convolution."""
    return plain.groups if isinstance(plain, nn.Conv2d) else 1


def shape_of(plain: Plain) -> MeshShape:
    """Return the shape of each matrix, with a column for a trainable bias."""
    rows = len(plain.weight) // groups_of(plain)
    return MeshShape(rows, plain.weight[0].numel() + has_trainable_bias(plain))


def has_trainable_bias(plain: Plain) -> bool:
    """Return True if the bias is a column of the matrix."""
    bias: Tensor | None = plain.bias
    return bias is not None and bias.requires_grad


def matrices_of(plain: Plain) -> Float64[Tensor, "groups m n"]:
    """Return the matrices ``[W b]``, or ``W`` without a trainable bias."""
    weight, groups = plain.weight.detach(), groups_of(plain)
    matrices = weight.reshape(groups, len(weight) // groups, -1).double().cpu()
    if not has_trainable_bias(plain):
        return matrices
    assert plain.bias is not None
    column = plain.bias.detach().double().cpu().reshape(groups, -1, 1)
    return torch.cat([matrices, column], dim=2)


def classical(plain: Plain, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return the outputs of the layer with other tensors, computed by torch."""
    if isinstance(plain, nn.Conv2d):
        return cast(Tensor, plain._conv_forward(x, weight, bias))
    return functional.linear(x, weight, bias)


def vectors_of(plain: Plain, x: Tensor) -> Float64[Tensor, "groups B inputs"]:
    """Return the input vectors of each matrix, without the 1 for the bias; patches of images."""
    if isinstance(plain, nn.Linear):
        return x.reshape(1, math.prod(x.shape[:-1]), plain.in_features).double()
    images = (x if x.ndim == 4 else x[None]).double()
    mode = "constant" if plain.padding_mode == "zeros" else plain.padding_mode
    images = functional.pad(images, list(plain._reversed_padding_repeated_twice), mode=mode)
    patches = functional.unfold(images, plain.kernel_size, plain.dilation, 0, plain.stride)
    grouped = torch.unflatten(patches, 1, (plain.groups, -1))  # (N, groups, inputs, L)
    return grouped.permute(1, 0, 3, 2).flatten(1, 2)


def arranged(
    plain: Plain, outputs: Float64[Tensor, "groups B m"], shape: torch.Size
) -> Float64[Tensor, " ..."]:
    """Return the outputs of all matrices in the shape of the layer's outputs."""
    if isinstance(plain, nn.Linear):
        return outputs.reshape(shape)
    groups, _, channels = outputs.shape
    by_image = outputs.reshape(groups, -1, math.prod(shape[-2:]), channels)
    return by_image.permute(1, 0, 3, 2).reshape(shape)
