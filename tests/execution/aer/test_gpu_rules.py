"""Circuits, options, stacks and choices for a GPU, tested without one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.quantum_info import Operator, SparsePauliOp, Statevector

from hybridopt import CircuitLayer, load_circuit
from hybridopt.circuits import lower
from hybridopt.execution import AerExecutor, Expectations, Job, Probabilities
from hybridopt.execution.aer import adjoint
from hybridopt.execution.aer.adjoint_circuits import difference_of
from hybridopt.execution.aer.gpu import (
    gpu_options,
    runs_in_batches,
    with_probabilities,
    with_saved_states,
)
from hybridopt.execution.aer.strategies import on_gpu
from hybridopt.execution.aer.strategies.cut import cut
from hybridopt.execution.memory_budget import AMPLITUDES_PER_RUN_ON_A_GPU, Limits
from hybridopt.execution.readout import expectations
from tests.circuits.families import FAMILIES
from tests.execution.jobs import dense, job_of
from tests.nn.test_amplitudes import CIRCUIT, INPUTS

NAMES = [family.name for family in FAMILIES]
KINDS = ("pauli_rotations", "controlled_rotations", "exchanges", "no_inputs", "no_weights")
ON_GPU = Limits(1 << 40, on_gpu=True)


@pytest.mark.parametrize("name", NAMES)
def test_expectation_values_equal_dense_ones(name, fake_gpu):
    job = job_of(name, 3, 4)
    executor = AerExecutor("GPU")
    np.testing.assert_allclose(executor.run(job).values, dense(job), rtol=0, atol=1e-12)
    assert executor.usage.settings == 12 * len(job.readout.settings(job.program))


@pytest.mark.parametrize("strategy", ["automatic", "stacked", "checkpoints", "table"])
@pytest.mark.parametrize("name", ["exchanges", "repeated_parameters"])
def test_all_strategies_equal_dense_values(name, strategy, fake_gpu):
    for one in (None, Probabilities(), Probabilities(qubits=(1, 0))):
        job = job_of(name, 3, 4, readout=one)
        executor = AerExecutor("GPU", strategy=strategy)
        np.testing.assert_allclose(executor.run(job).values, dense(job), rtol=0, atol=1e-12)
        assert executor.usage.settings == 12 * len(job.readout.settings(job.program))
    assert {options["device"] for options in fake_gpu.made_with} == {"GPU"}


@pytest.mark.parametrize("narrow", [0, 13])  # qubits from which states of layers are not copied
@pytest.mark.parametrize("name", KINDS)
def test_adjoint_gradients_equal_those_of_the_cpu(name, narrow, fake_gpu, monkeypatch):
    monkeypatch.setattr(adjoint, "QUBITS_WITHOUT_COPIES", narrow)
    family = next(family for family in FAMILIES if family.name == name)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(5, len(family.inputs), dtype=torch.float64, generator=generator)
    start = torch.rand(len(family.weights), dtype=torch.float64, generator=generator)
    for with_inputs in (False, True):
        results = []
        for device in ("GPU", "CPU"):
            layer = CircuitLayer(
                family.circuit, family.inputs, family.weights, family.observables,
                AerExecutor(device), "adjoint", initial=start,
            )  # fmt: skip
            point = x.clone().requires_grad_(with_inputs)
            values = layer(point)
            (values * torch.arange(1, 1 + values.numel()).reshape(values.shape)).sum().backward()
            results.append((values.detach(), point.grad, layer.weight.grad, layer.executor.usage))
        for gpu, cpu in zip(results[0][:3], results[1][:3], strict=True):
            if cpu is not None:
                torch.testing.assert_close(gpu, cpu, rtol=0, atol=1e-11)
        assert results[0][3].settings == results[1][3].settings


@pytest.mark.parametrize("narrow", [0, 13])
def test_several_cotangents_equal_those_of_the_cpu(narrow, fake_gpu, monkeypatch):
    monkeypatch.setattr(adjoint, "QUBITS_WITHOUT_COPIES", narrow)
    job, found = job_of("controlled_rotations", 2, 3), []
    for device in ("GPU", "CPU"):
        record = AerExecutor(device).adjoint(job.program, job.readout, (True, True))
        shape = record.values(job.rows, job.shared).shape
        cotangents = np.random.default_rng(0).normal(size=(4, *shape))
        found.append(record.vjps(job.rows, job.shared, cotangents))
    for gpu, cpu in zip(*found, strict=True):
        np.testing.assert_allclose(gpu, cpu, rtol=0, atol=1e-11)


def test_gradients_of_amplitudes_equal_those_of_the_cpu(fake_gpu):
    weights = sorted(set(CIRCUIT.parameters) - set(INPUTS), key=lambda p: p.name)
    gradients = []
    for device in ("GPU", "CPU"):
        x = torch.linspace(0.1, 1.7, 2 * len(INPUTS), dtype=torch.float64).reshape(2, -1)
        layer = CircuitLayer(
            CIRCUIT, INPUTS, weights, executor=AerExecutor(device), gradient="adjoint",
            initial=torch.linspace(-1, 1, len(weights), dtype=torch.float64),
        )  # fmt: skip
        samples = (x / x[:, :8].norm(dim=1, keepdim=True)).requires_grad_()
        (layer(samples) ** 2).sum().backward()
        gradients.append((samples.grad, layer.weight.grad))
    for gpu, cpu in zip(*gradients, strict=True):
        torch.testing.assert_close(gpu, cpu, rtol=0, atol=1e-12)
    assert len(fake_gpu.circuits) >= 2


def test_derivatives_of_weights_copy_no_state_of_a_layer(fake_gpu):
    layer = CircuitLayer(
        *load_circuit("strongly_entangling"), executor=AerExecutor("GPU"), gradient="adjoint"
    )
    layer(torch.rand(3, layer.in_features)).sum().backward()
    forward, backward = fake_gpu.circuits  # the final state is kept from the forward pass
    saved = [item.name for item in forward.data if item.name.startswith("save_")]
    assert saved == ["save_statevector"]
    counts = backward.count_ops()
    assert counts["save_expval"] == layer.weight.numel()
    assert "save_statevector" not in counts
    assert "save_probabilities" not in counts


def test_a_difference_is_minus_z_times_the_diagonal():
    eigenvalues = np.array([0.3, -1.0, 2.5, 0.0])
    expected = np.concatenate([-eigenvalues, eigenvalues])
    np.testing.assert_allclose(
        Operator(difference_of(eigenvalues)).data, np.diag(expected), rtol=0, atol=1e-15
    )


def test_a_gradient_of_shifted_rows_is_one_table_in_batches(fake_gpu):
    job = job_of("two_qubit_rotations", 3, 9)
    AerExecutor("GPU").run(job)
    (circuit,), (options,) = fake_gpu.circuits, fake_gpu.options
    assert fake_gpu.saved() == {"save_expval"}
    assert runs_in_batches(circuit)
    (binds,) = options["parameter_binds"]
    assert {len(values) for values in binds.values()} == {27}
    assert options["batched_shots_gpu"] is True
    assert options["batched_shots_gpu_max_qubits"] == 16
    assert options["runtime_parameter_bind_enable"] is True


@pytest.mark.parametrize("name", NAMES)
def test_circuits_for_expectation_values_run_in_batches(name):
    job = job_of(name)
    assert runs_in_batches(on_gpu.gpu_circuit(job.program, job.readout).circuit)


@pytest.mark.parametrize("gate", ["rxx", "ryy", "rzz", "rzx"])
def test_rotations_on_two_qubits_are_not_bound_in_a_batch(gate):
    circuit = QuantumCircuit(3)
    getattr(circuit, gate)(0.3, 0, 1)
    assert runs_in_batches(circuit)  # a fixed angle needs no binding
    getattr(circuit, gate)(Parameter("a"), 2, 1)
    assert not runs_in_batches(circuit)
    assert gpu_options([circuit])["batched_shots_gpu_max_qubits"] == 0
    assert gpu_options([circuit, QuantumCircuit(2)])["batched_shots_gpu"] is False
    rotated = lower(circuit, (), list(circuit.parameters))
    string = Expectations((SparsePauliOp("XYZ"),))
    job = Job(rotated, string, np.zeros((1, 0)), np.array([[0.7], [1.9]]))
    made = on_gpu.gpu_circuit(rotated, string)
    for angle in job.shared:
        bound = made.circuit.copy()
        bound.data = [item for item in bound.data if not item.name.startswith("save_")]
        bound.assign_parameters({p: angle[r.angle] for p, r in made.angles.items()}, inplace=True)
        expected = Operator(circuit.assign_parameters(angle)).data
        np.testing.assert_allclose(Operator(bound).data, expected, rtol=0, atol=1e-14)


def test_a_first_state_is_not_set_in_a_batch(fake_gpu):
    job = job_of("exchanges", 3, 4, like_a_shift=True)
    AerExecutor("GPU", strategy="checkpoints").run(job)
    starts = [
        options
        for circuit, options in zip(fake_gpu.circuits, fake_gpu.options, strict=True)
        if "set_statevector" in circuit.count_ops()
    ]
    assert starts
    assert all(options["batched_shots_gpu_max_qubits"] == 0 for options in starts)


@pytest.mark.parametrize("num_qubits", [3, 16, 17, 20])
def test_gates_are_fused_only_in_wide_states(num_qubits):
    options = gpu_options([QuantumCircuit(num_qubits)])
    assert options["fusion_enable"] == (num_qubits > 16)
    assert options["max_parallel_experiments"] == 1
    assert options["target_gpus"] == [0]
    assert options["batched_shots_gpu"] == (num_qubits <= 16)


def test_probabilities_of_many_outcomes_are_read_from_one_copy():
    circuit = QuantumCircuit(14)
    circuit.h(range(0, 14, 2))
    circuit.ry(0.7, 3)
    circuit.save_probabilities([3, 0], label="few")
    circuit.save_probabilities([5, 3, 0, 1], label="many")
    changed, reads = with_saved_states(circuit)
    assert reads == {"many": (5, 3, 0, 1)}
    assert changed.count_ops()["save_probabilities"] == 1
    plain = circuit.copy()
    plain.data = [item for item in plain.data if not item.name.startswith("save_")]
    state = Statevector(plain)
    data = with_probabilities({"few": [1.0], "many": state.data}, reads)
    assert data["few"] == [1.0]
    expected = state.probabilities([5, 3, 0, 1])
    np.testing.assert_allclose(data["many"], expected, rtol=0, atol=1e-14)


def test_circuits_without_probabilities_are_unchanged():
    circuit = QuantumCircuit(2)
    circuit.save_statevector()
    assert with_saved_states(circuit) == (circuit, {})


@pytest.mark.parametrize("num_qubits", [4, 12, 20, 24, 26])
@pytest.mark.parametrize("shape", [(1, 1), (1, 10**7), (7, 3), (300, 5000), (5000, 1)])
def test_stacks_have_up_to_2_24_amplitudes(num_qubits, shape):
    found = cut(shape, num_qubits, 1, ON_GPU, 1)
    assert found.stacks == 1
    width = found.samples << (num_qubits + found.table_bits)
    assert width <= max(AMPLITUDES_PER_RUN_ON_A_GPU, 1 << num_qubits)
    if np.prod(shape) << num_qubits > 1 << 34 and num_qubits < 24:
        assert width == AMPLITUDES_PER_RUN_ON_A_GPU
    assert cut(shape, num_qubits, 1, Limits(10**6, on_gpu=True), 1).samples >= 1


CHOICES = [
    ({}, None, "gpu-expectations", "only expectation values leave the GPU"),
    ({"shots": 10}, None, "stacked", "one wide state is faster on a GPU"),
    ({}, Probabilities(), "stacked", "one wide state is faster on a GPU"),
    ({"strategy": "table"}, None, "table", "given by `strategy`"),
    ({"strategy": "in-place"}, None, "gpu-expectations", "only expectation values"),
    ({"method": "density_matrix"}, None, "table", "stacks and checkpoints need state vectors"),
]


@pytest.mark.parametrize(("options", "read", "strategy", "reason"), CHOICES)
def test_choice(options, read, strategy, reason, fake_gpu):
    text = AerExecutor("GPU", **options).explain(job_of(NAMES[0], readout=read))
    assert f"Strategy {strategy}:" in text
    assert "(GPU, double precision)" in text
    assert f"Why: {reason}" in text


def test_very_many_narrow_runs_are_side_by_side(fake_gpu, monkeypatch):
    monkeypatch.setattr(on_gpu, "ROWS_PER_CALL", 11)
    job = job_of("controlled_u", 3, 4)
    executor = AerExecutor("GPU")
    assert "Strategy stacked" in executor.explain(job)
    np.testing.assert_allclose(executor.run(job).values, dense(job), rtol=0, atol=1e-12)
    monkeypatch.setattr(on_gpu, "QUBITS_OF_WIDE_RUNS", 3)
    assert "Strategy gpu-expectations" in executor.explain(job)
    np.testing.assert_allclose(executor.run(job).values, dense(job), rtol=0, atol=1e-12)
    assert executor.usage.runs == 1 + 12


def test_many_strings_are_read_from_states(fake_gpu, monkeypatch):
    monkeypatch.setattr(on_gpu, "STRINGS_ON_THE_GPU", 1)
    job = job_of("controlled_u", 3, 4)
    executor = AerExecutor("GPU")
    assert "Strategy stacked" in executor.explain(job)
    np.testing.assert_allclose(executor.run(job).values, dense(job), rtol=0, atol=1e-12)
    monkeypatch.setattr(expectations, "STRINGS_WORTH_A_STATE", 1)
    assert "Strategy saved-states" in executor.explain(job)
    np.testing.assert_allclose(executor.run(job).values, dense(job), rtol=0, atol=1e-12)


def test_shots_are_those_of_the_cpu(fake_gpu):
    job = job_of("controlled_u", 3, 4)
    draws = [AerExecutor(device, shots=100, seed=3).run(job).values for device in ("GPU", "CPU")]
    np.testing.assert_array_equal(*draws)


@pytest.mark.parametrize("memory", [3000, 10**4, 10**6])
def test_jobs_run_in_parts_that_fit(memory, fake_gpu):
    job = job_of("exchanges", 5, 6)
    values = AerExecutor("GPU", max_memory=memory).run(job).values
    np.testing.assert_allclose(values, dense(job), rtol=0, atol=1e-12)
    for circuit, options in zip(fake_gpu.circuits, fake_gpu.options, strict=True):
        (binds,) = options["parameter_binds"]
        runs = len(next(iter(binds.values())))
        assert 16 * runs << circuit.num_qubits <= memory


def test_single_precision_is_passed_on(fake_gpu):
    job = job_of("controlled_u", 3, 4)
    values = AerExecutor("GPU", precision="single").run(job).values
    assert fake_gpu.made_with[-1]["precision"] == "single"
    np.testing.assert_allclose(values, dense(job), rtol=0, atol=1e-5)
