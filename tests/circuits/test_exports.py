"""Files that other tools write now: MQT Bench in both languages, and PennyLane."""

from __future__ import annotations

import itertools
from importlib import metadata

import numpy as np
import pytest
from packaging.version import Version
from qiskit import QuantumCircuit, qasm2, qasm3
from qiskit.quantum_info import Operator

from hybridopt.circuits import load_circuit
from hybridopt.circuits.measurements import strip_measurements
from hybridopt.errors import CircuitError

SIZES = (2, 5)  # qubits; some circuits exist only for even or odd numbers
MOST_QUBITS = 6  # of a circuit whose matrix is compared
NEAR = 1e-12


def deviation(first: np.ndarray, second: np.ndarray) -> float:
    """Largest difference of two matrices, up to a global phase."""
    place = np.unravel_index(np.abs(first).argmax(), first.shape)
    return float(np.abs(first - second * (first[place] / second[place])).max())


def mqt_circuits() -> list[tuple[str, int]]:
    bench = pytest.importorskip("mqt.bench.benchmarks")
    return list(bench.get_available_benchmark_names())


def made(name: str, num_qubits: int) -> QuantumCircuit | None:
    """A benchmark; None if it does not exist for this number of qubits."""
    from mqt.bench import BenchmarkLevel, get_benchmark

    try:
        circuit = get_benchmark(name, BenchmarkLevel.INDEP, num_qubits)
    except Exception:  # noqa: BLE001  # the package has no check of its sizes
        return None
    return circuit if circuit.num_qubits <= MOST_QUBITS else None


def written(circuit: QuantumCircuit, version: int) -> str | None:
    """The text of a circuit; None if Qiskit cannot write it."""
    try:
        return (qasm2 if version == 2 else qasm3).dumps(circuit)
    except (qasm2.QASM2ExportError, qasm3.QASM3ExporterError, TypeError):
        return None


def unitary(circuit: QuantumCircuit, names: dict[str, float]) -> np.ndarray:
    """The matrix with values for the parameters by names as Qiskit shows them."""
    values = {}
    for parameter in circuit.parameters:
        name = parameter.name
        if name.startswith("_"):  # `_x_3_` is written for `x[3]`
            stem, _, number = name[1:-1].rpartition("_")
            name = f"{stem}[{number}]"
        values[parameter] = names[name]
    return Operator(circuit.assign_parameters(values)).data


@pytest.mark.slow
@pytest.mark.skipif(
    Version(metadata.version("qiskit")) < Version("2.4"),
    reason="earlier exporters write some gates wrongly",
)
@pytest.mark.filterwarnings("ignore")
def test_mqt_bench(tmp_path):
    read, dynamic = set(), set()
    path = tmp_path / "circuit.qasm"
    for name, num_qubits in itertools.product(mqt_circuits(), SIZES):
        circuit = made(name, num_qubits)
        if circuit is None:
            continue
        try:
            expected, measured = strip_measurements(circuit, name)
        except CircuitError:
            expected = None
        else:
            names = {p.name: 0.2 + 0.3 * k for k, p in enumerate(expected.parameters)}
            matrix = unitary(expected, names)
        for version in (2, 3):
            text = written(circuit, version)
            if text is None:
                continue
            path.write_text(text, "utf-8")
            if expected is None:
                with pytest.raises(CircuitError, match=r"line \d+, column \d+"):
                    load_circuit(path)
                dynamic.add(name)
                continue
            loaded = load_circuit(path)
            assert deviation(matrix, unitary(loaded.circuit, names)) < NEAR, (name, num_qubits)
            if measured is not None:
                places = [str(o.paulis[0])[::-1].index("Z") for o in loaded.observables]
                assert places == [circuit.find_bit(qubit).index for qubit in measured]
            read.add((name, num_qubits, version))
    assert len(read) > 60
    assert dynamic <= {"dynamic_qft", "ghz_dynamic", "iqpe", "seven_qubit_steane_code"}


def test_pennylane(tmp_path):
    qml = pytest.importorskip("pennylane")

    def layers():
        qml.RX(0.3, wires=0)
        qml.Rot(0.1, -0.2, 0.7, wires=1)
        qml.CRot(0.4, 0.5, 0.6, wires=[2, 0])
        qml.IsingXX(0.8, wires=[1, 2])
        qml.IsingZZ(-0.9, wires=[0, 1])
        qml.ControlledPhaseShift(1.1, wires=[2, 1])
        qml.Toffoli(wires=[0, 2, 1])
        qml.CSWAP(wires=[1, 0, 2])
        qml.SX(wires=2)
        qml.adjoint(qml.T)(wires=0)
        qml.PauliRot(0.35, "XYZ", wires=[2, 0, 1])
        qml.QFT(wires=[0, 1, 2])
        qml.StronglyEntanglingLayers(np.linspace(-1, 1, 18).reshape(2, 3, 3), wires=[0, 1, 2])
        return [qml.expval(qml.Z(0)), qml.expval(qml.Z(1)), qml.expval(qml.Z(2))]

    node = qml.QNode(layers, qml.device("default.qubit", wires=3))
    path = tmp_path / "pennylane.qasm"
    path.write_text(qml.to_openqasm(node)(), "utf-8")
    expected = qml.matrix(layers, wire_order=[2, 1, 0])()  # Qiskit's first qubit is the least
    loaded = load_circuit(path)
    assert deviation(np.asarray(expected), Operator(loaded.circuit).data) < 1e-10
    assert [str(o.paulis[0]) for o in loaded.observables] == ["IIZ", "IZI", "ZII"]
    trained = load_circuit(path, train="angles")
    assert len(trained.weight_parameters) >= 30
    bound = trained.circuit.assign_parameters(trained.initial)
    assert deviation(np.asarray(expected), Operator(bound).data) < 1e-10
