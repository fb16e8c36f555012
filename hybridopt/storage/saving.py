"""`save`: files of modules that contain circuits."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from qiskit import qpy
from torch import nn

from hybridopt import _validation
from hybridopt._copies import check_no_tensor_hooks, count_call_hooks, hook_error
from hybridopt._environment import OWN, versions
from hybridopt._files import check_writable
from hybridopt._modules import check_module
from hybridopt.bridges import Bridge, QuantumNetwork, WeightNetwork
from hybridopt.bridges.api import without_quantum_networks
from hybridopt.errors import ConversionError
from hybridopt.execution.executor import Metered
from hybridopt.nn import CircuitLayer
from hybridopt.storage import circuits, tensors
from hybridopt.storage.architecture import NotBuiltInError, describe, hooks_of, recipe_of
from hybridopt.storage.archive import FIRST, write_archive
from hybridopt.storage.json_codec import executor_to_plain, named_to_plain

SCHEMA = 2
PACKAGES = (OWN, "qiskit", "qiskit-aer", "torch")


def save(module: nn.Module, path: str | os.PathLike[str]) -> Path:
    """Save a quantum network, or a module that contains circuits, in one file.

    The file is a zip archive without code, written completely or not at all. It ends with a digest
    of its content. It holds all tensors, the weights of the plain network, the bridge and the
    gradient rule with their options, and the circuits (QPY) of up to 131,072 gates. It also holds
    the options of the executor and the position in its random stream. Train and eval modes, frozen
    parts, the name of a new head, and the versions of the packages are stored, too. A file has at
    most 2 GiB. Parameters must be finite; buffers may have inf, as attention masks do, but not NaN.

    Args:
        module: Quantum network of any bridge or control, `CircuitLayer`, or module that contains
            one.
        path: Path of the file, with any suffix. An older file is replaced.

    Returns:
        Path of the file.

    Raises:
        ConversionError: If the module has no circuit, a part that cannot be stored, or NaN.
        ArgumentTypeError: If ``module`` is not a module, or ``path`` not a path.
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
    check_module(module, "module")
    path = _validation.path("path", path)
    check_writable(path)
    _check_hooks(module)
    return write_archive(path, _Members(module).by_name())


def _check_hooks(module: nn.Module) -> None:
    """Raise an error for hooks that `load` could not restore; files contain no code."""
    reason = "files contain no code"
    check_no_tensor_hooks(module, reason)
    for name, part in module.named_modules():
        for slot in part.layout.slots if isinstance(part, WeightNetwork) else ():
            if slot.hooks:
                raise hook_error(slot.name, reason)
        if isinstance(part, (QuantumNetwork, *circuits.KNOWN_LAYERS)) and count_call_hooks(part):
            place = f"Layer `{name}`" if name else f"The {type(part).__name__}"
            raise ConversionError(
                f"{place} must not have a hook of its forward or backward pass, because {reason}. "
                "Remove the hook first."
            )


class _Members:
    """Builder of the members of the file."""

    def __init__(self, module: nn.Module) -> None:
        self._module = module
        self._plain = without_quantum_networks(module)
        self._executors: dict[int, tuple[Metered, bool]] = {}  # by id, in order of numbers
        self._blobs: dict[str, bytes] = {}

    def by_name(self) -> dict[str, bytes]:
        """Return the contents by name."""
        module, plain = self._module, self._plain
        layers = [layer for layer in plain.modules() if isinstance(layer, CircuitLayer)]
        quantum = _outermost(module)
        if not layers and not quantum:
            raise ConversionError(
                f"`module` must contain a circuit (got {type(module).__name__}). Convert it with "
                "`to_quantum`, or save its state_dict with `torch.save`."
            )
        # first, because no circuit has NaN as an angle
        self._blobs["network.pt"] = tensors.to_bytes(tensors.tensors_of(plain))
        self._blobs["tensors.pt"] = tensors.to_bytes(tensors.tensors_of(module))
        recipe, reason = None, None
        try:
            recipe = recipe_of(plain, {layer: number for number, layer in enumerate(layers)})
        except NotBuiltInError as error:
            reason = str(error)
        meta = {
            "schema": SCHEMA,
            "versions": versions(PACKAGES),
            "qpy": qpy.QPY_VERSION,
            "class": type(plain).__qualname__,
            "recipe": recipe,
            "reason": reason,
            "description": {**describe(plain, dtypes=False), **hooks_of(plain)},
            "ties": tensors.ties_in(plain),
            "plain": tensors.state_of(plain),
            "whole": tensors.state_of(module),
            "layers": [self._layer(layer, number) for number, layer in enumerate(layers)],
            "quantum": [self._quantum(network, number) for number, network in enumerate(quantum)],
        }
        meta["executors"] = [
            executor_to_plain(executor, runs_circuits=runs)
            for executor, runs in self._executors.values()
        ]
        if read := tensors.readings_of(module):
            self._blobs["readings.pt"] = tensors.to_bytes(read)
        return {FIRST: json.dumps(meta, indent=1).encode(), **self._blobs}

    def _layer(self, layer: CircuitLayer, number: int) -> dict[str, Any]:
        file = f"circuits/layer-{number}.qpy"
        circuit = circuits.in_gates(layer.circuit)
        self._blobs[file] = circuits.circuit_to_bytes(circuit, verify=True)
        return {
            **circuits.layer_to_plain(layer),
            "path": _path(self._plain, layer),
            "circuit": file,
            "executor": self._executor(layer.executor, runs_circuits=True),
        }

    def _quantum(self, network: QuantumNetwork, number: int) -> dict[str, Any]:
        bridge = network.bridge or getattr(network, "options", None)
        if not isinstance(bridge, Bridge):
            raise ConversionError(
                f"{type(network).__name__} must be made by `to_quantum` to be stored (its bridge "
                "is not known)."
            )
        rule = network.gradient
        executor, runs = getattr(network, "executor", None), network.num_qubits > 0
        files = {}
        for name, circuit in circuits.circuits_of(network).items():
            files[name] = f"circuits/{'-'.join(filter(None, [str(number), name]))}.qpy"
            self._blobs[files[name]] = circuits.circuit_to_bytes(circuit)
        return {
            "path": _path(self._module, network),
            "bridge": named_to_plain("bridge", bridge),
            "gradient": named_to_plain("gradient rule", rule),
            "executor": None if executor is None else self._executor(executor, runs_circuits=runs),
            "num_qubits": network.num_qubits,
            "num_angles": network.num_angles,
            "num_weights": network.num_weights,
            "circuits": files,
        }

    def _executor(self, executor: Metered, *, runs_circuits: bool) -> int:
        self._executors.setdefault(id(executor), (executor, runs_circuits))
        return list(self._executors).index(id(executor))


def _outermost(module: nn.Module) -> list[QuantumNetwork]:
    """Return the quantum networks that are not inside others, each once."""
    if isinstance(module, QuantumNetwork):
        return [module]
    return list(dict.fromkeys(one for child in module.children() for one in _outermost(child)))


def _path(module: nn.Module, child: nn.Module) -> str:
    paths: dict[nn.Module, str] = {one: path for path, one in module.named_modules()}
    return paths[child]
