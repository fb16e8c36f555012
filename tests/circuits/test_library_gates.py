"""Every gate of Qiskit's library, at a random place of a circuit, against a dense matrix.

Gates have random parameters, controls, labels, inverses and powers. The tests compare the values of
each method and strategy, and both exact gradients, with Qiskit's matrices.
"""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Gate, Parameter
from qiskit.circuit import library as lib
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.exceptions import QiskitError
from qiskit.quantum_info import Operator, SparsePauliOp, Statevector

from hybridopt import AerExecutor, CircuitLayer

STEP, PLACES = 1e-4, 2
LABELS = ("ZIX", "YZI", "XXZ")
METHODS = (
    {},
    {"strategy": "table"},
    {"strategy": "checkpoints"},
    {"method": "density_matrix"},
    {"method": "matrix_product_state"},
)


MADE = {
    "mcmt_ry": lambda: lib.MCMTGate(lib.RYGate(0.1), 1, 2),
    "mcmt_x": lambda: lib.MCMTGate(lib.XGate(), 1, 2),
    "mcx_3": lambda: lib.MCXGate(2),
    "mcphase_2": lambda: lib.MCPhaseGate(0.1, 2),
    "pauli": lambda: lib.PauliGate("XYZ"),
    "diagonal": lambda: lib.DiagonalGate([1, 1j, -1, 1]),
    "permutation": lambda: lib.PermutationGate([2, 0, 1]),
    "unitary": lambda: lib.UnitaryGate(Operator(lib.iSwapGate()).data),
    "evolution": lambda: lib.PauliEvolutionGate(SparsePauliOp(["ZX", "XZ"], [0.4, -0.3]), 0.1),
    "ms": lambda: lib.MSGate(2, 0.1),
}
STANDARD = {
    name: gate.base_class
    for name, gate in get_standard_gate_name_mapping().items()
    if isinstance(gate, Gate) and gate.num_qubits <= 4
}
NAMES = sorted([*STANDARD, *MADE])


def _varied(gate: Gate, generator: np.random.Generator) -> Gate:
    """Return the gate with more controls, a label, inverted, or raised to a power."""
    free = any(getattr(value, "parameters", ()) for value in gate.params)
    extra = int(generator.integers(0, min(2, 5 - gate.num_qubits) + 1)) if gate.num_qubits else 0
    kind = generator.integers(0, 4)
    if kind == 1:
        gate = gate.inverse()
    elif kind == 2 and not free and gate.num_qubits:
        gate = gate.power(int(generator.integers(2, 4)))
    elif kind == 3:
        gate = gate.to_mutable()
        gate.label = "labelled"
    if extra:
        state = int(generator.integers(0, 1 << extra))
        try:
            gate = gate.control(extra, ctrl_state=state, annotated=False)
        except (QiskitError, TypeError):  # some gates with free angles take no more controls
            gate = gate.control(extra, ctrl_state=state, annotated=True)
    return gate


def _with_free_angle(gate: Gate, weight: Parameter, generator: np.random.Generator) -> Gate:
    """Replace one number of the gate by an expression, if Qiskit supports it."""
    places = [
        place
        for place, value in enumerate(gate.params)
        if isinstance(value, float | int) and not isinstance(value, bool)
    ]
    if not places:
        return gate
    changed = gate.copy()
    params = list(changed.params)
    params[int(generator.choice(places))] = 2 * weight + 0.3
    try:
        changed.params = params
    except Exception:  # noqa: BLE001  gates without a parameterized form stay fixed
        return gate
    return changed


def _circuit(gate: Gate, weight: Parameter, generator: np.random.Generator):
    size = max(3, gate.num_qubits, int(generator.integers(3, 6)))
    circuit = QuantumCircuit(size)
    for qubit in range(size):
        circuit.ry(0.3 + 0.4 * qubit, qubit)
    circuit.rx(weight, 0)
    for qubit in range(size - 1):
        circuit.cx(qubit, qubit + 1)
    qubits = generator.permutation(size)[: gate.num_qubits].tolist()
    circuit.append(gate, qubits)
    for qubit in range(size):
        circuit.rx(0.2 + 0.3 * qubit, qubit)
    circuit.rzz(weight, 0, 2)
    return circuit


def _dense(circuit: QuantumCircuit, values: dict, labels: list[str]) -> np.ndarray:
    state = Statevector(circuit.assign_parameters(values))
    return np.array([state.expectation_value(SparsePauliOp(label)).real for label in labels])


@pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")
@pytest.mark.parametrize("place", range(PLACES))
@pytest.mark.parametrize("name", NAMES)
def test_values_and_gradients_match_dense_matrices(name, place):
    generator = np.random.default_rng([place, *name.encode()])
    first, second = Parameter("first"), Parameter("second")
    if name in MADE:
        gate = MADE[name]()
    else:
        count = len(get_standard_gate_name_mapping()[name].params)
        gate = STANDARD[name](*generator.uniform(-3, 3, count))
    gate = _with_free_angle(gate, second, generator)
    gate = _varied(gate, generator)
    circuit = _circuit(gate, first, generator)
    weights = list(circuit.parameters)
    numbers = generator.uniform(-2, 2, len(weights))
    values = dict(zip(weights, numbers, strict=True))
    labels = [label.rjust(circuit.num_qubits, "I") for label in LABELS]
    expected = _dense(circuit, values, labels)
    initial, nothing = torch.tensor(numbers), torch.zeros(1, 0, dtype=torch.float64)
    for options in METHODS if place == 0 else METHODS[:1]:
        layer = CircuitLayer(circuit, [], weights, labels, AerExecutor(**options), initial=initial)
        found = layer(nothing)[0].detach().numpy()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9, err_msg=str(options))
    near, far = (
        np.stack([_dense(circuit, {**values, w: values[w] + step}, labels) for w in weights])
        for step in (STEP, -STEP)
    )
    slopes = (near - far) / (2 * STEP)
    cotangent = np.array([1.0, -0.6, 0.3])
    for rule in ("parameter-shift", "adjoint"):
        layer = CircuitLayer(circuit, [], weights, labels, gradient=rule, initial=initial)
        (layer(nothing)[0] @ torch.tensor(cotangent)).backward()
        np.testing.assert_allclose(layer.weight.grad, slopes @ cotangent, rtol=0, atol=2e-6)


def test_every_class_of_standard_gates_is_tested():
    """Other classes are X or a phase with many controls."""
    classes = {
        kind
        for _, kind in inspect.getmembers(lib, inspect.isclass)
        if issubclass(kind, Gate) and kind.__module__.startswith("qiskit.circuit.library.standard")
    }
    here = {*STANDARD.values(), *(type(make()) for make in MADE.values())}
    missing = {kind.__name__ for kind in classes - here}
    assert all(re.match(r"(MC|C[34]|RC)", name) for name in missing), missing
