"""Readouts: outputs of a circuit, and the measurement bases that they need."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
from jaxtyping import Float64
from qiskit.quantum_info import SparsePauliOp

from hybridopt import _validation
from hybridopt.circuits.fingerprint import digest
from hybridopt.circuits.program import Program
from hybridopt.errors import ArgumentError, UnsupportedError
from hybridopt.execution.mitigation import ReadoutInverse, ReadoutMitigation
from hybridopt.execution.pauli_groups import PauliGroup, PauliStrings

Distributions = Sequence[Float64[np.ndarray, "*cells _"]]  # one per setting
Counts = Sequence[Mapping[int, int]]  # number of shots per outcome, for each setting
Values = Float64[np.ndarray, "*cells K"]
# device qubit of each qubit of a program, and all qubits of the device with gates
DeviceQubits = tuple[tuple[int, ...], Collection[int]]
Moments = tuple[Float64[np.ndarray, " K"], Float64[np.ndarray, " K"]]  # means, variances per shot
STRINGS_WORTH_A_STATE = 1000  # from here on, one state is read faster than its many settings


@dataclass(frozen=True)
class Setting:
    """Measurement basis of some qubits."""

    basis: tuple[tuple[int, str], ...]  # qubits that are measured in X or Y
    qubits: tuple[int, ...]  # measured; the first is the least significant bit of the outcome


@dataclass(frozen=True)
class Probabilities:
    """Readout of the probability of every outcome.

    Attributes:
        qubits: Qubits of the outcome, the least significant first; None for all.
        given: Post-selection as pairs (qubit, 0 or 1). Probabilities are conditional on these
            values, and 0 if the values never occur.

    Raises:
        ArgumentTypeError: If a qubit is not an int.
        ArgumentError: If a qubit is named twice, or a value is neither 0 nor 1.
    """

    is_summed: ClassVar[bool] = True  # there is one setting
    qubits: tuple[int, ...] | None = None
    given: tuple[tuple[int, int], ...] = ()
    _measured: tuple[int, ...] | None = field(init=False, default=None, repr=False)
    _inverse: ReadoutInverse | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        if self.qubits is not None:
            object.__setattr__(self, "qubits", _integers("qubits", self.qubits))
        pairs = _validation.items("given", self.given)
        object.__setattr__(self, "given", tuple(_integers("given", pair) for pair in pairs))
        if any(len(pair) != 2 or pair[1] not in {0, 1} for pair in self.given):
            raise ArgumentError(f"`given` must hold pairs (qubit, 0 or 1) (got {self.given}).")
        named = [*(self.qubits or ()), *(qubit for qubit, _ in self.given)]
        if len(set(named)) != len(named) or self.qubits == ():
            raise ArgumentError(
                f"`qubits` and `given` must name at least one qubit, each once (got {named})."
            )

    @property
    def fingerprint(self) -> str:
        """Digest in hex; equal for equal readouts, in all processes."""
        correction = [] if self._inverse is None else [self._measured, self._inverse.blocks]
        return digest("probabilities", self.qubits, self.given, *correction)

    @property
    def is_linear(self) -> bool:
        """Whether the outputs are expectation values, which shift rules require."""
        return not self.given

    def num_outputs(self, program: Program) -> int:
        """Return K, the number of outcomes."""
        return 1 << len(self._read_qubits(program))

    def check(self, program: Program) -> None:
        """Raise ArgumentError for a qubit that the program does not have."""
        check_qubits(self.settings(program)[0].qubits, program.num_qubits)

    @property
    def reads_states(self) -> bool:
        """Whether exact values are faster from states; never for probabilities."""
        return False

    @property
    def is_constant(self) -> bool:
        """Whether the outputs do not depend on the circuit."""
        return False

    @property
    def num_settings(self) -> int:
        """Number of measurement bases."""
        return 1

    def parts(self, size: int) -> list[Probabilities]:
        """Return the readout itself, as it has one setting."""
        return [self]

    def settings(self, program: Program) -> tuple[Setting, ...]:
        """Return one setting, in Z."""
        given = tuple(qubit for qubit, _ in self.given)
        return (Setting((), self._measured or (*self._read_qubits(program), *given)),)

    def mitigated(
        self, program: Program, mitigation: ReadoutMitigation, used: DeviceQubits
    ) -> Probabilities:
        """Return the readout with corrected readout errors.

        Raises:
            UnsupportedError: If ``given`` is not empty.
        """
        if self.given:
            raise UnsupportedError(
                f"`given` must be empty with `readout_mitigation` (got {self.given}): corrected "
                "probabilities can be negative, and their ratios are not probabilities. Read all "
                "probabilities."
            )
        result = copy.copy(self)
        measured, inverse = mitigation.measured(self._read_qubits(program), *used)
        object.__setattr__(result, "_measured", measured)
        object.__setattr__(result, "_inverse", inverse)
        return result

    @property
    def variance_bound(self) -> float:
        """Largest factor of the variance per shot by which corrected readout errors increase it."""
        return 1.0 if self._inverse is None else self._inverse.variance_bound

    def read(self, program: Program, distributions: Distributions) -> Values:
        """Return marginal or conditional probabilities."""
        (joint,) = distributions
        if self._inverse is not None:
            return self._inverse.quasi_probabilities(joint)
        if not self.given:
            return joint
        kept = self._kept(joint)
        total = kept.sum(-1, keepdims=True)
        return np.asarray(np.divide(kept, total, out=np.zeros_like(kept), where=total > 0))

    def variances(self, program: Program, distributions: Distributions) -> Values:
        """Return the variance per shot of each output; nan where a condition never occurred.

        For a conditional probability r of a condition with probability c, this is r (1 - r) / c.
        """
        if self._inverse is not None:
            return self._inverse.variances(distributions[0])
        values = self.read(program, distributions)
        spread = 1 - values
        spread *= values
        if not self.given:
            return np.asarray(spread)
        total = self._kept(distributions[0]).sum(-1, keepdims=True)
        unknown = np.full_like(spread, np.nan)
        return np.asarray(np.divide(spread, total, out=unknown, where=total > 0))

    def outcome_weights(self, cotangent: Values) -> Distributions:
        """Return the weight of each outcome in a weighted sum of joint probabilities."""
        assert not self.given
        return [cotangent if self._inverse is None else self._inverse.outcome_weights(cotangent)]

    def read_counts(self, program: Program, counts: Counts) -> Moments:
        """Return the outputs and their variances per shot from the counts of each setting."""
        (setting,) = self.settings(program)
        frequencies = np.zeros(1 << len(setting.qubits))
        frequencies[list(counts[0])] = list(counts[0].values())
        distributions = [frequencies / frequencies.sum()]
        return self.read(program, distributions), self.variances(program, distributions)

    def _kept(self, joint: Float64[np.ndarray, "*cells _"]) -> Float64[np.ndarray, "*cells K"]:
        """Return the joint probabilities with the wanted values of the conditions."""
        wanted = sum(value << place for place, (_, value) in enumerate(self.given))
        parts = joint.reshape(*joint.shape[:-1], 1 << len(self.given), -1)
        return np.asarray(parts[..., wanted, :])

    def _read_qubits(self, program: Program) -> tuple[int, ...]:
        return self.qubits if self.qubits is not None else tuple(range(program.num_qubits))


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


Readout = Probabilities | Expectations


def check_qubits(qubits: Sequence[int], num_qubits: int) -> None:
    """Raise ArgumentError for a qubit that the circuit does not have."""
    for qubit in qubits:
        if not 0 <= qubit < num_qubits:
            raise ArgumentError(
                f"Probabilities must name qubits of the circuit, 0 to {num_qubits - 1} "
                f"(got qubit {qubit})."
            )


def _check_widths(observables: Sequence[SparsePauliOp], num_qubits: int) -> None:
    for place, observable in enumerate(observables):
        if observable.num_qubits != num_qubits:
            raise ArgumentError(
                f"Observable {place} must act on {num_qubits} qubits, as many as the circuit and "
                f"all other observables have (got {observable.num_qubits})."
            )


def _integers(name: str, value: object) -> tuple[int, ...]:
    return tuple(_validation.integer(name, item) for item in _validation.items(name, value))


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
