r"""Depolarizing noise of problems.

After each gate on k qubits, with probability p,

.. math::
    \rho \mapsto (1 - p) \rho + p \, \mathrm{Tr}_k(\rho) \otimes 1 / 2^k.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import numpy as np
from jaxtyping import Complex128, Float64
from qiskit_aer.noise import NoiseModel, depolarizing_error

from hybridopt.bench.problem import Problem
from hybridopt.bench.translation import WITHOUT_EFFECT, PlacedGate, flatten
from hybridopt.errors import UnsupportedError

PAULIS = np.array([[[1, 0], [0, 1]], [[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])


def noise_model(problem: Problem) -> NoiseModel | None:
    """Return the noise of a problem for Aer; None without noise.

    Raises:
        UnsupportedError: If gates of one name act on different numbers of qubits.
    """
    if problem.noise is None:
        return None
    sizes: dict[str, int] = {}
    for item in problem.circuit.data:
        name, size = item.operation.name, len(item.qubits)
        if name not in WITHOUT_EFFECT and sizes.setdefault(name, size) != size:
            raise UnsupportedError(
                f"Gates `{name}` of a problem with noise must act on one number of qubits "
                f"(got {sizes[name]} and {size}). Give them different names."
            )
    model = NoiseModel()
    for name, size in sizes.items():
        model.add_all_qubit_quantum_error(depolarizing_error(problem.noise, size), name)
    return model


def gates_and_noise(
    problem: Problem, known: Callable[[PlacedGate], bool]
) -> Iterator[PlacedGate | tuple[int, ...]]:
    """Yield the known gates in order, and after each gate of the problem the qubits of its noise.

    A gate that is not known is replaced by its definition, as in `flatten`; its noise is after the
    last gate of the definition.
    """
    if problem.noise is None:
        yield from flatten(problem.circuit, known)
        return
    for item in problem.circuit.data:
        single = problem.circuit.copy_empty_like()
        single.append(item)
        yield from (gates := flatten(single, known))
        if gates:
            yield tuple(problem.circuit.find_bit(qubit).index for qubit in item.qubits)


def depolarizing_kraus(probability: float, size: int) -> Complex128[np.ndarray, "_ d d"]:
    """Return the Kraus operators of the noise on some qubits: scaled Pauli strings."""
    operators = []
    for letters in product(range(4), repeat=size):
        matrix = np.ones((1, 1), dtype=complex)
        for letter in letters:
            matrix = np.kron(matrix, PAULIS[letter])
        weight = probability / 4**size + (1 - probability) * (not any(letters))
        operators.append(np.sqrt(weight) * matrix)
    return np.stack(operators)


def depolarizing_superoperator(probability: float, size: int) -> Float64[np.ndarray, "d2 d2"]:
    """Return the matrix of the noise for density matrices of some qubits as vectors."""
    identity = np.eye(2**size).ravel()
    kept: np.ndarray = (1 - probability) * np.eye(4**size)
    kept += probability * np.outer(identity, identity) / 2**size
    return kept
