"""qiskit-machine-learning: EstimatorQNN with two estimators, and SamplerQNN with shots."""

from __future__ import annotations

from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.primitives import StatevectorEstimator
from qiskit.quantum_info import PauliList, SparsePauliOp
from qiskit_aer.primitives import SamplerV2

from hybridopt.bench.peers.aer_estimator import exact_estimator, for_aer
from hybridopt.bench.peers.competitor import SHIFT, Competitor, Gradient, PreparedProblem
from hybridopt.bench.problem import Problem
from hybridopt.errors import UnsupportedError


class EstimatorNetwork(Competitor):
    """EstimatorQNN with its parameter-shift gradient, without the noise that it adds by default."""

    library = "qiskit-machine-learning"
    rule = kind = SHIFT
    one_by_one = True

    def __init__(self, aer: bool) -> None:
        self.aer = self.noisy = aer
        self.key = "qiskit-estimator-aer" if aer else "qiskit-estimator"
        self.name = f"EstimatorQNN on {'Aer EstimatorV2' if aer else 'StatevectorEstimator'}"

    def prepare(self, problem: Problem) -> PreparedProblem:
        """Create a network; gates that Aer does not support are replaced by their definitions."""
        from qiskit_machine_learning.gradients import ParamShiftEstimatorGradient
        from qiskit_machine_learning.neural_networks import EstimatorQNN

        estimator: Any = StatevectorEstimator()
        circuit = problem.circuit
        if self.aer:
            estimator = exact_estimator(problem)
            circuit = for_aer(circuit, keep=problem.noise is not None)
        network = EstimatorQNN(
            circuit=circuit,
            estimator=estimator,
            observables=list(problem.observables),
            input_params=list(problem.inputs),
            weight_params=list(problem.weights),
            gradient=ParamShiftEstimatorGradient(estimator),
            default_precision=0.0,
        )
        gradient = _gradient(network, np.eye(len(problem.observables)))
        return PreparedProblem(gradient, note="one job for all samples, observables and shifts")


class SamplerNetwork(Competitor):
    """SamplerQNN with Aer's SamplerV2; observables are computed from its outcomes.

    Gates at the end of the circuit make all observables diagonal. A single Pauli string is
    computed as a parity, which is fastest.
    """

    key, name = "qiskit-sampler", "SamplerQNN on Aer SamplerV2"
    library = "qiskit-machine-learning"
    rule = kind = SHIFT
    exact, samples, one_by_one = False, True, True

    def prepare(self, problem: Problem) -> PreparedProblem:
        """Create a network of the circuit in the basis of its observables."""
        from qiskit_machine_learning.neural_networks import SamplerQNN

        circuit, operators = _in_z_basis(problem)
        options: dict[str, Any] = {}
        single = sum(map(len, operators)) == 1
        if single:
            (operator,) = operators
            mask = sum(1 << int(qubit) for qubit in np.flatnonzero(operator.paulis.z[0]))
            options = {"interpret": lambda k: (k & mask).bit_count() % 2, "output_shape": 2}
            diagonals = np.array([[1.0], [-1.0]]) * operator.coeffs.real
        else:
            columns = [one.to_matrix(sparse=True).diagonal().real for one in operators]
            diagonals = np.stack(columns, axis=1)
        network = SamplerQNN(
            circuit=for_aer(circuit),
            sampler=SamplerV2(default_shots=problem.shots),
            input_params=list(problem.inputs),
            weight_params=list(problem.weights),
            **options,
        )
        note = "outcomes read as a parity" if single else "all outcomes read"
        return PreparedProblem(_gradient(network, diagonals), note=note)


def _gradient(network: Any, readout: np.ndarray) -> Gradient:
    """Return the gradient of a network; ``readout`` is a matrix (outputs, observables)."""

    def gradient(x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        values, by_weights = network.forward(x, w), network.backward(x, w)[1]
        return values @ readout, np.einsum("bop,ok->p", by_weights, readout) / len(x)

    return gradient


def _in_z_basis(problem: Problem) -> tuple[QuantumCircuit, list[SparsePauliOp]]:
    """Return the circuit in a basis in which all observables are diagonal, and these."""
    labels = [label[::-1] for op in problem.observables for label in op.paulis.to_labels()]
    circuit = problem.circuit.copy()
    for qubit, letters in enumerate(map(set, zip(*labels, strict=True))):
        letters.discard("I")
        if len(letters) > 1:
            raise UnsupportedError(
                f"Observables for SamplerQNN must share one basis (got several on qubit {qubit})."
            )
        if "Y" in letters:
            circuit.sdg(qubit)
        if letters & {"X", "Y"}:
            circuit.h(qubit)
    touched = [op.paulis.x | op.paulis.z for op in problem.observables]
    return circuit, [
        SparsePauliOp(PauliList.from_symplectic(z, np.zeros_like(z)), op.coeffs)
        for z, op in zip(touched, problem.observables, strict=True)
    ]
