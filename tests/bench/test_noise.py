from __future__ import annotations

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Gate, Parameter
from qiskit.quantum_info import Kraus, SparsePauliOp, SuperOp
from qiskit_aer.noise import depolarizing_error

from hybridopt.bench.noise import (
    depolarizing_kraus,
    depolarizing_superoperator,
    gates_and_noise,
    noise_model,
)
from hybridopt.bench.problem import Problem, ladder
from hybridopt.errors import UnsupportedError


def single(circuit: QuantumCircuit, noise: float = 0.1) -> Problem:
    observable = SparsePauliOp("Z" * circuit.num_qubits)
    return Problem("own", circuit, (), tuple(circuit.parameters), (observable,), 1, noise=noise)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_both_forms_are_the_channel_of_aer(size):
    expected = SuperOp(depolarizing_error(0.3, size)).data
    found = SuperOp(Kraus(list(depolarizing_kraus(0.3, size)))).data
    np.testing.assert_allclose(found, expected, atol=1e-14)
    np.testing.assert_allclose(depolarizing_superoperator(0.3, size), expected, atol=1e-14)


def test_noise_follows_the_last_gate_of_a_definition():
    circuit = QuantumCircuit(3)
    circuit.crx(Parameter("w"), 2, 0)
    circuit.barrier()
    circuit.cx(1, 2)
    parts = list(gates_and_noise(single(circuit), lambda part: part.name in {"cx", "u", "p"}))
    channels = [n for n, part in enumerate(parts) if isinstance(part, tuple)]
    assert [parts[n] for n in channels] == [(2, 0), (1, 2)]
    assert channels[1] == len(parts) - 1
    assert channels[0] == len(parts) - 3
    pure = gates_and_noise(ladder(3, 6), lambda part: True)
    assert [part.name for part in pure] == ["ry"] * 6 + ["cx"] * 2 + ["ry"] * 3 + ["cx"] * 2


def test_the_model_of_aer_has_all_gates():
    assert noise_model(ladder(3, 6)) is None
    assert sorted(noise_model(ladder(3, 6).resized(noise=0.1)).noise_instructions) == ["cx", "ry"]
    circuit = QuantumCircuit(3)
    circuit.rx(Parameter("w"), 0)
    circuit.append(Gate("mine", 1, []), [0])
    circuit.append(Gate("mine", 2, []), [0, 1])
    with pytest.raises(UnsupportedError, match=r"Gates `mine` .*got 1 and 2"):
        noise_model(single(circuit))
