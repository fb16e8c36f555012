"""Circuits of every gate family with inputs ``x`` and weights ``w``.

Three qubits or more, different angles, gates between, repeated parameters.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import AnnotatedOperation, Parameter, ParameterVector
from qiskit.circuit import library as lib
from qiskit.circuit.annotated_operation import ControlModifier, InverseModifier, PowerModifier
from qiskit.quantum_info import Clifford, Pauli, SparsePauliOp, Statevector, random_unitary

X = ParameterVector("x", 2)
W = ParameterVector("w", 4)


def _start(num_qubits: int = 3) -> QuantumCircuit:
    """Return a circuit for an entangled state with different complex amplitudes."""
    circuit = QuantumCircuit(num_qubits)
    for qubit in range(num_qubits):
        circuit.u(0.4 + 0.5 * qubit, 0.3 * qubit - 0.2, 0.1, qubit)
    for qubit in range(num_qubits - 1):
        circuit.cx(qubit, qubit + 1)
    circuit.ry(0.7, num_qubits - 1)
    return circuit


def _pauli_rotations() -> QuantumCircuit:
    circuit = _start()
    circuit.rx(X[0], 0)
    circuit.ry(W[0], 1)
    circuit.rz(X[1], 2)
    circuit.cx(0, 2)
    circuit.rx(W[1], 2)
    circuit.ry(X[0], 0)
    circuit.rz(W[0], 1)
    return circuit


def _two_qubit_rotations() -> QuantumCircuit:
    circuit = _start()
    circuit.rxx(X[0], 2, 0)
    circuit.ryy(W[0], 1, 2)
    circuit.rzx(W[1], 2, 1)
    circuit.rzz(X[1], 0, 2)
    circuit.rzx(X[0], 0, 1)
    circuit.rxx(W[2], 0, 1)
    circuit.rzz(W[2], 1, 0)
    return circuit


def _euler_angles() -> QuantumCircuit:
    circuit = _start()
    circuit.u(W[0], X[0], 0.3, 0)
    circuit.u(0.7, W[1], X[1], 1)
    circuit.r(W[2], 0.4, 2)
    circuit.cz(0, 1)
    circuit.r(X[0], W[3], 0)
    circuit.append(lib.U3Gate(X[1], W[0], W[1]), [2])
    circuit.append(lib.U2Gate(W[2], X[1]), [1])
    circuit.append(lib.U1Gate(W[3]), [0])
    circuit.h(0)
    return circuit


def _phases() -> QuantumCircuit:
    circuit = _start(5)
    circuit.h(range(5))
    circuit.p(W[0], 1)
    circuit.cp(X[0], 2, 0)
    circuit.append(lib.MCPhaseGate(W[1], 3), [3, 0, 4, 1])
    circuit.append(lib.CU1Gate(W[2]), [1, 2])
    circuit.ry(0.9, range(5))
    circuit.mcp(X[1], [4, 2], 0)
    circuit.p(X[0], 2)
    circuit.h([0, 1, 2])
    return circuit


def _controlled_rotations() -> QuantumCircuit:
    circuit = _start()
    circuit.crx(W[0], 2, 0)
    circuit.cry(X[0], 0, 1)
    circuit.crz(W[1], 1, 2)
    circuit.h(2)
    circuit.crz(X[1], 2, 0)
    circuit.crx(X[0], 1, 2)
    circuit.cry(W[2], 2, 1)
    return circuit


def _doubly_controlled_rotations() -> QuantumCircuit:
    two_targets = QuantumCircuit(2)
    two_targets.ry(W[2], 0)
    two_targets.rz(2 * W[2], 1)
    circuit = _start(4)
    circuit.append(lib.RXGate(W[0]).control(2, annotated=True), [3, 1, 0])
    circuit.append(lib.RYGate(X[0]).control(2, annotated=False), [0, 2, 1])
    circuit.append(lib.RZGate(W[1]).control(2, annotated=False), [1, 0, 2])
    circuit.h(2)
    circuit.append(two_targets.to_gate().control(1), [3, 2, 0])
    circuit.append(lib.RYGate(W[2]).control(3, annotated=False), [1, 3, 0, 2])
    circuit.mcrx(X[1], [1, 2], 0)
    circuit.mcry(W[3], [0, 1], 2)
    return circuit


def _open_controls() -> QuantumCircuit:
    circuit = _start(4)
    circuit.append(lib.RXGate(W[0]).control(1, ctrl_state=0), [2, 0])
    circuit.append(lib.RYGate(X[0]).control(2, ctrl_state=1, annotated=False), [0, 3, 1])
    circuit.append(lib.PhaseGate(W[1]).control(2, ctrl_state=2), [1, 0, 2])
    circuit.h(2)
    circuit.cx(0, 1, ctrl_state=0)
    circuit.crz(X[1], 2, 0, ctrl_state=0)
    circuit.cp(W[2], 1, 2, ctrl_state="0")
    circuit.cry(W[3], 2, 1)
    return circuit


def _controlled_u() -> QuantumCircuit:
    circuit = _start()
    circuit.append(lib.CUGate(W[0], X[0], W[1], W[2]), [2, 0])
    circuit.cu(0.3, 0.4, X[1], 0.2, 0, 1)
    circuit.append(lib.CUGate(X[1], 0.2, 0.6, W[3], ctrl_state=0), [1, 2])
    circuit.h(0)
    return circuit


def _exchanges() -> QuantumCircuit:
    circuit = _start()
    circuit.append(lib.XXPlusYYGate(W[0]), [2, 0])
    circuit.append(lib.XXMinusYYGate(X[0]), [0, 1])
    circuit.ry(0.4, 1)
    circuit.append(lib.XXPlusYYGate(X[1], 0.7), [1, 2])
    circuit.append(lib.XXMinusYYGate(W[1], -0.6), [2, 1])
    circuit.append(lib.XXPlusYYGate(0.9, W[2]), [1, 0])
    circuit.append(lib.XXMinusYYGate(W[0], W[3]), [0, 2])
    circuit.append(lib.XXPlusYYGate(W[1], X[0]), [0, 1])
    circuit.append(lib.XXMinusYYGate(0.5, 0.8), [0, 1])
    return circuit


def _evolutions() -> QuantumCircuit:
    circuit = _start()
    circuit.append(lib.PauliEvolutionGate(SparsePauliOp(["XYZ"], [0.8]), time=W[0]), range(3))
    circuit.append(lib.PauliEvolutionGate(SparsePauliOp(["ZZ", "XX"], [0.5, 0.3]), X[0]), [0, 2])
    circuit.append(
        lib.PauliEvolutionGate(SparsePauliOp(["IYX"], [1.2]), time=X[1] + W[1]), [2, 0, 1]
    )
    circuit.append(lib.PauliEvolutionGate(SparsePauliOp(["YY", "ZX"], [0.2, 0.9]), 0.4), [1, 2])
    if hasattr(lib, "PauliProductRotationGate"):  # not in Qiskit 2.2
        circuit.append(lib.PauliProductRotationGate(Pauli("YZX"), W[2]), [1, 2, 0])
    return circuit


def _fixed_gates() -> QuantumCircuit:
    circuit = QuantumCircuit(4)
    circuit.prepare_state(
        np.array([0.5, 0.1, 0.3j, -0.2, 0.4, 0.2, 0.1j, 0.6]), [2, 0, 3], normalize=True
    )
    circuit.delay(100, 1)
    circuit.ry(W[0], range(4))
    circuit.barrier()
    circuit.append(lib.PauliGate("XYZ"), [3, 0, 1])
    circuit.unitary(random_unitary(4, seed=3), [2, 0])
    circuit.append(lib.UnitaryGate(random_unitary(2, seed=4)).control(1, annotated=False), [1, 2])
    circuit.rx(X[0], [0, 2])
    circuit.append(lib.HGate().control(2, ctrl_state=1, annotated=False), [1, 2, 3])
    circuit.append(lib.SXGate().control(1), [3, 0])
    circuit.append(lib.DiagonalGate(np.exp(1j * np.array([0.1, 0.9, -0.4, 2.0])).tolist()), [0, 1])
    circuit.append(lib.RYGate(0.4).control(2, annotated=False), [0, 2, 1])
    circuit.mcx([0, 1, 2], 3)
    circuit.append(lib.XXPlusYYGate(0.3, 0.2), [1, 3])
    circuit.iswap(0, 2)
    circuit.dcx(1, 2)
    circuit.ecr(0, 3)
    circuit.rcccx(0, 1, 2, 3)
    circuit.ryy(X[1], 1, 2)
    circuit.id(0)
    circuit.cswap(0, 1, 2)
    circuit.rz(W[1], 1)
    circuit.h(1)
    return circuit


def _annotated_gates() -> QuantumCircuit:
    circuit = _start()
    circuit.append(AnnotatedOperation(lib.RXGate(W[0]), InverseModifier()), [0])
    circuit.append(AnnotatedOperation(lib.RYGate(X[0]), ControlModifier(2, 1)), [0, 1, 2])
    circuit.append(AnnotatedOperation(lib.SXGate(), [PowerModifier(3), InverseModifier()]), [1])
    clifford = QuantumCircuit(3)
    clifford.h(0)
    clifford.cx(0, 2)
    clifford.s(1)
    clifford.cz(1, 2)
    circuit.append(Clifford(clifford), [2, 0, 1])
    circuit.append(
        AnnotatedOperation(lib.RZGate(W[1]), [ControlModifier(1), InverseModifier()]), [2, 1]
    )
    circuit.ry(X[1], 0)
    return circuit


def _nested_definitions() -> QuantumCircuit:
    a, b = Parameter("a"), Parameter("b")
    inner = QuantumCircuit(2, name="inner", global_phase=0.3)
    inner.crx(2 * a, 0, 1)
    inner.append(lib.U2Gate(b, 0.2), [0])
    inner.rzz(a * b, 0, 1)
    middle = QuantumCircuit(3, name="middle")
    middle.append(inner.to_gate(), [2, 0])
    middle.append(inner.to_gate({a: 0.4, b: b - 1}).inverse(annotated=False), [1, 2])
    middle.append(inner.to_gate({a: 0.7, b: 0.1}).control(1, annotated=False), [0, 1, 2])
    circuit = _start()
    circuit.append(middle.to_gate({a: X[0], b: W[0]}), [1, 2, 0])
    circuit.append(middle.to_instruction({a: W[1], b: X[1] + W[0]}), [0, 1, 2])
    return circuit


def _expressions() -> QuantumCircuit:
    x, y = X
    circuit = _start()
    circuit.rx(2 * x * W[0] + 0.3, 0)
    circuit.ry(W[1] ** 2, 1)
    circuit.rz(x.sin() * W[2].cos(), 2)
    circuit.cx(0, 1)
    circuit.ry((x - y).abs(), 0)
    circuit.rzz(x * y, 0, 2)
    circuit.crx(W[0] / (1 + y), 1, 2)
    circuit.p(W[3].exp() - W[1].log(), 1)
    circuit.ry((W[0] * W[1]).arctan() + W[2].tan(), 2)
    circuit.rx(-(x / 4).arcsin() + (W[1] / 4).arccos(), 1)
    circuit.rxx((x**3 - 2 * y) / 7, 1, 2)
    circuit.ry(2**x - W[3] ** 0.5, 1)
    return circuit


def _repeated_parameters() -> QuantumCircuit:
    x, w = Parameter("x"), Parameter("w")
    circuit = QuantumCircuit(4)
    for _ in range(2):
        for qubit in range(4):
            circuit.ry((qubit + 1) * x, qubit)
        for qubit in range(4):
            circuit.cz(qubit, (qubit + 1) % 4)
        for qubit in range(4):
            circuit.rx(w + 0.3 * qubit, qubit)
        circuit.cry(-w, 3, 0)
    circuit.rz(x + w, 2)
    circuit.rx(x - 2 * w, 2)
    return circuit


def _feature_map_and_ansatz() -> QuantumCircuit:
    ansatz = lib.n_local(3, ["ry", "rz"], "cx", entanglement="circular", reps=2)
    return lib.zz_feature_map(3, reps=2).compose(ansatz)


def _global_phase() -> QuantumCircuit:
    circuit = _start()
    circuit.rx(X[0], 1)
    circuit.global_phase = W[0] + 2 * X[1]
    circuit.cry(W[1], 1, 2)
    return circuit


def _no_inputs() -> QuantumCircuit:
    return _global_phase().assign_parameters({X[0]: W[2] * W[0], X[1]: 0.3})


def _no_weights() -> QuantumCircuit:
    return _global_phase().assign_parameters({W[0]: 0.2, W[1]: X[1] * X[0]})


def _no_parameters() -> QuantumCircuit:
    return _start()


BUILDERS = (
    _pauli_rotations,
    _two_qubit_rotations,
    _euler_angles,
    _phases,
    _controlled_rotations,
    _doubly_controlled_rotations,
    _open_controls,
    _controlled_u,
    _exchanges,
    _evolutions,
    _fixed_gates,
    _annotated_gates,
    _nested_definitions,
    _expressions,
    _repeated_parameters,
    _feature_map_and_ansatz,
    _global_phase,
    _no_inputs,
    _no_weights,
    _no_parameters,
)

OBSERVABLES = (
    SparsePauliOp(["ZII", "XYI"], [0.7, -1.3]),
    SparsePauliOp(["IYZ", "IXX", "III"], [1.1, 0.4, -0.25]),
    SparsePauliOp("ZZY"),
)


@dataclass(frozen=True, eq=False)
class CircuitFamily:
    """A circuit on three qubits or more with inputs, weights and observables."""

    name: str  # of the gates in it
    circuit: QuantumCircuit
    inputs: tuple[Parameter, ...]
    weights: tuple[Parameter, ...]
    observables: tuple[SparsePauliOp, ...]  # no two commute qubit by qubit

    def samples(self, batch: int = 3, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs, ``(batch, I)``, and weights, ``(P,)``, positive and different."""
        generator = np.random.default_rng(seed)
        return (
            generator.uniform(0.2, 2.5, (batch, len(self.inputs))),
            generator.uniform(0.2, 2.5, len(self.weights)),
        )

    def values(self, row: np.ndarray, weights: np.ndarray) -> dict[Parameter, float]:
        """Return numbers for all parameters of the circuit."""
        numbers = [*row.tolist(), *weights.tolist()]
        return dict(zip([*self.inputs, *self.weights], numbers, strict=True))

    def state(self, row: np.ndarray, weights: np.ndarray) -> Statevector:
        """Return the state of the circuit by dense matrices."""
        with warnings.catch_warnings():  # scipy warns about evolutions
            warnings.simplefilter("ignore")
            return Statevector(self.circuit.assign_parameters(self.values(row, weights)))

    def expectations(self, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Return the expectation values by dense matrices, ``(batch, K)``."""
        states = [self.state(row, weights) for row in rows]
        return np.array(
            [[state.expectation_value(o).real for o in self.observables] for state in states]
        )

    def slopes(
        self, rows: np.ndarray, weights: np.ndarray, step: float = 1e-4
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the slopes in inputs, ``(batch, K, I)``, and in weights, ``(batch, K, P)``."""
        first, units = len(self.inputs), np.eye(len(self.inputs) + len(self.weights))
        result = np.zeros((len(rows), len(self.observables), len(units)))
        for place, unit in enumerate(units):

            def moved(t: float, unit=unit) -> np.ndarray:
                return self.expectations(rows + t * unit[:first], weights + t * unit[first:])

            near = (moved(step) - moved(-step)) / (2 * step)
            far = (moved(2 * step) - moved(-2 * step)) / (4 * step)
            result[..., place] = (4 * near - far) / 3  # the error is of order step^4
        return result[..., :first], result[..., first:]


def _family(build: Callable[[], QuantumCircuit]) -> CircuitFamily:
    circuit = build()
    observables = tuple(o.apply_layout([0, 1, 2], circuit.num_qubits) for o in OBSERVABLES)
    inputs = tuple(p for p in circuit.parameters if p.name.startswith("x"))
    weights = tuple(p for p in circuit.parameters if not p.name.startswith("x"))
    return CircuitFamily(build.__name__.strip("_"), circuit, inputs, weights, observables)


FAMILIES = tuple(_family(build) for build in BUILDERS)
