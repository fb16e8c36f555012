"""Aer's EstimatorV2 with a shift rule of our own: all samples and shifts in one pub."""

from __future__ import annotations

from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit_aer import AerSimulator
from qiskit_aer.primitives import EstimatorV2

from hybridopt.bench.angles import AngleTable
from hybridopt.bench.noise import noise_model
from hybridopt.bench.peers.competitor import SHIFT, Competitor, PreparedProblem
from hybridopt.bench.problem import Problem
from hybridopt.bench.translation import WITHOUT_EFFECT, PlacedGate, flatten
from hybridopt.errors import UnsupportedError

# Aer (0.18.2) ignores tables of angles for cp, crx, cry and crz without a warning
BOUND = frozenset({"p", "r", "rx", "rxx", "ry", "ryy", "rz", "rzx", "rzz", "u", "u1", "u2", "u3"})
ROTATIONS = frozenset({"p", "rx", "rxx", "ry", "ryy", "rz", "rzx", "rzz"})  # two shifts suffice


class AerEstimatorV2(Competitor):
    """EstimatorV2 for a circuit with one parameter per gate, each shifted by pi/2 and -pi/2.

    It has less work than EstimatorQNN, which computes shifts and derivatives for any program.
    """

    key, name, library = "aer-estimator", "Aer EstimatorV2", "qiskit-aer"
    rule = kind = SHIFT
    noisy = one_by_one = True

    def prepare(self, problem: Problem) -> PreparedProblem:
        """Create the circuit; gates without a rule of two shifts are replaced."""
        fixed = set(AerSimulator().configuration().basis_gates)
        parts = _parts(problem.circuit, fixed)
        table = AngleTable([part.free[0] for part in parts if part.free], problem)
        angles, circuit = iter(ParameterVector("a", table.size)), QuantumCircuit(problem.num_qubits)
        for part in parts:
            gate = part.gate.to_mutable()
            if part.free:
                gate.params = [next(angles)]
            circuit.append(gate, part.qubits)
        if problem.noise is not None:
            _refuse_replaced(problem.circuit, circuit)
        estimator = exact_estimator(problem)
        outputs = [[observable] for observable in problem.observables]
        moved = np.flatnonzero(table.of_weights)
        shifts = np.pi / 2 * np.eye(table.size)[moved, None]

        def gradient(x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            base = table.values(x, w)
            rows = np.concatenate([base[None], base + shifts, base - shifts])
            pub = circuit, outputs, rows.reshape(-1, table.size)
            found = estimator.run([pub]).result()[0].data.evs.reshape(len(outputs), *rows.shape[:2])
            above, below = np.split(found[:, 1:].sum(0), 2)
            by_angle = np.zeros(base.shape)
            by_angle[:, moved] = (above - below).T / 2
            return found[:, 0].T, table.to_weights(by_angle, x, w)

        return PreparedProblem(gradient, note="one pub for all samples, observables and shifts")


def exact_estimator(problem: Problem) -> Any:
    """Return EstimatorV2 without shots, with the noise of a problem."""
    options: dict[str, Any] = {"default_precision": 0.0}
    if problem.noise is not None:
        method = {"method": "density_matrix", "noise_model": noise_model(problem)}
        options["backend_options"] = method
    return EstimatorV2(options=options)


def for_aer(circuit: QuantumCircuit, *, keep: bool = False) -> QuantumCircuit:
    """Return the circuit in gates that Aer supports and whose angles it can bind.

    Raises:
        UnsupportedError: If ``keep`` is True and a gate would be replaced: it has noise.
    """
    names = set(AerSimulator().configuration().basis_gates)
    result = QuantumCircuit(circuit.num_qubits)
    for part in flatten(circuit, lambda part: part.name in (BOUND if part.free else names)):
        result.append(part.gate, part.qubits)
    if keep:
        _refuse_replaced(circuit, result)
    return result


def _parts(circuit: QuantumCircuit, fixed: set[str]) -> list[PlacedGate]:
    return flatten(circuit, lambda part: part.name in (ROTATIONS if part.free else fixed))


def _refuse_replaced(circuit: QuantumCircuit, result: QuantumCircuit) -> None:
    replaced = circuit.count_ops().keys() - result.count_ops().keys() - WITHOUT_EFFECT
    if replaced:
        raise UnsupportedError(
            f"Gates with noise must be gates that Aer binds (got {', '.join(sorted(replaced))})."
        )
