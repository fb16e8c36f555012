"""Executors of a comparison: where they come from, how they are set, and how they are described."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
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
    """Return the settings that change results, in plain types, to compare executors."""
    free = executor.changeable - {"seed"}  # runs derive their random streams from the seed
    known = {name: one for name, one in executor.settings().items() if name not in free}
    noise = getattr(executor, "noise", None)
    if noise is not None:
        known["noise_model"] = _noise(noise)
    plain: dict[str, Any] = json.loads(json.dumps(known, default=repr))
    return {**plain, "executor": repr(executor)}


def source_settings(source: ExecutorSource) -> Any:
    """Return the settings of a source without a seed; a function is known by its object."""
    return executor_settings(source) if isinstance(source, Executor) else repr(source)


def _noise(noise: Any) -> list[str | None]:
    """Return digests of a noise model and of a device, as far as they exist."""
    device = None if noise.device is None else _digest(device_properties(noise.device))
    if noise.model is None:
        return [None, device]
    content = noise.model.to_dict(serializable=True)
    for error in content["errors"]:
        error.pop("id", None)  # random for each model
    return [_digest(content), device]


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
