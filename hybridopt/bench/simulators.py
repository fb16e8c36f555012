"""The simulators suite: problems times competitors, planned first and then measured in turn."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from hybridopt import _validation
from hybridopt.bench.measure import measure
from hybridopt.bench.peers import PEERS, peer_names
from hybridopt.bench.peers.competitor import Competitor, Hybridopt
from hybridopt.bench.problem import Problem, parse_problem, z_of_each
from hybridopt.bench.row import Finding, Row, evaluate
from hybridopt.circuits import load_circuit
from hybridopt.errors import HybridOptError, MissingExtraError, ResourceError, UnsupportedError
from hybridopt.execution.aer.executor import METHODS, PRECISIONS
from hybridopt.gradients import GRADIENTS

MAIN = ("ladder:4-16-16", "ladder:8-32-16", "ladder:10-60-32", "ladder:14-84-32")
FULL = (
    *MAIN, "reuploading:4-32-16",
    "ladder:2-8-16", "ladder:6-24-16", "ladder:10-40-16", "ladder:12-48-16",  # by qubits
    "ladder:8-8-16", "ladder:8-16-16", "ladder:8-64-16", "ladder:8-128-16",  # by weights
)  # fmt: skip
WITH_SHOTS = (("ladder:4-16-16", 1024),)
QUICK = (
    "ladder:4-16-16", "ladder:4-4-16", "ladder:2-8-16", "ladder:6-24-16", "ladder:4-64-16",
    "reuploading:4-32-16",
)  # fmt: skip
QUICK_SECONDS = 40.0  # nothing new begins later, so that start and page fit into the minute

MEASURED = (
    "forward values and the gradient by all weights of the mean over the batch of the summed "
    "outputs, from angles and inputs that are new in every repetition, float64"
)


@dataclass(frozen=True)
class SimulatorSettings:
    """What the user asks for; None is the default.

    Attributes:
        problems: Such as ``ladder:4-16-16``; None with no circuits is the default suite.
        circuits: Names of the gallery or files.
        gradients: Rules of ours; peers run the rules of the same kind.
        methods: Of Aer.
        devices: ``"CPU"``, ``"GPU"``, ``"auto"``.
        precisions: ``"double"``, ``"single"``.
        batches: Instead of the problems' own.
        shots: Instead of the suite's own; None among them is exact.
        repetitions: Timed turns; None is 7, quick 3.
        seed: Of angles and shots.
        peers: Whether all peers that are installed take part.
        peer: Peers that have to.
        max_seconds: Of timed calls a row; None is 10, quick 1.5.
        quick: End within a minute.
    """

    problems: tuple[str, ...] = ()
    circuits: tuple[str, ...] = ()
    gradients: tuple[str, ...] = ()
    methods: tuple[str, ...] = ("automatic",)
    devices: tuple[str, ...] = ("CPU",)
    precisions: tuple[str, ...] = ("double",)
    batches: tuple[int, ...] = ()
    shots: tuple[int | None, ...] = ()
    repetitions: int | None = None
    seed: int = 0
    peers: bool = False
    peer: tuple[str, ...] = ()
    max_seconds: float | None = None
    quick: bool = False

    def __post_init__(self) -> None:
        for name, values, known in (
            ("gradient", self.gradients, GRADIENTS),
            ("method", self.methods, METHODS),
            ("precision", self.precisions, PRECISIONS),
            ("peer", self.peer, peer_names()),
        ):
            for value in values:
                _validation.choice(name, value, known)
        for batch in self.batches:
            _validation.integer("batch", batch, minimum=1)
        for shots in self.shots:
            _validation.optional_integer("shots", shots, minimum=1)
        _validation.optional_integer("repetitions", self.repetitions, minimum=1)
        _validation.integer("seed", self.seed, minimum=0)
        _validation.optional_real("max_seconds", self.max_seconds, minimum=0, strict=True)

    @property
    def rounds(self) -> int:
        """Repetitions."""
        return self.repetitions or (3 if self.quick else 7)

    @property
    def limit(self) -> float:
        """Seconds a row."""
        return self.max_seconds or (1.5 if self.quick else 10.0)


@dataclass(frozen=True)
class BenchPlan:
    """Problems with those who take part, and notes on what was left out."""

    entries: tuple[tuple[Problem, tuple[Competitor, ...]], ...]
    notes: tuple[str, ...]


def make_plan(settings: SimulatorSettings) -> BenchPlan:
    """Return problems and competitors; nothing is run.

    Raises:
        UnknownNameError: If a problem or circuit is unknown.
        CircuitError: If a circuit cannot be read or differentiated.
        DeviceError: If the device is not there.
        MissingExtraError: If a peer that was named is not installed.
        UnsupportedError: If something that was named goes with nothing else.
        ResourceError: If a method that was named fits no problem into memory.
    """
    notes: list[str] = []
    peers = _peers(settings, notes)
    entries, ran = [], set[str]()
    refused: dict[str, HybridOptError] = {}
    for problem in _problems(settings):
        ours = list(_ours(settings, problem, refused))
        ran.update(*({one.rule, one.method} for one in ours))
        others = [one for one in peers if (one.exact if problem.shots is None else one.samples)]
        if ours or others:
            entries.append((problem, (*ours, *others)))
    for named in (*settings.gradients, *settings.methods):
        if named not in ran and named in refused:
            raise refused[named]
    notes += [f"Left out: {reason}" for reason in refused.values()]
    return BenchPlan(tuple(entries), tuple(dict.fromkeys(notes)))


@dataclass(frozen=True)
class SimulatorOutcome:
    """All rows of one run, one per problem and competitor, and the goals that they decide."""

    settings: SimulatorSettings
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]  # what was left out
    seconds: float  # wall time of the whole

    def as_dict(self) -> dict[str, Any]:
        """For bench.json."""
        return {
            "measured": MEASURED,
            "settings": asdict(self.settings),
            "seconds": self.seconds,
            "goals": [asdict(finding) for finding in self.findings],
            "notes": list(self.notes),
            "rows": [row.as_dict() for row in self.rows],
        }


def run_simulators(
    settings: SimulatorSettings,
    plan: BenchPlan,
    *,
    report: Callable[[str], object] = lambda _: None,
    started: float | None = None,
) -> SimulatorOutcome:
    """Measure a plan.

    Args:
        settings: Repetitions, limits and seed.
        plan: Of these settings.
        report: Told what is measured next.
        started: When a quick run began, on the clock of `time.perf_counter`; None is now.
    """
    began = time.perf_counter()
    ends = QUICK_SECONDS + (began if started is None else started) if settings.quick else math.inf
    rows: list[Row] = []
    for problem, competitors in plan.entries:
        rows += measure(
            problem, competitors, repetitions=settings.rounds, max_seconds=settings.limit,
            seed=settings.seed, ends=ends, earlier=rows, report=report,
        )  # fmt: skip
    seconds = time.perf_counter() - began
    return SimulatorOutcome(settings, tuple(rows), tuple(evaluate(rows)), plan.notes, seconds)


def _problems(settings: SimulatorSettings) -> list[Problem]:
    problems = [parse_problem(text) for text in settings.problems]
    for name in settings.circuits:
        path = Path(name)
        where = path if path.exists() else name
        loaded = load_circuit(where)
        if not loaded.weight_parameters:  # as in every file of OpenQASM 2
            loaded = load_circuit(where, train="angles")
        circuit, inputs, weights, observables = loaded
        read = tuple(observables or z_of_each(circuit.num_qubits))
        problems.append(Problem(path.stem, circuit, tuple(inputs), tuple(weights), read))
    suite = [parse_problem(text) for text in (QUICK if settings.quick else FULL)]
    if not (problems or settings.batches or settings.shots):
        few = [parse_problem(text).resized(batch=None, shots=count) for text, count in WITH_SHOTS]
        return [*few, *suite]
    axes = problems or suite, settings.batches or (None,), settings.shots or (None,)
    return [one.resized(batch=batch, shots=shots) for one, batch, shots in product(*axes)]


def _ours(
    settings: SimulatorSettings, problem: Problem, refused: dict[str, HybridOptError]
) -> Iterator[Hybridopt]:
    rules = settings.gradients or tuple(GRADIENTS)
    axes = rules, settings.methods, settings.devices, settings.precisions
    for rule, method, device, precision in product(*axes):
        one = Hybridopt(rule, method, device, precision, settings.seed)
        if problem.shots is not None and not one.samples:
            reason = f"gradient {rule} with shots: it needs the exact state."
            refused[rule] = UnsupportedError(reason)
            continue
        try:
            one.layer(problem)
        except (UnsupportedError, ResourceError) as error:
            reason = f"{problem.name}, gradient {rule} by method {method}: {error}"
            refused[rule] = refused[method] = type(error)(reason)
            continue
        yield one


def _peers(settings: SimulatorSettings, notes: list[str]) -> list[Competitor]:
    kinds = settings.gradients or tuple(GRADIENTS)
    named = [one for key in settings.peer for one in PEERS if one.key == key]
    for one in named:
        if reason := one.unavailable():
            raise MissingExtraError(f"Peer {one.key!r} cannot be measured: {reason}")
    chosen = []
    for one in PEERS if settings.peers else named:
        if reason := one.unavailable():
            notes.append(f"Without {one.library}: {reason}")
        elif one.kind in kinds:
            chosen.append(one)
    return chosen
