"""Executors of a comparison: where they come from, how they are set, and how they are described."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import is_dataclass
from typing import Any

import numpy as np
from qiskit.providers import BackendV2
from torch import nn

from hybridopt import _validation
from hybridopt.bridges.base import FormulaStream
from hybridopt.errors import ArgumentError, HybridOptError
from hybridopt.execution import AerExecutor, Executor, Metered
from hybridopt.nn import CircuitLayer
from hybridopt.training.loop import executors_of

ExecutorSource = Executor | Callable[[int], Executor] | None
NO_CIRCUIT = "no circuit"
_SETTINGS = bool | int | float | str | None
_WITHOUT_EFFECT = {"max_memory", "strategy"}  # on values; the default of the first is the machine's


def check_source(name: str, source: object, *, optional: bool = True) -> None:
    """Raise ArgumentTypeError if the argument ``name`` is not a source of executors."""
    if not callable(source) and not (source is None and optional):
        expected = "an executor, such as AerExecutor(), or a function of a seed that returns one"
        _validation.instance(name, source, Executor, expected)


def executor_from(source: ExecutorSource, seed: int, name: str = "executor") -> Executor:
    """Return the executor of a seed; None is exact simulation."""
    if source is None:
        return AerExecutor()
    if isinstance(source, Executor):
        return source
    made: Executor = call_source(name, source, seed, takes="a seed", kind=Executor)
    return made


def call_source(
    name: str, function: Callable[..., object], *given: int, takes: str, kind: type[Any]
) -> Any:
    """Call a function of the user and check the type of its result."""
    try:
        made = function(*given)
    except HybridOptError:
        raise
    except Exception as error:
        raise ArgumentError(
            f"Function `{name}` must take {takes} and return an instance of {kind.__name__} "
            f"(got {type(error).__name__}: {error})."
        ) from error
    expected = f"a function that returns an instance of {kind.__name__}"
    return _validation.instance(name, made, kind, expected)


def set_executor(network: nn.Module, executor: Executor, *, trains: bool = True) -> None:
    """Set the executor of all circuits in place; check their programs and gradient rules.

    The formula of a twin gets the shots of the executor, and refuses its noise. ``trains=False``
    leaves the gradient rules unchecked, for a network that is only evaluated.
    """
    formulas: dict[int, FormulaStream] = {}
    for module in network.modules():
        held = getattr(module, "executor", None)
        if isinstance(held, FormulaStream):  # some are executors, too
            if held not in formulas.values():
                made = formulas.setdefault(id(held), type(held).like(executor))
                module.executor = made  # type: ignore[assignment]
        elif isinstance(held, Executor):
            module.executor = executor  # type: ignore[assignment]
        if isinstance(module, CircuitLayer):
            executor.check(module.program, module.program_readout)
            if trains:
                module.gradient.check(module.program, module.program_readout, executor)


def reseed(executors: Sequence[Metered], seed: int, stage: int) -> None:
    """Set the random streams of a run, independent of earlier runs."""
    for number, executor in enumerate(executors):
        own = getattr(executor, "seed", None) or 0
        words = np.random.SeedSequence([own, seed, stage, number]).generate_state(4)
        entropy = int.from_bytes(words.tobytes(), "little")
        executor.load_state_dict({**executor.state_dict(), "entropy": hex(entropy), "calls": 0})


def label_of(network: nn.Module) -> str:
    """Return the executors of a network in a few words, for tables."""
    words = dict.fromkeys(map(executor_label, executors_of(network)))
    return " and ".join(words) or NO_CIRCUIT


def executor_label(executor: Metered) -> str:
    """Return noise, mitigation and shots of an executor in a few words.

    Example:
        >>> executor_label(AerExecutor(shots=1000))
        '1,000 shots'
    """
    noise = getattr(executor, "noise", None)
    words = []
    if isinstance(executor, FormulaStream):
        words.append("formula")
    elif type(executor) is not AerExecutor:
        words.append(type(executor).__name__)
    if noise is not None:
        words.append("noise model" if noise.device is None else str(noise))
    if mitigation := getattr(executor, "readout_mitigation", None):
        words.append(f"{mitigation} mitigation")
    if executor.shots is not None:
        words.append(f"{executor.shots:,} shots")
    return ", ".join(words) or "exact"


def executor_settings(executor: Metered) -> dict[str, Any]:
    """Return the settings that change results, in plain types, to compare executors.

    Those of executors of the user are shots, seed and repr, as other attributes may be counters.
    """
    ours = type(executor).__module__.partition(".")[0] == "hybridopt"
    values = {k: v for k, v in vars(executor).items() if ours and k[0] != "_" and _is_plain(v)}
    values |= {"shots": executor.shots, "seed": getattr(executor, "seed", None)}
    kept = {name: _plain(one) for name, one in values.items() if name not in _WITHOUT_EFFECT}
    return {**kept, "executor": repr(executor), "noise": _noise(getattr(executor, "noise", None))}


def source_settings(source: ExecutorSource) -> Any:
    """Return the settings of a source without a seed; a function is known by its object."""
    return executor_settings(source) if isinstance(source, Executor) else repr(source)


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return isinstance(value, _SETTINGS | np.ndarray | np.generic) or is_dataclass(value)


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.ndarray | np.generic):
        return _digest(value.tolist())
    return value if isinstance(value, _SETTINGS) else repr(value)


def _noise(noise: Any) -> list[Any] | None:
    """Return digests of a noise model and of a device, and the options of the transpiler."""
    if noise is None:
        return None
    device = None if noise.device is None else _digest(device_properties(noise.device))
    model = None
    if noise.model is not None:
        content = noise.model.to_dict(serializable=True)
        for error in content["errors"]:
            error.pop("id", None)  # random for each model
        model = _digest(content)
    return [model, device, repr(noise.options)]


def device_properties(device: BackendV2) -> dict[str, Any]:
    """Return name, times and errors of a device in plain types."""
    target = device.target
    gates = {}
    for name in target.operation_names:
        places: Iterable[Any] = (target[name] or {}).items()
        known = {str(where): [getattr(one, "duration", None), getattr(one, "error", None)]
                 for where, one in places}  # fmt: skip
        gates[name] = dict(sorted(known.items()))
    qubits = []
    for one in target.qubit_properties or ():
        with suppress(AttributeError):  # a qubit without properties
            qubits.append([one.t1, one.t2, one.frequency])
    return {"name": device.name, "dt": target.dt, "gates": gates, "qubits": qubits}


def _digest(content: object) -> str:
    text = json.dumps(content, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
