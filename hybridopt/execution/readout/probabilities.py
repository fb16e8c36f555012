"""Readout of probabilities, also of some qubits and with conditions."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from jaxtyping import Float64

from hybridopt import _validation
from hybridopt.circuits.fingerprint import digest
from hybridopt.circuits.program import Program
from hybridopt.errors import ArgumentError, UnsupportedError
from hybridopt.execution.readout.mitigation import ReadoutInverse, ReadoutMitigation
from hybridopt.execution.readout.setting import (
    Counts,
    DeviceQubits,
    Distributions,
    Moments,
    Setting,
    Values,
)


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


def check_qubits(qubits: Sequence[int], num_qubits: int) -> None:
    """Raise ArgumentError for a qubit that the circuit does not have."""
    for qubit in qubits:
        if not 0 <= qubit < num_qubits:
            raise ArgumentError(
                f"Probabilities must name qubits of the circuit, 0 to {num_qubits - 1} "
                f"(got qubit {qubit})."
            )


def _integers(name: str, value: object) -> tuple[int, ...]:
    return tuple(_validation.integer(name, item) for item in _validation.items(name, value))
