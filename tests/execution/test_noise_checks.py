"""Checks of noise, devices and layouts before a run."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter
from qiskit.circuit.library import CSwapGate, UnitaryGate
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import InstructionProperties, generate_preset_pass_manager
from qiskit_aer import AerSimulator
from qiskit_aer.noise import LocalNoisePass, NoiseModel, ReadoutError, depolarizing_error
from qiskit_ibm_runtime.fake_provider import FakeBrisbane, FakeManilaV2

from hybridopt import AerExecutor, CircuitLayer
from hybridopt.errors import ArgumentError, ArgumentTypeError, CircuitError, UnsupportedError
from hybridopt.execution import Probabilities, noise
from hybridopt.execution.aer import translation
from hybridopt.execution.noise import device_noise, gates_of
from tests.execution.noisy import noisy_expectation

W = Parameter("w")
MANILA = FakeManilaV2()
NOTHING = torch.zeros(1, 0, dtype=torch.float64)


def three_qubits() -> QuantumCircuit:
    circuit = QuantumCircuit(3)
    circuit.ry(W, 0)
    circuit.cx(0, 1)
    circuit.cx(1, 2)
    return circuit


def layer_of(circuit, observables=("ZZZ",), **options) -> CircuitLayer:
    executor = AerExecutor(**options)
    initial = torch.tensor([0.4], dtype=torch.float64)
    return CircuitLayer(circuit, [], [W], observables, executor, initial=initial)


@pytest.mark.parametrize("pair", [[0, 1], [1, 0]])
def test_gates_on_pairs_without_errors_raise(pair, aer_calls):
    model = NoiseModel()
    model.add_quantum_error(depolarizing_error(0.1, 2), "cx", pair)
    with pytest.raises(UnsupportedError, match=r"`cx` .*\((1|0), "):
        layer_of(three_qubits(), noise_model=model)
    assert aer_calls == []


@pytest.mark.parametrize(
    ("name", "gate", "qubits"),
    [
        ("marked", UnitaryGate(np.eye(2), label="marked"), [1]),
        ("unitary", UnitaryGate(np.eye(2), label="marked"), [1]),
        ("cswap", CSwapGate(), [0, 1, 2]),
    ],
)
def test_errors_that_would_not_act_raise(name, gate, qubits, aer_calls):
    model, circuit = NoiseModel(), three_qubits()
    model.add_all_qubit_quantum_error(depolarizing_error(0.1, len(qubits)), name)
    circuit.append(gate, qubits)
    with pytest.raises(UnsupportedError, match=f"`{name}`"):
        layer_of(circuit, noise_model=model)
    assert aer_calls == []


def test_gates_that_are_not_universal_raise(aer_calls):
    backend = GenericBackendV2(3, basis_gates=["cx"], seed=1)
    with pytest.raises(CircuitError, match=str(backend.name)):
        layer_of(three_qubits(), noise_model=backend)
    assert aer_calls == []


def test_errors_of_all_pairs_need_no_couplings():
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.1, 2), "cx")
    model.add_quantum_error(depolarizing_error(0.1, 1), "sx", [2])
    assert layer_of(three_qubits(), noise_model=model)(NOTHING).abs() < 1


def test_correlated_readout_errors_raise(aer_calls):
    model = NoiseModel()
    model.add_readout_error(ReadoutError(np.full((4, 4), 0.25)), [0, 1])
    with pytest.raises(UnsupportedError, match=r"\(0, 1\)"):
        layer_of(three_qubits(), noise_model=model)
    assert aer_calls == []
    assert layer_of(three_qubits(), ["ZII"], noise_model=model)(NOTHING).abs() <= 1


def on_qubits(*qubits, readout=False) -> NoiseModel:
    model = NoiseModel()
    for qubit in qubits:
        model.add_quantum_error(depolarizing_error(0.1, 1), "sx", [qubit])
    if readout:
        model.add_readout_error(ReadoutError([[0.9, 0.1], [0.2, 0.8]]), [5])
    return model


@pytest.mark.parametrize("model", [on_qubits(7), on_qubits(3, 9), on_qubits(readout=True)])
@pytest.mark.parametrize("gradient", ["parameter-shift", "adjoint"])
def test_errors_on_other_qubits_only_raise(model, gradient, aer_calls):
    with pytest.raises(UnsupportedError, match=r"noise model .*0, 1, 2 \(got .*(7|3, 9|5) only"):
        CircuitLayer(three_qubits(), [], [W], "ZZZ", AerExecutor(noise_model=model), gradient)
    isa = transpile(three_qubits(), MANILA, initial_layout=[4, 2, 1], seed_transpiler=0)
    with pytest.raises(UnsupportedError, match=r"noise model .*\(got errors on 0 only"):
        layer_of(isa, noise_model=on_qubits(0))
    assert aer_calls == []


def test_models_without_errors_and_with_one_on_a_qubit_in_use_run():
    exact = layer_of(three_qubits())(NOTHING)
    for model in (NoiseModel(), AerSimulator()):
        torch.testing.assert_close(layer_of(three_qubits(), noise_model=model)(NOTHING), exact)
    assert layer_of(three_qubits(), noise_model=on_qubits(0, 7))(NOTHING).abs() < exact.abs()


def test_circuits_are_written_in_the_gates_of_a_noise_model_and_not_optimized():
    circuit = three_qubits()
    circuit.cx(1, 2)
    circuit.cx(1, 2)  # a transpiler would remove them
    model = NoiseModel(["rz", "sx", "cx"])
    model.add_all_qubit_quantum_error(depolarizing_error(0.1, 2), "cx")
    layer = layer_of(circuit, noise_model=model)
    state = QuantumCircuit(3)
    state.compose(circuit.assign_parameters([0.4]), inplace=True)
    assert layer(NOTHING).item() == pytest.approx(noisy_expectation(model, state, "ZZZ"), abs=1e-12)


def test_a_layout_places_each_circuit_qubit():
    layer = layer_of(three_qubits(), noise_model=MANILA, layout=[4, 3, 2])
    assert layer.program.device_qubits == (2, 3, 4)
    text = layer.explain()
    assert "noise of fake_manila on device qubits 2, 3, 4, 2 two-qubit gates (1 cx on 3-2" in text
    assert "circuit qubits end on device qubits 0 on 4, 1 on 3, 2 on 2" in text
    with pytest.raises(UnsupportedError, match=r"`layout` .*3.*2"):
        layer_of(three_qubits(), noise_model=MANILA, layout=[4, 3])
    isa = transpile(three_qubits(), MANILA, initial_layout=[0, 1, 2])
    with pytest.raises(UnsupportedError, match=r"`layout` .*4, 3, 2"):
        layer_of(isa, noise_model=MANILA, layout=[4, 3, 2])


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ({"layout": [0, 1]}, ArgumentError, "`layout` .*`noise_model`"),
        (
            {"layout": [0, 1], "noise_model": NoiseModel()},
            ArgumentError,
            "`layout` .*`noise_model`",
        ),
        ({"layout": [0, 1], "noise_model": AerSimulator()}, ArgumentError, "`layout` .*`noise_mod"),
        ({"layout": [0, 0], "noise_model": MANILA}, ArgumentError, r"`layout` .*\[0, 0\]"),
        ({"layout": [], "noise_model": MANILA}, ArgumentError, r"`layout` .*\[\]"),
        ({"layout": [5], "noise_model": MANILA}, ArgumentError, "`layout` .*5"),
        ({"layout": [-1], "noise_model": MANILA}, ArgumentError, "`layout` .*-1"),
        ({"layout": [0.5], "noise_model": MANILA}, ArgumentTypeError, "`layout`"),
        ({"layout": "01", "noise_model": MANILA}, ArgumentTypeError, "`layout`"),
        ({"optimization_level": 4}, ArgumentError, "`optimization_level`"),
        ({"optimization_level": "high"}, ArgumentTypeError, "`optimization_level`"),
        ({"seed_transpiler": -1}, ArgumentError, "`seed_transpiler`"),
        *(
            (option | where, ArgumentError, f"`{next(iter(option))}` .*`noise_model`")
            for option in ({"optimization_level": 2}, {"seed_transpiler": 7})
            for where in ({}, {"noise_model": NoiseModel()}, {"noise_model": AerSimulator()})
        ),
    ],
)
def test_wrong_placements_raise(options, error, named):
    with pytest.raises(error, match=named):
        AerExecutor(**options)


@pytest.mark.parametrize(("level", "seed"), [(0, 3), (2, 1), (3, 5)])
def test_placement_equals_that_of_qiskit(level, seed):
    circuit = three_qubits()
    circuit.cx(0, 2)
    layer = layer_of(circuit, noise_model=MANILA, optimization_level=level, seed_transpiler=seed)
    manager = generate_preset_pass_manager(level, backend=MANILA, seed_transpiler=seed)
    placed = manager.run(circuit.measure_all(inplace=False))
    expected = {k: n for k, n in placed.count_ops().items() if k not in {"measure", "barrier"}}
    found = Counter(step.gate.name for step in layer.program.steps if step.gate.name != "barrier")
    assert found == expected


def test_a_circuit_is_transpiled_once_for_all_bases_and_steps(monkeypatch):
    calls = []
    place = translation.Noise.place

    def spy(self, *arguments):
        calls.append(arguments)
        return place(self, *arguments)

    monkeypatch.setattr(translation.Noise, "place", spy)
    layer = layer_of(three_qubits(), ["ZZZ", "XIY", "IYX"], noise_model=MANILA)
    for _ in range(3):
        layer(NOTHING).sum().backward()
    assert len(calls) == 1


def test_circuits_for_another_device_raise(aer_calls):
    isa = transpile(three_qubits(), FakeBrisbane(), initial_layout=[0, 1, 2])
    with pytest.raises(UnsupportedError, match=r"`(ecr|sx|rz)` on qubit"):
        layer_of(isa, ["III" + "Z"], noise_model=MANILA)
    assert aer_calls == []


def test_only_qubits_in_use_of_a_large_device_are_simulated():
    device = FakeBrisbane()
    isa = transpile(three_qubits(), device, initial_layout=[62, 61, 60], seed_transpiler=0)
    virtual = layer_of(three_qubits(), ["ZIZ"])(NOTHING).item()
    for observable in ("ZIZ", SparsePauliOp("ZIZ").apply_layout(isa.layout)):
        exact = layer_of(isa, [observable])
        assert exact.num_qubits == 3
        assert exact(NOTHING).item() == pytest.approx(virtual, abs=1e-12)
    found = layer_of(isa, None)(NOTHING)[0].detach().numpy()
    np.testing.assert_allclose(
        found, layer_of(three_qubits(), None)(NOTHING)[0].tolist(), atol=1e-12
    )
    assert found.shape == (8,)
    many = SparsePauliOp.from_sparse_list([("Z", [k], 1.0) for k in range(127)], 127)
    assert layer_of(isa, [many]).num_qubits == 3
    pair = layer_of(isa, Probabilities(qubits=(61, 5)))(NOTHING)[0].tolist()
    one = (1 - np.cos(0.4)) / 2
    np.testing.assert_allclose(pair, [1 - one, one, 0, 0], rtol=0, atol=1e-12)


def test_idle_qubits_are_random_in_x_with_shots():
    isa = transpile(three_qubits(), MANILA, initial_layout=[0, 1, 2])
    drawn = layer_of(isa, ["XIIII", "ZIIII"], shots=50, seed=1)(NOTHING)[0]
    assert abs(drawn[0].item()) < 5 / np.sqrt(50)
    assert drawn[1].item() == 1
    assert layer_of(isa, ["XIIII", "ZIIII"])(NOTHING)[0].tolist() == [0, 1]


def test_observables_as_wide_as_the_device_act_on_its_qubits():
    circuit = QuantumCircuit(5)
    circuit.ry(W, 0)
    circuit.x(1)
    isa = transpile(circuit, MANILA, initial_layout=[3, 4, 0, 1, 2])
    layer = layer_of(isa, ["IZIII", "ZIIII"])
    np.testing.assert_allclose(layer(NOTHING)[0].tolist(), [np.cos(0.4), -1], atol=1e-12)
    assert "taken as given, on the device's qubits" in layer.explain()
    with pytest.raises(ArgumentError, match=r"Observable 0 .* 5 .*\(got 3\)"):
        layer_of(isa, ["ZZZ"])


def test_noise_of_a_few_qubits_equals_that_of_the_device():
    whole = NoiseModel.from_backend(MANILA)
    circuit = QuantumCircuit(3)
    circuit.sx([0, 1])
    circuit.cx(0, 1)
    circuit.delay(100, 2)
    part = device_noise(MANILA.target, (3, 2, 0), gates_of([circuit]))
    assert part._local_quantum_errors["cx"][0, 1] == whole._local_quantum_errors["cx"][3, 2]
    assert part._local_quantum_errors["sx"][1,] == whole._local_quantum_errors["sx"][2,]
    assert set(part._local_quantum_errors["sx"]) == {(0,), (1,)}
    for place, qubit in enumerate((3, 2, 0)):
        error = part._local_readout_errors[place,]
        assert error == whole._local_readout_errors[qubit,]
    (relaxation,) = part._custom_noise_passes
    assert relaxation._t1s[0] == whole._custom_noise_passes[0]._t1s[3]


def test_custom_passes_get_the_qubits_of_the_device():
    received = []

    def nothing(instruction, qubits):
        received.append(tuple(qubits))

    model = NoiseModel(basis_gates=["rz", "sx", "x", "cx", "delay"])
    model._custom_noise_passes.append(LocalNoisePass(nothing))
    isa = transpile(three_qubits(), MANILA, initial_layout=[4, 3, 2], optimization_level=0)
    layer_of(isa, noise_model=model)(NOTHING)
    assert received == []  # Aer applies noise passes only to circuits with delays
    delayed = three_qubits()
    delayed.delay(160, 2)
    isa = transpile(delayed, MANILA, initial_layout=[4, 3, 2], optimization_level=0)
    layer_of(isa, noise_model=model)(NOTHING)
    assert {(4, 3), (3, 2)} <= set(received)
    assert {qubit for qubits in received for qubit in qubits} == {2, 3, 4}


def test_delays_between_the_time_steps_of_a_device_raise():
    circuit = three_qubits()
    circuit.delay(100, 0, unit="ns")
    with pytest.raises(CircuitError, match="16 dt"):
        layer_of(circuit, noise_model=MANILA)


def test_stretches_raise_with_noise():
    circuit = three_qubits()
    circuit.delay(circuit.add_stretch("s"), 0)
    assert layer_of(circuit, ["IIZ"])(NOTHING).item() == pytest.approx(np.cos(0.4), abs=1e-12)
    with pytest.raises(CircuitError, match="`delay`"):
        layer_of(circuit, noise_model=MANILA)


def test_boxes_run_and_timed_boxes_raise_with_noise():
    circuit, timed = QuantumCircuit(3), QuantumCircuit(3)
    with circuit.box():
        circuit.ry(W, 0)
        circuit.cx(0, 1)
    with timed.box(duration=1000):
        timed.ry(W, 0)
    flat = QuantumCircuit(3)
    flat.barrier(0, 1)
    flat.ry(W, 0)
    flat.cx(0, 1)
    flat.barrier(0, 1)
    for options in ({}, {"noise_model": MANILA}):
        found = layer_of(circuit, ["IZX", "IZZ"], **options)(NOTHING)
        assert torch.equal(found, layer_of(flat, ["IZX", "IZZ"], **options)(NOTHING))
    assert layer_of(timed, ["IIZ"])(NOTHING).item() == pytest.approx(np.cos(0.4), abs=1e-12)
    with pytest.raises(CircuitError, match="1000"):
        layer_of(timed, noise_model=MANILA)


def test_models_of_a_device_are_cached_by_their_content(monkeypatch):
    device, again = GenericBackendV2(3, seed=1), GenericBackendV2(3, seed=1)
    gates = frozenset({("sx", (0,)), ("cx", (0, 1)), ("measure", (0,))})
    noise._MODELS.clear()
    model = noise.device_noise(device.target, (0, 1), gates)
    assert noise.device_noise(again.target, (0, 1), gates) is model
    assert noise.device_noise(device.target, (1, 2), gates) is not model
    for name, where in (("sx", (0,)), ("measure", (0,))):
        known = again.target[name][where]
        changed = InstructionProperties(known.duration, 2 * known.error)
        again.target.update_instruction_properties(name, where, changed)
        other = noise.device_noise(again.target, (0, 1), gates)
        assert other != model
        again.target.update_instruction_properties(name, where, known)
        assert noise.device_noise(again.target, (0, 1), gates) is model
    again.target["measure"][0,].prob_meas1_prep0 = 0.3  # attributes of some devices
    again.target["measure"][0,].prob_meas0_prep1 = 0.1
    assert noise.device_noise(again.target, (0, 1), gates) != model
    monkeypatch.setattr(noise, "MOST_MODELS", 1)
    for qubits in ((0, 2), (1, 2)):
        noise.device_noise(device.target, qubits, gates)
    assert len(noise._MODELS) == 1


def test_models_with_unknown_properties_are_not_cached():
    class Measured(InstructionProperties):
        """Properties that a service may have."""

    device = GenericBackendV2(2, seed=1)
    device.target.update_instruction_properties("sx", (0,), Measured(1e-8, 0.1))
    gates = frozenset({("sx", (0,))})
    first, second = (noise.device_noise(device.target, (0, 1), gates) for _ in range(2))
    assert first is not second
    assert first == second
