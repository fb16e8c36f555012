"""Plain values, bridges, gradient rules, executors and noise models as JSON."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from dataclasses import fields
from numbers import Integral, Real
from typing import Any

from hybridopt.bridges import BRIDGES, Bridge
from hybridopt.errors import CheckpointError, ConversionError, HybridOptError
from hybridopt.execution import AerExecutor, DaskExecutor, Executor
from hybridopt.execution.executor import Metered
from hybridopt.execution.noise import model_from_plain
from hybridopt.gradients import GRADIENTS

REGISTRIES: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "bridge": (BRIDGES, "Store the `state_dict` of the network with `torch.save`."),
    "gradient rule": (GRADIENTS, "Use one of these before you save."),
}
WAY_OUT = "Pass `executor=` to `load` to replace the stored settings."


def to_plain(value: object) -> Any:
    """Return a number, text, list, tuple, mapping or bridge as JSON."""
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
        return {"bridge": named_to_plain("bridge", value)}
    raise ConversionError(f"{value!r} of type {type(value).__name__} is not plain data.")


def from_plain(value: Any) -> Any:
    """Return the value of which `to_plain` made the JSON."""
    if isinstance(value, list):
        return [from_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tuple":
        return tuple(from_plain(item) for item in content)
    if kind == "mapping":
        return {from_plain(k): from_plain(v) for k, v in content}
    return named_from_plain(kind, content)


def named_to_plain(kind: str, thing: Any) -> dict[str, Any]:
    """Return name and options of a bridge or gradient rule of hybridopt."""
    known, way_out = REGISTRIES[kind]
    if known.get(thing.name) is not type(thing):
        raise ConversionError(
            f"A stored {kind} must be one of {', '.join(known)} (got {type(thing).__name__}). "
            f"{way_out}"
        )
    options = {f.name: to_plain(getattr(thing, f.name)) for f in fields(thing) if f.init}
    return {"name": thing.name, "options": options}


def named_from_plain(kind: str, stored: dict[str, Any]) -> Any:
    """Return the bridge or gradient rule of a name and options."""
    (known, _), name = REGISTRIES[kind], stored["name"]
    if name not in known:
        raise CheckpointError(
            f"The file needs the {kind} {name!r}, which this version does not have. Update "
            "hybridopt."
        )
    try:
        return known[name](**{key: from_plain(v) for key, v in stored["options"].items()})
    except (HybridOptError, TypeError) as error:
        raise CheckpointError(
            f"The file needs options of the {kind} {name!r} that this version does not have "
            f"({error}). Update hybridopt."
        ) from error


def executor_to_plain(executor: Metered, *, runs_circuits: bool) -> dict[str, Any]:
    """Return settings and stream position of an executor, and why none can be made from them."""
    if isinstance(executor, DaskExecutor):  # a cluster belongs to one session
        executor = executor.executor
    state = executor.state_dict()
    if not runs_circuits:  # samples the formula of a control
        return {"kind": "sampler", "shots": executor.shots, "state": state}
    settings, name = executor.settings(), type(executor).__name__
    if type(executor) is AerExecutor:
        noise = settings.pop("noise_model")
        if not isinstance(noise, str):
            settings = {key: to_plain(value) for key, value in settings.items()}
            return {"kind": "aer", "settings": settings, "noise": noise, "state": state}
        reason, left_out = f"the noise {noise} cannot be stored", ["noise_model"]
    else:
        settings, left_out = plain_part(settings)
        shown = ", ".join(f"{key}={reprlib.repr(value)}" for key, value in settings.items())
        more = f", and {', '.join(left_out)}" if left_out else ""
        reason = f"an executor of class {name} cannot be stored (it had {shown}{more})"
    state, lost = plain_part(state)
    return {
        "kind": "other",
        "class": name,
        "settings": to_plain(settings),
        "state": to_plain(state),
        "not_stored": [*left_out, *lost],
        "reason": reason,
    }


def plain_part(values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the values that are plain data, and the names of the others."""
    plain, left_out = {}, []
    for name, value in values.items():
        try:
            to_plain(value)
        except ConversionError:
            left_out.append(name)
        else:
            plain[name] = value
    return plain, left_out


def executor_from_plain(stored: dict[str, Any]) -> Executor:
    """Return the executor at its stored position in the sampling stream."""
    kind = stored["kind"]
    if kind == "other":
        raise CheckpointError(f"The file has no executor, because {stored['reason']}. {WAY_OUT}")
    if kind == "sampler":  # a control uses the shots only
        return AerExecutor(shots=stored["shots"], seed=0)
    noise = stored["noise"] and model_from_plain(stored["noise"])
    if stored["noise"] is not None and noise is None:
        raise CheckpointError(f"The installed Aer cannot read the stored noise model. {WAY_OUT}")
    try:
        settings = {name: from_plain(value) for name, value in stored["settings"].items()}
        executor = AerExecutor(**settings, noise_model=noise)
        executor.load_state_dict(stored["state"])
    except (HybridOptError, TypeError) as error:
        raise CheckpointError(
            f"The stored executor cannot be created here: {error} {WAY_OUT}"
        ) from error
    return executor
