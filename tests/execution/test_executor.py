"""Base classes of executors, and an executor with only the required methods."""

from __future__ import annotations

import copy
import inspect

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector
from qiskit.primitives import StatevectorEstimator, StatevectorSampler
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit_aer.noise import NoiseModel, depolarizing_error
from torch import nn
from torch.nn.functional import mse_loss

import hybridopt as ho
from hybridopt import CircuitLayer, to_quantum
from hybridopt.bridges import Generator
from hybridopt.circuits import Program
from hybridopt.errors import ArgumentTypeError
from hybridopt.execution import (
    AerExecutor,
    Cost,
    Executor,
    Metered,
    Result,
    StateExecutor,
)
from hybridopt.qiskit_ml import AerEstimator, AerSampler, AerSamplerGradient
from tests.execution.relays import Relay, Remote

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
    service = Cost(jobs=2, seconds=1.5)
    assert (first + service) * 2 == Cost(10, 140, 6, 4, 3.0)
    assert repr(first) == "Cost(settings=5, shots=70, runs=3)"
    assert repr(first + service) == "Cost(settings=5, shots=70, runs=3, jobs=2, seconds=1.5)"


def rotated(executor, **options) -> CircuitLayer:
    x, w = ParameterVector("x", 3), ParameterVector("w", 3)
    circuit = QuantumCircuit(3)
    for qubit in range(3):
        circuit.ry(x[qubit], qubit)
        circuit.ry(w[qubit], qubit)
        circuit.cx(qubit, (qubit + 1) % 3)
    initial = [0.4, -1.1, 2.0]
    return CircuitLayer(circuit, x, w, ["ZII", "XXI"], executor, initial=initial, **options)


def test_remote_jobs_of_a_step_are_submitted_before_any_is_waited_for():
    remote, local = Remote(), AerExecutor()
    x = torch.rand(5, 3, dtype=torch.float64, requires_grad=True)
    gradients = []
    for executor in (remote, local):
        layer = rotated(executor)
        outputs = layer(x)
        gradients.append(torch.autograd.grad((outputs**2).sum(), [x, layer.weight]))
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    sent, waited = remote.events[:3], remote.events[3:]
    assert sent == ["submit 1x5", "submit 1x30", "submit 6x5"]
    assert waited == ["wait 1x5", "wait 1x30", "wait 6x5"]
    assert remote.usage.settings == local.usage.settings


def test_remote_layers_submit_no_gradient_that_is_not_needed():
    remote = Remote()
    with torch.no_grad():
        rotated(remote)(torch.rand(4, 3))
    assert remote.events == ["submit 1x4", "wait 1x4"]
    remote.events.clear()
    rotated(remote)(torch.rand(4, 3))
    assert remote.events == ["submit 1x4", "submit 6x4", "wait 1x4"]  # inputs need none


@pytest.mark.parametrize("bridge", [None, "mesh", "generator", "memory"])
def test_remote_networks_in_evaluation_submit_gradients_only_when_they_are_asked_for(bridge):
    remote = Remote()
    options = {"bridge": bridge, "executor": remote}
    network = to_quantum(nn.Linear(3, 2), **options) if bridge else rotated(remote)
    outputs = network.eval()(torch.rand(2, 3))
    sent, waited = (
        [event for event in remote.events if event.startswith(kind)] for kind in ("submit", "wait")
    )
    assert len(sent) == len(waited) > 0
    outputs.sum().backward()
    assert len(remote.events) > len(sent) + len(waited)


def test_remote_second_derivatives_equal_local_ones():
    def hessian(executor):
        layer = rotated(executor)
        x = torch.full((2, 3), 0.3, dtype=torch.float64)
        (slope,) = torch.autograd.grad(layer(x).sum(), layer.weight, create_graph=True)
        return torch.autograd.grad((slope**2).sum(), layer.weight)[0]

    torch.testing.assert_close(hessian(Remote()), hessian(AerExecutor()), rtol=0, atol=1e-12)


@pytest.mark.wrong_types
def test_results_of_the_earlier_form_are_refused():
    class Old(Relay):
        def run(self, job):
            return self._inner.run(job).values

    for layer in (rotated(Old()), ho.to_quantum(torch.nn.Linear(2, 2), executor=Old())):
        with pytest.raises(TypeError, match=r"`Old.run` must return a Result \(got a ndarray\)"):
            layer(torch.rand(2, 3 if isinstance(layer, CircuitLayer) else 2))


@pytest.mark.wrong_types
@pytest.mark.parametrize("part", ["values", "variances"])
def test_results_of_another_shape_are_refused(part):
    class Wrong(Relay):
        def run(self, job):
            result = self._inner.run(job)
            short = result.values[..., :1]
            return Result(**{"values": result.values, part: short})

    with pytest.raises(ho.errors.ExecutionError, match=rf"`{part}` .*\(1, 4, 2\) \(got \(1, 4, 1"):
        rotated(Wrong())(torch.rand(4, 3))


@pytest.mark.wrong_types
@pytest.mark.parametrize("form", [torch.from_numpy, np.float32, np.ndarray.tolist])
@pytest.mark.parametrize("part", ["values", "variances"])
def test_results_of_other_numbers_are_refused(form, part):
    class Wrong(Relay):
        def run(self, job):
            values = self._inner.run(job).values
            return Result(**{"values": values, part: form(values)})

    with pytest.raises(ho.errors.ExecutionError, match=f"`{part}` .* must be a float64 array"):
        rotated(Wrong())(torch.rand(4, 3))


@pytest.mark.wrong_types
def test_what_is_not_pending_is_refused():
    class Hasty(Remote):
        def submit(self, job):
            return self._inner.run(job)

    for network in (rotated(Hasty()), to_quantum(nn.Linear(3, 2), executor=Hasty())):
        with pytest.raises(
            TypeError, match=r"`Hasty.submit` must return a PendingResult \(got a R"
        ):
            network(torch.rand(4, 3))


def test_standard_errors_reach_layers_and_histories():
    shots = 400
    layer = rotated(AerExecutor(shots=shots, seed=3))
    assert layer.standard_errors is None
    x = torch.rand(6, 3, dtype=torch.float64)
    outputs = layer(x).detach()
    # of a Pauli string: sqrt((1 - <P>^2) / shots)
    torch.testing.assert_close(layer.standard_errors, ((1 - outputs**2) / shots).sqrt())
    assert "Standard error of an output" in layer.explain(6)
    before = layer.standard_errors
    layer(x).sum().backward()
    assert not torch.equal(layer.standard_errors, before)  # of the forward pass, not of the shifts
    history = ho.fit(layer, (x, torch.zeros(6, 2)), epochs=2, optimizer="sgd", loss=mse_loss)
    assert all(0 < error <= 1 / shots**0.5 for error in history.standard_error)
    exact = ho.fit(rotated(None), (x, torch.zeros(6, 2)), epochs=1, loss=mse_loss)
    assert exact.standard_error == [None]


class Recording(Relay):
    """Executor without noise that says how circuits are lowered, and keeps its programs."""

    def __init__(self, lowering: str, *, has_noise: bool = False) -> None:
        super().__init__()
        self.programs: list[Program] = []
        self._lowering, self._has_noise = lowering, has_noise

    lowering = property(lambda self: self._lowering)
    has_noise = property(lambda self: self._has_noise)

    def run(self, job):
        self.programs.append(job.program)
        return super().run(job)


def controlled_layer(executor: Executor) -> nn.Module:
    w = Parameter("w")
    circuit = QuantumCircuit(3)
    circuit.h([0, 1])
    circuit.crx(w, 0, 2)
    return CircuitLayer(circuit, [], [w], ["ZIY"], executor, initial=[0.4])


def mesh(executor: Executor) -> nn.Module:
    return to_quantum(nn.Linear(2, 3), "mesh", executor=executor)


def memory(executor: Executor) -> nn.Module:
    return to_quantum(nn.Linear(2, 3), "memory", executor=executor)


def generator(executor: Executor) -> nn.Module:
    return to_quantum(nn.Linear(2, 3), Generator(depth=2), executor=executor)


USERS = {"layer": controlled_layer, "mesh": mesh, "memory": memory, "generator": generator}
PARTS = {
    "mcrx",
    "mcry",
    "mcrz",
    "mcp",
    "diagonal",
    "ucry",
    "unitary",
}  # gates that hardware does not have


@pytest.mark.parametrize("user", USERS)
def test_lowering_decides_the_gates_and_noise_does_not(user):
    outputs, settings = {}, {}
    for lowering in ("whole", "elementary"):
        for has_noise in (False, True):
            executor = Recording(lowering, has_noise=has_noise)
            torch.manual_seed(0)
            module = USERS[user](executor)
            x = torch.ones(1, getattr(module, "in_features", 2))
            found = module(x)
            found.sum().backward()
            outputs[lowering, has_noise] = found.detach()
            settings[lowering, has_noise] = executor.usage.settings
            programs = {id(one): one for one in executor.programs}.values()
            circuits = [
                p.bind(np.ones(p.num_row_angles), np.ones(p.num_shared_angles)) for p in programs
            ]
            names = {name for circuit in circuits for name in circuit.count_ops()}
            kept = lowering == "whole" and user != "generator"
            if user == "memory" and has_noise:  # a multiplexer without noise would not do
                kept = False
            assert bool(names & PARTS) == kept
    first = outputs["whole", False]
    for other in outputs.values():
        torch.testing.assert_close(other, first, rtol=0, atol=1e-6)
    if user == "mesh":  # one circuit per input, because errors depend on the input
        assert settings["elementary", True] > settings["elementary", False]


def test_elementary_gates_are_the_default_with_noise():
    model = NoiseModel()
    model.add_all_qubit_quantum_error(depolarizing_error(0.1, 2), "cx")
    assert [AerExecutor(noise_model=one).lowering for one in (None, model)] == [
        "whole",
        "elementary",
    ]
    assert Relay(model).lowering == "elementary"


def test_copies_of_a_network_share_their_executor():
    layer = controlled_layer(Relay())
    assert copy.deepcopy(layer).executor is layer.executor


@pytest.mark.parametrize("bridge", ["memory", "generator", "mesh"])
def test_standard_errors_of_bridges_reach_histories(bridge):
    shots = 200
    x = torch.rand(4, 2)
    for noise_model in (None, GenericBackendV2(6, seed=4)) if bridge == "memory" else (None,):
        executor = AerExecutor(shots=shots, seed=3, noise_model=noise_model)
        options = {"synthesis": "gates"} if bridge == "memory" else {}
        quantum = to_quantum(nn.Linear(2, 2), bridge, executor=executor, **options)
        history = ho.fit(quantum, (x, torch.zeros(4, 2)), epochs=1, loss=mse_loss)
        assert 0 < history.standard_error[0] <= 1 / shots**0.5
        assert "Standard error of an output" in quantum.explain()
        assert "Standard error" not in copy.deepcopy(quantum).explain()


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        (NoiseModel(), r"NoiseModel\)\. Use AerExecutor\(noise_model="),
        (
            GenericBackendV2(3, seed=1),
            r"GenericBackendV2\)\. Use AerExecutor\(noise_model=.*PrimitiveExecutor\(",
        ),
        (StatevectorSampler(), r"Wrap it: PrimitiveExecutor\("),
        (StatevectorEstimator(), r"Wrap it: PrimitiveExecutor\("),
        (AerExecutor, r"Create an instance: AerExecutor\("),
    ],
)
@pytest.mark.parametrize("user", [AerSampler, AerEstimator, AerSamplerGradient, memory])
def test_noise_backends_and_primitives_in_place_of_an_executor(user, value, remedy):
    with pytest.raises(ArgumentTypeError, match=rf"`executor` .*{remedy}"):
        user(value)
