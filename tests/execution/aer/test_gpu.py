"""Comparison of GPU and CPU; these tests need a GPU and a GPU build of Aer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from qiskit_aer.noise import NoiseModel, depolarizing_error

from hybridopt import CircuitLayer
from hybridopt.bench import ladder
from hybridopt.execution import AerExecutor, Probabilities, available_devices
from hybridopt.execution.aer.devices import gpu_memory
from tests.circuits.families import FAMILIES
from tests.execution.jobs import job_of

HAS_GPU = "GPU" in available_devices()
needs_gpu = pytest.mark.skipif(not HAS_GPU, reason="this machine has no GPU that Aer can use")
NAMES = [family.name for family in FAMILIES]
TOLERANCE = {"double": 1e-10, "single": 1e-6}


@needs_gpu
@pytest.mark.gpu
@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize("strategy", ["automatic", "stacked", "checkpoints", "table"])
@pytest.mark.parametrize("name", NAMES)
def test_outputs_equal_those_of_the_cpu(name, strategy, precision):
    for readout in (None, Probabilities()):
        job = job_of(name, 3, 4, readout=readout)
        on_gpu = AerExecutor("GPU", precision=precision, strategy=strategy).run(job).values
        expected = AerExecutor("CPU").run(job).values
        np.testing.assert_allclose(on_gpu, expected, rtol=0, atol=TOLERANCE[precision])


@needs_gpu
@pytest.mark.gpu
@pytest.mark.parametrize("rule", ["parameter-shift", "adjoint"])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_equal_those_of_the_cpu(name, rule):
    family = next(family for family in FAMILIES if family.name == name)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(3, len(family.inputs), dtype=torch.float64, generator=generator)
    start = torch.rand(len(family.weights), dtype=torch.float64, generator=generator)
    gradients = []
    for device in ("GPU", "CPU"):
        layer = CircuitLayer(
            family.circuit, family.inputs, family.weights, family.observables,
            AerExecutor(device), rule, initial=start,
        )  # fmt: skip
        point = x.clone().requires_grad_()
        layer(point).sum().backward()
        gradients.append((point.grad, layer.weight.grad))
    for on_gpu, on_cpu in zip(*gradients, strict=True):
        if on_cpu is not None:
            torch.testing.assert_close(on_gpu, on_cpu, rtol=0, atol=1e-10)


@needs_gpu
@pytest.mark.gpu
def test_shots_equal_those_of_the_cpu():
    job = job_of(NAMES[0])
    draws = [AerExecutor(device, shots=100, seed=3).run(job).values for device in ("GPU", "CPU")]
    np.testing.assert_allclose(*draws, rtol=0, atol=1e-12)


def ladder_layer(device: str, num_qubits: int) -> CircuitLayer:
    problem = ladder(num_qubits, num_qubits)
    start = torch.linspace(-2, 2, num_qubits, dtype=torch.float64)
    return CircuitLayer(
        problem.circuit, problem.inputs, problem.weights, problem.observables,
        AerExecutor(device), "adjoint", initial=start,
    )  # fmt: skip


@needs_gpu
@pytest.mark.gpu
@pytest.mark.parametrize("with_inputs", [False, True])
@pytest.mark.parametrize("num_qubits", [12, 14, 18])  # in batches, read on the GPU, fused
def test_wide_circuits_equal_those_of_the_cpu(num_qubits, with_inputs):
    found = []
    for device in ("GPU", "CPU"):
        layer = ladder_layer(device, num_qubits)
        x = torch.linspace(-1, 3, 3 * num_qubits, dtype=torch.float64).reshape(3, -1)
        x.requires_grad_(with_inputs)
        values = layer(x)
        (values**2).sum().backward()
        found.append((values.detach(), layer.weight.grad, x.grad))
    for on_gpu, on_cpu in zip(*found, strict=True):
        if on_cpu is not None:
            torch.testing.assert_close(on_gpu, on_cpu, rtol=0, atol=1e-10)


@needs_gpu
@pytest.mark.gpu
@pytest.mark.parametrize("shape", [(200, 1), (1, 200), (40, 90)])
def test_tables_of_many_rows_equal_those_of_the_cpu(shape):
    for readout in (None, Probabilities(qubits=(2, 0))):
        job = job_of("two_qubit_rotations", *shape, readout=readout)
        values = [AerExecutor(device).run(job).values for device in ("GPU", "CPU")]
        np.testing.assert_allclose(*values, rtol=0, atol=1e-10)


@needs_gpu
@pytest.mark.gpu
def test_noise_equals_that_of_the_cpu():
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.05, 2), ["cx"])
    job = job_of("pauli_rotations", 2, 2)
    exact = AerExecutor("CPU", noise_model=model).run(job).values
    on_gpu = AerExecutor("GPU", noise_model=model).run(job).values
    np.testing.assert_allclose(on_gpu, exact, rtol=0, atol=1e-10)
    shots = 4000
    options = {"method": "statevector", "shots": shots, "seed": 1, "noise_model": model}
    sampled = AerExecutor("GPU", **options).run(job)
    assert np.all(np.abs(sampled.values - exact) <= 6 * np.sqrt(sampled.variances) + 6 / shots)


@needs_gpu
@pytest.mark.gpu
def test_the_memory_limit_is_that_of_the_gpu():
    assert 0 < AerExecutor("GPU").max_memory <= gpu_memory() // 2
