"""Readout errors of noise models and devices, as confusion matrices to be corrected."""

from __future__ import annotations

from typing import Any

import numpy as np
from qiskit.providers import BackendV2
from qiskit_aer.noise import NoiseModel, ReadoutError
from qiskit_aer.noise.device import basic_device_readout_errors

from hybridopt import _validation
from hybridopt.errors import ArgumentError, UnsupportedError
from hybridopt.execution.noise import Noise, device_noise
from hybridopt.execution.readout.mitigation import Matrix, ReadoutMitigation

MITIGATIONS = ("inverse",)


def checked_mitigation(
    readout_mitigation: object, confusion: object, num_qubits: int | None
) -> ReadoutMitigation | None:
    """Return the mitigation of given confusion matrices; None if there are none.

    Args:
        readout_mitigation: ``"inverse"`` or None.
        confusion: Confusion matrices, as in `ReadoutMitigation.from_confusion`, or None.
        num_qubits: Number of qubits of the device; None if it is not known.

    Raises:
        ArgumentTypeError: If an argument has the wrong type.
        ArgumentError: If ``readout_mitigation`` is unknown or missing, or a matrix is not valid.
    """
    if readout_mitigation is not None:
        _validation.choice("readout_mitigation", readout_mitigation, MITIGATIONS)
    if confusion is None:
        return None
    if readout_mitigation is None:
        raise ArgumentError(
            "`confusion` must be None without mitigation (got matrices). Give "
            '`readout_mitigation="inverse"` to use them.'
        )
    return ReadoutMitigation.from_confusion(confusion, num_qubits)


def mitigation_for(
    noise: Noise | None, readout_mitigation: object, confusion: object
) -> ReadoutMitigation | None:
    """Return the mitigation of a simulation; None without ``readout_mitigation``.

    Raises:
        ArgumentTypeError: If an argument has the wrong type.
        ArgumentError: If ``readout_mitigation`` is unknown or missing, or a matrix is not valid.
        UnsupportedError: If the noise has no readout errors, or is missing.
    """
    device = None if noise is None else noise.device
    num_qubits = None if device is None else device.num_qubits
    given = checked_mitigation(readout_mitigation, confusion, num_qubits)
    if readout_mitigation is None:
        return None
    if noise is None:
        raise UnsupportedError(
            "`readout_mitigation` must be None without noise, as there is nothing to correct (got "
            f"{readout_mitigation!r}). Leave it out, or give `noise_model`."
        )
    return mitigation_of_noise(noise) if given is None else given


def mitigation_of_noise(noise: Noise) -> ReadoutMitigation:
    """Return the mitigation of the readout errors that a simulation has.

    Raises:
        UnsupportedError: If the noise has no readout errors.
    """
    model = noise.model
    if model is None:
        assert noise.device is not None
        qubits = tuple(range(noise.device.num_qubits))
        model = device_noise(noise.device.target, qubits, frozenset())
    return _of_model(model, str(noise))


def mitigation_of_device(device: BackendV2) -> ReadoutMitigation:
    """Return the mitigation of the readout errors that a device reports.

    Its properties have different errors of 0 and of 1. Its target, which is used without
    properties, has their mean only.

    Raises:
        UnsupportedError: If the device reports no readout errors.
    """
    own = getattr(device.options, "noise_model", None)
    if isinstance(own, NoiseModel):  # a simulator
        return _of_model(own, str(device.name))
    given: Any = getattr(device, "properties", None)
    properties = given() if callable(given) else None
    if properties is None:
        return mitigation_of_noise(Noise(None, device))
    model = NoiseModel()
    for qubits, error in basic_device_readout_errors(properties):
        model.add_readout_error(error, qubits)
    return _of_model(model, str(device.name))


def _of_model(model: NoiseModel, name: str) -> ReadoutMitigation:
    """Return the confusion matrices of single qubits; others are refused where they are read."""
    local = {
        qubits: _matrix(error)
        for qubits, error in model._local_readout_errors.items()
        if len(qubits) == 1
    }
    default = model._default_readout_error
    if not local and default is None:
        raise UnsupportedError(
            f"`readout_mitigation` must be None for {name}, which has no readout errors to correct "
            "(got 'inverse'). Leave it out, or give `confusion`."
        )
    return ReadoutMitigation(local, np.eye(2) if default is None else _matrix(default))


def _matrix(error: ReadoutError) -> Matrix:
    """Return the probabilities of reported outcomes, one row per true outcome."""
    return np.asarray(error.probabilities, dtype=np.float64)
