"""A service that keeps paid jobs on disk, as a remote one does, and may lose connections."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from qiskit.primitives import BaseSamplerV2, StatevectorSampler

TOKEN = "0123456789-planted-token-abcdefghijklmnopqrs"
INSTANCE = "crn:v1:bluemix:public:quantum-computing:us-east:a/planted::"


class JobNotFoundError(Exception):
    """Error of a service for an unknown id."""


@dataclass
class Service:
    """Jobs with ids, tags and results; a job is paid when it is accepted."""

    folder: Path
    lost: Counter[str] = field(default_factory=Counter)  # connections to be lost, by kind of call
    token: str = TOKEN
    instance: str = INSTANCE

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def paid(self) -> int:
        """Number of accepted jobs."""
        return len(list(self.folder.glob("job-*.pickle")))

    def accept(self, pubs, shots, tags) -> Job:
        """Run a job; its noise depends on its number only."""
        self.connect("send")
        number = self.paid
        result = StatevectorSampler(seed=number).run(pubs, shots=shots).result()
        path = self.folder / f"job-{number}.pickle"
        path.with_suffix(".json").write_text(json.dumps(tags))
        path.write_bytes(pickle.dumps(result))
        self.connect("accepted")
        return Job(self, path)

    def job(self, job_id: str) -> Job:
        self.connect("job")
        path = self.folder / f"{job_id}.pickle"
        if not path.exists():
            raise JobNotFoundError(job_id)
        return Job(self, path)

    def jobs(self, *, job_tags: list[str]) -> list[Job]:
        self.connect("jobs")
        paths = sorted(self.folder.glob("job-*.json"), reverse=True)
        found = [path for path in paths if set(job_tags) <= set(json.loads(path.read_text()))]
        return [Job(self, path.with_suffix(".pickle")) for path in found]

    def connect(self, kind: str) -> None:
        if self.lost[kind] > 0:
            self.lost[kind] -= 1
            raise ConnectionError(f"no answer to {self.token} of {self.instance}")


@dataclass
class Job:
    """Job of the service."""

    service: Service
    path: Path

    def job_id(self) -> str:
        return self.path.stem

    def result(self) -> Any:
        self.service.connect("result")
        return pickle.loads(self.path.read_bytes())

    def metrics(self) -> dict[str, Any]:
        return {"usage": {"quantum_seconds": 2.5, "status": "complete"}}


class TaggedSampler:
    """Sampler at a service that finds jobs by their tags."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.options = SimpleNamespace(environment=SimpleNamespace(job_tags=["mine"]))

    def run(self, pubs, *, shots=None):
        return self.service.accept(pubs, shots, list(self.options.environment.job_tags))


class DerivedSampler(TaggedSampler, BaseSamplerV2):
    """Sampler of a package that derives it from Qiskit's base class."""


class PlainSampler:
    """Sampler whose jobs have ids, but no tags."""

    def __init__(self, service: Service) -> None:
        self._accept = service.accept

    def run(self, pubs, *, shots=None):
        return self._accept(pubs, shots, [])
