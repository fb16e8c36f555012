"""Selection of strategies, their explanations, and memory limits."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer.noise import NoiseModel, depolarizing_error

from hybridopt.bridges.memory.circuit import MemoryProgram
from hybridopt.circuits import CircuitProgram, lower
from hybridopt.errors import ResourceError, UnsupportedError
from hybridopt.execution import AerExecutor, Cost, Expectations, Job, Probabilities
from hybridopt.execution.aer import strategy_selection
from hybridopt.execution.aer.in_place import circuit
from tests.execution.jobs import job_of


def wide_job(num_qubits: int, num_rows: int = 1, num_shared: int = 2) -> Job:
    """Return a chain of RY and CX, read in Z and X on all qubits."""
    w = ParameterVector("w", num_qubits)
    circuit = QuantumCircuit(num_qubits)
    for qubit in range(num_qubits):
        circuit.ry(w[qubit], qubit)
    for qubit in range(num_qubits - 1):
        circuit.cx(qubit, qubit + 1)
    program = lower(circuit, (), list(w))
    readout = Expectations((SparsePauliOp("Z" * num_qubits), SparsePauliOp("X" * num_qubits)))
    shared = np.random.default_rng(1).uniform(-1, 1, (num_shared, num_qubits))
    return Job(program, readout, np.zeros((num_rows, 0)), shared)


def noisy() -> NoiseModel:
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.01, 2), "cx")
    return model


CASES = [
    ({}, "Strategy in-place: 3 samples side by side .* no job is submitted .* Why: it is faster"),
    ({"strategy": "in-place"}, "Strategy in-place: 3 samples side by side .* Why: given by"),
    ({"strategy": "stacked"}, "Strategy stacked: 3 samples side by side"),
    ({"strategy": "table"}, "Strategy table: .* Why: given by"),
    ({"strategy": "checkpoints"}, "Strategy checkpoints: .* Why: given by"),
    ({"method": "density_matrix"}, "Aer density_matrix .* Strategy table"),
    ({"method": "matrix_product_state"}, "Aer matrix_product_state .* Strategy table"),
    ({"shots": 20}, "20 shots per setting"),
    ({"precision": "single"}, "single precision.* Strategy stacked"),
    ({"noise_model": noisy()}, "NoiseModel on device qubits 0, 1, 2, .* gates .*Strategy table"),
    ({"noise_model": noisy(), "shots": 9, "method": "statevector"}, "Strategy measured"),
]


@pytest.mark.parametrize(("options", "text"), CASES, ids=range(len(CASES)))
def test_explanations(options, text, aer_calls):
    job = job_of("controlled_rotations", whole="noise_model" not in options)
    found = AerExecutor(**options).explain(job)
    assert re.search(text, found), found
    settings = 3 * 2 * len(job.readout.settings(job.program))
    assert found.startswith(f"{settings} settings of 3 qubits on Aer")
    assert aer_calls == []


@pytest.mark.parametrize(
    ("sizes", "cores", "name"),  # qubits, samples, rows of angles
    [
        ((15, 1, 1), 2, "in-place"),
        ((16, 1, 1), 2, "stacked"),
        ((10, 32, 1), 2, "in-place"),
        ((10, 33, 1), 2, "stacked"),
        ((10, 16, 16), 2, "in-place"),
        ((10, 16, 17), 2, "stacked"),
        ((14, 1, 60), 2, "checkpoints"),
        ((14, 1, 60), 1, "in-place"),
        ((20, 1, 1), 1, "in-place"),
        ((21, 1, 1), 1, "stacked"),
    ],
)
def test_sizes_of_states_in_place(sizes, cores, name, monkeypatch):
    monkeypatch.setattr(circuit, "usable_threads", lambda: cores)
    job = wide_job(*sizes)
    options = {"max_memory": "60 GB"}
    assert f"Strategy {name}:" in AerExecutor(**options).explain(job)
    assert "Strategy in-place:" in AerExecutor(**options, strategy="in-place").explain(job)


def test_smaller_tables_of_shifts_use_checkpoints(monkeypatch):
    monkeypatch.setattr(strategy_selection, "is_available", lambda: False)
    table = wide_job(10, num_rows=2, num_shared=60)
    shared = np.tile(table.shared[0], (60, 1))
    shared[np.arange(60), np.arange(60) // 6] += np.linspace(-3, 3, 60)
    shifts = Job(table.program, table.readout, table.rows, shared)
    assert "Strategy stacked" in AerExecutor().explain(table)
    assert "differ in one angle" in AerExecutor().explain(shifts)


@pytest.mark.parametrize("strategy", ["automatic", "in-place"])
def test_circuits_of_aer_are_the_fallback(strategy, monkeypatch):
    small = wide_job(4, num_shared=60)
    assert "Strategy in-place:" in AerExecutor(strategy=strategy).explain(small)
    monkeypatch.setattr(strategy_selection, "is_available", lambda: False)
    assert "Strategy stacked:" in AerExecutor(strategy=strategy).explain(small)


def test_programs_with_own_circuits_run_one_by_one():
    job = Job(MemoryProgram(3), Probabilities(), np.zeros((1, 0)), np.ones((2, 8)))
    assert "Strategy one-by-one" in AerExecutor().explain(job)


@pytest.mark.parametrize("synthesis", ["multiplexer", "gates"])
def test_programs_with_own_circuits_raise_with_noise(synthesis, aer_calls):
    executor = AerExecutor(noise_model=NoiseModel())
    with pytest.raises(UnsupportedError, match="synthesis"):
        executor.check(MemoryProgram(3, synthesis), Probabilities())
    assert aer_calls == []


@pytest.mark.parametrize("method", ["density_matrix", "matrix_product_state"])
def test_multiplexer_needs_state_vectors_and_gates_do_not(method, aer_calls):
    executor = AerExecutor(method=method)
    with pytest.raises(UnsupportedError, match=f"`method` .*{method}"):
        executor.check(MemoryProgram(3), Probabilities())
    theta = np.random.default_rng(1).uniform(-np.pi, np.pi, (2, 8))
    job = Job(MemoryProgram(3, "gates"), Probabilities(), np.zeros((1, 0)), theta)
    assert f"on Aer {method}" in executor.explain(job)
    assert aer_calls == []
    expected = np.concatenate([np.cos(theta / 2) ** 2, np.sin(theta / 2) ** 2], axis=1) / 8
    np.testing.assert_allclose(executor.run(job).values[:, 0], expected, rtol=0, atol=1e-9)


def test_too_large_density_matrix_of_a_program_raises():
    executor = AerExecutor(method="density_matrix", max_memory=100_000)
    with pytest.raises(ResourceError, match=r"7 qubits.* density_matrix"):
        executor.check(MemoryProgram(6, "gates"), Probabilities())


def test_wide_matrix_product_states_are_read_by_aer():
    job = wide_job(24, num_rows=2)
    executor = AerExecutor(method="matrix_product_state")
    assert "Strategy saved-expectations" in executor.explain(job)
    result = executor.run(job).values
    # the chain of CX turns <Z...Z> into Z on qubits at even distance from the end
    lengths = np.cos(job.shared)
    kept = [q for q in range(24) if (23 - q) % 2 == 0]
    expected = lengths[:, kept].prod(axis=1)
    np.testing.assert_allclose(result[:, :, 0], np.repeat(expected[:, None], 2, 1), atol=1e-7)
    assert executor.usage == Cost(settings=8, runs=executor.usage.runs)
    sampled = AerExecutor(method="matrix_product_state", shots=400, seed=1)
    assert "Strategy measured" in sampled.explain(job)
    estimate = sampled.run(job).values
    assert np.abs(estimate[:, :, 0] - expected[:, None]).max() <= 5 / np.sqrt(400)
    assert sampled.usage == Cost(settings=8, shots=3200, runs=8)


def product(num_qubits: int) -> tuple[CircuitProgram, np.ndarray]:
    """Return a product state, and the probability of 1 per qubit."""
    angles = np.random.default_rng(3).uniform(0.3, 2.8, num_qubits)
    circuit = QuantumCircuit(num_qubits)
    for qubit, angle in enumerate(angles):
        circuit.ry(angle, qubit)
    return lower(circuit), np.sin(angles / 2) ** 2


@pytest.mark.parametrize(
    ("num_qubits", "qubits", "given"),
    [
        (40, (2, 39, 0), tuple((qubit, qubit % 2) for qubit in range(3, 21))),
        (21, None, ()),
    ],
)
def test_probabilities_of_wide_matrix_product_states(num_qubits, qubits, given):
    program, ones = product(num_qubits)
    job = Job(program, Probabilities(qubits, given), np.zeros((1, 0)), np.zeros((1, 0)))
    executor = AerExecutor(method="matrix_product_state")
    assert "Strategy table" in executor.explain(job)
    (values,) = executor.run(job).values[0]
    expected = np.ones(1)
    for qubit in range(num_qubits) if qubits is None else qubits:
        expected = np.kron([1 - ones[qubit], ones[qubit]], expected)
    np.testing.assert_allclose(values, expected, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("shots", [None, 100])
@pytest.mark.parametrize(
    ("readout", "named"),
    [
        (Probabilities((0,), tuple((k, 0) for k in range(1, 40))), "40 qubits, 39 of them"),
        (Probabilities(tuple(range(12))), "12 qubits"),
        (Probabilities(), "40 qubits"),
    ],
)
def test_too_many_probabilities_raise(shots, readout, named, aer_calls):
    program, _ = product(40)
    job = Job(program, readout, np.zeros((1, 0)), np.zeros((1, 0)))
    executor = AerExecutor(method="matrix_product_state", shots=shots, max_memory=200 << 10)
    for refuses in (executor.run, executor.explain):
        with pytest.raises(ResourceError, match=f"{named}.*`max_memory`.*9"):
            refuses(job)
    assert aer_calls == []
    assert (
        executor.run(replace(job, readout=Probabilities(tuple(range(9))))).values.shape[-1] == 512
    )


@pytest.mark.parametrize("method", ["statevector", "density_matrix", "matrix_product_state"])
def test_multiples_of_the_identity_are_explained(method, aer_calls):
    readout = Expectations((SparsePauliOp("III", 2.0),))
    job = Job(product(3)[0], readout, np.zeros((2, 0)), np.zeros((1, 0)))
    text = AerExecutor(method=method).explain(job)
    assert text.startswith(f"0 settings of 3 qubits on Aer {method}")
    assert aer_calls == []


def test_explanations_use_the_singular():
    job = Job(product(1)[0], Probabilities(), np.zeros((1, 0)), np.zeros((1, 0)))
    text = AerExecutor(shots=1).explain(job)
    assert text.startswith("1 setting of 1 qubit on Aer statevector")
    assert "1 shot per setting. Strategy in-place: 1 sample per run" in text
    assert "checkpoints: 1 sample per run" in AerExecutor(strategy="checkpoints").explain(job)


def test_memory_for_no_qubit_raises():
    job = Job(product(1)[0], Probabilities(), np.zeros((1, 0)), np.zeros((1, 0)))
    with pytest.raises(ResourceError, match=r"1 qubit,.* `max_memory`"):
        AerExecutor(max_memory=1).run(job)


FITTING = [
    ({}, 9, 80 << 8, "statevector .*8 fit"),
    ({"method": "density_matrix"}, 5, 80 << 8, "density_matrix .*4 fit"),
    ({"noise_model": noisy()}, 5, 80 << 8, "density_matrix .*4 fit.*`shots`"),
]


@pytest.mark.parametrize(("options", "qubits", "memory", "named"), FITTING, ids=range(3))
def test_too_many_qubits_raise_with_the_largest_number(options, qubits, memory, named, aer_calls):
    job = wide_job(qubits)
    executor = AerExecutor(**options, max_memory=memory)
    with pytest.raises(ResourceError, match=f"{qubits} qubits, .*{named}"):
        executor.run(job)
    assert aer_calls == []
    assert executor.usage == Cost()
    fitting = {9: 8, 5: 4}[qubits]
    assert np.isfinite(executor.run(wide_job(fitting)).values).all()


@pytest.mark.parametrize(("shots", "margin"), [(None, 1e-9), (4000, 5 / math.sqrt(4000))])
def test_expectation_values_of_wide_matrix_product_states(shots, margin):
    qubits = 70  # outcomes of Aer have 64 bits
    w = ParameterVector("w", qubits)
    circuit = QuantumCircuit(qubits)
    for qubit in range(qubits):
        circuit.ry(w[qubit], qubit)
    strings = ("Z" * qubits, "Z" + "I" * (qubits - 2) + "Z", "X" + "I" * (qubits - 1))
    readout = Expectations(tuple(map(SparsePauliOp, strings)))
    angles = np.random.default_rng(2).uniform(-0.2, 0.2, (1, qubits))
    executor = AerExecutor(method="matrix_product_state", shots=shots, seed=1)
    actual = executor.run(
        Job(lower(circuit, (), list(w)), readout, np.zeros((1, 0)), angles)
    ).values
    cosines = np.cos(angles[0])
    expected = [np.prod(cosines), cosines[0] * cosines[-1], np.sin(angles[0, -1])]
    np.testing.assert_allclose(actual[0, 0], expected, rtol=0, atol=margin)


def test_probabilities_of_more_than_63_qubits_raise(aer_calls):
    job = replace(wide_job(64), readout=Probabilities((0, 1)))
    with pytest.raises(ResourceError, match=r"64 qubits, .*63 fit"):
        AerExecutor(method="matrix_product_state").run(job)
    assert aer_calls == []


def test_too_large_results_raise_before_a_run(aer_calls):
    job = job_of("pauli_rotations", 50, 50, readout=Probabilities())
    with pytest.raises(ResourceError, match=r"`max_memory` .*\(50, 50, 8\)"):
        AerExecutor(max_memory=10_000).run(job)
    assert aer_calls == []
