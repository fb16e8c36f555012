"""What an object's numbers follow from tells it from others, in this process and in the next."""

from __future__ import annotations

import enum
import functools
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.circuit.library import real_amplitudes, zz_feature_map
from qiskit.quantum_info import SparsePauliOp
from torch import nn

import hybridopt as ho
from hybridopt.compare.run_key import digest_of_content
from hybridopt.execution import Probabilities

NETWORK = """
import sys, torch, hybridopt as ho
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from torch import nn
from hybridopt.compare.run_key import digest_of_content

FACTOR = 2.0

class Inner:
    kinds = {"a", "b", "some", "more", "names"}
    def scale(self, x):
        return x * FACTOR

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.line, self.inner = nn.Linear(3, 2), Inner()
        self.line.register_forward_hook(lambda module, x, y: y * 2)
        x, w = Parameter("x"), Parameter("w")
        circuit = QuantumCircuit(3)
        circuit.ry(2 * x * w + 0.3, 1)
        self.layer = ho.CircuitLayer(circuit, [x], [w], ["IZI"])
    def forward(self, x):
        return self.inner.scale(self.line(x))

torch.manual_seed(1)
print(digest_of_content(Net()))
"""


@pytest.mark.slow
def test_the_same_in_every_process():
    command = [sys.executable, "-c", NETWORK]
    first, second = (
        subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(2)
    )
    assert first == second != ""


class Doubling(nn.Linear):
    """Another `forward` than `Linear` has."""

    def forward(self, x):
        return 2 * super().forward(x)


class Tripling(nn.Linear):
    """As `Doubling`, but for a constant."""

    def forward(self, x):
        return 3 * super().forward(x)


Tripling.__qualname__ = "Doubling"  # only the bytecode tells them apart


def ones(made):
    """All weights 1, so that they tell nothing apart."""
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.fill_(1.0)
    return made


def layer(observables, *, angle=1.0, gate="ry", **options):
    x, w = Parameter("x"), Parameter("w")
    circuit = QuantumCircuit(3)
    getattr(circuit, gate)(angle * x + 0.3, 0)
    circuit.cx(0, 1)
    circuit.ry(w, 1)
    return ones(ho.CircuitLayer(circuit, [x], [w], observables, **options))


def closure(factor):
    return lambda outputs, y: factor * (outputs - y).square().mean()


def defaults(factor):
    def loss(outputs, y, factor=factor):
        return factor * (outputs - y).square().mean()

    return loss


def keywords(factor):
    def loss(outputs, y, *, factor=factor):
        return factor * (outputs - y).square().mean()

    return loss


class Holder:
    """Plain attributes, and slots."""

    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value

    def __call__(self, outputs, y):
        return self.value * (outputs - y).mean()


class Kind(enum.Enum):
    """Two that differ by name alone."""

    ONE = 1
    OTHER = 2


def with_attribute(value):
    module = ones(nn.Linear(3, 2))
    module.anything = value
    return module


PAIRS = {
    "steps": lambda: (lambda outputs, y: outputs + y, lambda outputs, y: outputs - y),
    "coefficients": lambda: (SparsePauliOp("ZZ", 0.5), SparsePauliOp("ZZ", 0.6)),
    "forward": lambda: (ones(Doubling(3, 2)), ones(Tripling(3, 2))),
    "dropout": lambda: (nn.Dropout(0.1), nn.Dropout(0.2)),
    "observables": lambda: (layer(["IZI", "ZII"]), layer(["IXI", "XII"])),
    "readout": lambda: (layer(Probabilities(qubits=(0, 2))), layer(Probabilities(qubits=(2, 0)))),
    "angle": lambda: (layer(["IZI"]), layer(["IZI"], angle=1.5)),
    "gate": lambda: (layer(["IZI"]), layer(["IZI"], gate="rx")),
    "executor": lambda: (layer(["IZI"]), layer(["IZI"], executor=ho.AerExecutor(shots=9))),
    "gradient": lambda: (layer(["IZI"]), layer(["IZI"], gradient="spsa")),
    "closure": lambda: (closure(1.0), closure(100.0)),
    "defaults": lambda: (defaults(1.0), defaults(100.0)),
    "keywords": lambda: (keywords(1.0), keywords(100.0)),
    "partial": lambda: (functools.partial(max, 1), functools.partial(max, 2)),
    "slots": lambda: (Holder(1.0), Holder(2.0)),
    "method": lambda: (Holder(1.0).__call__, Holder(2.0).__call__),
    "tensor": lambda: (closure(torch.ones(3)), closure(torch.zeros(3))),
    "array": lambda: (with_attribute(np.ones(3)), with_attribute(np.zeros(3))),
    "objects": lambda: (np.array([Holder(1)]), np.array([Holder(2)])),
    "set": lambda: (with_attribute({"a", "b"}), with_attribute({"a", "c"})),
    "bytes": lambda: (with_attribute(b"a"), with_attribute(b"b")),
    "enum": lambda: (with_attribute(Kind.ONE), with_attribute(Kind.OTHER)),
    "frozen": lambda: (ones(nn.Linear(3, 2)), ones(nn.Linear(3, 2)).requires_grad_(False)),
    "generator": lambda: (np.random.default_rng(1), np.random.default_rng(2)),
}


@pytest.mark.parametrize("make", PAIRS.values(), ids=PAIRS)
def test_told_apart(make):
    (one, other), (again, _) = make(), make()
    assert digest_of_content(one) == digest_of_content(again)
    assert digest_of_content(one) != digest_of_content(other)


def test_hooks_count_and_their_numbers_do_not():
    def twice(module, x, y):
        return 2 * y

    first, second, plain = (ones(nn.Linear(3, 2)) for _ in range(3))
    first.register_forward_hook(twice)
    nn.Linear(1, 1).register_forward_hook(twice)  # torch numbers the hooks of all modules
    second.register_forward_hook(twice)
    assert digest_of_content(first) == digest_of_content(second) != digest_of_content(plain)


def test_gates_of_the_user_s_own_count_by_what_they_are_made_of():
    def network(reps):
        features, ansatz = zz_feature_map(3, reps=1), real_amplitudes(3, reps=1)
        circuit = QuantumCircuit(3)
        circuit.append(features.to_gate(), range(3))
        inner = QuantumCircuit(3, name="mine")
        for _ in range(reps):
            inner.cx(0, 2)
        circuit.append(inner.to_gate(), range(3))
        circuit.compose(ansatz, inplace=True)
        return ones(ho.CircuitLayer(circuit, features.parameters, ansatz.parameters, ["ZII"]))

    assert digest_of_content(network(1)) == digest_of_content(network(1))
    assert digest_of_content(network(1)) != digest_of_content(network(3))


class Unwilling(nn.Linear):
    """Cannot be pickled."""

    def __reduce__(self):
        raise RuntimeError("never pickled")


def test_what_cannot_be_pickled_holds_itself_or_goes_deep_has_a_digest_too():
    module = ones(Unwilling(3, 2))
    module.lock = threading.Lock()
    module.me = [module]
    deep = []
    for _ in range(500):
        deep = [deep]
    module.deep = deep
    assert digest_of_content(module) == digest_of_content(module)
    assert digest_of_content(module) != digest_of_content(ones(Unwilling(3, 2)))


COUNT = 0


def counting(outputs, y):
    global COUNT  # noqa: PLW0603
    COUNT += 1
    return (outputs - y).mean()


def test_what_a_function_sets_itself_is_none_of_its_content():
    before = digest_of_content(counting)
    counting(torch.ones(1), torch.ones(1))
    assert digest_of_content(counting) == before
