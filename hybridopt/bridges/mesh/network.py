"""A network some of whose layers are meshes."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from qiskit import QuantumCircuit
from qiskit.providers import BackendV2
from torch import Tensor, nn

from hybridopt import _validation
from hybridopt.bridges.mesh.layer_selection import layers_to_carry
from hybridopt.bridges.mesh.layers import MeshLayer
from hybridopt.bridges.mesh.readout_selection import Pass, choose, settings
from hybridopt.bridges.parameter_layout import WeightLayout
from hybridopt.bridges.quantum_network import QuantumNetwork
from hybridopt.bridges.summary import SummaryRow
from hybridopt.circuits.counts import count_gates
from hybridopt.errors import ArgumentTypeError, ConversionError
from hybridopt.execution import Cost, Executor
from hybridopt.gradients import GradientRule
from hybridopt.nn.shape_inference import on_meta

MakeLayer = Callable[[str, nn.Module], MeshLayer]


class MeshNetwork(QuantumNetwork):
    """A network through whose linear and convolutional layers the data pass as circuits.

    Args:
        network: The plain network. It is copied, never changed.
        keep_classical: Names of layers that stay as they are.
        make: Makes a mesh of a layer with a name.

    Example:
        >>> import torch, hybridopt as ho
        >>> quantum = ho.to_quantum(torch.nn.Linear(4, 3), "mesh")
        >>> isinstance(quantum, ho.bridges.MeshNetwork), quantum.num_qubits, quantum.num_angles
        (True, 8, 15)
    """

    bridge_name = "mesh"

    def __init__(
        self, network: nn.Module, keep_classical: tuple[str, ...], make: MakeLayer
    ) -> None:
        super().__init__()
        self._num_weights = WeightLayout(network).num_weights
        copied = _copied(network)
        layers = layers_to_carry(copied, keep_classical)
        meshes: dict[nn.Module, nn.Module] = {
            layer: make(name, layer) for name, layer in layers.items()
        }
        self._slow_paths = _leave_fast_paths(copied, meshes)
        self.network = _replaced(copied, meshes)
        self.training = network.training
        self._batch = 1  # samples in the last forward pass

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
        self._batch = _batch_of(args, kwargs)
        return self.network(*args, **kwargs)

    @torch.no_grad()
    def decode(self, *, readout: str = "angles") -> nn.Module:
        """The plain network: from the angles, or with ``readout="circuit"`` as the circuits say."""
        weights = {name: layer.decoded(readout) for name, layer in self.layers.items()}
        network = copy.deepcopy(self.network)
        plain: dict[nn.Module, nn.Module] = {}
        for name, (weight, bias) in weights.items():
            layer = network.get_submodule(name)
            assert isinstance(layer, MeshLayer)
            layer.plain.weight = nn.Parameter(weight.clone())
            if layer.holds_bias and bias is not None:
                layer.plain.bias = nn.Parameter(bias.clone())
            plain[layer] = layer.plain
        for name, value in self._slow_paths.items():
            network.get_submodule(name).activation_relu_or_gelu = value
        return _replaced(network, plain)

    @property
    def compute_dtype(self) -> torch.dtype:
        """Of the first mesh's outputs."""
        return next(iter(self.layers.values())).like.dtype

    @property
    def num_weights(self) -> int:
        """M, the trainable weights of the network that was carried over."""
        return self._num_weights

    @property
    def num_qubits(self) -> int:
        """Qubits of the widest mesh."""
        return max(layer.num_qubits for layer in self.layers.values())

    @property
    def num_angles(self) -> int:
        """Angles of all meshes, one for each weight in them."""
        return sum(layer.angles.numel() for layer in self.layers.values())

    def circuit(
        self, layer: str | None = None, x: Float64[np.ndarray, " n"] | None = None
    ) -> QuantumCircuit | None:
        """The circuit of one layer at the present angles, in gates that hardware runs.

        Args:
            layer: Its name, as in `circuits`; None takes the widest.
            x: The vector that is loaded, shape ``(n,)``, the 1 that brings the bias included; None
                loads equal numbers.

        Raises:
            UnknownNameError: If no mesh has this name.
        """
        layers = self._by_group()
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

    def step_cost(self, batch_size: int | None = None) -> Cost:
        """Settings and shots of one forward and backward; runs are not foretold, and 0.

        How often a layer is called, and how many patches a sample has, are known from the last
        forward pass; before it, every layer is taken to see one vector a sample.

        Args:
            batch_size: Samples; None is as many as in the last forward pass, 1 before it.
        """
        if batch_size is not None:
            _validation.integer("batch_size", batch_size, minimum=0)
        layers = enumerate(self.layers.values())
        return sum((self._layer_cost(layer, at, batch_size) for at, layer in layers), Cost())

    def explain(self, batch: Tensor | None = None) -> str:
        """Which readout each layer takes, and why.

        Args:
            batch: Inputs of the network, tried on torch's meta device; None explains the last
                forward pass.
        """
        if batch is not None:
            if not isinstance(batch, Tensor):
                raise ArgumentTypeError(
                    "Argument `batch` must be a tensor of inputs, or None, but is of type "
                    f"{type(batch).__name__}."
                )
            with torch.set_grad_enabled(self.training):
                on_meta(self, batch)
        return "\n".join(f"{name}: {layer.explain()}" for name, layer in self.layers.items())

    def _by_group(self) -> dict[str, tuple[MeshLayer, int]]:
        return {
            name if layer.groups == 1 else f"{name}[{group}]": (layer, group)
            for name, layer in self.layers.items()
            for group in range(layer.groups)
        }

    def _circuit_rows(self, device: BackendV2 | None, batch_size: int | None) -> list[SummaryRow]:
        """One for each mesh; the groups of a convolution have circuits of one shape."""
        return [
            SummaryRow(
                layer=name,
                kind=f"mesh {layer.mesh.num_outputs} x {layer.mesh.num_inputs}"
                + (f", {layer.groups} groups" if layer.groups > 1 else ""),
                trainable=sum(p.numel() for p in layer.parameters() if p.requires_grad),
                qubits=layer.num_qubits,
                angles=layer.angles.numel(),
                cost=self._layer_cost(layer, place, batch_size),
                gates=count_gates(layer.circuit(), device),
            )
            for place, (name, layer) in enumerate(self.layers.items())
        ]

    def _layer_cost(self, layer: MeshLayer, place: int, batch_size: int | None) -> Cost:
        seen: list[Pass | None] = [*layer.passes]
        costs = (self._cost(layer, task, place, batch_size) for task in seen or [None])
        return sum(costs, Cost())

    def _cost(
        self, layer: MeshLayer, task: Pass | None, place: int, batch_size: int | None
    ) -> Cost:
        seen = 1 if task is None else task.rows
        samples = self._batch if batch_size is None else batch_size
        rows = math.ceil(seen * samples / max(1, self._batch if task is not None else 1))
        asked = task.input_grad if task is not None and task.trains else place > 0
        wanted = Pass(
            rows=rows,
            groups=layer.groups,
            trains=layer.angles.requires_grad,
            input_grad=asked,
        )
        chosen = choose(layer.reader, layer.readout, wanted)
        number = settings(layer.reader, chosen, wanted)
        return Cost(number, number * (layer.executor.shots or 0))


class MeshTwinNetwork(MeshNetwork):
    """The same angles by their formula in torch: a control, without circuits and settings."""

    bridge_name = "twin"

    @property
    def num_qubits(self) -> int:
        """0: nothing is run."""
        return 0

    @property
    def num_angles(self) -> int:
        """0: the trained numbers are angles of no circuit."""
        return 0

    def circuit(
        self, layer: str | None = None, x: Float64[np.ndarray, " n"] | None = None
    ) -> QuantumCircuit | None:
        """None: there is no circuit."""
        return None

    def _circuit_rows(self, device: BackendV2 | None, batch_size: int | None) -> list[SummaryRow]:
        """None at all."""
        return []

    def _made_layers(self) -> frozenset[str]:
        return frozenset(self.layers)

    def _opaque_layers(self) -> frozenset[str]:
        return frozenset(self.layers)

    def circuits(self) -> Mapping[str, QuantumCircuit]:
        """None at all."""
        return {}

    def step_cost(self, batch_size: int | None = None) -> Cost:
        """Nothing."""
        return Cost()


def _copied(network: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(network)
    except Exception as error:
        raise ConversionError(
            f"The network {type(network).__name__} cannot be copied ({error}). A bridge works on a "
            "copy, so `copy.deepcopy(network)` must work; keep no computed tensors in it (a pruned "
            "network: `torch.nn.utils.prune.remove`)."
        ) from error


def _replaced(network: nn.Module, others: Mapping[nn.Module, nn.Module]) -> nn.Module:
    """The network with other modules in the place of some, wherever they stand."""
    if network in others:
        return others[network]
    for parent in list(network.modules()):
        for name, child in parent._modules.items():
            if child is not None and child in others:
                parent._modules[name] = others[child]
    return network


def _leave_fast_paths(network: nn.Module, meshes: Mapping[nn.Module, nn.Module]) -> dict[str, Any]:
    """Transformers in eval mode take weights past their layers; this flag of theirs says no."""
    left = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.TransformerEncoderLayer) and meshes.keys() & set(module.modules()):
            left[name] = module.activation_relu_or_gelu
            module.activation_relu_or_gelu = 0
    return left


def _batch_of(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    for value in (*args, *kwargs.values()):
        if isinstance(value, Tensor) and value.ndim:
            return len(value)
    return 1
