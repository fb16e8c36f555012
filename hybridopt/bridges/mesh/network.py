r"""Mesh bridge: data pass through circuits in place of Linear and Conv2d layers.

Each layer is ``W' = [W b]`` applied to ``x' = (x, 1)``. :math:`W'/\alpha` is a mesh of rotations
between neighbouring modes with exactly one angle per weight
(`hybridopt.bridges.mesh.decomposition`), on ``max(m, n) + min(m, n)`` qubits for a matrix
``(m, n)``.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float64
from qiskit import QuantumCircuit
from qiskit.providers import BackendV2
from torch import nn

from hybridopt import _validation
from hybridopt._copies import copy_module
from hybridopt.bridges.base import BridgeRows, HasTwin, QuantumNetwork, check_network
from hybridopt.bridges.mesh.closed_form import ClosedFormMesh
from hybridopt.bridges.mesh.layer_selection import layers_to_convert
from hybridopt.bridges.mesh.layers import MeshLayer, shape_of
from hybridopt.bridges.mesh.readout import MeshReader
from hybridopt.bridges.mesh.readout_selection import READOUTS, Pass, reason
from hybridopt.errors import ArgumentError, ConversionError, ResourceError
from hybridopt.execution import Cost, Executor
from hybridopt.gradients import GradientRule, ParameterShift
from hybridopt.gradients.cost import total_cost
from hybridopt.nn.graph_capture import outside_graphs

LARGEST_SCALE = 1e4  # the rounding error of W is about 1e-16 times scale and norm


@dataclass(frozen=True)
class Mesh(HasTwin):
    r"""Options of the mesh bridge.

    Every `Linear` and `Conv2d` becomes a mesh, a circuit of rotations between neighbouring modes.
    Other layers stay classical. Recurrent layers, attention and other convolutions have no mesh and
    must be listed in ``keep_classical``. Frozen layers stay classical automatically.

    Attributes:
        keep_classical: Names of layers, as in `named_modules`, that stay classical with all their
            parts.
        readout: ``"process"`` reads the columns of each matrix: n settings for any batch.
            ``"data"`` loads every input vector: one setting per vector. ``"auto"`` chooses the
            readout with fewer settings for the current batch. ``"reference"`` is data readout with
            additional reference modes that detect errors, for executors with noise.
        scale: Ratio of alpha to the spectral norm of W', from 1 to 10,000. W' is the matrix of a
            layer with its bias as one more column, and the circuit holds W' / alpha. Training can
            therefore increase the norm of W' up to alpha. A layer of zeros counts as norm 1.
            ``"auto"`` is 3, with a norm of at least 2, so that a new layer of small weights can
            reach outputs of several units. With shots, the error of an output is about
            :math:`\alpha |x'| / \sqrt{shots}`.

    Example:
        >>> from hybridopt.bridges import Mesh
        >>> import torch, hybridopt as ho
        >>> layers = torch.nn.Conv2d(1, 2, 2), torch.nn.Flatten(), torch.nn.Linear(8, 3)
        >>> quantum = ho.to_quantum(torch.nn.Sequential(*layers), Mesh(keep_classical=("2",)))
        >>> quantum.num_qubits, quantum.num_angles
        (7, 10)
    """

    name: ClassVar[str] = "mesh"

    keep_classical: Sequence[str] = ()
    readout: str = "auto"
    scale: str | float = "auto"

    def __post_init__(self) -> None:
        names = _validation.items("keep_classical", self.keep_classical)
        object.__setattr__(self, "keep_classical", names)
        _validation.choice("readout", self.readout, READOUTS)
        if isinstance(self.scale, str):
            _validation.choice("scale", self.scale, ("auto",))
        else:
            object.__setattr__(self, "scale", _validation.real("scale", self.scale, minimum=1))
            if self.scale > LARGEST_SCALE:
                raise ArgumentError(
                    f"`scale` must be at most {LARGEST_SCALE:g}, because rounding errors grow with "
                    f"it (got {self.scale:g}). Use 2 to 10."
                )

    def check(self, network: nn.Module) -> None:
        """Raise if no layer can become a mesh, or an unsupported layer is not kept classical."""
        check_network(network)
        layers_to_convert(network, self.keep_classical)

    def encode(
        self, network: nn.Module, *, executor: Executor, gradient: GradientRule
    ) -> MeshNetwork:
        """Convert the layers of a network to circuits; the network is not changed.

        Raises:
            ResourceError: If a mesh, named in the message, does not fit into the memory.
            UnsupportedError: If the executor does not support the gradient rule.
        """
        return MeshNetwork(network, self, executor, gradient)

    def twin(self, network: nn.Module, *, executor: Executor) -> MeshNetwork:
        """Convert a network to the same angles in torch; with shots, of the same distribution."""
        formula = ClosedFormMesh.like(executor)
        return MeshNetwork(network, self, formula, ParameterShift())


class MeshNetwork(QuantumNetwork):
    """Network with meshes in place of its linear and convolutional layers.

    With a `ClosedFormMesh` as executor it is a control: the same angles in a formula.

    Args:
        network: Plain network; it is copied and not changed.
        options: Bridge that made the network.
        executor: Executor of the circuits.
        gradient: Gradient rule.

    Example:
        >>> import torch, hybridopt as ho
        >>> quantum = ho.to_quantum(torch.nn.Linear(4, 3), "mesh")
        >>> isinstance(quantum, ho.bridges.MeshNetwork), quantum.num_qubits, quantum.num_angles
        (True, 8, 15)
    """

    num_weights = 0

    def __init__(
        self, network: nn.Module, options: Mesh, executor: Executor, gradient: GradientRule
    ) -> None:
        super().__init__(network.training)
        self.options = options
        self.num_weights = sum(p.numel() for p in network.parameters() if p.requires_grad)
        memo: dict[int, Any] = {}  # one for all layers, so that shared parts stay shared
        for name, layer in layers_to_convert(network, options.keep_classical).items():
            assert isinstance(layer, nn.Linear | nn.Conv2d)
            _check_fits(name, MeshReader(shape_of(layer), executor, gradient), options.readout)
            plain = copy_module(layer, memo)
            assert isinstance(plain, nn.Linear | nn.Conv2d)
            memo[id(layer)] = MeshLayer(
                plain,
                scale=options.scale,
                readout=options.readout,
                executor=executor,
                gradient=gradient,
            )
        self.network = copy_module(network, memo)
        self._slow_paths = _leave_fast_paths(self.network)

    @property
    def bridge_name(self) -> str:
        """``"mesh"`` or ``"twin"``."""
        return Mesh.name if self._first.in_circuit else "twin"

    @property
    def executor(self) -> Executor:
        """Executor of the circuits; setting it sets that of all meshes."""
        return self._first.executor

    @executor.setter
    def executor(self, executor: Executor) -> None:
        for layer in self.layers.values():
            layer.executor = executor

    @property
    def gradient(self) -> GradientRule:
        """Gradient rule of the circuits."""
        return self._first.gradient

    @property
    def layers(self) -> dict[str, MeshLayer]:
        """Meshes by the first name of the layer that they replace."""
        return {
            name: module
            for name, module in self.network.named_modules()
            if isinstance(module, MeshLayer)
        }

    @property
    def _first(self) -> MeshLayer:
        return next(iter(self.layers.values()))

    @outside_graphs
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return the network's outputs; the executor runs its meshes."""
        for layer in self.layers.values():
            layer.passes.clear()
        with self._recording(args, kwargs):
            return self.network(*args, **kwargs)

    @torch.no_grad()
    def decode(self, *, readout: str = "angles") -> nn.Module:
        """Return the plain network, from the angles or with ``readout="circuit"`` from a run."""
        memo: dict[int, Any] = {}
        for layer in self.layers.values():
            weight, bias = layer.decoded(readout)
            plain = copy.deepcopy(layer.plain, memo)
            plain.weight = nn.Parameter(weight.clone())
            plain._is_full_backward_hook = layer._is_full_backward_hook  # kind of later hooks
            if layer.holds_bias and bias is not None:
                plain.bias = nn.Parameter(bias.clone())
            memo[id(layer)] = plain
        network = copy_module(self.network, memo, after_forward=True)
        for name, value in self._slow_paths.items():
            network.get_submodule(name).activation_relu_or_gelu = value
        return network

    @property
    def compute_dtype(self) -> torch.dtype:
        """Dtype of the first mesh's outputs."""
        return self._first.like.dtype

    @property
    def num_qubits(self) -> int:
        """Number of qubits of the widest mesh; 0 for a control."""
        return max((layer.num_qubits for layer, _ in self._by_group().values()), default=0)

    @property
    def num_angles(self) -> int:
        """Number of angles of all meshes, one per weight in them; 0 for a control."""
        return sum(layer.angles.numel() for layer in self.layers.values() if layer.in_circuit)

    def circuit(
        self, layer: str | None = None, x: Float64[np.ndarray, " n"] | None = None
    ) -> QuantumCircuit | None:
        """Return the circuit of one layer at the present angles, in hardware gates.

        Args:
            layer: Name of the circuit, as in `circuits`; None for the widest.
            x: Vector to load, shape ``(n,)``, including the 1 for a trainable bias; None for equal
                numbers.

        Returns:
            Circuit without measurements; None for a control.

        Raises:
            UnknownNameError: If no mesh has this name.
        """
        layers = self._by_group()
        if not layers:
            return None
        if layer is None:
            layer = max(layers, key=lambda name: layers[name][0].num_qubits)
        mesh, group = layers[_validation.choice("mesh", layer, layers)]
        if x is not None:
            x = np.asarray(x, dtype=np.float64)
            if x.shape != (mesh.mesh.num_inputs,):
                raise ConversionError(
                    f"`x` must have shape ({mesh.mesh.num_inputs},) for layer `{layer}` "
                    f"(got {x.shape})."
                )
        return mesh.circuit(x, group)

    def circuits(self) -> Mapping[str, QuantumCircuit]:
        """Return all circuits as in `circuit`; group g of a convolution is ``"name[g]"``."""
        return {name: layer.circuit(None, g) for name, (layer, g) in self._by_group().items()}

    def _by_group(self) -> dict[str, tuple[MeshLayer, int]]:
        return {
            f"{name}{suffix}": (layer, group)
            for name, layer in self.layers.items()
            for group, suffix in enumerate(layer.circuit_names)
        }

    def _passes(self, batch_size: int | None) -> dict[str, list[Pass] | None]:
        """Return the passes of a training step per mesh, as in the last forward pass."""
        places = [module for _, module in self.network.named_modules(remove_duplicate=False)]
        tasks: dict[str, list[Pass] | None] = {}
        for place, (name, layer) in enumerate(self.layers.items()):
            trains = layer.angles.requires_grad
            seen = [
                replace(
                    task,
                    rows=self._scaled(task.rows, batch_size),
                    trains=trains,
                    input_grad=task.input_grad if task.trains else place > 0,
                    known=False,
                )
                for task in layer.passes
            ]
            once = Pass(batch_size or 1, layer.groups, trains, place > 0)  # one vector per sample
            known = isinstance(layer.plain, nn.Linear) or layer.readout == "process"
            tasks[name] = seen or (places.count(layer) * [once] if known else None)
        return tasks

    def _costs(self, batch_size: int | None) -> dict[str, Cost | None]:
        return {
            name: None if tasks is None else total_cost(map(self.layers[name].pass_cost, tasks))
            for name, tasks in self._passes(batch_size).items()
        }

    def _bridge_cost(self, batch_size: int | None) -> Cost | None:
        return total_cost(self._costs(batch_size).values()) if self._first.in_circuit else Cost()

    def _bridge_rows(self, device: BackendV2 | None, batch_size: int | None) -> BridgeRows:
        costs = self._costs(batch_size)
        layers = self.layers.items()
        rows = {name: layer.summary_row(device, name, costs[name]) for name, layer in layers}
        return rows, frozenset(), ()

    def _explain_bridge(self, batch_size: int | None) -> str:
        if isinstance(self.executor, ClosedFormMesh):
            return "Matrices: a formula in torch; no circuit is run."
        lines = []
        for name, tasks in self._passes(batch_size).items():
            why = "the number of patches is known after the first forward pass."
            if tasks:
                why = reason(self.layers[name].reader, self.options.readout, tasks[-1])
            lines.append(f"{name}: {why}" if name else why)
        return "\n".join(lines)

    @contextmanager
    def _with_weights(self) -> Iterator[nn.Module]:
        yield self.network


def _check_fits(name: str, reader: MeshReader, readout: str) -> None:
    feeds = {"auto": ("process", "data")}.get(readout, (readout,))
    mesh = reader.mesh
    try:
        for feed in feeds:
            reader.check(feed)
    except ResourceError as error:
        where = f"Layer `{name}`" if name else "The network"
        keep = f", or pass `keep_classical=['{name}']`" if name else ""
        raise ResourceError(
            f"{where}, a mesh of {mesh.num_outputs} by {mesh.num_inputs}, must fit into memory: "
            f'{error} Or use AerExecutor(method="matrix_product_state"){keep}.'
        ) from error


def _leave_fast_paths(network: nn.Module) -> dict[str, Any]:
    """Switch off fast paths of transformers in eval mode, which would bypass the meshes."""
    left = {}
    for name, module in network.named_modules():
        meshes = (isinstance(part, MeshLayer) for part in module.modules())
        if isinstance(module, nn.TransformerEncoderLayer) and any(meshes):
            left[name] = module.activation_relu_or_gelu
            module.activation_relu_or_gelu = 0
    return left
