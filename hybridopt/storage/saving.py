"""What is written about a module that contains circuits."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

from qiskit import qpy
from torch import nn

from hybridopt.bridges import Bridge, QuantumNetwork
from hybridopt.bridges.api import without_quantum_networks
from hybridopt.errors import ConversionError
from hybridopt.execution.executor import Metered
from hybridopt.gradients import ParameterShift
from hybridopt.nn import CircuitLayer
from hybridopt.storage import circuits, executors, tensors
from hybridopt.storage.architecture import NotBuiltInError, describe, recipe_of
from hybridopt.storage.archive import FIRST
from hybridopt.storage.json_codec import bridge_to_plain, rule_to_plain

SCHEMA = 2
KIND = "network"
PACKAGES = ("hybridopt-qiskit", "qiskit", "qiskit-aer", "torch")


class Saving:
    """Gathers the members of the file."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.plain = without_quantum_networks(module)
        self.layers = {
            layer: number
            for number, layer in enumerate(
                child for child in self.plain.modules() if isinstance(child, CircuitLayer)
            )
        }
        self.quantum = _outermost(module)
        if not self.layers and not self.quantum:
            raise ConversionError(
                f"The network {type(module).__name__} contains no circuit. Save its state_dict "
                "with `torch.save`, or carry it over by `to_quantum` first."
            )
        self.executors: list[tuple[Metered, bool]] = []
        self.blobs: dict[str, bytes] = {}

    def members(self) -> dict[str, bytes]:
        """Contents by name."""
        layers = [self._layer(layer, number) for layer, number in self.layers.items()]
        quantum = [self._quantum(network, n) for n, network in enumerate(self.quantum)]
        meta = {
            "schema": SCHEMA,
            "kind": KIND,
            "versions": {package: version(package) for package in PACKAGES},
            "qpy": qpy.QPY_VERSION,
            "class": type(self.plain).__qualname__,
            **self._recipe(),
            "description": describe(self.plain, dtypes=False),
            "ties": tensors.ties_in(self.plain),
            "plain": tensors.state_of(self.plain),
            "whole": tensors.state_of(self.module),
            "layers": layers,
            "quantum": quantum,
            "executors": [
                executors.executor_to_plain(executor, runs_circuits=runs)
                for executor, runs in self.executors
            ],
        }
        self.blobs["network.pt"] = tensors.to_bytes(tensors.tensors_of(self.plain))
        self.blobs["tensors.pt"] = tensors.to_bytes(tensors.tensors_of(self.module))
        read = tensors.readings_of(self.module)
        if read:
            self.blobs["readings.pt"] = tensors.to_bytes(read)
        return {FIRST: json.dumps(meta, indent=1).encode(), **self.blobs}

    def _recipe(self) -> dict[str, Any]:
        try:
            return {"recipe": recipe_of(self.plain, self.layers), "reason": None}
        except NotBuiltInError as error:
            return {"recipe": None, "reason": str(error)}

    def _layer(self, layer: CircuitLayer, number: int) -> dict[str, Any]:
        circuit = circuits.in_gates(layer.circuit)
        content = circuits.circuit_to_bytes(circuit)
        circuits.check_what_was_written(circuit, content)
        return {
            **circuits.layer_to_plain(layer),
            "paths": _paths(self.plain, layer),
            "circuit": self._blob(f"circuits/layer-{number}.qpy", content),
            "executor": self._executor(layer.executor, runs_circuits=True),
        }

    def _quantum(self, network: QuantumNetwork, number: int) -> dict[str, Any]:
        bridge = _bridge_of(network)
        rule = network.gradient_rule or ParameterShift()
        executor, runs = getattr(network, "executor", None), network.num_qubits > 0
        files = {}
        for name, circuit in circuits.circuits_of(network).items():
            file = f"circuits/{'-'.join(filter(None, [str(number), name]))}.qpy"
            files[name] = self._blob(file, circuits.circuit_to_bytes(circuit))
        return {
            "paths": _paths(self.module, network),
            "class": type(network).__name__,
            "bridge": bridge_to_plain(bridge),
            "gradient": rule_to_plain(rule),
            "executor": None if executor is None else self._executor(executor, runs_circuits=runs),
            "num_qubits": network.num_qubits,
            "num_angles": network.num_angles,
            "num_weights": network.num_weights,
            "circuits": files,
        }

    def _blob(self, name: str, content: bytes) -> str:
        self.blobs[name] = content
        return name

    def _executor(self, executor: Metered, *, runs_circuits: bool) -> int:
        for number, (known, _) in enumerate(self.executors):
            if known is executor:
                return number
        self.executors.append((executor, runs_circuits))
        return len(self.executors) - 1


def _outermost(module: nn.Module) -> list[QuantumNetwork]:
    """Quantum networks, each once; those inside of others belong to these."""
    if isinstance(module, QuantumNetwork):
        return [module]
    found: dict[QuantumNetwork, None] = {}
    for child in module.children():
        found.update(dict.fromkeys(_outermost(child)))
    return list(found)


def _paths(module: nn.Module, child: nn.Module) -> list[str]:
    return [path for path, m in module.named_modules(remove_duplicate=False) if m is child]


def _bridge_of(network: QuantumNetwork) -> Bridge:
    bridge = network.bridge or getattr(network, "options", None)
    if not isinstance(bridge, Bridge):
        raise ConversionError(
            f"A {type(network).__name__} that was not made by `to_quantum` cannot be stored, as "
            "its bridge is not known."
        )
    return bridge
