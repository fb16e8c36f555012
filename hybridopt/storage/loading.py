"""A module put together again from what was written about it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from qiskit import qpy
from torch import nn

from hybridopt._modules import copy_module
from hybridopt._random import isolated
from hybridopt.bridges import QuantumNetwork
from hybridopt.bridges.api import without_quantum_networks
from hybridopt.bridges.mesh.network import MeshNetwork
from hybridopt.errors import CheckpointError
from hybridopt.execution import AerExecutor, Executor
from hybridopt.execution.executor import Metered
from hybridopt.nn import CircuitLayer
from hybridopt.storage import circuits, executors, tensors
from hybridopt.storage.architecture import describe, difference, made
from hybridopt.storage.json_codec import bridge_from_plain, rule_from_plain
from hybridopt.storage.saving import KIND, PACKAGES, SCHEMA

EXECUTOR = "executor"


def check_versions(path: object, meta: dict[str, Any]) -> None:
    """Refuse a file of another version, before anything is made of it.

    Raises:
        CheckpointError: With the versions, and which to update.
    """
    written = meta["versions"][PACKAGES[0]]
    if meta["schema"] > SCHEMA or meta["kind"] != KIND:
        raise CheckpointError(
            f"{path} was written by hybridopt {written} with schema {meta['schema']}, but this "
            f"version, {version(PACKAGES[0])}, reads up to {SCHEMA}. Update hybridopt."
        )
    if meta["qpy"] > qpy.QPY_VERSION:
        raise CheckpointError(
            f"{path} was written with qiskit {meta['versions']['qiskit']}, whose circuits (QPY "
            f"{meta['qpy']}) the installed qiskit {version('qiskit')} cannot read (QPY "
            f"{qpy.QPY_VERSION}). Update qiskit."
        )


class Loading:
    """Puts a module together from the members of a file."""

    def __init__(
        self,
        path: str,
        meta: dict[str, Any],
        members: Mapping[str, bytes],
        executor: Executor | None,
    ) -> None:
        self.path, self.meta, self.members = path, meta, members
        self.given = executor
        self._executors: dict[int, Executor] = {}
        self._samplers: dict[int, Metered] = {}

    def module(self, template: nn.Module | None) -> nn.Module:
        """The module as it was saved."""
        stored_layers = self.meta["layers"]
        layers = {n: self._layer(one) for n, one in enumerate(stored_layers) if one["class"]}
        plain = self._made(layers) if template is None else self._matched(template)
        places = {
            plain.get_submodule(stored_layers[n]["paths"][0]): layer for n, layer in layers.items()
        }
        plain = copy_module(plain, {id(old): new for old, new in places.items()})
        for stored in stored_layers:
            if not stored["class"]:
                self._set_up(plain.get_submodule(stored["paths"][0]), stored)
        tensors.put_state(plain, self.meta["plain"], tensors.from_bytes(self.members["network.pt"]))
        networks = {}
        for stored in self.meta["quantum"]:
            part = plain.get_submodule(stored["paths"][0])
            networks[part] = self._quantum(stored, part)
        whole = copy_module(plain, {id(old): new for old, new in networks.items()})
        tensors.put_state(whole, self.meta["whole"], tensors.from_bytes(self.members["tensors.pt"]))
        if self.given is None and "readings.pt" in self.members:
            tensors.put_readings(whole, tensors.from_bytes(self.members["readings.pt"]))
        return whole

    def _made(self, layers: Mapping[int, CircuitLayer]) -> nn.Module:
        if self.meta["recipe"] is None:
            raise CheckpointError(
                f"{self.path} holds a `{self.meta['class']}` that is not built in: "
                f"{self.meta['reason']}. There is no code in the file, so pass `network=`, a "
                f"`{self.meta['class']}` made in the same way, with its circuits or without. Its "
                "weights do not matter."
            )
        return made(self.meta["recipe"], layers)

    def _matched(self, template: nn.Module) -> nn.Module:
        """A copy of the given network, without its circuits; refused if it is another."""
        plain = without_quantum_networks(template)
        saved, own = self.meta["description"], describe(plain, dtypes=False)
        if saved != own:
            raise CheckpointError(
                f"{self.path} holds another network than was given: {difference(saved, own)}. Pass "
                f"a `{self.meta['class']}` made {self._way()}."
            )
        if self.meta["ties"] != tensors.ties_in(plain):
            raise CheckpointError(
                f"{self.path} holds a network with other shared weights than was given: "
                f"{self.meta['ties'] or 'none'} there, {tensors.ties_in(plain) or 'none'} here."
            )
        return plain

    def _way(self) -> str:
        marks = self.meta["plain"].get("marks", {}).values()
        transferred = any(mark["head"] is not None for mark in marks)
        return "with the same arguments" + (", and by the same `transfer`" if transferred else "")

    def _layer(self, stored: dict[str, Any]) -> CircuitLayer:
        circuit = circuits.circuit_from_bytes(self.members[stored["circuit"]])
        return circuits.layer_from_plain(stored, circuit, self._executor(stored["executor"]))

    def _set_up(self, layer: nn.Module, stored: dict[str, Any]) -> None:
        """A layer of the user's own class keeps its circuit, which was made by its class."""
        assert isinstance(layer, CircuitLayer)
        layer.executor = self._executor(stored["executor"])
        layer.gradient = rule_from_plain(stored["gradient"])

    def _quantum(self, stored: dict[str, Any], plain: nn.Module) -> QuantumNetwork:
        bridge, rule = bridge_from_plain(stored["bridge"]), rule_from_plain(stored["gradient"])
        number = stored["executor"]
        executor = AerExecutor() if number is None else self._executor(number)
        if "num_weights" in stored:  # files of the first versions say nothing of it
            self._freeze_what_was_left_out(plain, stored["paths"][0])
        with isolated(0):  # what it draws is overwritten
            network = bridge.encode(plain, executor=executor, gradient=rule)
        network.bridge, network.gradient_rule = bridge, rule
        if isinstance(network, MeshNetwork) and "num_weights" in stored:
            network._num_weights = stored["num_weights"]  # those that trained beside it count, too
        for name in ("num_qubits", "num_angles"):
            if getattr(network, name) != stored[name]:
                raise CheckpointError(
                    f"{self.path} was written with a circuit of {name}={stored[name]}, but this "
                    f"version makes one of {getattr(network, name)}. Load it with hybridopt "
                    f"{self.meta['versions'][PACKAGES[0]]}."
                )
        if number is not None and self.given is None:
            self._continue_sampling(network, number)
        return network

    def _freeze_what_was_left_out(self, plain: nn.Module, path: str) -> None:
        """What stayed a weight beside the circuit did so as it was frozen, and may be thawed since.

        The state of the whole, which is put in afterwards, says whether it is trained.
        """
        beside = self.meta["whole"]["trainable"]
        for name, parameter in plain.named_parameters(remove_duplicate=False):
            if f"{path}.network.{name}".lstrip(".") in beside:
                parameter.requires_grad_(False)

    def _continue_sampling(self, network: QuantumNetwork, number: int) -> None:
        """Controls draw samples themselves; they go on where they stood."""
        stored = self.meta["executors"][number]
        if stored["kind"] == "sampler":
            own: Any = getattr(network, EXECUTOR)
            sampler = self._samplers.setdefault(number, own)
            sampler.load_state_dict(stored["state"])
            setattr(network, EXECUTOR, sampler)

    def _executor(self, number: int) -> Executor:
        if self.given is not None:
            return self.given
        if number not in self._executors:
            stored = self.meta["executors"][number]
            self._executors[number] = executors.executor_from_plain(stored)
        return self._executors[number]
