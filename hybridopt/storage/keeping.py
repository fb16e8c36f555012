"""`save` and `load`: quantum networks, and modules that contain circuits, in one file."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from qiskit import qpy
from torch import nn

from hybridopt.bridges import Bridge, QuantumNetwork
from hybridopt.bridges.description import describe, difference
from hybridopt.errors import ArgumentTypeError, CheckpointError, ConversionError
from hybridopt.execution import AerExecutor, Executor
from hybridopt.execution.executor import Metered
from hybridopt.files import check_writable
from hybridopt.gradients import ParameterShift
from hybridopt.nn import CircuitLayer
from hybridopt.seeding import isolated
from hybridopt.storage import circuits, executors, tensors
from hybridopt.storage.archive import FIRST, read_archive, write_archive
from hybridopt.storage.recipes import NotBuiltInError, made, recipe_of
from hybridopt.storage.values import (
    bridge_from_plain,
    bridge_to_plain,
    rule_from_plain,
    rule_to_plain,
)

SCHEMA = 1
KIND = "network"
PACKAGES = ("hybridopt-qiskit", "qiskit", "qiskit-aer", "torch")


def save(module: nn.Module, path: str | os.PathLike[str]) -> Path:
    """Write a quantum network, or a module that contains circuits, into one file.

    The file holds the angles and all other tensors, the weights of the plain network, the circuits
    (QPY), bridge and options, the executor's settings and its position in the sampling stream, the
    gradient rule, train and eval modes, and the versions of the packages. It is an ordinary zip
    archive, and there is no code in it. It is written whole or not at all.

    Args:
        module: A quantum network of any bridge or control; a `CircuitLayer`; or a module that
            contains some.
        path: Where the file shall stand; any ending will do. An older file is replaced.

    Returns:
        The path.

    Raises:
        ConversionError: If there is no circuit in it, or something of it has no stored form.
        ArgumentTypeError: If it is no module, or ``path`` is no path.
        OutputError: If the file cannot be written.

    Example:
        >>> import tempfile, torch, hybridopt as ho
        >>> quantum = ho.to_quantum(torch.nn.Linear(3, 2))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = ho.save(quantum, f"{folder}/linear.ho")
        ...     again = ho.load(path)
        >>> x = torch.rand(4, 3)
        >>> torch.equal(again(x), quantum(x))
        True
    """
    _check_module(module)
    _check_path(path)
    check_writable(path)
    return write_archive(path, _Saving(module).members())


def load(
    path: str | os.PathLike[str],
    network: nn.Module | None = None,
    *,
    executor: Executor | None = None,
) -> nn.Module:
    """Read what `save` wrote; outputs are the same to the last bit, and training goes on.

    Args:
        path: Of the file.
        network: A network of the same class and shapes, as it was before `to_quantum`. It is needed
            where the file holds a class of your own, as there is no code in files; networks of
            torch.nn and hybridopt alone are built in. It is copied and left as it is; its weights
            do not matter.
        executor: Takes the place of the stored settings, as on a machine with another device;
            needed where the settings could not be stored.

    Returns:
        The module, on the CPU, in the modes in which it was saved. With shots it goes on in the
        sampling stream where `save` found it.

    Raises:
        CheckpointError: If there is no such file, it is damaged or of another kind, versions do
            not fit, or ``network`` is missing or of another class or shape; the message says
            which, and what to do.
        ArgumentTypeError: If an argument has the wrong type.
    """
    _check_path(path)
    if network is not None:
        _check_module(network)
    if executor is not None and not isinstance(executor, Executor):
        raise ArgumentTypeError(
            "Argument `executor` must be an executor such as AerExecutor(), or None, but is of "
            f"type {type(executor).__name__}."
        )
    members = read_archive(path)
    meta = json.loads(members[FIRST])
    _check_versions(path, meta)
    return _Loading(os.fspath(path), meta, members, executor).module(network)


class _Saving:
    """Gathers the members of the file."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.plain = plain_of(module)
        self.layers = {
            layer: number
            for number, layer in enumerate(
                child for child in self.plain.modules() if isinstance(child, CircuitLayer)
            )
        }
        self.quantum = list(dict.fromkeys(_outer(module).values()))
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
        return {FIRST: json.dumps(meta, indent=1).encode(), **self.blobs}

    def _recipe(self) -> dict[str, Any]:
        try:
            return {"recipe": recipe_of(self.plain, self.layers), "reason": None}
        except NotBuiltInError as error:
            return {"recipe": None, "reason": str(error)}

    def _layer(self, layer: CircuitLayer, number: int) -> dict[str, Any]:
        content = circuits.circuit_to_bytes(layer.circuit)
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
            "paths": [path for path, child in _outer(self.module).items() if child is network],
            "class": type(network).__name__,
            "bridge": bridge_to_plain(bridge),
            "gradient": rule_to_plain(rule),
            "executor": None if executor is None else self._executor(executor, runs_circuits=runs),
            "num_qubits": network.num_qubits,
            "num_angles": network.num_angles,
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


class _Loading:
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
        layers = {number: self._layer(stored) for number, stored in enumerate(self.meta["layers"])}
        plain = self._made(layers) if template is None else self._matched(template)
        for number, stored in enumerate(self.meta["layers"]):
            plain = _put(plain, stored["paths"], layers[number])
        tensors.put_state(plain, self.meta["plain"], tensors.from_bytes(self.members["network.pt"]))
        whole = plain
        for stored in self.meta["quantum"]:
            network = self._quantum(stored, plain.get_submodule(stored["paths"][0]))
            whole = _put(whole, stored["paths"], network)
        tensors.put_state(whole, self.meta["whole"], tensors.from_bytes(self.members["tensors.pt"]))
        return whole

    def _made(self, layers: Mapping[int, CircuitLayer]) -> nn.Module:
        if self.meta["recipe"] is None:
            raise CheckpointError(
                f"{self.path} holds a `{self.meta['class']}` that is not built in: "
                f"{self.meta['reason']}. There is no code in the file, so pass `network=`, a "
                f"`{self.meta['class']}` as it was before `to_quantum` (its weights do not matter)."
            )
        return made(self.meta["recipe"], layers)

    def _matched(self, template: nn.Module) -> nn.Module:
        """A copy of the given network, without its circuits; refused if it is another."""
        plain = plain_of(template)
        saved, own = self.meta["description"], describe(plain, dtypes=False)
        if saved != own:
            raise CheckpointError(
                f"{self.path} holds another network than was given: {difference(saved, own)}. Pass "
                f"a `{self.meta['class']}` made with the same arguments."
            )
        if self.meta["ties"] != tensors.ties_in(plain):
            raise CheckpointError(
                f"{self.path} holds a network with other shared weights than was given: "
                f"{self.meta['ties'] or 'none'} there, {tensors.ties_in(plain) or 'none'} here."
            )
        return plain

    def _layer(self, stored: dict[str, Any]) -> CircuitLayer:
        circuit = circuits.circuit_from_bytes(self.members[stored["circuit"]])
        return circuits.layer_from_plain(stored, circuit, self._executor(stored["executor"]))

    def _quantum(self, stored: dict[str, Any], plain: nn.Module) -> QuantumNetwork:
        bridge, rule = bridge_from_plain(stored["bridge"]), rule_from_plain(stored["gradient"])
        number = stored["executor"]
        executor = AerExecutor() if number is None else self._executor(number)
        with isolated(0):  # what it draws is overwritten
            network = bridge.encode(plain, executor=executor, gradient=rule)
        network.bridge, network.gradient_rule = bridge, rule
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

    def _continue_sampling(self, network: QuantumNetwork, number: int) -> None:
        """Controls draw samples themselves; they go on where they stood."""
        stored = self.meta["executors"][number]
        if stored["kind"] == "sampler":
            own: Any = network.executor
            sampler = self._samplers.setdefault(number, own)
            sampler.load_state_dict(stored["state"])
            vars(network)["executor"] = sampler

    def _executor(self, number: int) -> Executor:
        if self.given is not None:
            return self.given
        if number not in self._executors:
            stored = self.meta["executors"][number]
            self._executors[number] = executors.executor_from_plain(stored)
        return self._executors[number]


def plain_of(module: nn.Module) -> nn.Module:
    """A copy without quantum networks, each carried back from its angles; circuit layers stay."""
    if isinstance(module, QuantumNetwork):
        return module.decode()
    result = copy.deepcopy(module)
    decoded: dict[QuantumNetwork, nn.Module] = {}
    for path, network in _outer(result).items():
        if network not in decoded:
            decoded[network] = network.decode()
        result = _put(result, [path], decoded[network])
    return result


def _outer(module: nn.Module, path: str = "") -> dict[str, QuantumNetwork]:
    """Quantum networks by all their paths, those inside of others left out."""
    if isinstance(module, QuantumNetwork):
        return {path: module}
    found: dict[str, QuantumNetwork] = {}
    for name, child in module._modules.items():
        if child is not None:
            found.update(_outer(child, f"{path}.{name}".lstrip(".")))
    return found


def _paths(module: nn.Module, child: nn.Module) -> list[str]:
    return [path for path, m in module.named_modules(remove_duplicate=False) if m is child]


def _put(module: nn.Module, paths: list[str], child: nn.Module) -> nn.Module:
    """The module with a child at these paths; the child itself where a path is empty."""
    for path in paths:
        if not path:
            return child
        owner, _, name = path.rpartition(".")
        module.get_submodule(owner)._modules[name] = child
    return module


def _bridge_of(network: QuantumNetwork) -> Bridge:
    bridge = network.bridge or getattr(network, "options", None)
    if not isinstance(bridge, Bridge):
        raise ConversionError(
            f"A {type(network).__name__} that was not made by `to_quantum` cannot be stored, as "
            "its bridge is not known."
        )
    return bridge


def _check_versions(path: object, meta: dict[str, Any]) -> None:
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


def _check_module(module: object) -> None:
    if not isinstance(module, nn.Module):
        raise ArgumentTypeError(
            f"Argument `network` must be a torch.nn.Module, but is of type {type(module).__name__}."
        )


def _check_path(path: object) -> None:
    if not isinstance(path, str | os.PathLike):
        raise ArgumentTypeError(
            f"Argument `path` must be a path, but is of type {type(path).__name__}."
        )
