"""Readouts: outputs of a circuit, and the measurement bases that they need."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Float64
from qiskit.quantum_info import SparsePauliOp

from hybridopt import _validation
from hybridopt.circuits.fingerprint import digest
from hybridopt.circuits.program import Program
from hybridopt.errors import ArgumentError
from hybridopt.execution.pauli_groups import PauliGroup, PauliStrings

Distributions = Sequence[Float64[np.ndarray, "*cells _"]]  # one per setting
Counts = Sequence[Mapping[int, int]]  # number of shots per outcome, for each setting
Values = Float64[np.ndarray, "*cells K"]
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

    qubits: tuple[int, ...] | None = None
    given: tuple[tuple[int, int], ...] = ()

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
        return digest("probabilities", self.qubits, self.given)

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
        return (Setting((), (*self._read_qubits(program), *given)),)

    def read(self, program: Program, distributions: Distributions) -> Values:
        """Return marginal or conditional probabilities."""
        (joint,) = distributions
        if not self.given:
            return joint
        kept = self._kept(joint)
        total = kept.sum(-1, keepdims=True)
        return np.asarray(np.divide(kept, total, out=np.zeros_like(kept), where=total > 0))

    def outcome_weights(self, cotangent: Values) -> Distributions:
        """Return the weight of each outcome in a weighted sum of joint probabilities."""
        assert not self.given
        return [cotangent]

    def variances(self, program: Program, distributions: Distributions) -> Values:
        """Return the variance per shot of each output; nan where a condition never occurred.

        For a conditional probability r of a condition with probability c, this is r (1 - r) / c.
        """
        values = self.read(program, distributions)
        spread = values * (1 - values)
        if not self.given:
            return np.asarray(spread)
        total = self._kept(distributions[0]).sum(-1, keepdims=True)
        unknown = np.full_like(spread, np.nan)
        return np.asarray(np.divide(spread, total, out=unknown, where=total > 0))

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

    Raises:
        ArgumentError: If ``observables`` is empty, or one is not Hermitian or not finite.
    """

    observables: tuple[SparsePauliOp, ...]
    strings: PauliStrings = field(init=False)
    _span: tuple[int, int | None] = field(init=False, default=(0, None))  # groups that are read

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
        return digest("expectations", self._content, self._span)

    @cached_property
    def _content(self) -> str:
        parts = [(one.paulis.z, one.paulis.x, one.coeffs) for one in self.observables]
        return digest("observables", parts)

    @cached_property
    def groups(self) -> tuple[PauliGroup, ...]:
        """Groups of Pauli strings with one measurement basis."""
        return self.strings.groups[slice(*self._span)]

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
    def num_settings(self) -> int:
        """Number of measurement bases; the first use groups the strings."""
        return len(self.strings.members[slice(*self._span)])

    def num_outputs(self, program: Program) -> int:
        """Return K, one per observable."""
        return len(self.observables)

    def check(self, program: Program) -> None:
        """Raise ArgumentError for an observable on another number of qubits."""
        _check_widths(self.observables, program.num_qubits)

    def parts(self, size: int) -> list[Expectations]:
        """Return readouts of at most ``size`` settings; the sum of their outputs is the output."""
        if self.num_settings <= size:
            return [self]
        first, end = self._span[0], self._span[0] + self.num_settings
        starts = range(first, end, size)
        parts = [copy.copy(self) for _ in starts]
        for start, part in zip(starts, parts, strict=True):
            part.__dict__.pop("groups", None)
            object.__setattr__(part, "_span", (start, min(start + size, end)))
        return parts

    def settings(self, program: Program) -> tuple[Setting, ...]:
        """Return one setting per group of Pauli strings; none for multiples of the identity."""
        return tuple(Setting(group.basis, group.qubits) for group in self.groups)

    def read(self, program: Program, distributions: Distributions) -> Values:
        """Return weighted sums of parities."""
        pairs = zip(self.groups, distributions, strict=True)
        return sum((group.expectations(one) for group, one in pairs), start=self.constants)

    def outcome_weights(self, cotangent: Values) -> Distributions:
        """Return the weight of each outcome per setting in a weighted sum of the outputs."""
        return [group.outcome_weights(cotangent) for group in self.groups]

    def variances(self, program: Program, distributions: Distributions) -> Values:
        """Return the variance per shot of each output; settings are independent."""
        pairs = zip(self.groups, distributions, strict=True)
        start = np.zeros_like(self.constants)
        return sum((group.variances(one) for group, one in pairs), start=start)

    def read_counts(self, program: Program, counts: Counts) -> Moments:
        """Return the outputs and their variances per shot from the counts of each setting."""
        values, variances = self.constants, np.zeros_like(self.constants)
        for group, measured in zip(self.groups, counts, strict=True):
            mean, variance = group.moments_of_counts(measured)
            values, variances = values + mean, variances + variance
        return values, variances


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
