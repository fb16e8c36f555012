"""`load`: modules from files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from hybridopt import _validation
from hybridopt._copies import copy_module
from hybridopt._modules import check_module
from hybridopt._random import isolated
from hybridopt.bridges import QuantumNetwork
from hybridopt.bridges.api import without_quantum_networks
from hybridopt.bridges.mesh.network import MeshNetwork
from hybridopt.errors import ArgumentError, CheckpointError, HybridOptError
from hybridopt.execution import AerExecutor, Executor, check_executor
from hybridopt.execution.executor import Metered
from hybridopt.nn import CircuitLayer
from hybridopt.storage import circuits, tensors
from hybridopt.storage.architecture import (
    TensorBudget,
    describe,
    difference,
    hooks_of,
    made,
)
from hybridopt.storage.archive import FIRST, check_schema, read_archive
from hybridopt.storage.json_codec import executor_from_plain, named_from_plain
from hybridopt.storage.saving import PACKAGES, SCHEMA

SPARE = 1 << 20  # elements of tensors that a small network may need beside those of its file


def load(
    path: str | os.PathLike[str],
    network: nn.Module | None = None,
    *,
    executor: Executor | None = None,
) -> nn.Module:
    """Load a module from a file of `save`, with bitwise equal outputs, ready for training.

    Args:
        path: Path of the file.
        network: Network of the same class and shapes: the quantum network, or the torch network
            before `to_quantum`. It is needed if the file holds a class of your own, because files
            contain no code. It is copied and not changed; its weights and frozen parts do not
            matter.
        executor: Executor that replaces the stored one, for instance on another device; needed if
            its options could not be stored.

    Returns:
        Module on the CPU, with the saved train and eval modes. With shots, it continues the saved
        random stream and keeps the cached readouts.

    Raises:
        CheckpointError: If the file is missing, damaged, of another kind or of another version, or
            if ``network`` is missing or has another class or shape.
        ArgumentTypeError: If an argument has the wrong type.

    Example:
        >>> from hybridopt import load
        >>> import tempfile, torch, hybridopt as ho
        >>> head = ho.DressedCircuit(3, 2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     again = load(ho.save(head, f"{folder}/head.ho"))
        >>> torch.equal(again.layer.weight, head.layer.weight)
        True
    """
    path = str(_validation.path("path", path))
    if network is not None:
        check_module(network)
    if executor is not None:
        check_executor(executor)
    members = read_archive(path)
    try:
        meta = json.loads(members[FIRST])
        check_schema(path, meta["schema"], meta["versions"][PACKAGES[0]], [SCHEMA])
        return _Loading(path, meta, members, executor).module(network)
    except (CheckpointError, ArgumentError) as error:
        if path in str(error):
            raise
        raise CheckpointError(f"{path} cannot be loaded: {error}") from error
    except HybridOptError:
        raise
    except Exception as error:  # the digest can be right although `save` did not write the file
        raise CheckpointError(
            f"{path} must have the content of `hybridopt.save` ({type(error).__name__}: {error}). "
            "Save the network again, or load it with the version that wrote the file."
        ) from error


@dataclass
class _Loading:
    """Builder of a module from the members of a file."""

    path: str
    meta: Any
    members: Mapping[str, bytes]
    given: Executor | None
    executors: dict[int, Executor] = field(default_factory=dict)
    samplers: dict[int, Metered] = field(default_factory=dict)

    def module(self, template: nn.Module | None) -> nn.Module:
        """Return the saved module."""
        stored_layers = self.meta["layers"]
        if len({one["path"] for one in stored_layers}) < len(stored_layers):
            raise CheckpointError(
                f"{self.path} has several circuits for one layer. Save the network again."
            )
        layers = {n: self._layer(one) for n, one in enumerate(stored_layers) if one["class"]}
        weights, whole_tensors = (
            tensors.from_bytes(self.members[name]) for name in ("network.pt", "tensors.pt")
        )
        plain = self._made(layers, weights) if template is None else self._matched(template)
        places = {plain.get_submodule(stored_layers[n]["path"]): one for n, one in layers.items()}
        plain = copy_module(plain, {id(old): new for old, new in places.items()})
        for stored in stored_layers:
            if not stored["class"]:  # the class of the user made its circuit
                layer = plain.get_submodule(stored["path"])
                assert isinstance(layer, CircuitLayer)
                layer.executor = self._executor(stored["executor"])
                layer.gradient = named_from_plain("gradient rule", stored["gradient"])
        weights.check(tensors.tensors_of(plain))
        tensors.give_memory(plain)
        if template is None:
            tensors.tie(plain, self.meta["ties"])
        tensors.put_state(plain, self.meta["plain"], weights)
        with TensorBudget(numbers=SPARE + 8 * (weights.size + whole_tensors.size)):
            networks = {
                (part := plain.get_submodule(stored["path"])): self._quantum(stored, part)
                for stored in self.meta["quantum"]
            }
        whole = copy_module(plain, {id(old): new for old, new in networks.items()})
        tensors.put_state(whole, self.meta["whole"], whole_tensors)
        if self.given is None and "readings.pt" in self.members:
            tensors.put_readings(whole, tensors.from_bytes(self.members["readings.pt"]))
        return whole

    def _made(
        self, layers: Mapping[int, CircuitLayer], weights: tensors.StoredTensors
    ) -> nn.Module:
        if self.meta["recipe"] is None:
            raise CheckpointError(
                f"{self.path} needs `network=`, because files contain no code: "
                f"{self.meta['reason']}. Pass a `{self.meta['class']}` made with the same "
                "arguments, with or without circuits. Its weights do not matter."
            )
        return made(self.meta["recipe"], layers, tensors=len(weights.tensors))

    def _matched(self, template: nn.Module) -> nn.Module:
        """Return a copy of the given network without circuits, if it matches the saved one."""
        plain = without_quantum_networks(template)
        saved = self.meta["description"]
        own = {**describe(plain, dtypes=False), **hooks_of(plain)}
        saved["shared weights"] = str(self.meta["ties"])
        own["shared weights"] = str(tensors.ties_in(plain))
        if saved != own:
            marks = self.meta["plain"]["marks"].values()
            transferred = any(mark["head"] is not None for mark in marks)
            raise CheckpointError(
                f"`network` must match {self.path}: {difference(saved, own)}. Pass a "
                f"`{self.meta['class']}` made with the same arguments"
                f"{' and the same `transfer`' if transferred else ''}."
            )
        return plain

    def _layer(self, stored: dict[str, Any]) -> CircuitLayer:
        circuit = circuits.circuit_from_bytes(self.members[stored["circuit"]])
        return circuits.layer_from_plain(stored, circuit, self._executor(stored["executor"]))

    def _quantum(self, stored: dict[str, Any], plain: nn.Module) -> QuantumNetwork:
        bridge = named_from_plain("bridge", stored["bridge"])
        rule = named_from_plain("gradient rule", stored["gradient"])
        number = stored["executor"]
        executor = AerExecutor() if number is None else self._executor(number)
        # weights beside the circuit were frozen at the conversion; the state of the whole module
        # sets them afterwards
        beside = self.meta["whole"]["trainable"]
        for name, parameter in plain.named_parameters(remove_duplicate=False):
            if f"{stored['path']}.network.{name}".lstrip(".") in beside:
                parameter.requires_grad_(False)
        with isolated(0):  # random values are overwritten
            network: QuantumNetwork = bridge.encode(plain, executor=executor, gradient=rule)
        network.bridge = bridge
        if isinstance(network, MeshNetwork):
            network.num_weights = stored["num_weights"]  # includes weights beside the circuit
        for name in ("num_weights", "num_qubits", "num_angles"):
            if getattr(network, name) != stored[name]:
                raise CheckpointError(
                    f"{self.path} has a circuit with {name}={stored[name]}, but this version makes "
                    f"one with {name}={getattr(network, name)}. Load it with hybridopt "
                    f"{self.meta['versions'][PACKAGES[0]]}."
                )
        sampler = None if self.given or number is None else self.meta["executors"][number]
        if sampler and sampler["kind"] == "sampler":  # of a control
            control: Any = network
            control.executor = self.samplers.setdefault(number, control.executor)
            control.executor.load_state_dict(sampler["state"])
        return network

    def _executor(self, number: int) -> Executor:
        if self.given is not None:
            return self.given
        if number not in self.executors:
            self.executors[number] = executor_from_plain(self.meta["executors"][number])
        return self.executors[number]
