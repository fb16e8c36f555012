"""A primitive of Qiskit, local or remote: its kind, device, defaults, service and session."""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from qiskit.primitives import BaseEstimatorV2, BaseSamplerV2
from qiskit.providers import BackendV2
from qiskit_aer import AerSimulator

from hybridopt.errors import ArgumentError, ArgumentTypeError, DeviceError
from hybridopt.execution.primitive.seeding import seeding_of, set_options

CLOSED = {"Closed", "In progress, not accepting new jobs"}  # of `Session.status()`
LOCAL = (  # modules of primitives that run here; base classes are also those of services
    "qiskit.primitives.backend_",
    "qiskit.primitives.statevector_",
    "qiskit_aer.",
)
SECRET_NAMES = {
    "token", "api_token", "api_key", "apikey", "access_token", "password", "secret",
    "instance", "crn",
}  # fmt: skip
MITIGATIONS = {  # of the options of estimators, with their words
    ("resilience", "measure_mitigation"): "readout mitigation (TREX)",
    ("resilience", "zne_mitigation"): "zero-noise extrapolation",
    ("resilience", "pec_mitigation"): "probabilistic error cancellation",
    ("twirling", "enable_gates"): "twirled gates",
    ("twirling", "enable_measure"): "twirled measurements",
    ("dynamical_decoupling", "enable"): "dynamical decoupling",
}


@dataclass(frozen=True, eq=False)
class Client:
    """Interface to a primitive, by its public methods only where these suffice."""

    primitive: Any
    is_sampler: bool

    @classmethod
    def of(cls, primitive: object) -> Client:
        """Return the client of a primitive; raise ArgumentTypeError for anything else."""
        if isinstance(primitive, BaseSamplerV2 | BaseEstimatorV2):
            return cls(primitive, isinstance(primitive, BaseSamplerV2))
        # only the class of another object is shown, because its values may be secret
        kind = type(primitive).__name__
        remedy = "Wrap a backend, as in `BackendSamplerV2(backend=backend)`."
        if isinstance(primitive, type):
            kind, remedy = f"the class {primitive.__name__}", "Create an instance of it."
        elif not isinstance(primitive, BackendV2) and callable(getattr(primitive, "run", None)):
            names = inspect.signature(primitive.run).parameters  # type: ignore[attr-defined]
            if "shots" in names or "precision" in names:
                return cls(primitive, "shots" in names)
        raise ArgumentTypeError(
            f"`primitive` must be a SamplerV2 or EstimatorV2 (got {kind}). {remedy}"
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Client:
        return self  # with its connection, which copies of executors share

    @cached_property
    def backend(self) -> BackendV2 | None:
        """Backend of the primitive, if it has one."""
        for name in ("backend", "_backend"):
            found = getattr(self.primitive, name, None)
            if callable(found) and not isinstance(found, BackendV2):
                found = found()
            if isinstance(found, BackendV2):
                return found
        return None

    @property
    def device(self) -> BackendV2 | None:
        """Backend with couplings; a simulator without any is not a device."""
        has_couplings = getattr(self.backend, "coupling_map", None) is not None
        return self.backend if has_couplings else None

    @property
    def simulates_target(self) -> bool:
        """Whether a fake device is simulated with the errors of its target, not its properties."""
        local = self.is_local and getattr(self.primitive, "_service", None) is not None
        return local and callable(getattr(self.primitive, "finalize_options", None))

    @property
    def mode(self) -> Any:
        """Session or batch of the primitive, if any."""
        found = getattr(self.primitive, "mode", None) or getattr(self.primitive, "_mode", None)
        return None if callable(found) and not hasattr(found, "close") else found

    @cached_property
    def service(self) -> Any:
        """Service that keeps the jobs, if any; None for local primitives."""
        for owner in (self.primitive, self.mode, self.backend):
            for name in ("service", "_service"):
                found = getattr(owner, name, None)
                if callable(getattr(found, "job", None)) or callable(getattr(found, "jobs", None)):
                    return found
        return None

    @cached_property
    def is_local(self) -> bool:
        """Whether jobs run in this process, so that a lost one was not paid."""
        service = getattr(self.primitive, "_service", None)
        if getattr(service, "is_local", False):
            return True
        modules = {kind.__module__ for kind in type(self.primitive).__mro__}
        if not any(module.startswith(LOCAL) for module in modules):
            return False
        if self.backend is None or isinstance(self.backend, AerSimulator):
            return True
        return any("fake_provider" in kind.__module__ for kind in type(self.backend).__mro__)

    @property
    def is_ideal(self) -> bool:
        """Whether the primitive is known to simulate no noise of gates."""
        if self.backend is None:
            return type(self.primitive).__module__.startswith("qiskit.primitives.statevector")
        if not isinstance(self.backend, AerSimulator):
            return False
        return self.backend.options.get("noise_model") is None

    @property
    def has_tags(self) -> bool:
        """Whether jobs can be given tags, and found by them."""
        environment = getattr(self.options, "environment", None)
        searches = callable(getattr(self.service, "jobs", None))
        return searches and hasattr(environment, "job_tags") and not self.is_local

    @property
    def options(self) -> Any:
        """Options of the primitive, if any."""
        return getattr(self.primitive, "options", None)

    @property
    def name(self) -> str:
        """Class of the primitive, and its device."""
        kind = type(self.primitive).__name__
        return kind if self.backend is None else f"{kind} on {self.backend.name}"

    @property
    def default_shots(self) -> int:
        """Number of shots of a sampler that nobody gave."""
        for owner in (self.primitive, self.options):
            found = getattr(owner, "default_shots", None)
            if isinstance(found, int) and found > 0:
                return found
        raise ArgumentError(
            f"`shots` must be given, because {type(self.primitive).__name__} has no default."
        )

    @property
    def default_precision(self) -> float:
        """Standard error of an estimator that nobody gave; 0 for exact values."""
        shots = getattr(self.options, "default_shots", None)
        if isinstance(shots, int) and shots > 0:
            return 1 / math.sqrt(shots)
        for owner in (self.primitive, self.options):
            found = getattr(owner, "default_precision", None)
            if isinstance(found, int | float):
                return float(found)
        raise ArgumentError(
            f"`precision` must be given, because {type(self.primitive).__name__} has no default."
        )

    @property
    def mitigation(self) -> str:
        """Mitigation that the options of an estimator ask for, in words; empty for none."""
        options = self.options
        finalize = getattr(self.primitive, "finalize_options", None)
        if callable(finalize):
            options = finalize()
        names = [
            words
            for (group, name), words in MITIGATIONS.items()
            if getattr(getattr(options, group, None), name, None) is True
        ]
        return ", ".join(names)

    def check_open(self) -> None:
        """Raise DeviceError if the session of the primitive is known to be closed."""
        if getattr(self.mode, "_active", True) is False:
            raise self.closed_error()

    def is_closed(self) -> bool:
        """Return whether the service reports that the session accepts no more jobs."""
        status = getattr(self.mode, "status", None)
        try:
            return callable(status) and status() in CLOSED
        except Exception:  # noqa: BLE001 the service does not answer, so the state is unknown
            return False

    def closed_error(self) -> DeviceError:
        """Return the error for a closed session."""
        kind = type(self.mode).__name__
        return DeviceError(
            f"The {kind} of the primitive must be open (it is closed or has expired). Open a new "
            f"{kind}, and create the primitive and the executor again. With the same `journal`, "
            "the program continues with the jobs that it has paid."
        )

    def send(
        self,
        pubs: Sequence[Any],
        shots: int | None,
        precision: float | None,
        *,
        tag: str | None = None,
        seed: int | None = None,
    ) -> Any:
        """Return the job of some pubs, with a tag and a seed for its noise, if given."""
        primitive = self.primitive
        if seed is not None:
            primitive = seeding_of(primitive).seeded(primitive, seed)
        if tag is not None:
            primitive = _tagged(primitive, tag)
        given = {"shots": shots} if self.is_sampler else {"precision": precision}
        return primitive.run(list(pubs), **{k: v for k, v in given.items() if v is not None})

    def find(self, tag: str) -> Any:
        """Return the first job with a tag, or None."""
        found = list(self.service.jobs(job_tags=[tag]))
        return found[-1] if found else None  # the newest is the first

    def secrets(self) -> Iterator[str]:
        """Yield the tokens and instances that objects of the primitive hold."""
        objects = [self.primitive, self.mode, self.backend, self.service]
        objects += [getattr(self.service, name, None) for name in ("_account", "account")]
        for one in objects:
            values = one if isinstance(one, dict) else getattr(one, "__dict__", {})
            for name, value in values.items():
                if isinstance(name, str) and name.strip("_").lower() in SECRET_NAMES:
                    yield from _texts(value)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str) and len(value) > 3:
        yield value


def _tagged(primitive: Any, tag: str) -> Any:
    """Return a copy of a primitive that adds a tag to its jobs."""
    clone, options = copy.copy(primitive), copy.copy(primitive.options)
    options.environment = copy.copy(options.environment)
    tags = options.environment.job_tags
    options.environment.job_tags = [*(tags if isinstance(tags, list | tuple) else ()), tag]
    set_options(clone, options)
    return clone
