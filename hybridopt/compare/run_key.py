"""Objects as plain data that change with whatever their numbers follow from.

Nothing in it depends on the process: no addresses, no random identifiers, no order of sets. Classes
and functions of the user's own are taken by their bytecode, with defaults, closures and the globals
that they name; those of installed packages by their name and the package's version.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import PurePath
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Operation, ParameterExpression
from qiskit.quantum_info import SparsePauliOp
from torch import nn

from hybridopt.compare.code_origins import (
    full_name,
    in_cell,
    is_installed,
    module_name,
    named_globals,
)
from hybridopt.execution import Executor

DEPTH = 80  # of what is looked into; deeper things count by their type
PROBES = (0.3, 0.7, 1.9)  # where expressions in parameters are told from each other
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
# which of these are one object, and which only equal, changes from process to process
_UNNAMED = (tuple, bytes, frozenset, CodeType, Enum)
_OF_THE_CLASS = {"__dict__", "__weakref__", "__doc__", "__module__", "__firstlineno__"}


def digest_of_content(value: object) -> str:
    """Sixteen hexadecimal digits that follow from an object's content."""
    return _hashed(_Reader().read(value))


def executor_text(executor: Executor) -> str:
    """An executor in words, the numbers of its noise among them, and the code of a user's own."""
    text = _ADDRESS.sub("", repr(executor))
    if not is_installed(type(executor)):
        text = f"{text} {digest_of_content(type(executor))}"
    noise = getattr(executor, "noise", None)
    if noise is None:
        return text
    content = noise.model.to_dict(serializable=True)
    for error in content["errors"]:
        error.pop("id", None)  # drawn anew for each model
    return f"{text} {_hashed(content)}"


def tensor_text(tensor: torch.Tensor) -> str:
    """Type, shape and values."""
    if nn.parameter.is_lazy(tensor):
        return f"{tensor.dtype} without a shape"
    flat = tensor.detach().cpu().contiguous().reshape(-1).resolve_conj().resolve_neg()
    values = hashlib.sha256(flat.view(torch.uint8).numpy().tobytes()).hexdigest()
    return f"{tensor.dtype}{tuple(tensor.shape)} {values}"


def _hashed(content: object) -> str:
    text = json.dumps(content, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass
class _Reader:
    """One walk through an object; what is met again is named by the place where it was met."""

    seen: dict[int, tuple[int, object]] = field(default_factory=dict)
    depth: int = 0

    def read(self, value: object) -> Any:
        """Plain data."""
        if value is None or (isinstance(value, bool | int | str) and not isinstance(value, Enum)):
            return value
        if isinstance(value, float | complex | np.generic):
            return f"{type(value).__name__} {value!r}"
        if id(value) in self.seen:
            return ["again", self.seen[id(value)][0]]
        if not isinstance(value, _UNNAMED):
            self.seen[id(value)] = len(self.seen), value  # kept: no other takes its address
        if self.depth > DEPTH:
            return type(value).__qualname__
        self.depth += 1
        try:
            return next(read(self, value) for kind, read in _READERS if isinstance(value, kind))
        finally:
            self.depth -= 1

    def pairs(self, mapping: Mapping[Any, Any]) -> list[Any]:
        """Of a mapping, in the order of the keys' texts."""
        named = sorted(((str(key), key) for key in mapping), key=lambda pair: pair[0])
        return [[name, self.read(mapping[key])] for name, key in named]

    def unordered(self, values: set[Any]) -> list[str]:
        """Of a set, whatever its order; what is in it is not known by its place."""
        return sorted(json.dumps(_Reader(depth=self.depth).read(one)) for one in values)

    def function(self, function: FunctionType) -> Any:
        """Its code, and the values that it finds outside."""
        if is_installed(function):
            return full_name(function)
        return {
            "code": self.read(function.__code__),
            "defaults": self.read(function.__defaults__),
            "keywords": self.read(function.__kwdefaults__),
            "cells": [self.read(in_cell(cell)) for cell in function.__closure__ or ()],
            "globals": self.pairs(named_globals(function)),
        }

    def code(self, code: CodeType) -> Any:
        """What is done, whatever the lines it stands on."""
        steps = code.co_code.hex()
        return [steps, list(code.co_names), [self.read(one) for one in code.co_consts]]

    def of_type(self, made: type) -> Any:
        """A class: its methods and plain attributes, and its bases."""
        if is_installed(made):
            return full_name(made)
        attributes = {key: one for key, one in vars(made).items() if key not in _OF_THE_CLASS}
        return [
            made.__qualname__,
            [self.read(base) for base in made.__bases__],
            self.pairs(attributes),
        ]

    def network(self, module: nn.Module) -> Any:
        """Class, tensors and plain attributes of a module, and of those within it."""
        state = _state(module)
        kept = {key: value for key, value in state.items() if "_hooks" not in key}
        hooks = [
            list(value.values()) for key, value in sorted(state.items()) if key.endswith("_hooks")
        ]
        return ["module", self.read(type(module)), self.pairs(kept), self.read(hooks)]

    def circuit(self, circuit: QuantumCircuit) -> Any:
        """Gates, qubits and angles; parameters by their names."""
        index = {bit: number for number, bit in enumerate([*circuit.qubits, *circuit.clbits])}
        gates = [
            [self.operation(one.operation), [index[bit] for bit in (*one.qubits, *one.clbits)]]
            for one in circuit.data
        ]
        return ["circuit", len(circuit.qubits), self.read(circuit.global_phase), gates]

    def operation(self, gate: Operation) -> Any:
        """Name and angles, and what a gate of the user's own is made of."""
        parameters = [self.read(one) for one in getattr(gate, "params", ())]
        state = getattr(gate, "ctrl_state", None)
        inner = None
        made = str(getattr(gate, "base_class", type(gate)).__module__)
        if not made.startswith("qiskit.circuit.library.standard_gates"):
            inner = self.read(getattr(gate, "definition", None))
        return [gate.name, parameters, state, inner]

    def anything(self, value: object) -> Any:
        """Any other object: class and state, as a copy of it would get them."""
        if isinstance(value, Executor):
            return executor_text(value)
        wrapped = getattr(value, "__wrapped__", None)
        if wrapped is not None:
            return ["wrapped", self.read(wrapped)]
        state = _state(value)
        if not state and type(value).__module__ == "builtins":
            return _ADDRESS.sub("", repr(value))
        return [self.read(type(value)), self.pairs(state)]


def _state(value: object) -> dict[str, Any]:
    """What makes one object of a class differ from another."""
    try:
        reduced = value.__reduce_ex__(2)
    except Exception:  # noqa: BLE001  # the user's code, or a thing of the running system
        return dict(getattr(value, "__dict__", {}))
    if isinstance(reduced, str):
        return {"name": reduced}
    state = reduced[2] if len(reduced) > 2 else None
    if isinstance(state, dict) and isinstance(value, nn.Module):
        return state
    items = [None if one is None else list(one) for one in reduced[3:5]]
    return {"made by": list(reduced[1]), "state": state, "items": items}


def _expression(value: ParameterExpression) -> list[Any]:
    """Its parameters, and its values where these are given numbers; its text has no fixed order."""
    parameters = sorted(value.parameters, key=lambda one: one.name)
    values = []
    for probe in PROBES:
        given = {one: probe + 0.1 * number for number, one in enumerate(parameters)}
        values.append(repr(value.bind(given).numeric()))
    return ["expression", [one.name for one in parameters], values]


def _array(reader: _Reader, value: np.ndarray) -> Any:
    if value.dtype.hasobject:
        return [str(value.dtype), reader.read(value.tolist())]
    return tensor_like(value)


def tensor_like(value: np.ndarray) -> str:
    """An array by type, shape and values."""
    values = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    return f"{value.dtype}{value.shape} {values}"


_READERS: tuple[tuple[Any, Callable[[_Reader, Any], Any]], ...] = (
    (bytes | bytearray, lambda _, value: bytes(value).hex()),
    (Enum, lambda _, value: f"{type(value).__qualname__}.{value.name}"),
    (PurePath | torch.dtype | torch.device, lambda _, value: str(value)),
    (
        torch.Tensor,
        lambda _, value: [tensor_text(value), bool(value.requires_grad), str(value.layout)],
    ),
    (np.ndarray, _array),
    (list | tuple, lambda reader, value: [type(value).__name__, *map(reader.read, value)]),
    (set | frozenset, _Reader.unordered),
    (Mapping, lambda reader, value: reader.pairs(value)),
    (ModuleType, lambda _, value: module_name(value.__name__)),
    (type, _Reader.of_type),
    (FunctionType, _Reader.function),
    (BuiltinFunctionType, lambda _, value: value.__qualname__),
    (CodeType, _Reader.code),
    (
        MethodType,
        lambda reader, value: [reader.read(value.__func__), reader.read(value.__self__)],
    ),
    (
        functools.partial,
        lambda reader, value: [
            reader.read(one) for one in (value.func, value.args, value.keywords)
        ],
    ),
    (
        staticmethod | classmethod,
        lambda reader, value: [type(value).__name__, reader.read(value.__func__)],
    ),
    (
        property,
        lambda reader, value: [reader.read(one) for one in (value.fget, value.fset, value.fdel)],
    ),
    (nn.Module, _Reader.network),
    (ParameterExpression, lambda _, value: _expression(value)),
    (QuantumCircuit, _Reader.circuit),
    (Operation, lambda reader, value: reader.operation(value)),
    (SparsePauliOp, lambda _, value: repr(value.to_list())),
    (object, _Reader.anything),
)
