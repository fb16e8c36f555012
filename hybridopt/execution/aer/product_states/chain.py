r"""Matrix product states in numpy: products with operators, overlaps, and the form of Aer.

Aer stores a state in Vidal's form: the amplitudes are matrix products
:math:`\Gamma_0 \lambda_0 \Gamma_1 \lambda_1 \dots`, where :math:`\lambda_i` are the Schmidt
coefficients between qubits i and i + 1. Here, each tensor contains the coefficients to its right.

References:
    Vidal, Phys. Rev. Lett. 91, 147902 (2003), arXiv:quant-ph/0301063.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Complex128

from hybridopt.execution.aer.product_states.operators import ChainOperator, Core

Tensor = Complex128[np.ndarray, "_ 2 _"]  # left bond, qubit, right bond
AerState = tuple[list[tuple[np.ndarray, np.ndarray]], list[np.ndarray]]  # gammas, lambdas
Environment = Complex128[np.ndarray, "_ _ _"]  # contraction of one side: operator, bra, ket


def tensors_of(saved: AerState) -> list[Tensor]:
    """Return the tensors of a state in the form of Aer."""
    gammas = [np.array(pair, dtype=np.complex128).transpose(1, 0, 2) for pair in saved[0]]
    weighted = [gamma * weight for gamma, weight in zip(gammas, saved[1], strict=False)]
    return [*weighted, gammas[-1]]


def amplitudes_of(
    tensors: Sequence[Tensor], qubits: Sequence[int]
) -> Complex128[np.ndarray, " amplitudes"]:
    """Return the amplitudes of some qubits, the first the lowest bit, where all others are 0."""
    states = np.ones((1, 1), dtype=np.complex128)  # one row per basis state of the qubits so far
    for qubit, tensor in enumerate(tensors):
        if qubit in qubits:
            states = np.concatenate([states @ tensor[:, 0], states @ tensor[:, 1]])
        else:
            states = states @ tensor[:, 0]
    index, ranks = np.arange(len(states)), np.argsort(np.argsort(qubits)).tolist()
    places = sum(((index >> bit) & 1) << rank for bit, rank in enumerate(ranks))
    return np.asarray(states[places, 0])


def applied(
    operator: ChainOperator, state: AerState, truncation: float
) -> tuple[AerState | None, float]:
    """Return an operator times a state, normalized and in the form of Aer, and its norm.

    Args:
        operator: Operator on the qubits of the state.
        state: State of norm 1.
        truncation: Largest sum of squared Schmidt coefficients that each cut drops, as in Aer.
    """
    if operator.is_string:  # local unitaries keep Vidal's form
        gammas, norm = list(state[0]), 1.0
        for qubit, core in operator.cores.items():
            matrix, (zero, one) = core[0, :, :, 0], gammas[qubit]
            size = float(np.linalg.norm(matrix[0]))
            (a, b), (c, d) = matrix / size
            gammas[qubit], norm = (a * zero + b * one, c * zero + d * one), norm * size
        return (gammas, list(state[1])), norm
    tensors, bond = tensors_of(state), 1
    for qubit in range(operator.first, operator.last + 1):
        core = operator.cores.get(qubit, np.einsum("wv,st->wstv", np.eye(bond), np.eye(2)))
        bond = core.shape[-1]
        product = np.einsum("wstv,atb->wasvb", core, tensors[qubit])
        shape = product.shape
        tensors[qubit] = product.reshape(shape[0] * shape[1], 2, shape[3] * shape[4])
    return _canonical(tensors, truncation)


def _canonical(tensors: list[Tensor], truncation: float) -> tuple[AerState | None, float]:
    """Return Vidal's form of a state, without its norm; None for a state of norm 0."""
    for place in range(len(tensors) - 1, 0, -1):  # orthonormal to the right of each cut
        left = len(tensors[place])
        q, r = np.linalg.qr(tensors[place].reshape(left, -1).T)
        tensors[place] = q.T.reshape(-1, *tensors[place].shape[1:])
        tensors[place - 1] = tensors[place - 1] @ r.T
    norm = float(np.linalg.norm(tensors[0]))
    if norm == 0:
        return None, 0.0
    carried, before = tensors[0] / norm, np.ones(1)
    gammas, weights = [], []
    for after in tensors[1:]:
        u, s, vh = np.linalg.svd(carried.reshape(-1, carried.shape[-1]), full_matrices=False)
        dropped = np.cumsum(s[::-1] ** 2)[::-1]
        rank = max(1, int(np.count_nonzero((dropped >= truncation) & (s > 0))))
        kept = s[:rank] / np.linalg.norm(s[:rank])
        gammas.append(u[:, :rank].reshape(len(carried), 2, rank) / before[:, None, None])
        weights.append(kept)
        carried, before = np.tensordot(kept[:, None] * vh[:rank], after, axes=1), kept
    gammas.append(carried / np.linalg.norm(carried) / before[:, None, None])
    pairs = [(np.ascontiguousarray(g[:, 0]), np.ascontiguousarray(g[:, 1])) for g in gammas]
    return (pairs, weights), norm


def overlaps(
    bra: Sequence[Tensor], ket: Sequence[Tensor], operators: Sequence[ChainOperator]
) -> Complex128[np.ndarray, " operators"]:
    """Return the matrix element of each operator between two states."""
    bras = [tensor.conj() for tensor in bra]
    count = len(bras)
    first = min((one.first for one in operators), default=count)
    right = [np.ones((1, 1, 1), dtype=np.complex128)]
    for place in range(count - 1, first, -1):
        right.append(_from_right(right[-1], bras[place], ket[place]))
    right.reverse()  # of the qubits above ``first + index``
    by_first: dict[int, list[int]] = {}
    for number, one in enumerate(operators):
        by_first.setdefault(one.first, []).append(number)
    result = np.empty(len(operators), dtype=np.complex128)
    left = np.ones((1, 1, 1), dtype=np.complex128)
    for place in range(max(by_first, default=-1) + 1):
        for number in by_first.get(place, ()):
            operator, inner = operators[number], left
            for inside in range(place, operator.last + 1):
                core = operator.cores.get(inside)
                inner = _from_left(inner, bras[inside], ket[inside], core)
            result[number] = (inner * right[operator.last - first]).sum()
        left = _from_left(left, bras[place], ket[place])
    return result


def _from_left(
    left: Environment, bra: Tensor, ket: Tensor, core: Core | None = None
) -> Environment:
    """Return the contraction of the left side with one more qubit."""
    width, rows, inner = left.shape
    product = (left.reshape(-1, inner) @ ket.reshape(inner, -1)).reshape(width, rows, 2, -1)
    if core is not None:
        product = np.einsum("wstv,watb->vasb", core, product)
    below = bra.reshape(2 * rows, -1).T
    return np.asarray(below @ product.reshape(len(product), 2 * rows, -1))


def _from_right(right: Environment, bra: Tensor, ket: Tensor) -> Environment:
    """Return the contraction of the right side with one more qubit."""
    product = ket @ right[0].T  # left of ket, qubit, bra
    return np.asarray((bra.reshape(len(bra), -1) @ product.reshape(len(ket), -1).T)[None])
