r"""The mesh bridge: the data pass through circuits that stand for Linear and Conv2d layers.

Each layer is ``W' = [W b]`` on ``x' = (x, 1)``, and :math:`W'/\alpha` a mesh of rotations between
neighbouring modes with exactly one angle a weight (`hybridopt.bridges.mesh.decomposition`), on
``max(m, n) + min(m, n)`` qubits for a matrix ``(m, n)``.
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
from hybridopt._modules import copy_module
from hybridopt.bridges.base import BridgeRows, HasTwin, QuantumNetwork, check_network, formula_like
from hybridopt.bridges.mesh.closed_form import ClosedFormMesh
from hybridopt.bridges.mesh.layer_selection import layers_to_carry
from hybridopt.bridges.mesh.layers import UNSEEN, MeshLayer
from hybridopt.bridges.mesh.linear_form import shape_of
from hybridopt.bridges.mesh.readout import MeshReader
from hybridopt.bridges.mesh.readout_selection import READOUTS, Pass, reason
from hybridopt.errors import ArgumentError, ConversionError, ResourceError
from hybridopt.execution import Cost, Executor
from hybridopt.gradients import GradientRule, ParameterShift
from hybridopt.gradients.cost import total_cost

LARGEST_SCALE = 1e4  # W comes back to about 1e-16 of scale times its norm


@dataclass(frozen=True)
class Mesh(HasTwin):
    r"""Options of the mesh bridge.

    Every `Linear` and `Conv2d` becomes a mesh, other layers stay classical. Layers that multiply by
    a matrix and have no circuit form here (recurrent ones, attention, other convolutions) are
    refused unless they are kept classical; so are frozen ones, by themselves.

    Attributes:
        keep_classical: Names of layers, as `named_modules` gives them, that stay classical with all
            that is in them.
        readout: ``"process"`` reads the columns of each matrix, n settings whatever the batch;
            ``"data"`` sends every vector through, one setting each; ``"auto"`` takes what costs
            fewer settings for the batch that comes. ``"reference"`` is data readout beside
            reference modes that betray errors, for executors with noise.
        scale: alpha in units of the spectral norm of W', so that the matrix can grow; 1 to 10,000
            (a layer of zeros takes 1 for its norm). ``"auto"`` is 3, of a norm of at least 2:
            training has to get from a fresh layer of small weights to outputs of several units.
            With shots, the error of an output is about :math:`\alpha |x'| / \sqrt{shots}`.

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
        for name in names:
            _validation.instance("keep_classical", name, str, "names of layers")
        object.__setattr__(self, "keep_classical", names)
        _validation.choice("readout", self.readout, READOUTS)
        if isinstance(self.scale, str):
            _validation.choice("scale", self.scale, ("auto",))
        else:
            object.__setattr__(self, "scale", _validation.real("scale", self.scale, minimum=1))
            if self.scale > LARGEST_SCALE:
                raise ArgumentError(
                    f"Argument `scale` must be {LARGEST_SCALE:g} or less, but is {self.scale:g}: "
                    "rounding errors grow with it. 2 to 10 leave room to grow."
                )

    def check(self, network: nn.Module) -> None:
        """Refuse a network with layers that have no circuit form, or with none that has one."""
        check_network(network)
        layers_to_carry(network, self.keep_classical)

    def encode(
        self, network: nn.Module, *, executor: Executor, gradient: GradientRule
    ) -> MeshNetwork:
        """Carry the layers of a network into circuits; the network is left as it is.

        Raises:
            ResourceError: If a mesh does not fit into the executor's memory, with its name.
            UnsupportedError: If gradient rule and executor do not go together.
        """
        return MeshNetwork(network, self, executor, gradient)

    def twin(self, network: nn.Module, *, executor: Executor) -> MeshNetwork:
        """The same angles in torch: exact, or with shots numbers of the same law."""
        formula = formula_like(ClosedFormMesh, executor)
        return MeshNetwork(network, self, formula, ParameterShift())


class MeshNetwork(QuantumNetwork):
    """A network through whose linear and convolutional layers the data pass as circuits.

    With a `ClosedFormMesh` for executor it is a control: the same angles by their formula.

    Args:
        network: The plain network. It is copied, never changed.
        options: The bridge.
        executor: Runs the circuits.
        gradient: Finds derivatives.

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
        memo: dict[int, Any] = {}  # one, so that what layers share stays shared
        for name, layer in layers_to_carry(network, options.keep_classical).items():
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
        """``"mesh"``, or ``"twin"``."""
        return Mesh.name if self._in_circuits else "twin"

    @property
    def executor(self) -> Executor:
        """What runs the circuits; setting it sets that of all meshes."""
        return next(iter(self.layers.values())).executor

    @executor.setter
    def executor(self, executor: Executor) -> None:
        for layer in self.layers.values():
            layer.executor = executor

    @property
    def gradient(self) -> GradientRule:
        """What finds derivatives."""
        return next(iter(self.layers.values())).gradient

    @property
    def layers(self) -> dict[str, MeshLayer]:
        """The meshes, each once, by the names of the layers that they stand for."""
        return {
            name: module
            for name, module in self.network.named_modules()
            if isinstance(module, MeshLayer)
        }

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the network returns, its meshes run by the executor."""
        for layer in self.layers.values():
            layer.passes.clear()
        with self._recording(args, kwargs):
            return self.network(*args, **kwargs)

    @torch.no_grad()
    def decode(self, *, readout: str = "angles") -> nn.Module:
        """The plain network: from the angles, or with ``readout="circuit"`` as the circuits say."""
        memo: dict[int, Any] = {}
        for layer in self.layers.values():
            weight, bias = layer.decoded(readout)
            plain = copy.deepcopy(layer.plain, memo)
            plain.weight = nn.Parameter(weight.clone())
            if layer.holds_bias and bias is not None:
                plain.bias = nn.Parameter(bias.clone())
            memo[id(layer)] = plain
        network = copy_module(self.network, memo)
        for name, value in self._slow_paths.items():
            network.get_submodule(name).activation_relu_or_gelu = value
        return network

    @property
    def compute_dtype(self) -> torch.dtype:
        """Dtype of the first mesh's outputs."""
        return next(iter(self.layers.values())).like.dtype

    @property
    def num_qubits(self) -> int:
        """Qubits of the widest mesh; 0 for a control."""
        return max((layer.num_qubits for layer, _ in self._by_group().values()), default=0)

    @property
    def num_angles(self) -> int:
        """Angles of all meshes, one for each weight in them; 0 for a control."""
        if not self._in_circuits:
            return 0
        return sum(layer.angles.numel() for layer in self.layers.values())

    def circuit(
        self, layer: str | None = None, x: Float64[np.ndarray, " n"] | None = None
    ) -> QuantumCircuit | None:
        """The circuit of one layer at the present angles, in gates that hardware runs.

        Args:
            layer: Its name, as in `circuits`; None takes the widest.
            x: The vector that is loaded, shape ``(n,)``, the 1 that brings the bias included; None
                loads equal numbers.

        Returns:
            The circuit; None for a control.

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
                    f"The vector for layer `{layer}` must have shape ({mesh.mesh.num_inputs},), "
                    f"but has shape {x.shape}."
                )
        return mesh.circuit(x, group)

    def circuits(self) -> Mapping[str, QuantumCircuit]:
        """All circuits as `circuit` gives them; group g of a convolution is ``"name[g]"``."""
        return {
            name: layer.circuit(group=group) for name, (layer, group) in self._by_group().items()
        }

    @property
    def _in_circuits(self) -> bool:
        return not isinstance(self.executor, ClosedFormMesh)

    def _by_group(self) -> dict[str, tuple[MeshLayer, int]]:
        return {
            f"{name}{suffix}": (layer, group)
            for name, layer in self.layers.items()
            for group, suffix in enumerate(layer.circuit_names)
        }

    def _passes(self, batch_size: int | None) -> dict[str, list[Pass] | None]:
        """What a training step asks of each mesh, as the last forward pass; None if not known."""
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
            first = layer.first_pass(batch_size or 1, input_grad=place > 0)
            tasks[name] = seen or (None if first is None else places.count(layer) * [first])
        return tasks

    def _costs(self, batch_size: int | None) -> dict[str, Cost | None]:
        return {
            name: None if tasks is None else total_cost(map(self.layers[name].pass_cost, tasks))
            for name, tasks in self._passes(batch_size).items()
        }

    def _bridge_cost(self, batch_size: int | None) -> Cost | None:
        return total_cost(self._costs(batch_size).values()) if self._in_circuits else Cost()

    def _bridge_rows(self, device: BackendV2 | None, batch_size: int | None) -> BridgeRows:
        costs = self._costs(batch_size)
        layers = self.layers.items()
        rows = {name: layer.summary_row(device, name, costs[name]) for name, layer in layers}
        return rows, frozenset(), ()

    def _explain_bridge(self, batch_size: int | None) -> str:
        lines = []
        for name, tasks in self._passes(batch_size).items():
            layer = self.layers[name]
            why = reason(layer.reader, layer.readout, tasks[-1]) if tasks else UNSEEN
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
        keep = f", or keep the layer classical: keep_classical=['{name}']" if name else ""
        raise ResourceError(
            f"{where}, a mesh of {mesh.num_outputs} by {mesh.num_inputs}: {error} Another way: "
            f'AerExecutor(method="matrix_product_state"){keep}.'
        ) from error


def _leave_fast_paths(network: nn.Module) -> dict[str, Any]:
    """Transformers in eval mode take weights past their layers; this flag of theirs says no."""
    left = {}
    for name, module in network.named_modules():
        meshes = (isinstance(part, MeshLayer) for part in module.modules())
        if isinstance(module, nn.TransformerEncoderLayer) and any(meshes):
            left[name] = module.activation_relu_or_gelu
            module.activation_relu_or_gelu = 0
    return left
