"""Measurement bases, and the data that settings return."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

Distributions = Sequence[Float64[np.ndarray, "*cells _"]]  # one per setting
Counts = Sequence[Mapping[int, int]]  # number of shots per outcome, for each setting
Values = Float64[np.ndarray, "*cells K"]
# device qubit of each qubit of a program, and all qubits of the device with gates
DeviceQubits = tuple[tuple[int, ...], Collection[int]]
Moments = tuple[Float64[np.ndarray, " K"], Float64[np.ndarray, " K"]]  # means, variances per shot


@dataclass(frozen=True)
class Setting:
    """Measurement basis of some qubits."""

    basis: tuple[tuple[int, str], ...]  # qubits that are measured in X or Y
    qubits: tuple[int, ...]  # measured; the first is the least significant bit of the outcome
