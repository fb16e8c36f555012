"""Lost connections, failed jobs, closed sessions, and secrets that no text shows."""

from __future__ import annotations

import logging
import pickle
import traceback
from collections import Counter
from types import SimpleNamespace

import pytest
import requests
import urllib3
from qiskit.primitives import DataBin, PrimitiveResult, PubResult, StatevectorSampler
from qiskit_ibm_runtime import Session
from qiskit_ibm_runtime.api.exceptions import RequestsApiError
from qiskit_ibm_runtime.exceptions import IBMRuntimeError, RuntimeJobFailureError
from qiskit_ibm_runtime.executor_sampler import SamplerV2

import hybridopt as ho
from hybridopt._secrets import without_secrets
from hybridopt.errors import DeviceError, ExecutionError, HybridOptError, UnsupportedError
from hybridopt.execution.primitive import connection
from hybridopt.execution.primitive.connection import is_lost
from tests.execution.primitive.configurations import manila
from tests.execution.primitive.service import (
    INSTANCE,
    TOKEN,
    DerivedSampler,
    PlainSampler,
    Service,
    TaggedSampler,
)
from tests.execution.primitive.test_executor import small_job


@pytest.fixture
def pauses(monkeypatch):
    """Record the pauses between attempts instead of waiting."""
    taken: list[float] = []
    monkeypatch.setattr(connection.time, "sleep", taken.append)
    return taken


def _wrapped(cause: Exception) -> Exception:
    """Return an error of the runtime that hides its cause from tracebacks."""
    try:
        try:
            raise cause
        except type(cause):
            raise IBMRuntimeError("Failed to run program") from None
    except IBMRuntimeError as error:
        return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (requests.ConnectionError(), True),
        (requests.ReadTimeout(), True),
        (urllib3.exceptions.ProtocolError(), True),
        (RequestsApiError("no answer", -1), True),
        (RequestsApiError("busy", 503), True),
        (_wrapped(RequestsApiError("busy", 503)), True),
        (RequestsApiError("invalid", 400), False),
        (_wrapped(RequestsApiError("unauthorized", 401)), False),
        (RuntimeJobFailureError("the job failed"), False),
        (ValueError("timeout"), False),
        (OSError("disk"), False),
    ],
    ids=lambda one: type(one).__name__,
)
def test_only_lost_connections_are_repeated(error, expected):
    assert is_lost(error) is expected


@pytest.mark.parametrize("sampler", [TaggedSampler, PlainSampler])
@pytest.mark.parametrize("kind", ["send", "result"])
def test_lost_connections_are_repeated_with_pauses(tmp_path, pauses, kind, sampler):
    service = Service(tmp_path, Counter({kind: 3}))
    executor = ho.PrimitiveExecutor(sampler(service), shots=5, retrieve=service.job)
    if kind == "send" and sampler is PlainSampler:
        with pytest.warns(UserWarning, match="may be paid twice"):
            executor.run(small_job())
    else:
        executor.run(small_job())
    assert pauses == [1.0, 2.0, 4.0]
    assert service.paid == 1


@pytest.mark.parametrize("sampler", [TaggedSampler, DerivedSampler])
def test_an_accepted_job_is_found_by_its_tag(tmp_path, pauses, sampler):
    service = Service(tmp_path, Counter({"accepted": 1}))  # accepted, but the answer was lost
    ho.PrimitiveExecutor(sampler(service), shots=5).run(small_job())
    assert service.paid == 1


def test_the_connection_may_not_come_back(tmp_path, pauses):
    service = Service(tmp_path, Counter({"result": 99}))
    executor = ho.PrimitiveExecutor(TaggedSampler(service), shots=5)
    with pytest.raises(ExecutionError, match=r"Job job-0 .* lost 6 times"):
        executor.run(small_job())
    assert len(pauses) == 5
    assert service.paid == 1


def test_failed_jobs_are_not_repeated(tmp_path, pauses, monkeypatch):
    service = Service(tmp_path / "service")

    def failed(self):
        raise RuntimeJobFailureError(f"qubit 3 is missing for {TOKEN}")

    executor = ho.PrimitiveExecutor(TaggedSampler(service), shots=5, journal=tmp_path / "journal")
    pending = executor.submit(small_job())
    monkeypatch.setattr("tests.execution.primitive.service.Job.result", failed)
    with pytest.raises(ExecutionError, match=r"Job job-0 .*qubit 3 is missing.*delete") as caught:
        pending.result()
    assert not pauses
    assert service.paid == 1
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize("kind", [TaggedSampler, DerivedSampler])
def test_secrets_appear_nowhere(tmp_path, pauses, caplog, capsys, kind):
    service = Service(tmp_path / "service", Counter({"result": 99}))
    sampler = kind(service)
    executor = ho.PrimitiveExecutor(sampler, shots=5, journal=tmp_path / "journal")
    texts = [repr(executor), executor.explain(small_job()), str(executor.state_dict())]
    with caplog.at_level(logging.DEBUG), pytest.raises(ExecutionError) as caught:
        executor.run(small_job())
    texts += ["".join(traceback.format_exception(caught.value)), caplog.text, *capsys.readouterr()]
    for attempt in (lambda: pickle.dumps(executor), lambda: ho.PrimitiveExecutor(service)):
        with pytest.raises(HybridOptError) as refused:
            attempt()
        texts.append("".join(traceback.format_exception(refused.value)))
    texts += [
        path.read_text("latin-1") for path in (tmp_path / "journal").iterdir() if path.is_file()
    ]
    assert all(secret not in text for text in texts for secret in (TOKEN, INSTANCE, "planted"))
    assert "***" in str(caught.value)


def test_secrets_of_classes_are_hidden():
    class Sampler:
        api_key = "planted"

        def run(self, pubs, *, shots=None):
            raise ValueError(f"{self.api_key} is not known")

    with pytest.raises(ExecutionError, match=r"ValueError: \*\*\* is not known"):
        ho.PrimitiveExecutor(Sampler(), shots=5).run(small_job())


def test_secrets_are_recognized_by_their_form():
    text = "crn:v1:bluemix:public: token=abc Authorization: Bearer xyz, apikey: 'secret1', planted"
    hidden = without_secrets(text, ["planted"])
    assert not any(word in hidden for word in ("bluemix", "abc", "xyz", "secret1", "planted"))


@pytest.mark.parametrize("when", ["before", "at the service"])
def test_closed_sessions_are_refused_with_the_remedy(tmp_path, when):
    if when == "before":
        session = Session(manila())
        session.close()
        executor = ho.PrimitiveExecutor(SamplerV2(mode=session), shots=5)
    else:
        service = Service(tmp_path)
        sampler = TaggedSampler(service)
        sampler.mode = SimpleNamespace(status=lambda: "Closed", close=lambda: None)

        def refuse(*args):
            raise RequestsApiError(f"400 session of {TOKEN}", 400)

        service.accept = refuse
        executor = ho.PrimitiveExecutor(sampler, shots=5)
    with pytest.raises(DeviceError, match=r"Session|SimpleNamespace.*Open a new"):
        executor.run(small_job())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (DataBin(evs=[1.0]), "register `readout`"),
        (None, "one result per pub"),
    ],
)
def test_wrong_results_are_refused(data, words):
    class Wrong:
        def run(self, pubs, *, shots=None):
            results = [] if data is None else [PubResult(data) for _ in pubs]
            return SimpleNamespace(job_id="1", result=lambda: PrimitiveResult(results))

    with pytest.raises(ExecutionError, match=words):
        ho.PrimitiveExecutor(Wrong(), shots=5).run(small_job())


def test_errors_of_local_primitives_keep_their_cause():
    class Broken(StatevectorSampler):
        def run(self, pubs, *, shots=None):
            raise ValueError("no such gate")

    with pytest.raises(ExecutionError, match="no such gate") as caught:
        ho.PrimitiveExecutor(Broken(), shots=5).run(small_job())
    assert isinstance(caught.value.__cause__, ValueError)


def test_executors_on_a_service_are_not_pickled(tmp_path):
    executor = ho.PrimitiveExecutor(TaggedSampler(Service(tmp_path)), shots=5)
    with pytest.raises(UnsupportedError, match="token"):
        pickle.dumps(executor)
