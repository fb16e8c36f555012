"""Executors as JSON: their settings, and where their sampling streams stand."""

from __future__ import annotations

import json
import warnings
from typing import Any

from qiskit_aer.noise import NoiseModel

from hybridopt.errors import CheckpointError, HybridOptError
from hybridopt.execution import AerExecutor, Executor
from hybridopt.execution.executor import Metered
from hybridopt.execution.memory_budget import physical_memory

SETTINGS = ("device", "shots", "method", "precision", "seed", "strategy")
WAY_OUT = "Pass `executor=` to `load`, which takes the place of the stored settings."


def executor_to_plain(executor: Metered, *, runs_circuits: bool) -> dict[str, Any]:
    """Kind, settings and position of an executor; for one that cannot be stored, the reason.

    Args:
        executor: Of a layer or a network.
        runs_circuits: False for what draws samples of a formula for a control.
    """
    if not runs_circuits:
        return {"kind": "sampler", "shots": executor.shots, "state": executor.state_dict()}
    if type(executor) is not AerExecutor:
        reason = f"its executor is a {type(executor).__name__}, which cannot be stored"
        return {"kind": "other", "reason": reason}
    settings: dict[str, Any] = {name: getattr(executor, name) for name in SETTINGS}
    if executor.max_memory != physical_memory() // 2:  # else that of the machine it is loaded on
        settings["max_memory"] = executor.max_memory
    noise = None
    if executor.noise is not None:
        model = executor.noise.model
        if model is not None and executor.noise.device is None:
            noise = _noise_to_plain(model)
        if noise is None:
            return {"kind": "other", "reason": f"its noise ({executor.noise}) cannot be stored"}
    return {"kind": "aer", "settings": settings, "noise": noise, "state": executor.state_dict()}


def executor_from_plain(stored: dict[str, Any]) -> Executor:
    """The executor again, at its position in the sampling stream.

    Raises:
        CheckpointError: If it could not be stored, or cannot be made on this machine.
    """
    kind = stored["kind"]
    if kind == "other":
        raise CheckpointError(
            f"The network was saved without an executor: {stored['reason']}. {WAY_OUT}"
        )
    if kind == "sampler":  # shots are what a control takes of it
        return AerExecutor(shots=stored["shots"], seed=0)
    noise = None if stored["noise"] is None else _noise_from_plain(stored["noise"])
    if stored["noise"] is not None and noise is None:
        raise CheckpointError(f"This version of Aer cannot read the stored noise model. {WAY_OUT}")
    try:
        executor = AerExecutor(**stored["settings"], noise_model=noise)
        executor.load_state_dict(stored["state"])
    except (HybridOptError, TypeError) as error:
        raise CheckpointError(
            f"The stored executor cannot be made here: {error} {WAY_OUT}"
        ) from error
    return executor


def _noise_to_plain(model: NoiseModel) -> dict[str, Any] | None:
    """A noise model as JSON; None unless it comes back as it was."""
    try:
        stored = json.loads(json.dumps(model.to_dict(serializable=True)))
    except (TypeError, ValueError):
        return None
    same = not model._custom_noise_passes and _noise_from_plain(stored) == model
    return stored if same else None


def _noise_from_plain(stored: dict[str, Any]) -> NoiseModel | None:
    try:
        with warnings.catch_warnings():  # deprecated by Aer 0.15 without a successor
            warnings.simplefilter("ignore", DeprecationWarning)
            return NoiseModel.from_dict(stored)
    except Exception:  # noqa: BLE001  whatever Aer raises: the reader is told what to do
        return None
