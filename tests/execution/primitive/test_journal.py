"""Journal of jobs: programs that are killed anywhere, and journals of other runs."""

from __future__ import annotations

import gc
import json
import os
import random
import signal
import subprocess
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from qiskit.primitives import StatevectorSampler
from qiskit.quantum_info import SparsePauliOp

import hybridopt as ho
from hybridopt.circuits import lower
from hybridopt.errors import CheckpointError, UnsupportedError
from hybridopt.execution import Expectations, Job, Stream
from hybridopt.sklearn.base import _restarted
from tests.execution.primitive import journaled_training
from tests.execution.primitive.journaled_training import Killed, Outcome, train
from tests.execution.primitive.service import PlainSampler, Service, TaggedSampler
from tests.execution.primitive.test_executor import W, X, circuit, small_job


def _killed_and_resumed(folder: Path, sampler: str, place: int) -> tuple[Outcome, list[str]]:
    with suppress(Killed):
        train(folder, sampler, place)
    gc.collect()  # as the end of a process, it frees the lock
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outcome = train(folder, sampler)
    return outcome, [str(one.message) for one in caught]


@pytest.fixture(autouse=True)
def only_new_garbage():
    """Let `gc.collect` look at the objects of this test only, not for a second at all others."""
    gc.freeze()


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return {
        name: train(tmp_path_factory.mktemp(name), name)
        for name in ("TaggedSampler", "PlainSampler")
    }


@pytest.mark.parametrize("number", range(6))
def test_a_killed_program_pays_nothing_twice_with_tags(tmp_path, uninterrupted, number):
    whole = uninterrupted["TaggedSampler"]
    place = random.Random(number).randint(1, whole.places)
    outcome, messages = _killed_and_resumed(tmp_path, "TaggedSampler", place)
    assert (outcome.weights, outcome.paid, outcome.cost) == (whole.weights, whole.paid, whole.cost)
    assert not messages


@pytest.mark.parametrize("place", [3, 4, 5, 6, 7, 8])  # of the first job: intent, acceptance, id
def test_without_tags_a_second_payment_is_announced(tmp_path, uninterrupted, place):
    whole = uninterrupted["PlainSampler"]
    outcome, messages = _killed_and_resumed(tmp_path, "PlainSampler", place)
    twice = outcome.paid - whole.paid
    assert twice == (place in {6, 7})  # between the acceptance and the id
    announced = [True] * (place in {4, 5, 6, 7})
    assert [("may be paid twice" in message) for message in messages] == announced
    assert twice or outcome.weights == whole.weights


def test_a_finished_journal_is_read_without_the_service(tmp_path, uninterrupted):
    train(tmp_path, "TaggedSampler")
    service = Service(tmp_path / "service")
    before = service.paid
    for path in (tmp_path / "service").glob("job-*"):
        path.unlink()
    assert before == uninterrupted["TaggedSampler"].paid
    outcome = train(tmp_path, "TaggedSampler")
    assert outcome.weights == uninterrupted["TaggedSampler"].weights
    assert outcome.paid == 0


def _executor(folder, *, sampler=StatevectorSampler, **options) -> ho.PrimitiveExecutor:
    return ho.PrimitiveExecutor(sampler(), **{"shots": 20, "seed": 1, "journal": folder, **options})


def _other_circuit(job: Job) -> Job:
    other = circuit()
    other.h(0)
    return Job(lower(other, X, W, whole=False), job.readout, job.rows, job.shared)


OTHERS = {
    "circuit": ({}, _other_circuit, "another circuit"),
    "readout": (
        {},
        lambda job: Job(job.program, Expectations((SparsePauliOp("XXX"),)), job.rows, job.shared),
        "another circuit",
    ),
    "shots": ({"shots": 30}, lambda job: job, "another number of shots"),
    "seed": ({"seed": 2}, lambda job: job, "another seed"),
    "rows": ({"max_rows": 3}, lambda job: job, "another number of rows"),
    "angles": (
        {},
        lambda job: Job(job.program, job.readout, job.rows + 1e-9, job.shared),
        "other angles",
    ),
    "position": (
        {},
        lambda job: Job(job.program, job.readout, job.rows, job.shared, Stream(9)),
        "position 1",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_journal_of_another_run_is_refused(tmp_path, name):
    options, change, words = OTHERS[name]
    first = _executor(tmp_path)
    results = [first.run(small_job()) for _ in range(2)]
    del first
    other = _executor(tmp_path, **options)
    with pytest.raises(CheckpointError, match=f"`journal` must belong to this run.*{words}"):
        other.submit(change(small_job()))
    assert other.usage == ho.Cost()
    again = _executor(tmp_path)
    for result in results:
        np.testing.assert_array_equal(again.run(small_job()).values, result.values)
    again.run(small_job())  # goes on


def test_a_random_seed_is_kept_in_the_journal(tmp_path):
    first = _executor(tmp_path, seed=None)
    values = first.run(small_job()).values
    again = _executor(tmp_path, seed=None)
    assert again.state_dict()["entropy"] == first.state_dict()["entropy"]
    np.testing.assert_array_equal(again.run(small_job()).values, values)


def test_a_run_continues_from_a_checkpoint(tmp_path):
    first = _executor(tmp_path)
    values = [first.run(small_job()).values for _ in range(2)]
    state = first.state_dict()
    values.append(first.run(small_job()).values)
    for position, expected in ((1, values[1]), (2, values[2])):
        later = _executor(tmp_path)
        later.load_state_dict({**state, "calls": position})
        np.testing.assert_array_equal(later.run(small_job()).values, expected)
    later.run(small_job())


def test_a_position_may_be_visited_twice(tmp_path):
    # a line search rewinds the random stream, and evaluates other angles at the same position
    first = _executor(tmp_path, sampler=lambda: TaggedSampler(Service(tmp_path / "service")))
    jobs = [small_job(), small_job(samples=2), small_job()]
    values = []
    for job in jobs:
        first.load_state_dict({**first.state_dict(), "calls": 0})
        values.append(first.run(job).values)
    again = _executor(tmp_path, sampler=lambda: TaggedSampler(Service(tmp_path / "service")))
    for job, expected in zip(jobs, values, strict=True):
        again.load_state_dict({**again.state_dict(), "calls": 0})
        np.testing.assert_array_equal(again.run(job).values, expected)
    assert Service(tmp_path / "service").paid == 3


def test_a_journal_belongs_to_one_executor(tmp_path):
    first = _executor(tmp_path)
    first.run(small_job())
    second = _executor(tmp_path)
    with pytest.raises(UnsupportedError, match="one executor"):
        first.run(small_job())
    second.run(small_job())


def test_a_copy_continues_in_the_same_journal(tmp_path):
    # each fit of a scikit-learn estimator has a copy at the start of its random stream
    def run() -> tuple[list[np.ndarray], list[ho.PrimitiveExecutor]]:
        service = Service(tmp_path / "service")
        first = _executor(tmp_path / "journal", sampler=lambda: TaggedSampler(service))
        executors = [first, *(_restarted(first, 0) for _ in range(2))]
        return [one.run(small_job()).values for one in executors], executors

    values, executors = run()
    assert [one.usage.jobs for one in executors] == [1, 1, 1]
    again, _ = run()
    np.testing.assert_array_equal(again, values)
    assert Service(tmp_path / "service").paid == 3


@pytest.mark.skipif(os.name == "nt", reason="no fork")
def test_a_forked_process_is_refused(tmp_path):
    executor = _executor(tmp_path)
    executor.run(small_job())
    child = os.fork()
    if not child:
        try:
            executor.run(small_job())
        except UnsupportedError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


DAMAGE = {"empty": b"", "cut": b'{"key": "a', "list": b"[1]", "binary": b"\x00\xff" * 9}


@pytest.mark.parametrize("content", DAMAGE.values(), ids=DAMAGE)
@pytest.mark.parametrize("kind", ["journal.json", "0*.json", "0*.npz"])
def test_damaged_files_are_named(tmp_path, kind, content):
    _executor(tmp_path).run(small_job())
    (path,) = tmp_path.glob(kind)
    path.write_bytes(content)
    gc.collect()
    with pytest.raises(CheckpointError, match=path.name):
        _executor(tmp_path).run(small_job())


OTHER = {
    "no seed": ("journal.json", {"seed": None}),
    "text as seed": ("journal.json", {"seed": "zz"}),
    "number as seed": ("journal.json", {"seed": 7}),
    "no key": ("0*.json", {"key": None}),
    "number as id": ("0*.json", {"job_id": 7}),
}


@pytest.mark.parametrize(("kind", "change"), OTHER.values(), ids=OTHER)
def test_whole_files_with_another_content_are_named(tmp_path, kind, change):
    _executor(tmp_path).run(small_job())
    (path,) = tmp_path.glob(kind)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    gc.collect()
    with pytest.raises(CheckpointError, match=path.name):
        _executor(tmp_path).run(small_job())


@pytest.mark.parametrize(
    "change",
    [
        {"values": np.zeros((1, 3))},
        {"variances": np.zeros((4, 2))},
        {"values": np.full((4, 3), "a")},
        {"seconds": np.zeros(2)},
        {"seconds": None},
    ],
)
def test_results_with_other_arrays_are_named(tmp_path, change):
    _executor(tmp_path).run(small_job())
    (path,) = tmp_path.glob("0*.npz")
    with np.load(path) as stored:
        content = {**stored, **change}
    np.savez(path, **{name: array for name, array in content.items() if array is not None})
    gc.collect()
    with pytest.raises(CheckpointError, match=path.name):
        _executor(tmp_path).run(small_job())


def test_jobs_without_a_header_are_refused(tmp_path):
    _executor(tmp_path).run(small_job())
    (tmp_path / "journal.json").unlink()
    gc.collect()
    with pytest.raises(CheckpointError, match=r"journal.json must be there"):
        _executor(tmp_path)


def test_a_journal_of_a_later_version_is_refused(tmp_path):
    _executor(tmp_path).run(small_job())
    header = tmp_path / "journal.json"
    header.write_text(json.dumps({**json.loads(header.read_text()), "version": 2}))
    with pytest.raises(CheckpointError, match="this version"):
        _executor(tmp_path)


def test_the_key_is_added_to_the_tags_of_the_user(tmp_path):
    service = Service(tmp_path / "service")
    sampler = TaggedSampler(service)
    ho.PrimitiveExecutor(sampler, shots=5, journal=tmp_path / "journal").run(small_job())
    (tags,) = (json.loads(path.read_text()) for path in service.folder.glob("*.json"))
    (entry,) = (tmp_path / "journal").glob("0*.json")
    assert tags == ["mine", f"ho-{json.loads(entry.read_text())['key']}"]
    assert json.loads(entry.read_text())["job_id"] == "job-0"
    assert sampler.options.environment.job_tags == ["mine"]


def _run(*arguments: object) -> subprocess.CompletedProcess[str]:
    root = Path(journaled_training.__file__).parents[3]
    command = [sys.executable, "-m", "tests.execution.primitive.journaled_training"]
    path = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [*command, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=root,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},
    )  # fmt: skip


@pytest.mark.slow
def test_a_process_killed_with_sigkill_continues(tmp_path, uninterrupted):
    whole = uninterrupted["TaggedSampler"]
    place = random.Random(100).randint(1, whole.places)
    assert _run(tmp_path, "TaggedSampler", place).returncode == -signal.SIGKILL
    weights, paid, _ = json.loads(_run(tmp_path, "TaggedSampler").stdout.splitlines()[-1])
    assert (weights, paid) == (whole.weights, whole.paid)


@pytest.mark.slow
def test_another_process_is_refused_while_the_journal_is_open(tmp_path):
    executor = _executor(tmp_path / "journal")
    executor.run(small_job())
    other = _run(tmp_path, "TaggedSampler")
    assert "must be used by one process at a time" in other.stderr
    assert not PlainSampler(Service(tmp_path / "service"))._accept.__self__.paid
