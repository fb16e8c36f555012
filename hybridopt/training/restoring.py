"""The state of a training run: validated as a whole, then restored as a whole."""

from __future__ import annotations

import copy
import json
import math
import random
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, get_args, get_type_hints

import numpy as np
import torch
from torch import Tensor
from torch.optim import LBFGS, Optimizer

from hybridopt._random import global_state, restore_global_state
from hybridopt.optim import Newton
from hybridopt.training.history import EpochRecord, History, RangeTest, Status
from hybridopt.training.loop import Training

# entries of schedulers that some versions of torch add
ADDED = frozenset({"_get_lr_called_within_step", "_is_initial"})


class StateError(ValueError):
    """Raised when a stored state does not fit the objects of a training run."""


def state_of(training: Training) -> dict[str, Any]:
    """Return the state of all parts that change during training, without the history."""
    state = {
        "network": training.network.state_dict(),
        "optimizer": training.optimizer.state_dict(),
        "executors": [executor.state_dict() for executor in training.executors],
        "order": training.data.batches.generator.get_state(),
        "random": global_state(),
    }
    if training.schedule is not None:
        state["schedule"] = training.schedule.scheduler.state_dict()
    return state


def restore(training: Training, state: Mapping[str, Any]) -> None:
    """Restore a state of `state_of`, completely or not at all.

    Raises:
        StateError: If the state does not fit. All objects are then as before.
    """
    before = copy.deepcopy(state_of(training))
    try:
        _check(training, before, state)
        _put(training, state)
    except Exception as error:
        _put(training, before)
        if isinstance(error, StateError):
            raise
        # optimizers and schedulers of users may raise anything
        raise StateError(f"{type(error).__name__}: {error}") from error
    training.good.keep()
    training.good.approve()


def history_of(state: Any) -> History:
    """Return the history of `History.to_dict`; raise a StateError for other content."""
    try:
        history = History.from_dict(state)
    except Exception as error:  # whatever is in its place
        raise StateError(f"history: {type(error).__name__}: {error}") from error
    hints = {kind: get_type_hints(kind) for kind in (EpochRecord, RangeTest)}
    found: list[EpochRecord | RangeTest] = [*history.records]
    for record in [*found, history.range_test] if history.range_test else found:
        for name, value in vars(record).items():
            if not _is_of_type(value, hints[type(record)][name]):
                raise StateError(f"history: `{name}` has the value {value!r:.40}")
    epochs = [record.epoch for record in history.records]
    if epochs != list(range(1, len(epochs) + 1)) or history.status not in get_args(Status):
        raise StateError("history: epochs are missing")
    if not _are_texts([history.metric_name, history.detail, history.mitigation]):
        raise StateError("history: the name of the metric or another text is missing")
    return history


def check_settings(settings: Any) -> None:
    """Raise a StateError unless a value can be compared with the settings of a run."""
    _mapping("settings", settings)
    for key, value in settings.items():
        if key == "network":
            fits = isinstance(value, dict) and _are_texts([*value, *value.values()])
        elif key == "executors":
            fits = isinstance(value, list) and _are_texts(value) and all(map(_is_object, value))
        elif key == "trained":
            fits = isinstance(value, list) and all(isinstance(group, list) for group in value)
            fits = fits and _are_texts([name for group in value for name in group])
        else:
            parts = value if isinstance(value, list) else [value]
            fits = all(isinstance(part, str | int | float | None) for part in parts)
        if not fits:
            raise StateError(f"`settings.{key}` has another type")


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _are_texts(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _put(training: Training, state: Mapping[str, Any]) -> None:
    training.network.load_state_dict(state["network"])
    training.optimizer.load_state_dict(state["optimizer"])
    for executor, position in zip(training.executors, state["executors"], strict=True):
        executor.load_state_dict(position)
    if training.schedule is not None:
        training.schedule.scheduler.load_state_dict(state["schedule"])
    training.data.batches.generator.set_state(state["order"])
    restore_global_state(state["random"])


def _check(training: Training, own: dict[str, Any], state: Mapping[str, Any]) -> None:
    """Raise a StateError where a stored state differs in its structure from the own one."""
    for name in own:
        if name not in state:
            raise StateError(f"`{name}` is missing")
    _check_network(training, state["network"])
    _check_optimizer(training.optimizer, own["optimizer"], state["optimizer"])
    for name in ("executors", "order", "schedule"):
        if name in own:
            _check_alike(name, own[name], state[name])
    _check_random(state["random"])


def _check_network(training: Training, stored: Any) -> None:
    own = training.network.state_dict()
    _check_alike("network", dict(own), dict(_mapping("network", stored)))
    trained = {name for name, _ in training.network.named_parameters()}
    for name, tensor in own.items():
        if not isinstance(tensor, Tensor):
            continue
        new = stored[name].to(tensor.device)
        # buffers such as attention masks may hold inf; frozen weights may have been infinite before
        lost = (
            tensor.isfinite() & ~new.isfinite()
            if name in trained
            else ~tensor.isnan() & new.isnan()
        )
        if lost.any():
            raise StateError(f"network: `{name}` has values that are not finite")


def _check_optimizer(optimizer: Optimizer, own: dict[str, Any], stored: Any) -> None:
    groups = _mapping("optimizer", stored).get("param_groups")
    _check_alike("optimizer.param_groups", own["param_groups"], groups)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    states = _mapping("optimizer.state", stored.get("state"))
    expected = _states_after_a_step(optimizer)
    for number, state in states.items():
        name = f"optimizer.state.{number}"
        if type(number) is not int or not 0 <= number < len(parameters):
            raise StateError(f"`{name}` is the state of no parameter")
        for key, value in _mapping(name, state).items():
            if isinstance(value, Tensor) and value.isnan().any():
                raise StateError(f"`{name}.{key}` has values that are not numbers")
        if expected is not None:
            _check_alike(name, expected.get(number, {}), state)


def _states_after_a_step(optimizer: Optimizer) -> dict[int, Any] | None:
    """Return the states of a step of a copy, without values; None if it cannot be copied."""
    if isinstance(optimizer, LBFGS | Newton):  # a step needs the loss
        return None
    try:
        copied = copy.copy(optimizer)
        copied.param_groups = [
            {**group, "params": [_without_values(p) for p in group["params"]]}
            for group in optimizer.param_groups
        ]
        copied.state = defaultdict(dict)
        copied.step()
        states: dict[int, Any] = copied.state_dict()["state"]
    except Exception:  # noqa: BLE001  an optimizer of the user; its own check follows
        return None
    return states


def _without_values(parameter: Tensor) -> torch.nn.Parameter:
    empty = torch.nn.Parameter(torch.empty_like(parameter, device="meta"))
    empty.grad = torch.empty_like(empty)
    return empty


def _check_random(stored: Any) -> None:
    """Try the states of the generators on generators of their own."""
    try:
        torch.Generator().set_state(stored["torch"])
        name, keys, *others = stored["numpy"]
        np.random.RandomState().set_state((name, np.asarray(keys, dtype=np.uint32), *others))
        version, internal, gauss = stored["python"]
        whole = all(type(number) is int for number in (*keys, *internal))
        random.Random().setstate(  # noqa: S311  only tried
            (version, tuple(internal), gauss)
        )
    except Exception as error:  # whatever is in their places
        raise StateError(f"random: {type(error).__name__}: {error}") from error
    if not whole:
        raise StateError("random: a state has other entries than integers")


def _check_alike(name: str, own: Any, stored: Any) -> None:
    """Raise a StateError unless two values have the same structure and types."""
    if isinstance(own, Tensor):
        same = (
            isinstance(stored, Tensor) and stored.shape == own.shape and stored.dtype == own.dtype
        )
        if not same:
            raise StateError(f"`{name}` must be a {own.dtype} tensor of shape {tuple(own.shape)}")
    elif isinstance(own, Mapping):
        _check_entries(name, own, _mapping(name, stored))
    elif isinstance(own, list | tuple):
        if type(stored) is not type(own) or len(stored) != len(own):
            raise StateError(f"`{name}` must have {len(own)} entries")
        for place, pair in enumerate(zip(own, stored, strict=True)):
            _check_alike(f"{name}.{place}", *pair)
    elif not _same_kind(own, stored):
        raise StateError(f"`{name}` has {stored!r:.40} in place of a {type(own).__name__}")


def _check_entries(name: str, own: Mapping[Any, Any], stored: Mapping[Any, Any]) -> None:
    for key in {**own, **stored}:
        if key in own and key in stored:
            _check_alike(f"{name}.{key}", own[key], stored[key])
        elif key not in ADDED:
            raise StateError(f"`{name}.{key}` is {'missing' if key in own else 'unknown'}")


def _same_kind(own: Any, stored: Any) -> bool:
    if isinstance(own, bool | None):
        return isinstance(stored, bool | None)
    if isinstance(own, int | float):
        number = isinstance(stored, int | float) and not isinstance(stored, bool)
        return number and (not math.isnan(stored) or math.isnan(own))
    return type(stored) is type(own)


def _is_of_type(value: Any, hint: Any) -> bool:
    if hint == list[float]:
        return isinstance(value, list) and all(_is_of_type(item, float) for item in value)
    kinds = get_args(hint) or (hint,)
    allowed = (*kinds, int) if float in kinds else kinds
    return isinstance(value, allowed) and not isinstance(value, bool)


def _mapping(name: str, value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise StateError(f"`{name}` has {value!r:.40} in place of a dict")
    return value
