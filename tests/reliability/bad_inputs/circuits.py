"""Bad circuits, layers, executors and circuit files."""

from __future__ import annotations

from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp

import hybridopt as ho
from tests.reliability.bad_inputs.parts import (
    NAN,
    Call,
    X,
    at,
    circuit,
    layer,
    measured,
    noise,
    qasm,
    written,
)

CIRCUITS: dict[str, tuple[Call, str]] = {
    "CircuitLayer: no circuit": (lambda _: layer(circuit="bell"), "qiskit.QuantumCircuit"),
    "CircuitLayer: names of parameters": (lambda _: layer(input_parameters=["x"]), "Parameter obj"),
    "CircuitLayer: a set of parameters": (
        lambda _: layer(weight_parameters=set(circuit()[2])),
        "must be a list",
    ),
    "CircuitLayer: foreign parameters": (
        lambda _: layer(weight_parameters=list(ParameterVector("v", 3))),
        "the circuit does not have: v[0], v[1], v[2]",
    ),
    "CircuitLayer: a parameter left out": (
        lambda _: layer(input_parameters=[]),
        "neither inputs nor weights: x[0], x[1], x[2]",
    ),
    "CircuitLayer: a parameter twice": (
        lambda _: layer(input_parameters=circuit()[1] * 2),
        "given twice: x[0], x[1], x[2]",
    ),
    "CircuitLayer: letters": (lambda _: layer(observables=["ZQI"]), "letters I, X, Y and Z"),
    "CircuitLayer: qubits of an observable": (
        lambda _: layer(observables=["ZI"]),
        "acts on 2 qubits, but the circuit has 3",
    ),
    "CircuitLayer: no observable": (lambda _: layer(observables=[]), "observable"),
    "CircuitLayer: not Hermitian": (
        lambda _: layer(observables=[SparsePauliOp("ZII", 1j)]),
        "is not Hermitian",
    ),
    "CircuitLayer: a number to observe": (
        lambda _: layer(observables=3),
        "`observables` must be a list",
    ),
    "CircuitLayer: executor": (lambda _: layer(executor="aer"), "`executor` must be"),
    "CircuitLayer: gradient": (lambda _: layer(gradient="adjiont"), "Did you mean 'adjoint'"),
    "CircuitLayer: adjoint with shots": (
        lambda _: layer(gradient="adjoint", executor=ho.AerExecutor(shots=10)),
        "needs exact state vectors",
    ),
    "CircuitLayer: adjoint with noise": (
        lambda _: layer(gradient="adjoint", executor=ho.AerExecutor(noise_model=noise())),
        "needs exact state vectors",
    ),
    "CircuitLayer: initial weights": (lambda _: layer(initial=[0.1]), "must have shape (3,)"),
    "CircuitLayer: NaN weights": (lambda _: layer(initial=[0.1, NAN, 0.2]), "NaN or infinite"),
    "CircuitLayer: words for weights": (
        lambda _: layer(initial=["a", "b", "c"]),
        "`initial` must be a tensor or a list",
    ),
    "CircuitLayer: measured in the middle": (
        lambda _: ho.CircuitLayer(measured()),
        "`measure` on qubit 0 has no unitary",
    ),
    "CircuitLayer: no qubits": (lambda _: ho.CircuitLayer(QuantumCircuit()), "has no qubits"),
    "CircuitLayer: too large": (
        lambda _: layer(executor=ho.AerExecutor(max_memory=16)),
        "not even one fits",
    ),
    "CircuitLayer: width of x": (lambda _: layer()(X[:, :2]), "must have shape (..., 3)"),
    "CircuitLayer: integer x": (
        lambda _: layer()(X.long()),
        "must be a dense tensor of real floating point",
    ),
    "CircuitLayer: list for x": (
        lambda _: layer()([0.1, 0.2, 0.3]),
        "must be a dense tensor of real floating point",
    ),
    "CircuitLayer: NaN in x": (lambda _: layer()(at(X, 1, NAN)), "of sample 1 is nan"),
    "AerExecutor: device": (lambda _: ho.AerExecutor("CPUU"), "Did you mean 'CPU'"),
    "AerExecutor: shots": (lambda _: ho.AerExecutor(shots=0), "`shots` must be 1"),
    "AerExecutor: half a shot": (lambda _: ho.AerExecutor(shots=0.5), "`shots` must be an int"),
    "AerExecutor: too many shots": (lambda _: ho.AerExecutor(shots=10**30), "`shots` must be"),
    "AerExecutor: method": (lambda _: ho.AerExecutor(method="statevectr"), "'statevector'"),
    "AerExecutor: precision": (
        lambda _: ho.AerExecutor(precision="half"),
        "Unknown precision 'half'",
    ),
    "AerExecutor: seed": (lambda _: ho.AerExecutor(seed=1.5), "`seed` must be an int"),
    "AerExecutor: memory": (lambda _: ho.AerExecutor(max_memory=-1), "`max_memory` must be 1"),
    "AerExecutor: noise": (lambda _: ho.AerExecutor(noise_model="depolarizing"), "noise_model"),
    "AerExecutor: strategy": (lambda _: ho.AerExecutor(strategy="stack"), "Did you mean 'stacked'"),
    "AerExecutor: state": (
        lambda _: ho.AerExecutor().load_state_dict({"calls": 1}),
        "has no key `entropy`",
    ),
    "AerExecutor: job": (lambda _: ho.AerExecutor().run("job"), "`job` must be a Job"),
    "Spsa: perturbation": (lambda _: ho.gradients.Spsa(perturbation=0.0), "perturbation"),
    "Spsa: directions": (lambda _: ho.gradients.Spsa(directions=0), "directions"),
    "DressedCircuit: qubits": (lambda _: ho.DressedCircuit(3, 2, num_qubits=0), "num_qubits"),
    "DressedCircuit: depth": (lambda _: ho.DressedCircuit(3, 2, depth=-1), "`depth` must be 1"),
    "DressedCircuit: features": (lambda _: ho.DressedCircuit(0, 2), "in_features"),
    "DressedCircuit: x": (lambda _: ho.DressedCircuit(3, 2)(X[:, :2]), "must have shape (..., 3)"),
    "from_qnn: no network": (lambda _: ho.from_qnn("qnn"), "`qnn` must be an EstimatorQNN"),
    "load_circuit: unknown": (lambda _: ho.load_circuit("no-such-circuit"), "no-such-circuit"),
    "load_circuit: number": (
        lambda _: ho.load_circuit(3),
        "`name_or_path`",
    ),
    "load_circuit: no file": (
        lambda folder: ho.load_circuit(folder / "a.qasm"),
        "does not exist",
    ),
    "load_circuit: folder": (ho.load_circuit, "Is a directory"),
    "load_circuit: empty": (
        lambda folder: ho.load_circuit(written(folder, "")),
        "has no statements",
    ),
    "load_circuit: bytes": (
        lambda folder: ho.load_circuit(written(folder, b"\xff\xfe")),
        "OpenQASM or QPY",
    ),
    "load_circuit: OpenQASM 2": (
        lambda folder: ho.load_circuit(written(folder, "OPENQASM 2.0;\nqreg q[2];\nx q[2];")),
        "line 3, column 5: the index must be below 2",
    ),
    "load_circuit: syntax": (
        lambda folder: qasm(folder, "qubit[2] q;\nh q[0"),
        "ends within a statement",
    ),
    "load_circuit: gate": (
        lambda folder: qasm(folder, "qubit[2] q;\nhadamard q[0];"),
        "Gate `hadamard` is not defined",
    ),
    "load_circuit: qubit": (
        lambda folder: qasm(folder, "qubit[2] q;\nh q[5];"),
        "line 4, column 5: the index must be below 2",
    ),
    "load_circuit: observable": (
        lambda folder: qasm(folder, "// observable: ZZZ\nqubit[2] q;\nh q[0];"),
        "has 3 letters, but the circuit has 2 qubits",
    ),
    "save_circuit: no circuit": (
        lambda folder: ho.save_circuit(folder / "a.qasm", 3),
        "must be a qiskit.QuantumCircuit",
    ),
    "save_circuit: a folder": (
        lambda folder: ho.save_circuit(folder, *circuit()),
        "must end in .qasm",
    ),
    "save_circuit: parameters": (
        lambda folder: ho.save_circuit(folder / "a.qasm", circuit()[0], [], []),
        "neither inputs nor weights",
    ),
}
