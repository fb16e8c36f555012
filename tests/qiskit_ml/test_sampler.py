"""Sampler on an executor: probabilities, shots, registers, rejected pubs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit, transpile
from qiskit.circuit.library import QFTGate, real_amplitudes
from qiskit.primitives import StatevectorSampler
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit.quantum_info import SparsePauliOp
from qiskit_aer.noise import NoiseModel, ReadoutError
from qiskit_ibm_runtime.fake_provider import FakeBrisbane
from qiskit_machine_learning.gradients import ParamShiftSamplerGradient
from qiskit_machine_learning.neural_networks import SamplerQNN
from qiskit_machine_learning.primitives import QMLSampler

from hybridopt import AerExecutor, from_qnn
from hybridopt.errors import ArgumentError, ArgumentTypeError, ResourceError, UnsupportedError
from hybridopt.qiskit_ml import AerSampler, AerSamplerGradient
from tests.qiskit_ml.networks import measured, parity, trained, without_inputs

REGISTERS = {"b": [2], "a": [1, None, 0]}


def test_exact_results_of_registers_and_of_joined_registers():
    example, _, w = trained(without_inputs)
    circuit = measured(example.circuit, REGISTERS)
    (result,) = AerSampler(exact=True).run([(circuit, w)]).result()
    joint = example.state([], w).probabilities([2, 1, 0])

    for outcome, probability in enumerate(joint):
        b, first, second = (outcome >> place & 1 for place in range(3))
        assert result.join_data().get_counts()[f"{second}0{first}{b}"] == pytest.approx(probability)
    expected = example.state([], w).probabilities([2])
    assert result.data.b.get_probabilities() == pytest.approx(
        dict(zip("01", expected, strict=True))
    )
    assert (result.data.a.num_bits, result.data.a.shape, result.data.a.num_shots) == (3, (), None)
    swapped = result.join_data(["a", "b"])
    assert swapped.num_bits == 4
    with pytest.raises(ArgumentError, match=r"register.*c.*b, a"):
        result.join_data(["c"])


def test_arrays_of_parameter_sets():
    circuit = real_amplitudes(3, reps=1)
    circuit.measure_all()
    values = np.random.default_rng(0).uniform(-2, 2, (2, 3, 6))
    ours, none = AerSampler(exact=True).run([(circuit, values), (circuit, values[:0])]).result()
    theirs = QMLSampler().run([(circuit, values)]).result()[0]
    assert ours.data.shape == ours.data.meas.shape == (2, 3)
    assert none.data.meas.shape == (0, 3)
    for place in np.ndindex(2, 3):
        expected = theirs.data.meas[place].get_probabilities()
        assert ours.data.meas.get_probabilities(place) == pytest.approx(expected, abs=1e-12)
        assert ours.data.meas[place].get_counts() == pytest.approx(expected, abs=1e-12)
        assert ours.data.get_counts(place) == pytest.approx(expected, abs=1e-12)
    mean = ours.data.meas[1].get_probabilities()
    single = [ours.data.meas.get_probabilities((1, place))["000"] for place in range(3)]
    assert mean["000"] == pytest.approx(np.mean(single))


def test_shots_are_returned_as_bits():
    example, _, w = trained(without_inputs)
    circuit = measured(example.circuit, REGISTERS)
    shots = 2000
    (ours,) = AerSampler(AerExecutor(shots=shots, seed=1)).run([(circuit, [w, w])]).result()
    (theirs,) = StatevectorSampler(default_shots=shots, seed=1).run([(circuit, [w, w])]).result()
    assert ours.data.shape == (2,)
    assert ours.data.a.num_shots == shots
    assert ours.data.a.num_bits == theirs.data.a.num_bits == 3
    for place in range(2):
        actual, expected = (r.join_data().get_counts(place) for r in (ours, theirs))
        for key in {*actual, *expected}:  # two estimates of a probability
            distance = abs(actual.get(key, 0) - expected.get(key, 0)) / shots
            assert distance < 5 * np.sqrt(2 * 0.25 / shots)
    assert ours.join_data().get_counts(0) != ours.join_data().get_counts(1)
    assert ours.metadata["shots"] == shots
    assert ours.data.get_counts(1) == ours.join_data().get_counts(1)


def test_batch_of_a_network_is_one_job(aer_calls):
    example, x, w = trained(batch=7)
    qnn = example.network(
        SamplerQNN, interpret=parity, output_shape=2, sampler=AerSampler(exact=True)
    )
    rows = example.probabilities(x, w)
    odd = rows[:, [parity(outcome) == 1 for outcome in range(8)]].sum(1)
    np.testing.assert_allclose(qnn.forward(x, w)[:, 1], odd, atol=1e-12)
    assert len(aer_calls) == 1


@pytest.mark.parametrize("shots", [None, 3000])
def test_samples_of_a_batch_are_separate_for_any_register_name(shots):
    example, x, w = trained()
    sampler = AerSampler(AerExecutor(shots=shots, seed=1), exact=shots is None)
    circuit = measured(example.circuit, {"c": [2, 0]})
    qnn = example.network(SamplerQNN, circuit=circuit, sampler=sampler)
    expected = example.probabilities(x, w, [2, 0])
    tolerance = 1e-12 if shots is None else 5 * np.sqrt(0.25 / shots)
    np.testing.assert_allclose(qnn.forward(x, w)[:, :4], expected, atol=tolerance)


def test_networks_without_parameters():
    circuit = QuantumCircuit(3)
    circuit.h([0, 2])
    qnn = SamplerQNN(circuit=circuit, sampler=AerSampler(exact=True))
    expected = [0.25 if outcome in {0, 1, 4, 5} else 0 for outcome in range(8)]
    np.testing.assert_allclose(qnn.forward(None, None)[0], expected, atol=1e-12)


def test_gradient_of_the_library_is_one_job(aer_calls):
    example, x, w = trained(batch=3)
    given = [example.circuit.measure_all(inplace=False)] * 3, [[*sample, *w] for sample in x]
    ours = ParamShiftSamplerGradient(AerSampler(exact=True)).run(*given).result()
    assert len(aer_calls) == 1
    theirs = ParamShiftSamplerGradient(QMLSampler()).run(*given).result()
    for actual, expected in zip(ours.gradients, theirs.gradients, strict=True):
        for a, e in zip(actual, expected, strict=True):
            assert a == pytest.approx(e, abs=1e-9)


def test_instances_of_pubs():
    circuit = measured(QuantumCircuit(3), {"c": [0, 1]})
    circuit.measure_all()
    pub = SamplerPub.coerce(circuit, shots=10)
    (result,) = AerSampler(AerExecutor(shots=10)).run([pub]).result()
    assert result.data.meas.get_counts() == {"000": 10}


def test_the_nearest_shots_count():
    """Those of the pub come before those of the call, and these before the default."""
    circuit = measured(QuantumCircuit(3), {"c": [0, 1]})
    pubs = [circuit, (circuit, None, 20), SamplerPub.coerce(circuit, shots=30), (circuit, None)]
    given = [
        (AerSampler(), {}, 1024),
        (AerSampler(default_shots=50), {}, 50),
        (AerSampler(AerExecutor(shots=7)), {}, 7),
        (AerSampler(AerExecutor(shots=7), default_shots=50), {}, 50),
        (AerSampler(AerExecutor(shots=7)), {"shots": 40}, 40),
    ]
    for sampler, options, others in given:
        before = sampler.executor.usage.shots
        results = sampler.run(pubs, **options).result()
        expected = [others, 20, 30, others]
        assert [result.data.c.num_shots for result in results] == expected
        assert [result.metadata["shots"] for result in results] == expected
        assert sampler.executor.usage.shots - before == sum(expected)
        assert sampler.options.shots == sampler.default_shots
    assert AerSampler(exact=True).default_shots is None


def test_calls_and_pubs_have_their_own_noise():
    """Also equal pubs, in any grouping by circuit and shots."""
    circuit = QuantumCircuit(3)
    circuit.h([0, 1, 2])
    circuit.measure_all()
    pubs = [(one, None, shots) for one in (circuit, circuit.copy()) for shots in (5000, 6000)] * 2

    def drawn(sampler: AerSampler) -> list[dict[str, int]]:
        results = [*sampler.run(pubs).result(), *sampler.run(pubs).result()]
        return [result.data.meas.get_counts() for result in results]

    first, again = (drawn(AerSampler(AerExecutor(seed=2))) for _ in range(2))
    assert len({tuple(sorted(counts.items())) for counts in first}) == len(first) == 16
    assert first == again
    assert first != drawn(AerSampler(AerExecutor(seed=3)))


def test_shots_are_those_of_an_executor_with_shots():
    example, _, w = trained(without_inputs)
    circuit = measured(example.circuit, REGISTERS)
    drawn = [
        sampler.run([(circuit, [w, w])]).result()[0].join_data()
        for sampler in (
            AerSampler(AerExecutor(shots=300, seed=4)),
            AerSampler(AerExecutor(seed=4), default_shots=300),
        )
    ]
    np.testing.assert_array_equal(drawn[0].array, drawn[1].array)


def test_shots_of_each_qubit_have_its_probability():
    """Three noise models of measurement: the shots come from the executor."""
    circuit = QuantumCircuit(3)
    for qubit, angle in enumerate((0.4, 1.3, 2.2)):
        circuit.ry(angle, qubit)
    circuit.measure_all()
    noise = NoiseModel()
    noise.add_readout_error([[0.9, 0.1], [0.2, 0.8]], [1])
    shots = 20_000
    for options in ({}, {"noise_model": noise}, {"method": "matrix_product_state"}):
        sampler = AerSampler(AerExecutor(seed=1, **options))
        (result,) = sampler.run([circuit], shots=shots).result()
        bits = result.data.meas.to_bool_array(order="little").mean(axis=0)
        for qubit, angle in enumerate((0.4, 1.3, 2.2)):
            one = np.sin(angle / 2) ** 2
            if options.get("noise_model") is noise and qubit == 1:
                one = 0.8 * one + 0.1 * (1 - one)
            assert abs(bits[qubit] - one) < 5 * np.sqrt(one * (1 - one) / shots)


def test_algorithms_read_counts():
    """QAOA and phase estimation of qiskit-algorithms read results in this way."""
    phase, num_qubits = 5 / 16, 4
    circuit = QuantumCircuit(num_qubits + 1, num_qubits)
    circuit.h(range(num_qubits))
    circuit.x(num_qubits)
    for qubit in range(num_qubits):
        circuit.cp(2 * np.pi * phase * 2**qubit, qubit, num_qubits)
    circuit.append(QFTGate(num_qubits).inverse(), range(num_qubits))
    circuit.measure(range(num_qubits), range(num_qubits))
    bits = AerSampler().run([circuit]).result()[0].data["c"]
    assert bits.get_int_counts() == {5: 1024}
    assert bits.get_bitstrings()[:2] == ["0101"] * 2
    observable = SparsePauliOp.from_list([("IIIZ", 0.5), ("ZIII", 2.0)])
    assert bits.expectation_values(observable) == pytest.approx(1.5)


@pytest.mark.wrong_types
def test_bad_arguments(aer_calls):
    circuit = measured(QuantumCircuit(3), {"c": [0, 1]})
    with pytest.raises(ArgumentError, match=r"`shots`.*exact.*100"):
        AerSampler(exact=True).run([circuit], shots=100)
    for pub in ((circuit, None, 10), SamplerPub.coerce(circuit, shots=10)):
        with pytest.raises(ArgumentError, match=r"`shots`.*exact.*10"):
            AerSampler(exact=True).run([pub])
    with pytest.raises(ArgumentError, match=r"`executor`.*exact.*10"):
        AerSampler(AerExecutor(shots=10), exact=True)
    with pytest.raises(ArgumentError, match=r"`default_shots`.*exact.*10"):
        AerSampler(default_shots=10, exact=True)
    with pytest.raises(ArgumentError, match=r"`shots`.*0"):
        AerSampler().run([circuit], shots=0)
    with pytest.raises(ArgumentTypeError, match=r"`shots`.*1\.5"):
        AerSampler().run([circuit], shots=1.5)
    with pytest.raises(ArgumentTypeError, match="exact"):
        AerSampler(exact=1)
    with pytest.raises(ArgumentTypeError, match="executor"):
        AerSampler("aer")
    with pytest.raises(ResourceError, match=r"`shots` .*0\.001 GB.*1000000 shots"):
        AerSampler(AerExecutor(max_memory=10**6)).run([circuit], shots=10**6)
    assert aer_calls == []
    (result,) = AerSampler(default_shots=np.int64(30)).run([circuit], shots=np.int64(40)).result()
    assert result.data.c.num_shots == 40


def test_measured_idle_qubits_of_a_large_device_are_not_simulated():
    example, x, w = trained(batch=2)
    circuit = transpile(example.circuit, FakeBrisbane(), seed_transpiler=0)
    plug_ins = {"sampler": AerSampler(exact=True), "gradient": AerSamplerGradient()}
    qnn = example.network(SamplerQNN, circuit=circuit, **plug_ins)
    expected = example.network(SamplerQNN, sampler=AerSampler(exact=True)).forward(x, w)
    np.testing.assert_allclose(qnn.forward(x, w), expected, rtol=0, atol=1e-12)
    layer = from_qnn(qnn, initial=torch.from_numpy(w))
    found = layer(torch.from_numpy(x))
    assert layer.num_qubits == 3
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=0, atol=1e-12)
    (slopes,) = torch.autograd.grad(found[0, 5], layer.weight)
    np.testing.assert_allclose(qnn.backward(x, w)[1][0, 5], slopes, rtol=0, atol=1e-12)


def test_corrected_probabilities_are_not_sampled():
    noise = NoiseModel()
    noise.add_all_qubit_readout_error(ReadoutError([[0.9, 0.1], [0.2, 0.8]]))
    executor = AerExecutor(noise_model=noise, readout_mitigation="inverse")
    for exact in (True, False):
        with pytest.raises(UnsupportedError, match=r"`readout_mitigation` of `executor`"):
            AerSampler(executor, exact=exact)
