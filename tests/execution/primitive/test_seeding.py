"""Noise of local primitives: no two calls share it, and a seed repeats it."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit.primitives import BackendSamplerV2, StatevectorEstimator, StatevectorSampler
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer import AerSimulator
from qiskit_aer.primitives import EstimatorV2 as AerEstimator
from qiskit_aer.primitives import SamplerV2 as AerSampler
from qiskit_ibm_runtime.executor_sampler import SamplerV2

import hybridopt as ho
from hybridopt.circuits import lower
from hybridopt.errors import ArgumentError
from hybridopt.execution import Expectations, Job
from tests.execution.primitive.configurations import CONFIGURATIONS, manila
from tests.execution.primitive.test_executor import W, X, circuit

SEEDED = {
    "StatevectorSampler": lambda: StatevectorSampler(seed=7),
    "StatevectorEstimator": lambda: StatevectorEstimator(seed=7),
    "BackendSamplerV2, its seed": lambda: BackendSamplerV2(
        backend=AerSimulator(), options={"seed_simulator": 7}
    ),
    "BackendSamplerV2, seed of Aer": lambda: BackendSamplerV2(
        backend=AerSimulator(seed_simulator=7)
    ),
    "Aer's SamplerV2": lambda: AerSampler(seed=7),
    "Aer's EstimatorV2": lambda: AerEstimator(options={"run_options": {"seed_simulator": 7}}),
    "runtime SamplerV2": lambda: SamplerV2(
        mode=manila(), options={"simulator": {"seed_simulator": 7}}
    ),
}


def small_job(rows: int = 3) -> Job:
    """Return a job of equal rows and of two bases, so that shared noise shows in its values."""
    program = lower(circuit(), X, W, whole=False)
    readout = Expectations((SparsePauliOp("IIZ"), SparsePauliOp("IIX"), SparsePauliOp("IZI")))
    angles = np.full((rows, program.num_row_angles), np.pi / 4)
    return Job(program, readout, angles, np.full((1, program.num_shared_angles), np.pi / 4))


def _executor(primitive, **options) -> ho.PrimitiveExecutor:
    is_sampler = "Sampler" in type(primitive).__name__
    effort = {"shots": 600} if is_sampler else {"precision": 0.04}
    return ho.PrimitiveExecutor(primitive, **effort, **options)


@pytest.mark.parametrize("name", SEEDED)
def test_a_seeded_primitive_never_repeats_its_noise(name):
    executor, again = _executor(SEEDED[name]()), _executor(SEEDED[name]())
    first, second = (executor.run(small_job()).values for _ in range(2))
    assert (first != second).any()
    assert len(np.unique(first[0, :, 0])) > 1  # nor do rows
    np.testing.assert_array_equal(first, again.run(small_job()).values)
    np.testing.assert_array_equal(second, again.run(small_job()).values)


@pytest.mark.parametrize("name", ["StatevectorSampler", "StatevectorEstimator", "Aer's SamplerV2"])
def test_the_seed_of_the_executor_and_its_position_decide(name):
    one, other, late = (_executor(SEEDED[name](), seed=seed) for seed in (1, 2, 1))
    values = [one.run(small_job()).values for _ in range(2)]
    assert (values[0] != other.run(small_job()).values).any()
    late.load_state_dict({**late.state_dict(), "calls": 1})
    np.testing.assert_array_equal(late.run(small_job()).values, values[1])
    assert one.state_dict()["calls"] == 2


def test_bases_of_a_seeded_aer_estimator_have_independent_noise():
    # its seed repeats in each pub, so that each pub is a job of its own
    executor = _executor(AerEstimator(), seed=3)
    made = lower(
        circuit().assign_parameters(
            {**dict(zip(X, (1, 2), strict=True)), **dict(zip(W, (1, 2, 3), strict=True))}
        )
    )
    readout = Expectations((SparsePauliOp("IIZ"), SparsePauliOp("IIX")))
    job = Job(made, readout, np.zeros((3, 0)), np.zeros((1, 0)))
    assert len(np.unique(executor.run(job).values)) == 6
    assert executor.usage.jobs == 3


def test_the_primitive_of_the_user_is_not_changed():
    primitives = [SEEDED[name]() for name in SEEDED]
    for primitive in primitives:
        _executor(primitive, seed=5).run(small_job(1))
    assert primitives[0].seed == primitives[4].seed == 7
    assert primitives[2].options.seed_simulator == 7
    assert primitives[5].options.run_options == {"seed_simulator": 7}
    assert primitives[6].options.simulator.seed_simulator == 7


def test_devices_with_a_limit_of_circuits_get_a_seed_per_piece():
    backend = AerSimulator()
    backend._max_circuits = 4
    type_with_limit = type("Limited", (AerSimulator,), {"max_circuits": 4})
    executor = _executor(BackendSamplerV2(backend=type_with_limit()), seed=1)
    values = executor.run(small_job(4)).values
    assert executor.usage.jobs == 2  # two rows in two bases each
    assert (values[0, :2] != values[0, 2:]).any()


def test_unknown_primitives_must_not_have_a_seed():
    class Other:
        seed = 3

        def run(self, pubs, *, shots=None):
            raise AssertionError

    with pytest.raises(ArgumentError, match="`primitive` must not have a seed"):
        ho.PrimitiveExecutor(Other(), shots=1)


def test_every_local_primitive_is_known():
    assert all(
        _executor_of(one)._client.is_local for one in CONFIGURATIONS if "older" not in one.name
    )


def _executor_of(one):
    return ho.PrimitiveExecutor(one.create(), **one.effort)
