"""Layers of a network in their order, and the role of circuits in each of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from qiskit import QuantumCircuit
from torch import Tensor, nn

from hybridopt.bridges import QuantumNetwork
from hybridopt.bridges.api import without_quantum_networks
from hybridopt.bridges.weight_network import WeightNetwork
from hybridopt.cli.networks import example_inputs, gate_circuits
from hybridopt.errors import HybridOptError
from hybridopt.nn import CircuitLayer

Marks = dict[str, tuple[str, tuple[str, ...]]]


@dataclass(frozen=True)
class Step:
    """One layer.

    ``where`` is ``"circuit"`` if the layer runs as a circuit, ``"made"`` if its weights are read
    from a circuit, ``"formula"`` if a control computes them, and otherwise ``"classical"``.
    """

    name: str
    kind: str  # class
    shape: tuple[int, ...] | None  # output for one sample; None if unknown
    where: str
    facts: tuple[str, ...] = ()  # sizes of its circuit as text


@dataclass(frozen=True)
class NetworkPath:
    """All layers in their order, and the circuits; None for unknown parts."""

    title: str
    input_shape: tuple[int, ...] | None  # one sample
    steps: tuple[Step, ...]
    source: str | None  # text on the circuit or formula that defines the weights of layers
    circuit: QuantumCircuit | None  # with the most qubits
    caption: str


def network_path(module: nn.Module) -> NetworkPath:
    """Return the path of a quantum network, a circuit layer, or a module that contains them.

    Shapes are computed on the meta device of torch; no circuit is run.
    """
    plain = without_quantum_networks(module)
    marks = _marks(module)
    input_shape, shapes = _shapes(plain)
    leaves = _leaves(plain, marks)
    steps = tuple(_step(name, one, shapes.get(name), marks) for name, one in leaves.items())
    sources = [m for m in module.modules() if isinstance(m, WeightNetwork)]
    circuit, caption = _widest(gate_circuits(module))
    title = type(plain).__name__
    if isinstance(module, QuantumNetwork):
        title += f" in the {'bridge' if module.num_qubits else 'control'} {module.bridge_name}"
    source = " / ".join(map(_source, sources)) or None
    return NetworkPath(title, input_shape, steps, source, circuit, caption)


def _marks(module: nn.Module) -> Marks:
    """Return the role of circuits and their sizes for each layer that uses one."""
    marks: Marks = {}
    for path, part in module.named_modules():
        facts: dict[str, tuple[str, ...]] = {}
        if isinstance(part, WeightNetwork):
            where, facts = "made", dict.fromkeys(part.layout.layers, ())
        elif isinstance(part, QuantumNetwork):
            where = "circuit"
            for name, layer in getattr(part, "layers", {}).items():
                qubits = (f"{layer.num_qubits} qubits",) if part.num_qubits else ()
                facts[name] = (*qubits, f"{layer.angles.numel():,} angles")
        for name, words in facts.items():
            place = where if getattr(part, "num_qubits", 0) else "formula"
            marks[".".join(filter(None, (path, name)))] = (place, words)
    return marks


def _leaves(plain: nn.Module, marks: Mapping[str, object]) -> dict[str, nn.Module]:
    """Return the layers to draw: without children, with own weights, or with a circuit."""
    found: dict[str, nn.Module] = {}
    for name, layer in plain.named_modules(remove_duplicate=False):
        inside = any(not done or name.startswith(f"{done}.") for done in found)
        own = bool(layer._parameters) or name in marks or not any(True for _ in layer.children())
        if own and not inside:
            found[name] = layer
    return found


def _step(name: str, layer: nn.Module, shape: tuple[int, ...] | None, marks: Marks) -> Step:
    where, facts = marks.get(name, ("classical", ()))
    if isinstance(layer, CircuitLayer):
        where = "circuit"
        settings = layer.program_readout.num_settings
        facts = (
            f"{layer.num_qubits} qubits",
            f"{len(layer.weight_parameters)} weights",
            f"{settings} setting{'s' * (settings != 1)} per sample",
        )
    elif where == "classical":
        under = [n for n in marks if n.startswith(f"{name}.")]
        where = marks[under[0]][0] if under else where
    return Step(name, type(layer).__name__, shape, where, facts)


def _shapes(plain: nn.Module) -> tuple[tuple[int, ...] | None, dict[str, tuple[int, ...]]]:
    """Return the shapes of the input and of the outputs of layers, if they are known."""
    shapes: dict[str, tuple[int, ...]] = {}
    names = {layer: name for name, layer in plain.named_modules()}

    def note(layer: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            shapes[names[layer]] = tuple(output.shape[1:])

    handles = [layer.register_forward_hook(note) for layer in names]
    try:
        inputs = example_inputs(plain)[:2]
        with torch.no_grad():
            plain.to("meta")(inputs.to("meta"))
    except (HybridOptError, RuntimeError, TypeError, ValueError, IndexError):
        return None, shapes  # the picture is useful without shapes, too
    finally:
        for handle in handles:
            handle.remove()
    return tuple(inputs.shape[1:]), shapes


def _source(network: WeightNetwork) -> str:
    if not network.num_qubits:
        return f"{network.bridge_name}: formula with {network.num_trainable:,} parameters"
    cost = network.step_cost(32)
    settings = "?" if cost is None else f"{cost.settings:,}"
    shots = getattr(getattr(network, "executor", None), "shots", None)
    noise = "exact" if shots is None else f"{shots:,} shots each"
    return (
        f"{network.bridge_name} circuit: {network.num_qubits} qubits, {network.num_angles:,} "
        f"angles, {settings} settings per training step, {noise}"
    )


def _widest(circuits: Mapping[str, QuantumCircuit]) -> tuple[QuantumCircuit | None, str]:
    if not circuits:
        return None, "no circuit"
    name, circuit = max(circuits.items(), key=lambda item: item[1].num_qubits)
    of_layer = f" of layer {name}" if name else ""
    among = f", largest of {len(circuits)}" if len(circuits) > 1 else ""
    return circuit, f"Circuit{of_layer}{among}: {circuit.num_qubits} qubits"
