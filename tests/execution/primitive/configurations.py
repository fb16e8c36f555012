"""Primitives of Qiskit, Aer and qiskit-ibm-runtime, each in a job, a session or a batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
from qiskit.primitives import (
    BackendEstimatorV2,
    BackendSamplerV2,
    StatevectorEstimator,
    StatevectorSampler,
)
from qiskit_aer import AerSimulator
from qiskit_aer.primitives import EstimatorV2 as AerEstimator
from qiskit_aer.primitives import SamplerV2 as AerSampler
from qiskit_ibm_runtime import Batch, Session
from qiskit_ibm_runtime import EstimatorV2 as OldEstimator
from qiskit_ibm_runtime import SamplerV2 as OldSampler
from qiskit_ibm_runtime.executor_estimator import EstimatorV2
from qiskit_ibm_runtime.executor_sampler import SamplerV2
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

SHOTS = 2000
PRECISION = SHOTS**-0.5
DEPRECATED = "The (Sampler|Estimator)V2 class is deprecated"


@cache
def manila() -> FakeManilaV2:
    return FakeManilaV2()


@dataclass(frozen=True)
class Configuration:
    """Primitive, and whether it has the noise of the fake device."""

    name: str
    create: Callable[[], Any]
    on_device: bool
    is_sampler: bool

    @property
    def effort(self) -> dict[str, float]:
        return {"shots": SHOTS} if self.is_sampler else {"precision": PRECISION}


def _deprecated(kind):
    with pytest.warns(DeprecationWarning, match=DEPRECATED):
        return kind(mode=manila())


def _plain_estimator():
    return EstimatorV2(mode=manila(), options={"resilience_level": 0})


SAMPLERS = {
    "StatevectorSampler": (StatevectorSampler, False),
    "BackendSamplerV2 on Aer": (lambda: BackendSamplerV2(backend=AerSimulator()), False),
    "BackendSamplerV2 on a fake": (lambda: BackendSamplerV2(backend=manila()), True),
    "Aer's SamplerV2": (AerSampler, False),
    "Aer's SamplerV2 of a fake": (lambda: AerSampler.from_backend(manila()), True),
    "runtime SamplerV2": (lambda: SamplerV2(mode=manila()), True),
    "runtime SamplerV2 in a Session": (lambda: SamplerV2(mode=Session(manila())), True),
    "runtime SamplerV2 in a Batch": (lambda: SamplerV2(mode=Batch(manila())), True),
    "older runtime SamplerV2": (lambda: _deprecated(OldSampler), True),
}
ESTIMATORS = {
    "StatevectorEstimator": (StatevectorEstimator, False),
    "BackendEstimatorV2 on Aer": (lambda: BackendEstimatorV2(backend=AerSimulator()), False),
    "BackendEstimatorV2 on a fake": (lambda: BackendEstimatorV2(backend=manila()), True),
    "Aer's EstimatorV2": (AerEstimator, False),
    "runtime EstimatorV2": (_plain_estimator, True),
    "older runtime EstimatorV2": (lambda: _deprecated(OldEstimator), True),
}
CONFIGURATIONS = [
    Configuration(name, create, on_device, is_sampler)
    for table, is_sampler in ((SAMPLERS, True), (ESTIMATORS, False))
    for name, (create, on_device) in table.items()
]
