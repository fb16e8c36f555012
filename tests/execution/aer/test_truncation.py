"""Truncated matrix product states, against states whose Schmidt coefficients are known."""

import math
from importlib.metadata import version

import numpy as np
import pytest
import torch
from packaging.version import Version
from qiskit import QuantumCircuit
from qiskit.circuit.library import real_amplitudes

import hybridopt as ho
from hybridopt.errors import ArgumentError, UnsupportedError

ANGLE = 0.8  # [rad]; the smaller Schmidt coefficient of the pair is sin(0.4)


def layer_of(circuit, **options):
    executor = ho.AerExecutor(method="matrix_product_state", **options)
    return ho.CircuitLayer(circuit, observables=["IIZ", "ZII"], executor=executor)


def pair():
    circuit = QuantumCircuit(3)
    circuit.ry(ANGLE, 0)
    circuit.cx(0, 1)
    return circuit


def values_of(layer):
    return layer(torch.zeros(1, 0, dtype=torch.float64))[0].tolist()


def test_one_bond_drops_the_smaller_schmidt_coefficient():
    layer = layer_of(pair(), max_bond_dimension=1)
    assert layer.executor.discarded_weight is None
    assert values_of(layer) == pytest.approx([1.0, 1.0], abs=1e-12)
    assert layer.executor.discarded_weight == pytest.approx(math.sin(ANGLE / 2) ** 2, rel=1e-5)
    assert "max_bond_dimension 1" in layer.explain()
    assert "max_bond_dimension=1" in repr(layer.executor)
    assert layer.executor.usage.runs == 1  # the run with the log is not counted


def test_without_a_limit_nothing_is_dropped():
    layer = layer_of(pair())
    assert values_of(layer) == pytest.approx([math.cos(ANGLE), 1.0], abs=1e-12)
    assert layer.executor.discarded_weight == 0


old_aer = pytest.mark.skipif(
    Version(version("qiskit-aer")) < Version("0.18.2"),
    reason="Aer drops nothing where it may drop all coefficients but one (qiskit-aer #2450)",
)


@pytest.mark.parametrize(
    ("truncation", "dropped"), [pytest.param(0.2, True, marks=old_aer), (0.1, False)]
)
def test_truncation_is_a_bound_on_the_dropped_weight(truncation, dropped):
    weight = math.sin(ANGLE / 2) ** 2  # .152
    layer = layer_of(pair(), truncation=truncation)
    values_of(layer)
    assert layer.executor.discarded_weight == pytest.approx(weight * dropped, rel=1e-5)


def test_weight_is_that_of_the_last_call():
    ansatz = real_amplitudes(6, reps=4)
    executor = ho.AerExecutor(method="matrix_product_state", max_bond_dimension=3)
    layers = [
        ho.CircuitLayer(
            ansatz, [], ansatz.parameters, ["ZIIIIZ"], executor=executor, initial=weights
        )
        for weights in (np.linspace(-2, 2, 30), np.zeros(30))
    ]
    values_of(layers[0])
    first = executor.discarded_weight
    assert first > 0.001
    assert executor.discarded_weight == pytest.approx(first, rel=1e-9)
    values_of(layers[1])
    assert executor.discarded_weight == 0


def test_saved_with_a_layer(tmp_path):
    layer = layer_of(pair(), max_bond_dimension=1, truncation=1e-3)
    ho.save(layer, tmp_path / "layer.ho")
    loaded = ho.load(tmp_path / "layer.ho").executor
    assert (loaded.max_bond_dimension, loaded.truncation) == (1, 1e-3)


def test_refused():
    with pytest.raises(UnsupportedError, match="`max_bond_dimension`"):
        ho.AerExecutor(max_bond_dimension=4)
    for options in ({"max_bond_dimension": 0}, {"truncation": 1.5}, {"truncation": -1e-9}):
        (name,) = options
        with pytest.raises(ArgumentError, match=f"`{name}`"):
            ho.AerExecutor(method="matrix_product_state", **options)
