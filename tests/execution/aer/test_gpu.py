"""Comparison of GPU and CPU; these tests need a GPU and a GPU build of Aer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hybridopt import CircuitLayer
from hybridopt.execution import AerExecutor, Probabilities, available_devices
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
