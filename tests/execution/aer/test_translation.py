"""Translated circuits keep their state and have the gates of the method or the noise."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.quantum_info import Statevector
from qiskit_aer.noise import NoiseModel

from hybridopt.circuits import CircuitProgram
from hybridopt.execution.aer.translation import Translated, Translation
from hybridopt.execution.noise import noise_of
from hybridopt.execution.readout import Setting
from tests.circuits.families import FAMILIES
from tests.execution.jobs import distribution, lowered

SETTINGS = (Setting(((0, "Y"),), (0, 2)), Setting(((1, "X"), (2, "Y")), (2, 1)))


def bound(program: CircuitProgram, circuit: QuantumCircuit) -> tuple[QuantumCircuit, Statevector]:
    """Return a translated circuit and the state of the program at the same angles."""
    _, rows, shared = program.template
    generator = np.random.default_rng(1)
    angles = generator.uniform(-3, 3, len(rows)), generator.uniform(-3, 3, len(shared))
    values = {
        **dict(zip(rows, angles[0], strict=True)),
        **dict(zip(shared, angles[1], strict=True)),
    }
    known = {p: v for p, v in values.items() if p in circuit.parameters}
    return circuit.assign_parameters(known), Statevector(program.bind(*angles))


@pytest.mark.parametrize("method", ["statevector", "density_matrix", "matrix_product_state"])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_one_circuit_covers_all_settings(family, method):
    program, _ = lowered(family.name)
    (translated,) = Translation(method).of(program, SETTINGS)
    circuit, state = bound(program, translated.circuit)
    assert abs(Statevector(circuit).inner(state)) == pytest.approx(1, abs=1e-10)
    assert translated.settings == SETTINGS
    assert not {"cp", "crx", "cry", "crz"}.intersection(translated.circuit.count_ops())


def check_each_setting(placed: list[Translated], program: CircuitProgram) -> None:
    for translated, setting in zip(placed, SETTINGS, strict=True):
        circuit, state = bound(program, translated.circuit)
        used = Statevector(circuit).probabilities(list(translated.places_of(setting)))
        np.testing.assert_allclose(used, distribution(state, setting), rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", ["euler_angles", "fixed_gates", "controlled_u", "phases"])
def test_noise_has_one_circuit_per_setting_in_its_gates(name):
    program, _ = lowered(name, whole=False)
    model = NoiseModel(basis_gates=["u3", "cx", "id"])
    placed = Translation("density_matrix", noise_of(model)).of(program, SETTINGS)
    check_each_setting(placed, program)
    for translated in placed:
        assert set(translated.circuit.count_ops()) <= {"u3", "cx", "id", "delay", "barrier"}


@pytest.mark.parametrize("name", ["euler_angles", "controlled_rotations", "repeated_parameters"])
def test_devices_keep_their_gates_and_couplings(name):
    backend = GenericBackendV2(5, coupling_map=[[0, 1], [1, 2], [2, 3], [3, 4]], seed=1)
    program, _ = lowered(name, whole=False)
    placed = Translation("density_matrix", noise_of(backend)).of(program, SETTINGS)
    check_each_setting(placed, program)
    for translated in placed:
        assert translated.circuit.num_qubits == len(translated.device_qubits)
        for item in translated.circuit.data:
            if item.operation.name != "barrier":
                places = tuple(
                    translated.device_qubits[translated.circuit.find_bit(qubit).index]
                    for qubit in item.qubits
                )
                assert backend.target.instruction_supported(item.operation.name, places)


def test_measured_qubits_are_those_of_the_setting():
    program, _ = lowered("euler_angles")
    (translated,) = Translation("statevector").of(program, SETTINGS)
    measured = translated.measuring(1)
    places = [
        measured.find_bit(item.qubits[0]).index
        for item in measured.data
        if item.operation.name == "measure"
    ]
    assert places == [2, 1]
    assert measured.count_ops()["measure"] == measured.num_clbits == 2


class Counted(Translation):
    """Translation that counts its calls."""

    calls = 0

    def _exact(self, program, settings):
        self.calls += 1
        return super()._exact(program, settings)


def test_translations_are_cached():
    counted = Counted("statevector")
    program, _ = lowered("euler_angles")
    assert counted.of(program, SETTINGS) is counted.of(program, SETTINGS)
    assert counted.calls == 1
    counted.of(program, SETTINGS[:1])
    other, _ = lowered("euler_angles")
    counted.of(other, SETTINGS)
    assert counted.calls == 3
