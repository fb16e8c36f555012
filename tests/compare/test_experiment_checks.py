"""Executors of methods and judges that a comparison cannot use, before any training."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from qiskit.providers.fake_provider import GenericBackendV2

import hybridopt as ho
from hybridopt.compare import runner
from hybridopt.errors import ArgumentError, ArgumentTypeError, HybridOptError, UnsupportedError
from hybridopt.execution import AerExecutor

from .conftest import quick

NOISY = AerExecutor(noise_model=GenericBackendV2(4, seed=3))
LAYERS = partial(ho.DressedCircuit, 4, 3, num_qubits=2, depth=1)
GATES = "memory(synthesis=gates)+adam"


def without_seed():
    return AerExecutor()


TURNS = ho.Method("adam", executor=[(AerExecutor(), 3), (NOISY, 1)])
SAMPLED = ho.Method("adam", executor=[(AerExecutor(), 3), (AerExecutor(shots=5), 1)])


def on_noise(text, **options):
    return [ho.Method(text, executor=NOISY, **options)]


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"judge": "fake_manila"}, ArgumentTypeError, "`judge`.*'fake_manila'"),
        ({"methods": ["memory"], "judge": without_seed}, ArgumentError, "`judge`.*TypeError"),
        ({"methods": ["memory"], "judge": lambda seed: seed}, ArgumentTypeError, "`judge`.*int"),
        ({"judge": NOISY}, ArgumentError, "`judge` must be None"),
        ({"methods": ["memory > adam"], "judge": NOISY, "budget": 2}, ArgumentError,
         "`judge` must be None"),
        ({"methods": on_noise("adam")}, ArgumentError,
         "'adam': `executor` must be None.*generic_backend_4q"),
        ({"methods": on_noise("random-subspace")}, ArgumentError, "`executor` must be None"),
        ({"methods": ["twin"], "judge": NOISY}, UnsupportedError,
         "'twin\\+adam': The `judge`.*noise"),
        ({"methods": on_noise("twin")}, UnsupportedError, "'twin\\+adam': .*noise"),
        ({"methods": ["memory"], "judge": NOISY}, UnsupportedError, "`judge`.*synthesis"),
        ({"methods": [GATES], "judge": NOISY}, UnsupportedError, "`judge`.*at most 4 qubits"),
        ({"network": partial(LAYERS, num_qubits=5), "judge": NOISY}, UnsupportedError,
         "`judge`.*at most 4 qubits"),
        ({"methods": [SAMPLED], "network": partial(LAYERS, gradient="adjoint"), "budget": 4},
         UnsupportedError, "adjoint"),
        ({"methods": [TURNS], "network": LAYERS}, ArgumentError, "`budget` must have at least 2"),
        ({"methods": [*on_noise("adam"), *on_noise("adam", name="b")], "network": LAYERS},
         ArgumentError, "'adam' and 'b'"),
    ],
)  # fmt: skip
def test_refused_before_any_circuit(change, error, message, monkeypatch, aer_calls):
    monkeypatch.setattr(runner, "make_run", None)  # nothing may be trained
    with pytest.raises(error, match=message) as caught:
        quick(**{"methods": ["adam"], **change})
    assert isinstance(caught.value, HybridOptError)
    assert aer_calls == []


def test_a_judge_needs_no_gradient_rule(no_page):
    torch.manual_seed(0)
    methods = [ho.Method("adam", name="adjoint"), ho.Method("sgd", executor=AerExecutor(shots=5))]
    with pytest.raises(UnsupportedError, match=r"'sgd'.*adjoint"):
        quick(methods=methods, network=partial(LAYERS, gradient="adjoint"), judge=NOISY)
    study = quick(methods=methods[:1], network=partial(LAYERS, gradient="adjoint"), judge=NOISY)
    assert [run.judging_settings for run in study.runs] == [30, 30]
