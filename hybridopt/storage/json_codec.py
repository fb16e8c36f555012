"""Options as JSON: numbers, texts, tuples, mappings, bridges and gradient rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from numbers import Integral, Real
from typing import Any

from hybridopt.bridges import BRIDGES, Bridge
from hybridopt.errors import CheckpointError, ConversionError, HybridOptError
from hybridopt.gradients import GRADIENTS, GradientRule


class NotPlainError(ConversionError):
    """A value that is no plain data, so that it cannot be stored without code."""


def to_plain(value: object) -> Any:
    """A value as JSON.

    Raises:
        NotPlainError: If it is no number, text, list, tuple, mapping or bridge of ours.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Real):
        return int(value) if isinstance(value, Integral) else float(value)
    if isinstance(value, list | tuple):
        items = [to_plain(item) for item in value]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, Mapping):
        return {"mapping": [[to_plain(k), to_plain(v)] for k, v in value.items()]}
    if isinstance(value, Bridge):
        return {"bridge": bridge_to_plain(value)}
    raise NotPlainError(f"{value!r} of type {type(value).__name__} is no plain data")


def from_plain(value: Any) -> Any:
    """The value that `to_plain` was given."""
    if isinstance(value, list):
        return [from_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tuple":
        return tuple(from_plain(item) for item in content)
    if kind == "mapping":
        return {from_plain(k): from_plain(v) for k, v in content}
    return bridge_from_plain(content)


def bridge_to_plain(bridge: Bridge) -> dict[str, Any]:
    """Name and options of a bridge.

    Raises:
        ConversionError: If it is none of `hybridopt.bridges.BRIDGES`.
    """
    way_out = "Store the network's `state_dict` by `torch.save`."
    return _named("bridge", bridge.name, bridge, BRIDGES, way_out)


def bridge_from_plain(stored: dict[str, Any]) -> Bridge:
    """The bridge again.

    Raises:
        CheckpointError: If this version has no such bridge, or another option.
    """
    bridge: Bridge = _made("bridge", stored, BRIDGES)
    return bridge


def rule_to_plain(rule: GradientRule) -> dict[str, Any]:
    """Name and options of a gradient rule.

    Raises:
        ConversionError: If it is none of hybridopt's.
    """
    way_out = "Use one of these before saving."
    return _named("gradient rule", rule.name, rule, GRADIENTS, way_out)


def rule_from_plain(stored: dict[str, Any]) -> GradientRule:
    """The gradient rule again.

    Raises:
        CheckpointError: If this version has no such rule, or another option.
    """
    rule: GradientRule = _made("gradient rule", stored, GRADIENTS)
    return rule


def _named(
    kind: str, name: str, thing: object, known: Mapping[str, Any], way_out: str
) -> dict[str, Any]:
    if known.get(name) is not type(thing):
        raise ConversionError(
            f"The {kind} {type(thing).__name__} cannot be stored, as it is none of hybridopt's "
            f"({', '.join(known)}). {way_out}"
        )
    assert is_dataclass(thing)
    options = {f.name: to_plain(getattr(thing, f.name)) for f in fields(thing) if f.init}
    return {"name": name, "options": options}


def _made(kind: str, stored: dict[str, Any], known: Mapping[str, Any]) -> Any:
    name, options = stored["name"], stored["options"]
    if name not in known:
        raise CheckpointError(
            f"The file needs the {kind} {name!r}, which this version of hybridopt does not have. "
            "Update hybridopt."
        )
    try:
        return known[name](**{key: from_plain(value) for key, value in options.items()})
    except (HybridOptError, TypeError) as error:
        raise CheckpointError(
            f"The file sets options of the {kind} {name!r} that this version of hybridopt does "
            f"not have ({error}). Update hybridopt."
        ) from error
