"""Bridges and layers on an executor that knows programs only by their circuits with free angles."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Parameter, ParameterVector
from torch import nn

import hybridopt as ho
from hybridopt.bridges import Generator, Memory, Mesh
from hybridopt.circuits.amplitudes import AmplitudeEncoding
from hybridopt.circuits.program import template_of
from hybridopt.execution import AerExecutor, Executor


class FreeAngles:
    """Program of a template after transpilation, as hardware receives it."""

    def __init__(self, program) -> None:
        template = template_of(program)
        assert template is not None, f"{type(program).__name__} has no template"
        self.num_qubits, self._program = program.num_qubits, program
        self.num_row_angles, self.num_shared_angles = len(template.rows), len(template.shared)
        self._parameters = [*template.rows, *template.shared]
        self._circuit = transpile(
            template.circuit, basis_gates=["rz", "sx", "x", "cx"], optimization_level=0
        )

    def bind(self, row, shared):
        values = dict(zip(self._parameters, [*row, *shared], strict=True))
        return self._circuit.assign_parameters(values)

    simulator_circuit = bind

    def working_memory(self) -> int:
        return self._program.working_memory()


class ByTemplate(Executor):
    """Executor that transpiles once per program and binds the angles of a job."""

    lowering, has_noise, shots = "elementary", False, None

    def __init__(self) -> None:
        self._inner, self.programs = AerExecutor(), {}

    usage = property(lambda self: self._inner.usage)

    def check(self, program, readout):
        pass

    def _job(self, job):
        key = job.program.fingerprint
        if key not in self.programs:
            self.programs[key] = FreeAngles(job.program)
        rows, shared = job.program.template_angles(job.rows, job.shared)
        return replace(job, program=self.programs[key], rows=rows, shared=shared)

    def run(self, job):
        return self._inner.run(self._job(job))

    def explain(self, job):
        return self._inner.explain(self._job(job))

    def state_dict(self):
        return self._inner.state_dict()

    def load_state_dict(self, state):
        self._inner.load_state_dict(state)


def bridged(bridge):
    sizes = (2, 1) if isinstance(bridge, Mesh) else (2, 3)

    def make(executor):
        return ho.to_quantum(nn.Linear(*sizes), bridge, executor=executor)

    return make


def of_gallery(name):
    def make(executor):
        return ho.CircuitLayer(*ho.load_circuit(name), executor=executor)

    return make


def amplitudes(executor):
    w, x = Parameter("w"), ParameterVector("x", 4)
    circuit = QuantumCircuit(3)
    circuit.append(AmplitudeEncoding(list(x)), [2, 0])
    circuit.ry(w, 1)
    circuit.cx(0, 1)
    circuit.rx(2 * w, 0)
    options = {"initial": [0.4], "normalize": True}
    return ho.CircuitLayer(circuit, list(x), [w], ["ZXY", "YZZ"], executor, **options)


USERS = {
    "residual": bridged(Memory()),
    "full": bridged(Memory(form="full")),
    "sparse": bridged(Memory(num_angles=4)),
    "sparse, gates": bridged(Memory(num_angles=4, synthesis="gates")),
    "process": bridged(Mesh(readout="process")),
    "data": bridged(Mesh(readout="data")),
    "reference": bridged(Mesh(readout="reference")),
    "generator": bridged(Generator(depth=2)),
    "layer": of_gallery("data_reuploading"),
    "amplitudes": amplitudes,
}


@pytest.mark.parametrize("user", USERS)
def test_templates_train_like_bound_circuits(user):
    found = {}
    for executor in (ByTemplate(), AerExecutor()):
        with torch.random.fork_rng():
            torch.manual_seed(3)
            module = USERS[user](executor).double()
            x = torch.rand(2, getattr(module, "in_features", 2), dtype=torch.float64)
        optimizer = torch.optim.SGD(module.parameters(), lr=0.3)
        for _ in range(2):  # from the second step on, no angle is 0
            optimizer.zero_grad()
            module(x).square().sum().backward()
            optimizer.step()
        found[type(executor)] = [p.detach() for p in module.parameters()]
        if isinstance(executor, ByTemplate):
            assert 1 <= len(executor.programs) <= 2  # two readouts of a mesh
    for one, other in zip(*found.values(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)
