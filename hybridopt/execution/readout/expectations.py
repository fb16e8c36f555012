"""Readout of expectation values of observables."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Float64
from qiskit.quantum_info import SparsePauliOp

from hybridopt.circuits.fingerprint import digest
from hybridopt.circuits.program import Program
from hybridopt.errors import ArgumentError
from hybridopt.execution.readout.mitigation import ReadoutMitigation
from hybridopt.execution.readout.pauli_groups import PauliGroup, PauliStrings
from hybridopt.execution.readout.setting import (
    Counts,
    DeviceQubits,
    Distributions,
    Moments,
    Setting,
    Values,
)

STRINGS_WORTH_A_STATE = 1000  # from here on, one state is read faster than its many settings


@dataclass(frozen=True, eq=False)
class Expectations:
    """Readout of expectation values of observables.

    Pauli strings that commute on each qubit are read in one setting. Groups of such strings are
    computed when settings are run or counted; exact state vectors do not need them.

    Attributes:
        observables: Hermitian observables on all qubits of the program.
        is_summed: Whether the outputs of the settings are added up, see `separate`.

    Raises:
        ArgumentError: If ``observables`` is empty, or one is not Hermitian or not finite.
    """

    observables: tuple[SparsePauliOp, ...]
    strings: PauliStrings = field(init=False)
    _span: tuple[int, int | None] = field(init=False, default=(0, None))  # groups that are read
    is_summed: bool = field(init=False, default=True)
    _mitigation: tuple[ReadoutMitigation, DeviceQubits] | None = field(
        init=False, default=None, repr=False
    )

    @property
    def is_linear(self) -> bool:
        """Whether all outputs are expectation values, which shift rules require."""
        return True

    def __post_init__(self) -> None:
        if not self.observables:
            raise ArgumentError("`observables` must not be empty. Give None for probabilities.")
        checked = tuple(_checked(place, one) for place, one in enumerate(self.observables))
        _check_widths(checked, checked[0].num_qubits)
        object.__setattr__(self, "strings", PauliStrings(checked))
        object.__setattr__(self, "observables", checked)

    @property
    def fingerprint(self) -> str:
        """Digest in hex; equal for equal strings and coefficients, in all processes."""
        correction: list[object] = []
        if self._mitigation is not None:
            mitigation, (device_qubits, busy) = self._mitigation
            blocks = sorted(mitigation.confusion.items())
            correction = [blocks, mitigation.default, device_qubits, sorted(busy)]
        return digest("expectations", self._content, self._span, self.is_summed, *correction)

    @cached_property
    def _content(self) -> str:
        parts = [(one.paulis.z, one.paulis.x, one.coeffs) for one in self.observables]
        return digest("observables", parts)

    @cached_property
    def groups(self) -> tuple[PauliGroup, ...]:
        """Groups of Pauli strings with one measurement basis."""
        groups = self.strings.groups[slice(*self._span)]
        if self._mitigation is None:
            return groups
        mitigation, used = self._mitigation
        return tuple(one.mitigated(*mitigation.measured(one.qubits, *used)) for one in groups)

    @property
    def constants(self) -> Float64[np.ndarray, " K"]:
        """Multiple of the identity per observable."""
        return self.strings.constants * (self._span[0] == 0)

    @property
    def reads_states(self) -> bool:
        """Whether exact values are faster from states than from probabilities."""
        return len(self.strings) > STRINGS_WORTH_A_STATE

    @property
    def is_constant(self) -> bool:
        """Whether the outputs do not depend on the circuit: multiples of the identity."""
        return len(self.strings) == 0

    @property
    def is_whole(self) -> bool:
        """Whether the outputs are whole observables, not those of some settings."""
        return self.is_summed and self._span == (0, None)

    @property
    def num_settings(self) -> int:
        """Number of measurement bases; the first use groups the strings."""
        return len(self.strings.members[slice(*self._span)])

    def num_outputs(self, program: Program) -> int:
        """Return K, one per observable; for separate settings, times their number."""
        return len(self.observables) * (1 if self.is_summed else self.num_settings)

    def check(self, program: Program) -> None:
        """Raise ArgumentError for an observable on another number of qubits."""
        _check_widths(self.observables, program.num_qubits)

    def parts(self, size: int) -> list[Expectations]:
        """Return readouts of at most ``size`` settings; the sum of their outputs is the output."""
        if self.num_settings <= size:
            return [self]
        starts = range(0, self.num_settings, size)
        return [self.between(first, min(first + size, self.num_settings)) for first in starts]

    def between(self, first: int, end: int) -> Expectations:
        """Return the readout of the settings from ``first`` up to ``end``."""
        part = copy.copy(self)
        part.__dict__.pop("groups", None)
        start = self._span[0]
        object.__setattr__(part, "_span", (start + first, start + end))
        return part

    def separate(self) -> Expectations:
        """Return the readout with the outputs of each setting in turn, without constants.

        A part of a job returns them, so that sums are in the order of the whole job. Variances of
        their results are per shot.
        """
        part = copy.copy(self)
        object.__setattr__(part, "is_summed", False)
        return part

    def settings(self, program: Program) -> tuple[Setting, ...]:
        """Return one setting per group of Pauli strings; none for multiples of the identity."""
        return tuple(Setting(group.basis, group.qubits) for group in self.groups)

    def mitigated(
        self, program: Program, mitigation: ReadoutMitigation, used: DeviceQubits
    ) -> Expectations:
        """Return the readout with corrected readout errors."""
        result = copy.copy(self)
        result.__dict__.pop("groups", None)
        object.__setattr__(result, "_mitigation", (mitigation, used))
        return result

    @property
    def variance_bound(self) -> float:
        """Largest factor of the variance per shot by which corrected readout errors increase it."""
        inverses = (group.inverse for group in self.groups)
        return max((one.variance_bound for one in inverses if one is not None), default=1.0)

    def read(self, program: Program, distributions: Distributions) -> Values:
        """Return weighted sums of parities."""
        pairs = zip(self.groups, distributions, strict=True)
        return self._joined((g.expectations(one) for g, one in pairs), self.constants)

    def variances(self, program: Program, distributions: Distributions) -> Values:
        """Return the variance per shot of each output; settings are independent."""
        pairs = zip(self.groups, distributions, strict=True)
        none = np.zeros_like(self.constants)
        return self._joined((g.variances(one) for g, one in pairs), none)

    def _joined(self, terms: Iterable[np.ndarray], start: np.ndarray) -> np.ndarray:
        """Return the sum of the terms of the settings, or the terms in turn."""
        return sum(terms, start=start) if self.is_summed else np.concatenate([*terms], axis=-1)

    def outcome_weights(self, cotangent: Values) -> Distributions:
        """Return the weight of each outcome per setting in a weighted sum of the outputs."""
        count = len(self.groups)
        parts = [cotangent] * count if self.is_summed else np.split(cotangent, count, axis=-1)
        return [one.outcome_weights(part) for one, part in zip(self.groups, parts, strict=True)]

    def read_counts(self, program: Program, counts: Counts) -> Moments:
        """Return the outputs and their variances per shot from the counts of each setting."""
        pairs = zip(self.groups, counts, strict=True)
        moments = [group.moments_of_counts(measured) for group, measured in pairs]
        none = np.zeros_like(self.constants)
        values = self._joined((mean for mean, _ in moments), self.constants)
        return values, self._joined((variance for _, variance in moments), none)


def _check_widths(observables: Sequence[SparsePauliOp], num_qubits: int) -> None:
    for place, observable in enumerate(observables):
        if observable.num_qubits != num_qubits:
            raise ArgumentError(
                f"Observable {place} must act on {num_qubits} qubits, as many as the circuit and "
                f"all other observables have (got {observable.num_qubits})."
            )


def _checked(place: int, observable: SparsePauliOp) -> SparsePauliOp:
    """Return a Hermitian observable with complex coefficients, also of bound expressions."""
    try:
        coefficients = np.array([complex(value) for value in observable.coeffs])
    except (TypeError, ValueError):  # free parameters
        coefficients = np.array([np.nan])
    if not np.isfinite(coefficients).all():
        given = ", ".join(map(str, observable.coeffs))
        raise ArgumentError(
            f"Observable {place} must have finite coefficients (got {given}). Bind its parameters."
        )
    observable = SparsePauliOp(observable.paulis, coefficients)
    imaginary = np.abs(observable.simplify(atol=0, rtol=0).coeffs.imag).max(initial=0)
    if imaginary > 1e-12 * max(1.0, np.abs(coefficients).max(initial=0)):
        raise ArgumentError(
            f"Observable {place} must be Hermitian, with real coefficients (got the imaginary part "
            f"{imaginary:.3g})."
        )
    return observable
