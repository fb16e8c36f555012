"""Step cost of circuit layers, compared with the usage of the executor."""

from __future__ import annotations

import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit_aer.noise import NoiseModel, depolarizing_error

import hybridopt as ho
from hybridopt.execution import Cost, Probabilities
from hybridopt.gradients import ParameterShift, Spsa

X, W = ParameterVector("x", 3), ParameterVector("w", 4)


def circuit(*, mixed=False, inputs=True):
    """Return a circuit on three qubits; a controlled rotation takes four shifts, others two."""
    made = QuantumCircuit(3)
    for qubit in range(3):
        made.ry(X[qubit] * (W[3] if mixed and qubit == 1 else 1) if inputs else 0.2 * qubit, qubit)
    made.crx(W[0], 0, 1)
    made.rz(W[1], 1)
    made.ry(W[1] + W[2], 2)
    made.cx(1, 2)
    made.rx(W[3], 2)
    return made


def noisy():
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.01, 1), ["ry"])
    return ho.AerExecutor(shots=5, noise_model=model, seed=1)


CASES = {
    "plain": {},
    "shots": {"executor": lambda: ho.AerExecutor(shots=7, seed=1)},
    "noise": {"executor": noisy},
    "bases": {"observables": ["ZIX", "XZI", "IZZ"]},
    "probabilities": {"observables": Probabilities(qubits=(2, 0))},
    "identity": {"observables": ["III"]},
    "spsa": {"gradient": Spsa(directions=3, seed=0)},
    "adjoint": {"gradient": "adjoint"},
    "sweep": {"gradient": ParameterShift(simulate="sweep"), "observables": ["ZIX", "XZI"]},
    "mixed": {"mixed": True},
    "no inputs": {"inputs": False},
    "no inputs, shots": {"inputs": False, "executor": lambda: ho.AerExecutor(shots=7, seed=1)},
}


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("input_gradient", [False, True])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_step_cost_equals_usage(case, input_gradient, frozen, aer_calls):
    options = {"executor": ho.AerExecutor, "observables": ["IIZ", "ZII"], **case}
    shape = {key: options.pop(key) for key in ("mixed", "inputs") if key in options}
    made, inputs = circuit(**shape), X if shape.get("inputs", True) else []
    executor = options.pop("executor")()
    layer = ho.CircuitLayer(made, inputs, W, executor=executor, **options)
    layer.weight.requires_grad_(not frozen)
    cost = layer.step_cost(5, input_gradient=input_gradient)
    assert aer_calls == []
    assert executor.usage == Cost()
    x = torch.rand(5, len(inputs), dtype=torch.float64, requires_grad=input_gradient)
    outputs = layer(x)
    if outputs.requires_grad:
        outputs.sum().backward()
    assert (cost.settings, cost.shots) == (executor.usage.settings, executor.usage.shots)
    assert bool(aer_calls) == bool(executor.usage.runs)


def test_rotations_take_two_settings_and_controlled_ones_four():
    layer = ho.CircuitLayer(circuit(), X, W, ["IIZ"])
    # 1 forward; 4 + 2 + 2 + 2 shifts of shared angles; 3 * 2 of the angles of the sample
    assert layer.step_cost(1, input_gradient=False).settings == 1 + 10
    assert layer.step_cost(10).settings == 10 * (1 + 10 + 6)
    assert layer.step_cost(0).settings == 0
    with pytest.raises(ho.errors.ArgumentError, match="`batch_size`"):
        layer.step_cost(-1)
