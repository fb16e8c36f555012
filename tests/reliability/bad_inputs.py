"""Bad inputs to the public functions and the command line: what strangers get wrong.

Each entry of `CALLS` is a call and a piece of what the error says; each of `COMMANDS` the words
after ``hybridopt``. The calls get a folder of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer.noise import NoiseModel, depolarizing_error
from torch import nn

import hybridopt as ho
from hybridopt.bridges import Generator, Memory, Mesh, RandomSubspace, Twin
from hybridopt.optim import Newton
from hybridopt.sklearn import HybridClassifier, HybridRegressor

Call = Callable[[Path], object]
X = torch.randn(12, 3, generator=torch.Generator().manual_seed(1))
Y = torch.arange(12) % 3
NAN, INF = math.nan, math.inf


def net() -> nn.Module:
    """Three features, three classes."""
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3))


def memory(**options: object) -> ho.QuantumNetwork:
    """That network in a circuit."""
    return ho.to_quantum(net(), **options)


def fit(x: object = X, y: object = Y, network: object = None, **arguments: object) -> object:
    """`fit` on a circuit, one argument of which is bad."""
    return ho.fit(memory() if network is None else network, (x, y), epochs=1, **arguments)


def at(tensor: torch.Tensor, row: int, value: float) -> torch.Tensor:
    """With another value in one row."""
    changed = tensor.clone()
    changed[row] = value
    return changed


def circuit(num_qubits: int = 3) -> tuple[QuantumCircuit, list, list]:
    """An input and a weight a qubit."""
    inputs, weights = ParameterVector("x", num_qubits), ParameterVector("w", num_qubits)
    made = QuantumCircuit(num_qubits)
    for qubit in range(num_qubits):
        made.ry(inputs[qubit], qubit)
        made.rx(weights[qubit], qubit)
    return made, list(inputs), list(weights)


def layer(**changes: object) -> ho.CircuitLayer:
    """A layer of that circuit, one argument of which is bad."""
    made, inputs, weights = circuit()
    arguments = {
        "circuit": made,
        "input_parameters": inputs,
        "weight_parameters": weights,
        "observables": ["ZII", "IZI"],
    }
    return ho.CircuitLayer(**{**arguments, **changes})


def measured() -> QuantumCircuit:
    """A circuit that measures in its middle."""
    made = QuantumCircuit(2, 1)
    made.h(0)
    made.measure(0, 0)
    made.cx(0, 1)
    return made


def noise() -> NoiseModel:
    """Depolarizing CX."""
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.01, 2), ["cx"])
    return model


def written(folder: Path, text: str | bytes, name: str = "file.qasm") -> Path:
    """A file with this content."""
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def qasm(folder: Path, body: str) -> object:
    """Load an OpenQASM 3 file of this body."""
    return ho.load_circuit(written(folder, f'OPENQASM 3.0;\ninclude "stdgates.inc";\n{body}'))


def truncated(folder: Path, keep: float) -> Path:
    """A saved network of which a part is missing."""
    path = ho.save(memory(), folder / "network.ho")
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    return path


def newton(**arguments: object) -> Newton:
    """An optimizer of one weight."""
    return Newton([nn.Parameter(torch.ones(3))], **arguments)


def newton_step(closure: Callable[[], object]) -> object:
    """A step with this closure."""
    return newton().step(closure)


def frozen() -> nn.Module:
    """Nothing to train."""
    return net().requires_grad_(False)


def infinite() -> nn.Module:
    """One weight is infinite."""
    network = net()
    with torch.no_grad():
        network[0].weight[1, 1] = INF
    return network


DATA: dict[str, tuple[Call, str]] = {
    "fit: NaN feature": (lambda _: fit(at(X, 4, NAN)), "`x` must be finite"),
    "fit: infinite target": (lambda _: fit(y=at(X, 2, INF)), "`y` must be finite"),
    "fit: negative label": (lambda _: fit(y=at(Y, 5, -1)), "labels of 0 or more"),
    "fit: label beyond the outputs": (lambda _: fit(y=at(Y, 5, 3)), "Labels must be 0 to 2"),
    "fit: too few features": (lambda _: fit(X[:, :2]), "cannot take x of shape"),
    "fit: one feature without a column": (lambda _: fit(X[:, 0]), "(samples, features)"),
    "fit: other lengths": (lambda _: fit(y=Y[:-1]), "equal length"),
    "fit: no sample": (lambda _: fit(X[:0], Y[:0]), "at least one sample"),
    "fit: integer features": (lambda _: fit(X.long()), "features as floats"),
    "fit: complex features": (lambda _: fit(X.to(torch.complex64)), "real numbers"),
    "fit: ragged lists": (lambda _: fit([[1.0, 2.0, 3.0], [1.0]], [0, 1]), "`x`"),
    "fit: words": (lambda _: fit(np.array([["a", "b", "c"]] * 3), [0, 1, 2]), "`x`"),
    "fit: a name for data": (lambda _: ho.fit(memory(), "digits"), "`data` must be a Dataset"),
    "fit: no data": (lambda _: ho.fit(memory(), None), "`data` must be a Dataset"),
    "fit: three members": (lambda _: ho.fit(memory(), (X, Y, Y)), "two members"),
    "fit: real targets of another width": (lambda _: fit(y=X[:, :2]), "targets have"),
    "load_dataset: unknown": (lambda _: ho.load_dataset("irsi"), "Did you mean 'iris'"),
    "load_dataset: no name": (lambda _: ho.load_dataset(3), "by name"),
    "load_dataset: all for testing": (
        lambda _: ho.load_dataset("iris", test_size=1.0),
        "test_size",
    ),
    "load_dataset: NaN for testing": (
        lambda _: ho.load_dataset("iris", test_size=NAN),
        "test_size",
    ),
    "load_dataset: seed": (lambda _: ho.load_dataset("iris", seed=-1), "`seed` must be 0"),
    "load_dataset: option": (lambda _: ho.load_dataset("moons", nosie=0.1), "nosie"),
}

TRAINING: dict[str, tuple[Call, str]] = {
    "fit: no network": (lambda _: ho.fit(None, (X, Y)), "torch.nn.Module"),
    "fit: a class": (lambda _: ho.fit(nn.Linear, (X, Y)), "torch.nn.Module"),
    "fit: no parameters": (lambda _: ho.fit(nn.Tanh(), (X, Y)), "nothing to train"),
    "fit: frozen": (lambda _: ho.fit(frozen(), (X, Y)), "frozen parameters only"),
    "fit: infinite weight": (lambda _: ho.fit(infinite(), (X, Y)), "NaN or infinite"),
    "fit: several outputs": (lambda _: fit(network=memory_of(nn.LSTM(3, 3))), "one tensor"),
    "fit: epochs": (lambda _: ho.fit(memory(), (X, Y), epochs=-1), "`epochs` must be 0"),
    "fit: half an epoch": (lambda _: ho.fit(memory(), (X, Y), epochs=0.5), "`epochs` must be an"),
    "fit: batch size": (lambda _: fit(batch_size=0), "`batch_size` must be 1"),
    "fit: batch size by word": (lambda _: fit(batch_size="all"), '"auto", None'),
    "fit: learning rate 0": (lambda _: fit(lr=0), "`lr` must be more than 0"),
    "fit: learning rate NaN": (lambda _: fit(lr=NAN), "`lr` must be finite"),
    "fit: learning rate by word": (lambda _: fit(lr="fast"), "`lr` must be a number"),
    "fit: auto beside newton": (lambda _: fit(lr="auto", optimizer="newton"), "line search"),
    "fit: optimizer": (lambda _: fit(optimizer="adma"), "Did you mean"),
    "fit: optimizer class": (lambda _: fit(optimizer=torch.optim.Adam), "by name"),
    "fit: option": (lambda _: fit(momentum=0.9), "no keyword argument 'momentum'"),
    "fit: value of an option": (lambda _: fit(betas=(2.0, 3.0)), "refuses its options"),
    "fit: optimizer of another network": (
        lambda _: fit(optimizer=torch.optim.SGD(net().parameters())),
        "none of the given parameters",
    ),
    "fit: scheduler": (lambda _: fit(scheduler="cosin"), "Did you mean 'cosine'"),
    "fit: scheduler class": (
        lambda _: fit(scheduler=torch.optim.lr_scheduler.StepLR),
        "from the optimizer alone",
    ),
    "fit: loss by name": (lambda _: fit(loss="mse"), "`loss` must be a torch loss module"),
    "fit: loss class": (lambda _: fit(loss=nn.MSELoss), "`loss` must be a torch loss module"),
    "fit: loss of each sample": (
        lambda _: fit(loss=nn.CrossEntropyLoss(reduction="none")),
        "must return one number",
    ),
    "fit: loss without a gradient": (
        lambda _: fit(loss=lambda outputs, targets: outputs.detach().sum()),
        "cannot be differentiated",
    ),
    "fit: callback class": (lambda _: fit(callbacks=[ho.training.Callback]), "holds the class"),
    "fit: callbacks": (lambda _: fit(callbacks=print), "must be a list of functions"),
    "fit: seed": (lambda _: fit(seed=-1), "`seed` must be 0"),
    "fit: tol": (lambda _: fit(tol=-1.0), "`tol` must be 0"),
    "fit: patience": (lambda _: fit(patience=0), "`patience` must be 1"),
    "fit: device": (lambda _: fit(device="cup"), "Did you mean 'cpu'"),
    "fit: progress": (lambda _: fit(progress=2), "`progress` must be True"),
    "fit: checkpoint is a number": (lambda _: fit(checkpoint=3), "`checkpoint` must be a path"),
    "fit: checkpoint is a folder": (lambda folder: fit(checkpoint=folder), "it is a folder"),
    "fit: checkpoint is no checkpoint": (
        lambda folder: fit(checkpoint=written(folder, "no checkpoint")),
        "damaged or no checkpoint",
    ),
    "fit: checkpoint below a file": (
        lambda folder: fit(checkpoint=written(folder, "") / "run.pt"),
        "Cannot write",
    ),
    "TensorBoard: no path": (lambda _: ho.training.TensorBoard(3), "`folder` must be a path"),
    "Newton: nothing to train": (lambda _: Newton([]), "nothing to train"),
    "Newton: learning rate": (lambda _: newton(lr=-1.0), "`lr` must be more than 0"),
    "Newton: curvature": (lambda _: newton(curvature="hesian"), "Did you mean 'hessian'"),
    "Newton: solver": (lambda _: newton(solver="lu"), "solver"),
    "Newton: no closure": (lambda _: newton_step(None), "closure"),
    "Newton: closure gives a number": (lambda _: newton_step(lambda: 0.5), "closure"),
    "HybridClassifier: network": (
        lambda _: HybridClassifier(network="mlp").fit(X.numpy(), Y.numpy()),
        "`network` must be the widths",
    ),
    "HybridClassifier: bridge": (
        lambda _: HybridClassifier(bridge="memroy").fit(X.numpy(), Y.numpy()),
        "Did you mean 'memory'",
    ),
    "HybridRegressor: shots without a circuit": (
        lambda _: HybridRegressor(shots=10).fit(X.numpy(), Y.numpy()),
        "is for a network in a circuit",
    ),
}


def memory_of(network: nn.Module) -> ho.QuantumNetwork:
    """A network in the memory circuit."""
    return ho.to_quantum(network)


BRIDGES: dict[str, tuple[Call, str]] = {
    "to_quantum: no network": (lambda _: ho.to_quantum(None), "torch"),
    "to_quantum: class": (lambda _: ho.to_quantum(nn.Linear), "torch"),
    "to_quantum: frozen": (lambda _: ho.to_quantum(frozen()), "frozen"),
    "to_quantum: nothing to carry": (lambda _: ho.to_quantum(nn.Tanh()), "parameters"),
    "to_quantum: infinite weight": (lambda _: ho.to_quantum(infinite()), "infinite"),
    "to_quantum: lazy": (lambda _: ho.to_quantum(nn.LazyLinear(3)), "shape"),
    "to_quantum: bridge": (lambda _: memory(bridge="memroy"), "Did you mean 'memory'"),
    "to_quantum: bridge class": (lambda _: memory(bridge=Memory), "bridge"),
    "to_quantum: option": (lambda _: memory(fom="full"), "Did you mean 'form'"),
    "to_quantum: option beside instance": (
        lambda _: memory(bridge=Memory(), form="full"),
        "beside an instance",
    ),
    "to_quantum: executor": (lambda _: memory(executor="aer"), "`executor` must be"),
    "to_quantum: gradient": (lambda _: memory(gradient="parameter_shift"), "Did you mean"),
    "to_quantum: gradient that does not fit": (lambda _: memory(gradient="adjoint"), "memory"),
    "to_quantum: too large": (
        lambda _: memory(executor=ho.AerExecutor(max_memory=64)),
        "memory",
    ),
    "Memory: form": (lambda _: Memory(form="ful"), "Did you mean 'full'"),
    "Memory: scale 0": (lambda _: Memory(scale=0.0), "scale"),
    "Memory: scale NaN": (lambda _: Memory(scale=NAN), "scale"),
    "Memory: scale smaller than the weights": (
        lambda _: memory(bridge=Memory(form="full", scale=1e-6)),
        "scale",
    ),
    "Memory: scale of no tensor": (lambda _: memory(scale={"5.weight": 1.0}), "5.weight"),
    "Memory: fold": (lambda _: Memory(fold="step"), "fold"),
    "Memory: no angles": (lambda _: memory(num_angles=0), "num_angles"),
    "Memory: more angles than places": (lambda _: memory(num_angles=1000), "num_angles"),
    "Memory: frozen": (lambda _: memory(frozen=True), "frozen"),
    "RandomSubspace: size": (lambda _: RandomSubspace(num_parameters=0), "num_parameters"),
    "Twin: of nothing": (lambda _: Twin(of="memroy"), "memory"),
    "Mesh: unknown layer": (
        lambda _: memory(bridge=Mesh(keep_classical=("9",))),
        "9",
    ),
    "Mesh: readout": (lambda _: Mesh(readout="proces"), "process"),
    "Mesh: recurrent": (lambda _: ho.to_quantum(nn.LSTM(3, 3), bridge="mesh"), "LSTM"),
    "Generator: depth": (lambda _: Generator(depth=-1), "depth"),
    "Generator: mapping": (lambda _: Generator(mapping="afine"), "affine"),
    "to_classical: classical already": (lambda _: ho.to_classical(net()), "no circuit"),
    "to_classical: no network": (lambda _: ho.to_classical("net"), "network"),
    "to_classical: readout": (lambda _: ho.to_classical(memory(), readout="angle"), "angles"),
    "quantum network: batch size": (lambda _: memory().step_cost(0), "`batch_size` must be 1"),
    "quantum network: synthesis": (lambda _: memory().circuit(synthesis="gate"), "gates"),
    "save: no quantum network": (lambda folder: ho.save(net(), folder / "a"), "circuit"),
    "save: no path": (lambda _: ho.save(memory(), 3), "path"),
    "save: a folder": (lambda folder: ho.save(memory(), folder), "folder"),
    "load: no file": (lambda folder: ho.load(folder / "none.ho"), "none.ho"),
    "load: text": (lambda folder: ho.load(written(folder, "text")), "file.qasm"),
    "load: empty": (lambda folder: ho.load(written(folder, "")), "file.qasm"),
    "load: half of it": (lambda folder: ho.load(truncated(folder, 0.5), net()), "network.ho"),
    "load: almost all of it": (
        lambda folder: ho.load(truncated(folder, 0.99), net()),
        "network.ho",
    ),
    "load: another class": (
        lambda folder: ho.load(ho.save(memory(), folder / "a.ho"), nn.Linear(3, 3)),
        "network",
    ),
    "transfer: no network": (lambda _: ho.transfer(None, num_outputs=3), "network"),
    "transfer: outputs": (lambda _: ho.transfer(net(), num_outputs=0), "num_outputs"),
    "transfer: head": (lambda _: ho.transfer(net(), num_outputs=3, head="liner"), "linear"),
    "transfer: freeze": (lambda _: ho.transfer(net(), num_outputs=3, freeze="bodi"), "body"),
    "transfer: names": (lambda _: ho.transfer(net(), num_outputs=3, freeze=["7"]), "7"),
    "compare: no methods": (lambda _: ho.compare(net(), (X, Y), methods=[]), "methods"),
    "compare: method": (lambda _: ho.compare(net(), (X, Y), methods=["adma"]), "adam"),
    "compare: chain": (lambda _: ho.compare(net(), (X, Y), methods=["adam:3 >"]), "adam:3 >"),
    "compare: seeds": (lambda _: ho.compare(net(), (X, Y), methods=["adam"], seeds=0), "seeds"),
    "compare: budget": (
        lambda _: ho.compare(net(), (X, Y), methods=["adam"], budget="5 parsecs"),
        "parsecs",
    ),
    "load_study: no file": (lambda folder: ho.load_study(folder / "none"), "none"),
    "load_study: damaged": (lambda folder: ho.load_study(written(folder, "{")), "file.qasm"),
    "recommend: no network": (lambda _: ho.recommend(None, (X, Y)), "network"),
}

CIRCUITS: dict[str, tuple[Call, str]] = {
    "CircuitLayer: no circuit": (lambda _: layer(circuit="bell"), "qiskit.QuantumCircuit"),
    "CircuitLayer: names of parameters": (lambda _: layer(input_parameters=["x"]), "Parameter obj"),
    "CircuitLayer: a set of parameters": (
        lambda _: layer(weight_parameters=set(circuit()[2])),
        "must be a list",
    ),
    "CircuitLayer: foreign parameters": (
        lambda _: layer(weight_parameters=list(ParameterVector("v", 3))),
        "v",
    ),
    "CircuitLayer: a parameter left out": (lambda _: layer(input_parameters=[]), "x"),
    "CircuitLayer: a parameter twice": (
        lambda _: layer(input_parameters=circuit()[1] * 2),
        "x",
    ),
    "CircuitLayer: letters": (lambda _: layer(observables=["ZQI"]), "letters I, X, Y and Z"),
    "CircuitLayer: qubits of an observable": (lambda _: layer(observables=["ZI"]), "qubits"),
    "CircuitLayer: no observable": (lambda _: layer(observables=[]), "observable"),
    "CircuitLayer: not Hermitian": (
        lambda _: layer(observables=[SparsePauliOp("ZII", 1j)]),
        "Hermitian",
    ),
    "CircuitLayer: a number to observe": (lambda _: layer(observables=3), "SparsePauliOp"),
    "CircuitLayer: executor": (lambda _: layer(executor="aer"), "`executor` must be"),
    "CircuitLayer: gradient": (lambda _: layer(gradient="adjiont"), "Did you mean 'adjoint'"),
    "CircuitLayer: adjoint with shots": (
        lambda _: layer(gradient="adjoint", executor=ho.AerExecutor(shots=10)),
        "adjoint",
    ),
    "CircuitLayer: adjoint with noise": (
        lambda _: layer(gradient="adjoint", executor=ho.AerExecutor(noise_model=noise())),
        "adjoint",
    ),
    "CircuitLayer: initial weights": (lambda _: layer(initial=[0.1]), "must have shape (3,)"),
    "CircuitLayer: NaN weights": (lambda _: layer(initial=[0.1, NAN, 0.2]), "NaN or infinite"),
    "CircuitLayer: words for weights": (lambda _: layer(initial=["a", "b", "c"]), "`initial`"),
    "CircuitLayer: measured in the middle": (lambda _: ho.CircuitLayer(measured()), "measure"),
    "CircuitLayer: no qubits": (lambda _: ho.CircuitLayer(QuantumCircuit()), "qubits"),
    "CircuitLayer: too large": (
        lambda _: layer(executor=ho.AerExecutor(max_memory=16)),
        "memory",
    ),
    "CircuitLayer: width of x": (lambda _: layer()(X[:, :2]), "3"),
    "CircuitLayer: integer x": (lambda _: layer()(X.long()), "float"),
    "CircuitLayer: list for x": (lambda _: layer()([0.1, 0.2, 0.3]), "tensor"),
    "CircuitLayer: NaN in x": (lambda _: layer()(at(X, 1, NAN)), "NaN"),
    "AerExecutor: device": (lambda _: ho.AerExecutor("CPUU"), "Did you mean 'CPU'"),
    "AerExecutor: shots": (lambda _: ho.AerExecutor(shots=0), "`shots` must be 1"),
    "AerExecutor: half a shot": (lambda _: ho.AerExecutor(shots=0.5), "`shots` must be an int"),
    "AerExecutor: too many shots": (lambda _: ho.AerExecutor(shots=10**30), "`shots` must be"),
    "AerExecutor: method": (lambda _: ho.AerExecutor(method="statevectr"), "'statevector'"),
    "AerExecutor: precision": (lambda _: ho.AerExecutor(precision="half"), "double"),
    "AerExecutor: seed": (lambda _: ho.AerExecutor(seed=1.5), "`seed` must be an int"),
    "AerExecutor: memory": (lambda _: ho.AerExecutor(max_memory=-1), "`max_memory` must be 1"),
    "AerExecutor: noise": (lambda _: ho.AerExecutor(noise_model="depolarizing"), "noise_model"),
    "AerExecutor: strategy": (lambda _: ho.AerExecutor(strategy="stack"), "stacked"),
    "AerExecutor: state": (lambda _: ho.AerExecutor().load_state_dict({"calls": 1}), "entropy"),
    "AerExecutor: job": (lambda _: ho.AerExecutor().run("job"), "Job"),
    "Spsa: perturbation": (lambda _: ho.gradients.Spsa(perturbation=0.0), "perturbation"),
    "Spsa: directions": (lambda _: ho.gradients.Spsa(directions=0), "directions"),
    "DressedCircuit: qubits": (lambda _: ho.DressedCircuit(3, 2, num_qubits=0), "num_qubits"),
    "DressedCircuit: depth": (lambda _: ho.DressedCircuit(3, 2, depth=-1), "depth"),
    "DressedCircuit: features": (lambda _: ho.DressedCircuit(0, 2), "in_features"),
    "DressedCircuit: x": (lambda _: ho.DressedCircuit(3, 2)(X[:, :2]), "3"),
    "from_qnn: no network": (lambda _: ho.from_qnn("qnn"), "qnn"),
    "load_circuit: unknown": (lambda _: ho.load_circuit("no-such-circuit"), "no-such-circuit"),
    "load_circuit: number": (lambda _: ho.load_circuit(3), "name"),
    "load_circuit: no file": (lambda folder: ho.load_circuit(folder / "a.qasm"), "a.qasm"),
    "load_circuit: folder": (ho.load_circuit, "directory"),
    "load_circuit: empty": (lambda folder: ho.load_circuit(written(folder, "")), "file.qasm"),
    "load_circuit: bytes": (lambda folder: ho.load_circuit(written(folder, b"\xff\xfe")), "file"),
    "load_circuit: OpenQASM 2": (
        lambda folder: ho.load_circuit(written(folder, "OPENQASM 2.0;\nqreg q[2];\n")),
        "OpenQASM",
    ),
    "load_circuit: syntax": (lambda folder: qasm(folder, "qubit[2] q;\nh q[0"), "file.qasm"),
    "load_circuit: gate": (lambda folder: qasm(folder, "qubit[2] q;\nhadamard q[0];"), "hadamard"),
    "load_circuit: qubit": (lambda folder: qasm(folder, "qubit[2] q;\nh q[5];"), "file.qasm"),
    "load_circuit: observable": (
        lambda folder: qasm(folder, "// observable: ZZZ\nqubit[2] q;\nh q[0];"),
        "ZZZ",
    ),
    "save_circuit: no circuit": (lambda folder: ho.save_circuit(folder / "a.qasm", 3), "circuit"),
    "save_circuit: a folder": (
        lambda folder: ho.save_circuit(folder, *circuit()),
        "must end in .qasm",
    ),
    "save_circuit: parameters": (
        lambda folder: ho.save_circuit(folder / "a.qasm", circuit()[0], [], []),
        "x",
    ),
}

CALLS = {**DATA, **TRAINING, **BRIDGES, **CIRCUITS}

COMMANDS: dict[str, str] = {
    "run --data irsi": "iris",
    "run --network mlp:3": "two or more widths",
    "run --network mlp:3-4-5": "mlp:64-...-10",
    "run --network lenet": "not understood",
    "run --network none.py:make": "no file",
    "run --optimizer adma": "adam",
    "run --epochs 0": "must be 1 or more",
    "run --epochs five": "valid integer",
    "run --start-epochs -1": "must be 1 or more",
    "run --shots 0": "must be 1 or more",
    "run --shots 10 --shots-per-weight 2": "not both",
    "run --seed -1": "must be 0 or more",
    "run --data iris --output {file}": "output folder",
    "run --optimiser adam": "optimiser",
    "bench --suite all-of-it": "all-of-it",
    "bench --problem ladder:0-1-1": "`qubits` must be 2 or more",
    "bench --problem square:4-4-4": "square",
    "bench --circuit no-such-circuit": "no-such-circuit",
    "bench --gradient adjiont": "adjoint",
    "bench --method statevectr": "statevector",
    "bench --device TPU": "TPU",
    "bench --batch 0": "batch",
    "bench --repetitions 0": "repetitions",
    "bench --peer pennyline": "pennylane",
    "bench --max-seconds -1": "max",
    "circuits no-such-circuit": "no-such-circuit",
    "circuits {file}": "file",
    "compare": "--method",
    "compare --method adam --data irsi": "iris",
    "compare --method adma": "adam",
    "compare --method adam --method sgd --seeds 1": "seeds",
    "compare --method adam --method sgd --budget '5 parsecs'": "parsecs",
    "compare --method adam --method sgd --control rmsprop": "rmsprop",
    "compare --method adam --method sgd --shots 0": "must be 1 or more",
    "convert": "source",
    "convert none.pt --to out.ho --network mlp:3-3": "none.pt",
    "convert {file} --to out.ho --network mlp:3-3": "file",
    "convert {file} --to out.ho": "file",
    "convert {state} --to out.ho": "--network",
    "convert {state} --to out.ho --network mlp:5-3": "weight",
    "convert {state} --to out.ho --network mlp:3": "two or more widths",
    "convert {state} --to {state} --network mlp:3-4-3": "source",
    "convert {state} --to {folder} --network mlp:3-4-3": "folder",
    "convert {state} --to out.ho --network mlp:3-4-3 --bridge memroy": "memory",
    "convert {state} --to out.ho --network mlp:3-4-3 --option fom=full": "fom",
    "convert {state} --to out.ho --network mlp:3-4-3 --option form": "key=value",
    "convert {state} --to out.ho --network mlp:3-4-3 --data irsi": "iris",
    "convert {state} --to out.ho --network mlp:3-4-3 --input 1xx8": "1xx8",
    "draw": "what",
    "draw no-such-circuit --output a.png": "no-such-circuit",
    "draw mlp:4-3 --output a.gif": "svg",
    "draw mlp:4 --output a.png": "two or more widths",
    "draw mlp:4-3 --output a.png --bridge memroy": "memory",
    "draw {file} --output a.png": "file",
    "devices --jsn": "jsn",
    "trian": "trian",
}
