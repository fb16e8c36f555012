r"""Correction of readout errors by inverse confusion matrices.

Readout errors turn the probabilities :math:`p` of the true outcomes into those of the reported
outcomes, :math:`q = p M`. The confusion matrix :math:`M` has one row per true outcome and one
column per reported outcome, and each row sums to 1. This is the convention of Aer's `ReadoutError`.
An expectation value of a function :math:`f` of the true outcomes is then

.. math::
    \langle f \rangle = \sum_x p(x) f(x) = \sum_y q(y) c(y), \qquad c = M^{-1} f .

The estimate from relative frequencies is linear in them. It is therefore unbiased, and shift rules
stay exact. Its variance with :math:`N` shots is
:math:`\left[\sum_y q(y) c(y)^2 - \langle f \rangle^2\right] / N`. For :math:`|f| \le 1`, the
variance per shot is at most :math:`\gamma^2`, with :math:`\gamma = \lVert M^{-1} \rVert_\infty`.

:math:`M` is the tensor product of the matrices of its blocks, which are qubits with correlated
errors, or single qubits. :math:`M^{-1}` is applied block by block and never built for all qubits.

References:
    Bravyi et al., Phys. Rev. A 103, 042605 (2021), arXiv:2006.14044.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64, Integer

from hybridopt import _validation
from hybridopt.errors import ArgumentError, ArgumentTypeError, UnsupportedError

Qubits = tuple[int, ...]
Matrix = Float64[np.ndarray, "_ _"]
Integers = Integer[np.ndarray, " _"]
Distribution = Float64[np.ndarray, "*cells _"]
MAX_BLOCK_QUBITS = 10  # a matrix on 10 qubits has a million entries
SUM_TOLERANCE = 1e-6  # of the sum of a row, as of frequencies in single precision
MAX_CONDITION = 1e6  # condition number; the variance would grow by its square
KNOWN_FORMS = (
    "one 2x2 matrix per qubit, one matrix of 2^n rows and columns, or a dict of matrices by qubits"
)


@dataclass(frozen=True, eq=False)
class ReadoutMitigation:
    """Confusion matrices of the qubits of a device, to be inverted for the measured ones.

    Attributes:
        confusion: Confusion matrix of each block of qubits. The first qubit of a block is the least
            significant bit. Rows are true outcomes, columns are reported outcomes.
        default: Confusion matrix of any other qubit; None if no other qubit may be measured.
    """

    confusion: Mapping[Qubits, Matrix]
    default: Matrix | None = None

    @classmethod
    def from_confusion(cls, confusion: object, num_qubits: int | None = None) -> ReadoutMitigation:
        """Return the mitigation of checked confusion matrices.

        Args:
            confusion: One 2x2 matrix per qubit, one matrix of all n qubits (n at most 10), or a
                dict of such matrices by device qubit, or by a tuple of device qubits. Entry (i, j)
                is the probability to read j if the outcome is i, so that each row sums to 1.
            num_qubits: Number of qubits of the device; None if it is not known.

        Raises:
            ArgumentTypeError: If ``confusion`` has another form, or holds no real numbers.
            ArgumentError: If a matrix has a wrong shape, an entry that is not a probability, a row
                that does not sum to 1, or no inverse; or if the number of qubits does not fit.
        """
        return cls(dict(_checked_blocks(_blocks(confusion, num_qubits), num_qubits)))

    def measured(
        self, qubits: Sequence[int], device_qubits: Sequence[int], busy: Collection[int] = ()
    ) -> tuple[Qubits, ReadoutInverse]:
        """Return the qubits of a program to measure for these, and the inverse of their errors.

        The given qubits are the least significant bits of an outcome. Further qubits of the program
        follow if their readout errors are correlated with those of the given ones. All other qubits
        of a block must be idle, so that their true outcome is 0.

        Args:
            qubits: Qubits of the program whose outcomes are wanted.
            device_qubits: Device qubit of each qubit of the program, all different.
            busy: Device qubits with gates; those of the program may be among them.

        Raises:
            ArgumentError: If a matrix has no inverse when idle qubits are left out.
            UnsupportedError: If a wanted qubit has no confusion matrix, or if its errors are
                correlated with a busy qubit outside of the program.
        """
        wanted = [device_qubits[qubit] for qubit in qubits]
        blocks = {b: m for b, m in self.confusion.items() if not set(b).isdisjoint(wanted)}
        blocks |= self._of_others(set(wanted).difference(*blocks))
        partners = [qubit for block in blocks for qubit in block if qubit not in wanted]
        measured = [*wanted, *(qubit for qubit in partners if qubit in device_qubits)]
        lost = set(partners).intersection(busy).difference(measured)
        if lost:
            raise UnsupportedError(
                f"`confusion` must not correlate measured qubits with qubit {min(lost)}, which the "
                "circuit uses, but which is not among its outputs. Give a `layout`, or one matrix "
                "per qubit."
            )
        inverses = [_inverse_of(block, matrix, measured) for block, matrix in blocks.items()]
        inverse = ReadoutInverse(len(measured), len(wanted), tuple(inverses))
        return tuple(device_qubits.index(qubit) for qubit in measured), inverse

    def _of_others(self, qubits: Collection[int]) -> dict[Qubits, Matrix]:
        """Return the default matrix of qubits without one of their own."""
        if qubits and self.default is None:
            raise UnsupportedError(
                f"`confusion` must have a matrix for each measured qubit (got none for qubit "
                f"{min(qubits)}). Add it, such as the identity for a qubit without readout errors."
            )
        return {(qubit,): self.default for qubit in qubits if self.default is not None}


@dataclass(frozen=True, eq=False)
class ReadoutInverse:
    """Inverse confusion matrices of measured qubits, as the tensor product of blocks.

    Attributes:
        num_measured: Number of measured qubits; a reported outcome has one bit per qubit.
        num_wanted: Number of qubits of the results, the least significant bits of an outcome.
        blocks: Bits of each block in the outcome, the least significant first, and the inverse of
            its confusion matrix.
    """

    num_measured: int
    num_wanted: int
    blocks: tuple[tuple[Qubits, Matrix], ...]

    @property
    def variance_bound(self) -> float:
        r"""Bound :math:`\gamma^2` of the variance per shot of a function with values in [-1, 1]."""
        norms = (float(np.abs(inverse).sum(axis=1).max()) for _, inverse in self.blocks)
        return math.prod(norms) ** 2

    def quasi_probabilities(self, distribution: Distribution) -> Distribution:
        """Return the probabilities of the true outcomes of the wanted qubits.

        ``distribution`` has the probabilities or frequencies of the reported outcomes. Results from
        frequencies can be negative, but sum to 1. With matrices of one qubit, the cost is the
        number of qubits times the number of outcomes.
        """
        every, wanted = self._axes
        matrices = [self._marginal(block) for block in self.blocks]
        return self._applied(distribution, matrices, every, wanted)

    def variances(self, distribution: Distribution) -> Distribution:
        """Return the variance per shot of each quasi-probability."""
        every, wanted = self._axes
        matrices = [self._marginal(block) ** 2 for block in self.blocks]
        squares = self._applied(distribution, matrices, every, wanted)
        return np.asarray(squares - self.quasi_probabilities(distribution) ** 2)

    def outcome_weights(self, cotangent: Distribution) -> Distribution:
        """Return the weight of each reported outcome in a weighted sum of quasi-probabilities."""
        every, wanted = self._axes
        matrices = [self._marginal(block).T for block in self.blocks]
        return self._applied(cotangent, matrices, wanted, every)

    def parities(
        self,
        masks: Sequence[int] | Integers,
        outcomes: Sequence[int] | Integers,
    ) -> Float64[np.ndarray, "outcomes strings"]:
        r"""Return the coefficients :math:`c = M^{-1} f` of parities of the masked bits.

        A parity is a product over blocks, and so are its coefficients. They do not depend on
        blocks without masked bits. The cost does not grow with the number of possible outcomes.
        """
        result = np.ones((len(outcomes), len(masks)))
        given, reported = np.asarray(masks), np.asarray(outcomes)  # of objects from 64 bits on
        for places, inverse in self.blocks:
            masked = _bits_at(given, places)
            if masked.any():
                local = np.arange(len(inverse))
                signs = 1.0 - 2.0 * (np.bitwise_count(local[:, None] & masked) & 1)
                result *= (inverse @ signs)[_bits_at(reported, places)]
        return result

    def _marginal(self, block: tuple[Qubits, Matrix]) -> Matrix:
        """Return the inverse matrix of a block, summed over the true outcomes of other qubits."""
        places, inverse = block
        wanted = [number for number, place in enumerate(places) if place < self.num_wanted]
        return np.asarray(inverse @ _marginals(len(places), wanted))

    @property
    def _axes(self) -> tuple[Qubits, Qubits]:
        """Sizes of the axis of each bit of reported outcomes, and of wanted ones."""
        others = self.num_measured - self.num_wanted
        return (2,) * self.num_measured, (2,) * self.num_wanted + (1,) * others

    def _applied(
        self, table: Distribution, matrices: Sequence[Matrix], before: Qubits, after: Qubits
    ) -> Distribution:
        """Return the product of row vectors with one matrix per block, which changes axes."""
        cells = table.shape[:-1]
        tensor = table.reshape(*cells, *reversed(before))
        for (places, _), matrix in zip(self.blocks, matrices, strict=True):
            axes = [tensor.ndim - 1 - place for place in reversed(places)]
            last = range(tensor.ndim - len(axes), tensor.ndim)
            moved = np.moveaxis(tensor, axes, last)
            shape = moved.shape[: -len(axes)]
            rows = moved.reshape(*shape, len(matrix))
            # a sum of products, because the rounding of BLAS depends on the number of cells
            product = sum(rows[..., k, None] * row for k, row in enumerate(matrix))
            sizes = [after[place] for place in reversed(places)]
            tensor = np.moveaxis(np.asarray(product).reshape(*shape, *sizes), last, axes)
        return np.ascontiguousarray(tensor).reshape(*cells, -1)


def _bits_at(values: np.ndarray, places: Qubits) -> Int64[np.ndarray, " values"]:
    """Return the bits at some places as numbers, the first as the least significant."""
    result = np.zeros(len(values), dtype=np.int64)
    for number, place in enumerate(places):
        result |= ((values >> place) & 1).astype(np.int64) << number
    return result


def _inverse_of(block: Qubits, matrix: Matrix, measured: Sequence[int]) -> tuple[Qubits, Matrix]:
    """Return the bits of a block in the outcome of the measured qubits, and its inverse."""
    read = [number for number, qubit in enumerate(block) if qubit in measured]
    kept = _without_idle_qubits(matrix, read)
    _check_invertible(block, kept)
    kept = kept / kept.sum(axis=1, keepdims=True)
    return tuple(measured.index(block[number]) for number in read), np.linalg.inv(kept)


def _without_idle_qubits(matrix: Matrix, read: Sequence[int]) -> Matrix:
    """Return the matrix of the qubits that are read; the others are in state 0."""
    count = len(matrix).bit_length() - 1
    numbers = np.arange(len(matrix))
    true = numbers[(numbers & sum(1 << k for k in range(count) if k not in read)) == 0]
    return np.asarray(matrix[true] @ _marginals(count, read))


def _marginals(count: int, kept: Sequence[int]) -> Matrix:
    """Return the matrix that sums the outcomes of some qubits over those of the others."""
    numbers = np.arange(1 << count)
    columns = np.zeros((len(numbers), 1 << len(kept)))
    columns[numbers, _bits_at(numbers, tuple(kept))] = 1.0
    return columns


def _blocks(confusion: object, num_qubits: int | None) -> Iterator[tuple[Any, object]]:
    """Yield the qubits of each matrix, and the matrix."""
    if isinstance(confusion, Mapping):
        yield from confusion.items()
        return
    given = _array(confusion)
    if given.ndim == 3:
        if num_qubits not in {None, len(given)}:
            raise ArgumentError(
                f"`confusion` must have {num_qubits} matrices, one per device qubit (got "
                f"{len(given)}). Give a dict of matrices by device qubit for some qubits."
            )
        yield from (((qubit,), matrix) for qubit, matrix in enumerate(given))
        return
    if given.ndim != 2:
        raise ArgumentError(f"`confusion` must be {KNOWN_FORMS} (got shape {given.shape}).")
    size = max(len(given).bit_length() - 1, 1)
    if num_qubits not in {None, size}:
        raise ArgumentError(
            f"`confusion` must be a matrix on the {num_qubits} qubits of the device (got shape "
            f"{given.shape}). Give a dict such as {{(0, 1): matrix}} for some qubits."
        )
    yield tuple(range(size)), given


def _checked_blocks(
    blocks: Iterator[tuple[Any, object]], num_qubits: int | None
) -> Iterator[tuple[Qubits, Matrix]]:
    """Yield blocks with tuples of qubits and checked matrices."""
    last = None if num_qubits is None else num_qubits - 1
    known: set[int] = set()
    for key, given in blocks:
        named = key if isinstance(key, tuple) else (key,)
        qubits = tuple(_validation.integer("confusion", q, minimum=0, maximum=last) for q in named)
        if len(known.union(qubits)) != len(known) + len(qubits) or not qubits:
            raise ArgumentError(
                f"`confusion` must name at least one qubit per matrix, each once (got {named})."
            )
        known.update(qubits)
        yield qubits, _checked_matrix(qubits, given)
    if not known:
        raise ArgumentError("`confusion` must have at least one matrix (got none).")


def _checked_matrix(qubits: Qubits, given: object) -> Matrix:
    """Return a matrix of conditional probabilities that has an inverse."""
    matrix = _array(given).astype(np.float64)
    what = f"The matrix of `confusion` for {_words(qubits)}"
    size = 1 << len(qubits)
    if len(qubits) > MAX_BLOCK_QUBITS:
        raise ArgumentError(
            f"A matrix of `confusion` must act on at most {MAX_BLOCK_QUBITS} qubits (got "
            f"{len(qubits)}). Give one matrix per qubit."
        )
    if matrix.shape != (size, size):
        raise ArgumentError(f"{what} must have shape {(size, size)} (got {matrix.shape}).")
    if not np.isfinite(matrix).all() or matrix.min() < 0:
        raise ArgumentError(
            f"{what} must have finite entries of at least 0 (got {_worst(matrix)}). Entry "
            "(i, j) is the probability to read j if the outcome is i."
        )
    sums = matrix.sum(axis=1)
    row = int(np.abs(sums - 1).argmax())
    if abs(sums[row] - 1) > SUM_TOLERANCE:
        raise ArgumentError(
            f"{what} must have rows that sum to 1 (got {sums[row]:.6g} in row {row}). Row i has "
            "the probabilities to read each outcome if the outcome is i. Transpose the matrix if "
            "its columns sum to 1."
        )
    _check_invertible(qubits, matrix)
    return matrix


def _check_invertible(qubits: Qubits, matrix: Matrix) -> None:
    condition = float(np.linalg.cond(matrix))
    if not condition <= MAX_CONDITION:
        raise ArgumentError(
            f"The matrix of `confusion` for {_words(qubits)} must have an inverse (got the "
            f"condition number {condition:.3g}). Do not read qubits whose outcome is random."
        )


def _array(given: object) -> np.ndarray:
    """Return an array of real numbers."""
    expected = f"`confusion` must be {KNOWN_FORMS}, of real numbers"
    try:
        array = np.asarray(given)
    except ValueError as error:  # rows of different lengths
        raise ArgumentTypeError(f"{expected} (got rows of different lengths).") from error
    if array.dtype.kind not in "fiu":
        raise ArgumentTypeError(f"{expected} (got {type(given).__name__} of {array.dtype}).")
    return array


def _worst(matrix: Matrix) -> float:
    strange = matrix[~np.isfinite(matrix)]
    return float(strange[0]) if strange.size else float(matrix.min())


def _words(qubits: Qubits) -> str:
    return f"qubit{'s' if len(qubits) > 1 else ''} {', '.join(map(str, qubits))}"
