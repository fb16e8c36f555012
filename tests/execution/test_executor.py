"""Base classes of executors, and an executor with only the required methods."""

from __future__ import annotations

import inspect

import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit_aer.noise import NoiseModel, depolarizing_error

from hybridopt import CircuitLayer
from hybridopt.execution import AerExecutor, Cost, Executor, Metered, StateExecutor

METHODS = ("check", "explain", "load_state_dict", "run", "state_dict")


def test_base_classes_are_abstract():
    assert Executor.__abstractmethods__ == {*METHODS, "has_noise", "usage"}
    for incomplete in (Metered, Executor, StateExecutor):
        with pytest.raises(TypeError, match="abstract"):
            incomplete()


def test_methods_have_the_arguments_of_the_base_class():
    for name in METHODS:
        promised = list(inspect.signature(getattr(Executor, name)).parameters)
        assert list(inspect.signature(getattr(AerExecutor, name)).parameters) == promised


class Relay(Executor):
    """Executor with the abstract methods only."""

    def __init__(self, noise_model=None) -> None:
        self._inner = AerExecutor(noise_model=noise_model)

    shots = property(lambda self: self._inner.shots)
    usage = property(lambda self: self._inner.usage)
    has_noise = property(lambda self: self._inner.has_noise)

    def check(self, program, readout):
        self._inner.check(program, readout)

    def run(self, job):
        return self._inner.run(job)

    def explain(self, job):
        return self._inner.explain(job)

    def state_dict(self):
        return self._inner.state_dict()

    def load_state_dict(self, state):
        self._inner.load_state_dict(state)


def test_other_executors_need_no_placement():
    w = Parameter("w")
    circuit = QuantumCircuit(3)
    circuit.ry(w, 0)
    circuit.crx(w, 0, 1)
    circuit.cx(1, 2)
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.1, 2), "cx")
    for noise_model in (None, model):
        relay = Relay(noise_model)
        layer, own = (
            CircuitLayer(circuit, [], [w], ["ZZZ"], executor, initial=[0.4])
            for executor in (relay, AerExecutor(noise_model=noise_model))
        )
        found, expected = (one(torch.zeros(1, 0)) for one in (layer, own))
        if noise_model is None:
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
            exact = found.item()
        else:  # other gates have other errors
            assert abs(found.item()) < abs(exact)
        assert relay.usage.runs == 1
        found.sum().backward()


def test_costs_add_and_subtract():
    first, second = Cost(settings=5, shots=70, runs=3), Cost(settings=2, shots=9, runs=1)
    assert first + second == Cost(7, 79, 4)
    assert first - second == Cost(3, 61, 2)
    assert first + second - second == first
    assert first + Cost() == first
