"""Plain values, bridges, gradient rules, executors and noise models as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from numbers import Integral, Real
from typing import Any

from qiskit_aer.noise import NoiseModel

from hybridopt._warnings import ignored_warnings
from hybridopt.bridges import BRIDGES, Bridge
from hybridopt.errors import CheckpointError, ConversionError, HybridOptError
from hybridopt.execution import AerExecutor, Executor
from hybridopt.execution.executor import Metered
from hybridopt.execution.memory_budget import physical_memory
from hybridopt.gradients import GRADIENTS

REGISTRIES: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "bridge": (BRIDGES, "Store the `state_dict` of the network with `torch.save`."),
    "gradient rule": (GRADIENTS, "Use one of these before you save."),
}
SIMULATION = ("device", "shots", "method", "precision", "seed", "strategy")
SETTINGS = (*SIMULATION, "max_bond_dimension", "truncation", "readout_mitigation")
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
    """Return settings and stream position of an executor, or why it cannot be stored."""
    if not runs_circuits:  # samples the formula of a control
        return {"kind": "sampler", "shots": executor.shots, "state": executor.state_dict()}
    if type(executor) is not AerExecutor:
        reason = f"an executor of class {type(executor).__name__} cannot be stored"
        return {"kind": "other", "reason": reason}
    settings: dict[str, Any] = {name: getattr(executor, name) for name in SETTINGS}
    if executor.max_memory != physical_memory() // 2:  # the default depends on the machine
        settings["max_memory"] = executor.max_memory
    if executor.confusion is not None:
        matrices = {qubits: matrix.tolist() for qubits, matrix in executor.confusion.items()}
        settings["confusion"] = to_plain(matrices)
    noise = executor.noise and _noise_to_plain(executor.noise)
    if executor.noise is not None and noise is None:
        return {"kind": "other", "reason": f"the noise {executor.noise} cannot be stored"}
    return {"kind": "aer", "settings": settings, "noise": noise, "state": executor.state_dict()}


def executor_from_plain(stored: dict[str, Any]) -> Executor:
    """Return the executor at its stored position in the sampling stream."""
    kind = stored["kind"]
    if kind == "other":
        raise CheckpointError(f"The file has no executor, because {stored['reason']}. {WAY_OUT}")
    if kind == "sampler":  # a control uses the shots only
        return AerExecutor(shots=stored["shots"], seed=0)
    noise = stored["noise"] and _noise_from_plain(stored["noise"])
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


def _noise_to_plain(noise: Any) -> dict[str, Any] | None:
    """Return a noise model as JSON; None for a device or if JSON changes the model."""
    model = noise.model
    if model is None or noise.device is not None:
        return None
    try:
        stored = json.loads(json.dumps(model.to_dict(serializable=True)))
    except (TypeError, ValueError):
        return None
    return None if model._custom_noise_passes or _noise_from_plain(stored) != model else stored


def _noise_from_plain(stored: dict[str, Any]) -> NoiseModel | None:
    try:
        # deprecated in Aer 0.15 without replacement
        with ignored_warnings(category=DeprecationWarning):
            return NoiseModel.from_dict(stored)
    except Exception:  # noqa: BLE001  Aer raises many kinds; the caller raises our error
        return None
