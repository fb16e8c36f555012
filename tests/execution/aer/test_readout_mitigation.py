"""Corrected readout errors compared with the same noise without readout errors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.transpiler import InstructionProperties
from qiskit_aer.noise import NoiseModel, ReadoutError, depolarizing_error

from hybridopt import AerExecutor, CircuitLayer

X, W = ParameterVector("x", 2), ParameterVector("w", 3)
INPUTS = torch.tensor([[0.3, 0.9], [-0.7, 0.4]], dtype=torch.float64)
WEIGHTS = torch.tensor([0.8, -0.5, 1.1], dtype=torch.float64)
LABELS = ["XIZ", "IXY", "YYX", "IIZ", "ZZI"]  # several groups
ERRORS = {0: (0.1, 0.25), 1: (0.05, 0.02), 2: (0.0, 0.15)}
MATRICES = [np.array([[1 - a, a], [b, 1 - b]]) for a, b in ERRORS.values()]


def circuit() -> QuantumCircuit:
    result = QuantumCircuit(3)
    for qubit in range(3):
        result.ry(W[qubit], qubit)
    result.cx(0, 1)
    result.rx(X[0], 1)
    result.cx(1, 2)
    result.rx(X[1], 2)
    return result


def model(readout: bool = True) -> NoiseModel:
    result = NoiseModel(basis_gates=["rx", "ry", "rz", "cx", "h", "sdg"])
    result.add_all_qubit_quantum_error(depolarizing_error(0.03, 1), ["rx", "ry", "h"])
    result.add_all_qubit_quantum_error(depolarizing_error(0.05, 2), "cx")
    if readout:
        result.add_all_qubit_readout_error(ReadoutError(MATRICES[0]))
        for qubit in (1, 2):
            result.add_readout_error(ReadoutError(MATRICES[qubit]), [qubit])
    return result


def device(readout: bool = True) -> GenericBackendV2:
    """Return a device on which qubit 4 has no readout error."""
    result = GenericBackendV2(5, seed=1)
    for qubit in range(5):
        error = 0.03 * qubit + 0.01 if readout and qubit != 4 else 0.0
        properties = InstructionProperties(duration=1e-6, error=error)
        result.target.update_instruction_properties("measure", (qubit,), properties)
    return result


SOURCES = {
    "model": (model, {}),
    "device": (device, {}),
    "layout": (device, {"layout": [3, 4, 1]}),
}


def layer_with(executor: AerExecutor, observables=LABELS) -> CircuitLayer:
    return CircuitLayer(circuit(), X, W, observables, executor, initial=WEIGHTS)


def values_and_slopes(executor: AerExecutor, observables) -> list[torch.Tensor]:
    layer, inputs = layer_with(executor, observables), INPUTS.clone().requires_grad_()
    values = layer(inputs)
    weights = torch.linspace(1, 2, values.numel(), dtype=values.dtype).reshape(values.shape)
    (values * weights).sum().backward()
    return [values.detach(), layer.weight.grad, inputs.grad]


@pytest.mark.parametrize("observables", [LABELS, None], ids=["expectations", "probabilities"])
@pytest.mark.parametrize("source", SOURCES)
def test_exact_values_and_gradients_equal_those_without_readout_errors(source, observables):
    noise, options = SOURCES[source]
    mitigated = AerExecutor(noise_model=noise(), readout_mitigation="inverse", **options)
    ideal = AerExecutor(noise_model=noise(readout=False), **options)
    raw = AerExecutor(noise_model=noise(), **options)
    expected = values_and_slopes(ideal, observables)
    for found, wanted in zip(values_and_slopes(mitigated, observables), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
    assert (values_and_slopes(raw, observables)[0] - expected[0]).abs().max() > 0.01
