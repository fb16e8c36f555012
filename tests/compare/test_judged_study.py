"""A whole study with executors per method and a judge: results, files, table and page."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
from qiskit.providers.fake_provider import GenericBackendV2

import hybridopt as ho
from hybridopt.compare import runner
from hybridopt.compare.executors import executor_label
from hybridopt.errors import CheckpointError
from hybridopt.execution import AerExecutor

from .conftest import quick

LAYERS = partial(ho.DressedCircuit, 4, 3, num_qubits=2, depth=1)


def noisy(seed: int = 3, **options: object) -> AerExecutor:
    return AerExecutor(noise_model=GenericBackendV2(2, seed=seed), **options)


def methods(shots: int = 8, share: float = 1.0, seed: int = 3) -> list[ho.Method]:
    exact, sampled = AerExecutor(), AerExecutor(shots=shots)
    schedule = [(exact, 3), (noisy(seed), share)]
    return [
        ho.Method("gd", name="ideal", executor=exact),
        ho.Method("gd", name="shots", executor=sampled),
        ho.Method("gd", name="ideal then noise", executor=schedule),
        ho.Method("gd", name="own"),
    ]


def judged(judge: object, chosen: list[ho.Method] | None = None, **options: object) -> ho.Study:
    given = {"network": LAYERS, "methods": chosen or methods(), "budget": 4, "judge": judge}
    return quick(**{**given, **options})


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("judged")


@pytest.fixture(scope="module")
def study(folder):
    return judged(noisy(shots=100), output=folder)


def test_methods_are_trained_on_their_executors_and_judged_on_one(study):
    ideal, shots, turns, own = (study.runs_of(name) for name in study.methods)
    steps = [run.settings for run in ideal]
    assert steps == [run.settings for run in (*turns[:1], *own[:1])]
    assert [[run.shots for run in runs] for runs in (ideal, turns, own)] == [[0, 0]] * 3
    assert [run.shots for run in shots] == [8 * count for count in steps]
    # judged on the samples of the test part, 5 times, apart from the training
    judging = {(r.judging_settings, r.judging_shots, r.judgements) for r in study.runs}
    assert judging == {(150, 15_000, 5)}
    assert all(run.judging_seconds > 0 and run.metric_error is not None for run in study.runs)
    # the curves are those of the training: equal while the executors are equal
    losses = [[point.train_loss for point in runs[0].curve] for runs in (ideal, turns, own)]
    assert losses[0] == losses[2]
    assert losses[0][:4] == losses[1][:4]
    assert losses[0][4] != losses[1][4] != losses[1][3]
    # equal trained networks and equal noise of the judge give equal metrics
    assert [run.test_metric for run in ideal] == [run.test_metric for run in own]
    assert all(run.trained_metric == run.curve[-1].test_metric for run in study.runs)


def test_a_judged_run_reaches_a_metric_at_its_end_or_never(study):
    run = study.runs[0]
    assert run.first_reaching(run.test_metric) is run.curve[-1]
    assert run.first_reaching(run.test_metric + 1e-9) is None
    assert replace(run, judgements=0).first_reaching(-1) is run.curve[0]


def test_table_page_and_file_name_the_executors(study, folder):
    table = study.table()
    rows = {row[0]: dict(zip(table.header, row, strict=True)) for row in table.rows}
    assert {name: row["trained on"] for name, row in rows.items()} == {
        "ideal": "exact",
        "shots": "8 shots",
        "ideal then noise": "exact, then generic_backend_2q",
        "own": "exact",
    }
    assert "test accuracy on generic_backend_2q, 100 shots" in table.header
    assert {"standard error", "as trained"} <= set(table.header)
    text = str(table)
    assert "Judged on generic_backend_2q, 100 shots, which cost 1,200 settings" in text
    assert repr(noisy(shots=100)) in text
    page = (folder / "report.html").read_text("utf-8")
    assert "Judged on generic_backend_2q, 100 shots" in page
    assert "exact, then generic_backend_2q" in page
    loaded = ho.load_study(folder)
    assert str(loaded.table()) == text
    frame = study.to_frame()
    assert list(frame["judging_shots"]) == [15_000] * 8


@pytest.mark.usefixtures("no_page")
def test_stored_runs_belong_to_their_executors(study, folder, monkeypatch):
    monkeypatch.setattr(runner, "make_run", None)  # nothing may be trained
    again = judged(noisy(shots=100), output=folder)
    assert again.runs == study.runs
    changes = {
        "judge": (noisy(shots=101), None),
        "judge's device": (noisy(4, shots=100), None),
        "judge's seed": (noisy(shots=100, seed=1), None),
        "no judge": (None, None),
        "shots": (noisy(shots=100), methods(shots=9)),
        "share": (noisy(shots=100), methods(share=2.0)),
        "device": (noisy(shots=100), methods(seed=4)),
    }
    for judge, chosen in changes.values():
        with pytest.raises(CheckpointError, match=r"judge|method"):
            judged(judge, chosen, output=folder)


def made(seed):
    return AerExecutor(shots=20 + seed)


@pytest.mark.usefixtures("no_page")
def test_classical_methods_are_judged_as_they_are():
    study = quick(methods=["memory+adam", "adam", "twin+adam"], judge=made)
    memory, adam, twin = (study.runs_of(name) for name in study.methods)
    assert [run.judging_shots for run in (*memory, *adam, *twin)] == [100, 105, 0, 0, 0, 0]
    assert [run.judgements for run in (*memory, *adam, *twin)] == [5, 5, 0, 0, 5, 5]
    assert all(run.test_metric == run.trained_metric for run in adam)
    notes = str(study.table())
    assert "adam, without circuits at the end, as trained" in notes
    assert study.details["judged"]["twin+adam"] == "formula, 20 shots"


@pytest.mark.usefixtures("no_page")
def test_executors_of_the_caller_keep_their_streams():
    executor, judge = AerExecutor(shots=10, seed=4), noisy(shots=10, seed=5)
    before = executor.state_dict(), judge.state_dict()
    method = ho.Method("gd", executor=executor)
    first, second = (judged(judge, [method], budget=1) for _ in range(2))
    assert (executor.state_dict(), judge.state_dict()) == before
    for one, other in zip(first.runs, second.runs, strict=True):
        assert one.test_metric == other.test_metric
        assert one.curve[-1].train_loss == other.curve[-1].train_loss
    assert executor_label(judge) == "generic_backend_2q, 10 shots"
