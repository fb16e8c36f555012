"""Bad circuits, layers, executors and circuit files."""

from __future__ import annotations

from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp

import hybridopt as ho
from hybridopt.errors import (
    ArgumentError,
    ArgumentTypeError,
    CircuitError,
    ResourceError,
    UnknownNameError,
    UnsupportedError,
)
from tests.reliability.bad_inputs.parts import (
    NAN,
    Bad,
    X,
    at,
    circuit,
    layer,
    measured,
    noise,
    qasm,
    written,
)

CIRCUITS: Bad = {
    ArgumentError: {
        "CircuitLayer: letters": (lambda _: layer(observables=["ZQI"]), "Observable 'ZQI'"),
        "CircuitLayer: qubits of an observable": (
            lambda _: layer(observables=["ZI"]),
            "Observable 0 must act on the 3 qubits of the circuit (got 2)",
        ),
        "CircuitLayer: no observable": (lambda _: layer(observables=[]), "`observables`"),
        "CircuitLayer: not Hermitian": (
            lambda _: layer(observables=[SparsePauliOp("ZII", 1j)]),
            "Observable 0 must be Hermitian",
        ),
        "CircuitLayer: initial weights": (
            lambda _: layer(initial=[0.1]),
            "`initial` must have shape (3,)",
        ),
        "CircuitLayer: NaN weights": (
            lambda _: layer(initial=[0.1, NAN, 0.2]),
            "`initial` must be finite",
        ),
        "CircuitLayer: no qubits": (
            lambda _: ho.CircuitLayer(QuantumCircuit()),
            "circuit must have at least 1 qubit",
        ),
        "CircuitLayer: width of x": (
            lambda _: layer()(X[:, :2]),
            "CircuitLayer must have shape (..., 3)",
        ),
        "CircuitLayer: NaN in x": (
            lambda _: layer()(at(X, 1, NAN)),
            "Angle `x[0]` of sample 1 must be finite (got nan)",
        ),
        "AerExecutor: shots": (lambda _: ho.AerExecutor(shots=0), "`shots` must be at least 1"),
        "AerExecutor: too many shots": (
            lambda _: ho.AerExecutor(shots=10**30),
            "`shots` must be at most",
        ),
        "AerExecutor: memory": (lambda _: ho.AerExecutor(max_memory=-1), "`max_memory`"),
        "AerExecutor: memory without unit": (
            lambda _: ho.AerExecutor(max_memory="2"),
            "`max_memory`",
        ),
        "AerExecutor: state": (
            lambda _: ho.AerExecutor().load_state_dict({"calls": 1}),
            "`state` has no key `entropy`",
        ),
        "Spsa: perturbation": (lambda _: ho.gradients.Spsa(perturbation=0.0), "`perturbation`"),
        "Spsa: directions": (lambda _: ho.gradients.Spsa(directions=0), "`directions`"),
        "DressedCircuit: qubits": (lambda _: ho.DressedCircuit(3, 2, num_qubits=0), "`num_qubits`"),
        "DressedCircuit: depth": (lambda _: ho.DressedCircuit(3, 2, depth=-1), "`depth`"),
        "DressedCircuit: features": (lambda _: ho.DressedCircuit(0, 2), "`in_features`"),
        "DressedCircuit: x": (
            lambda _: ho.DressedCircuit(3, 2)(X[:, :2]),
            "DressedCircuit must have shape (..., 3)",
        ),
        "save_circuit: a folder": (lambda folder: ho.save_circuit(folder, *circuit()), "`path`"),
    },
    ArgumentTypeError: {
        "CircuitLayer: no circuit": (lambda _: layer(circuit="bell"), "`circuit`"),
        "CircuitLayer: names of parameters": (
            lambda _: layer(input_parameters=["x"]),
            "`input_parameters` must be a list of qiskit.circuit.Parameter",
        ),
        "CircuitLayer: a set of parameters": (
            lambda _: layer(weight_parameters=set(circuit()[2])),
            "`weight_parameters` must be a list",
        ),
        "CircuitLayer: a number to observe": (lambda _: layer(observables=3), "`observables`"),
        "CircuitLayer: executor": (lambda _: layer(executor="aer"), "`executor` must be"),
        "CircuitLayer: words for weights": (lambda _: layer(initial=["a", "b", "c"]), "`initial`"),
        "CircuitLayer: integer x": (lambda _: layer()(X.long()), "(got torch.int64"),
        "CircuitLayer: list for x": (lambda _: layer()([0.1, 0.2, 0.3]), "(got list)"),
        "AerExecutor: half a shot": (lambda _: ho.AerExecutor(shots=0.5), "`shots` must be an int"),
        "AerExecutor: seed": (lambda _: ho.AerExecutor(seed=1.5), "`seed` must be an int"),
        "AerExecutor: noise": (
            lambda _: ho.AerExecutor(noise_model="depolarizing"),
            "`noise_model` must be",
        ),
        "AerExecutor: job": (lambda _: ho.AerExecutor().run("job"), "`job` must be a Job"),
        "from_qnn: no network": (lambda _: ho.from_qnn("qnn"), "`qnn` must be an EstimatorQNN"),
        "load_circuit: number": (lambda _: ho.load_circuit(3), "`name_or_path` must be a path"),
        "save_circuit: no circuit": (
            lambda folder: ho.save_circuit(folder / "a.qasm", 3),
            "`circuit` must be a qiskit.QuantumCircuit",
        ),
    },
    CircuitError: {
        "CircuitLayer: foreign parameters": (
            lambda _: layer(weight_parameters=list(ParameterVector("v", 3))),
            "does not have: v[0], v[1], v[2]",
        ),
        "CircuitLayer: a parameter left out": (
            lambda _: layer(input_parameters=[]),
            "neither inputs nor weights: x[0], x[1], x[2]",
        ),
        "CircuitLayer: a parameter twice": (
            lambda _: layer(input_parameters=circuit()[1] * 2),
            "given twice: x[0], x[1], x[2]",
        ),
        "CircuitLayer: measured in the middle": (
            lambda _: ho.CircuitLayer(measured()),
            "`measure` on qubit 0",
        ),
        "load_circuit: no file": (
            lambda folder: ho.load_circuit(folder / "a.qasm"),
            "a.qasm does not exist",
        ),
        "load_circuit: folder": (ho.load_circuit, "Is a directory"),
        "load_circuit: empty": (
            lambda folder: ho.load_circuit(written(folder, "")),
            "file.qasm has no statements",
        ),
        "load_circuit: bytes": (
            lambda folder: ho.load_circuit(written(folder, b"\xff\xfe")),
            "file.qasm must be OpenQASM or QPY",
        ),
        "load_circuit: OpenQASM 2": (
            lambda folder: ho.load_circuit(written(folder, "OPENQASM 2.0;\nqreg q[2];\nx q[2];")),
            "line 3, column 5: the index must be below 2 (got 2)",
        ),
        "load_circuit: syntax": (
            lambda folder: qasm(folder, "qubit[2] q;\nh q[0"),
            "line 4, column 6",
        ),
        "load_circuit: gate": (
            lambda folder: qasm(folder, "qubit[2] q;\nhadamard q[0];"),
            "`hadamard`",
        ),
        "load_circuit: qubit": (
            lambda folder: qasm(folder, "qubit[2] q;\nh q[5];"),
            "line 4, column 5: the index must be below 2 (got 5)",
        ),
        "load_circuit: observable": (
            lambda folder: qasm(folder, "// observable: ZZZ\nqubit[2] q;\nh q[0];"),
            "observable must have 2 letters, one per qubit (got `ZZZ`)",
        ),
        "save_circuit: parameters": (
            lambda folder: ho.save_circuit(folder / "a.qasm", circuit()[0], [], []),
            "neither inputs nor weights: w[0], w[1], w[2], x[0]",
        ),
    },
    ResourceError: {
        "CircuitLayer: too large": (
            lambda _: layer(executor=ho.AerExecutor(max_memory=16)),
            "`max_memory` of 16 B",
        ),
    },
    UnknownNameError: {
        "CircuitLayer: gradient": (
            lambda _: layer(gradient="adjiont"),
            "gradient 'adjiont'. Did you mean 'adjoint'",
        ),
        "AerExecutor: device": (
            lambda _: ho.AerExecutor("CPUU"),
            "device 'CPUU'. Did you mean 'CPU'",
        ),
        "AerExecutor: method": (
            lambda _: ho.AerExecutor(method="statevectr"),
            "method 'statevectr'. Did you mean 'statevector'",
        ),
        "AerExecutor: precision": (lambda _: ho.AerExecutor(precision="half"), "precision 'half'"),
        "AerExecutor: strategy": (
            lambda _: ho.AerExecutor(strategy="stack"),
            "strategy 'stack'. Did you mean 'stacked'",
        ),
        "load_circuit: unknown": (
            lambda _: ho.load_circuit("no-such-circuit"),
            "circuit 'no-such-circuit'",
        ),
    },
    UnsupportedError: {
        "CircuitLayer: adjoint with shots": (
            lambda _: layer(gradient="adjoint", executor=ho.AerExecutor(shots=10)),
            "with noise (got AerExecutor(device='CPU', shots=10,",
        ),
        "CircuitLayer: adjoint with noise and shots": (
            lambda _: layer(
                gradient="adjoint", executor=ho.AerExecutor(noise_model=noise(), shots=10)
            ),
            "noise_model=NoiseModel)",
        ),
    },
}
