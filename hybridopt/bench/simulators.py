"""Suite of simulators: every problem with every competitor, planned first, then measured."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from hybridopt import _validation
from hybridopt.bench.measure import Report, measure
from hybridopt.bench.peers import PEER_NAMES, PEERS
from hybridopt.bench.peers.competitor import Competitor, Hybridopt
from hybridopt.bench.peers.from_file import is_file_peer, peer_from_file
from hybridopt.bench.problem import Problem, parse_problem, z_of_each
from hybridopt.bench.row import Finding, Row, evaluate
from hybridopt.circuits import load_circuit
from hybridopt.errors import HybridOptError, MissingExtraError, ResourceError, UnsupportedError
from hybridopt.gradients import GRADIENTS

MAIN = ("ladder:4-16-16", "ladder:8-32-16", "ladder:10-60-32", "ladder:14-84-32")
FULL = (
    *MAIN, "reuploading:4-32-16",
    "ladder:2-8-16", "ladder:6-24-16", "ladder:10-40-16", "ladder:12-48-16",  # sweep of qubits
    "ladder:8-8-16", "ladder:8-16-16", "ladder:8-64-16", "ladder:8-128-16",  # sweep of weights
    "ladder:14-28-4", "ladder:4-16-4096",  # few wide samples, and many narrow ones
    "ladder:4-16-10000", "ladder:4-16-1",  # patches of images, and a step of a recurrent loop
)  # fmt: skip
WITH_SHOTS = (("ladder:4-16-16", 1024),)
WITH_NOISE = (("ladder:4-16-16", 0.01), ("ladder:6-24-4", 0.01), ("ladder:8-16-2", 0.01))
QUICK = (
    "ladder:4-16-16", "ladder:4-4-16", "ladder:2-8-16", "ladder:6-24-16", "ladder:4-64-16",
    "reuploading:4-32-16",
)  # fmt: skip
ORIGINS = {  # of the observables of a file
    "comments": "from the comments of the file",
    "metadata": "from the metadata of the file",
    "measurements": "from the measurements",
    "all qubits": "all qubits, as the file has neither observables nor measurements",
}
QUICK_SECONDS = 40.0  # start of the last measurement, so that all ends within a minute

MEASURED = (
    "the outputs of all samples, and the gradient of the sum of the outputs, averaged over the "
    "samples, with respect to all weights; in float64, with new angles and inputs in every call"
)


@dataclass(frozen=True)
class SimulatorSettings:
    """Settings of the suite of simulators.

    Attributes:
        problems: Names such as ``ladder:4-16-16``; the default suite if all are empty.
        circuits: Names of circuits in the gallery, or files.
        gradients: Gradient rules of hybridopt, all by default; peers run the equivalent rules.
        methods: Simulation methods of Aer.
        devices: ``"CPU"``, ``"GPU"`` or ``"auto"``.
        precisions: ``"double"`` or ``"single"``.
        batches: Numbers of samples that replace those of the problems.
        shots: Numbers of shots per setting, None for exact, that replace those of the suite.
        noises: Probabilities of depolarization after each gate, None for no noise, that replace
            those of the suite.
        repetitions: Number of timed turns per row; None for 7, or 3 if ``quick``.
        seed: Seed for angles and shots.
        peers: True to compare with all installed peers.
        peer: Names of peers that must take part, or own ones as ``file.py:Class``.
        max_seconds: Limit for the timed calls of a row [s]; None for 10, or 1.5 if ``quick``.
        quick: True to end within a minute.
    """

    problems: tuple[str, ...] = ()
    circuits: tuple[str, ...] = ()
    gradients: tuple[str, ...] = ()
    methods: tuple[str, ...] = ("automatic",)
    devices: tuple[str, ...] = ("CPU",)
    precisions: tuple[str, ...] = ("double",)
    batches: tuple[int, ...] = ()
    shots: tuple[int | None, ...] = ()
    noises: tuple[float | None, ...] = ()
    repetitions: int | None = None
    seed: int = 0
    peers: bool = False
    peer: tuple[str, ...] = ()
    max_seconds: float | None = None
    quick: bool = False

    def __post_init__(self) -> None:
        _validation.optional_integer("repetitions", self.repetitions, minimum=1)
        _validation.optional_real("max_seconds", self.max_seconds, minimum=0, strict=True)

    @property
    def rounds(self) -> int:
        """Number of timed turns per row."""
        return self.repetitions or (3 if self.quick else 7)

    @property
    def limit(self) -> float:
        """Limit for the timed calls of a row [s]."""
        return self.max_seconds or (1.5 if self.quick else 10.0)


@dataclass(frozen=True)
class BenchPlan:
    """Problems with their competitors, and notes on omitted ones."""

    entries: tuple[tuple[Problem, tuple[Competitor, ...]], ...]
    notes: tuple[str, ...]


def make_plan(settings: SimulatorSettings) -> BenchPlan:
    """Return problems and competitors without running a circuit.

    Raises:
        UnknownNameError: If a problem or circuit is unknown.
        CircuitError: If a circuit cannot be read or differentiated.
        DeviceError: If the device is not available.
        ArgumentError: If an own peer cannot be created.
        MissingExtraError: If a peer in ``settings.peer`` is not installed.
        UnsupportedError: If a chosen gradient or method supports none of the problems.
        ResourceError: If no problem fits into memory with a chosen method.
    """
    peers = _peers(settings)
    entries, ran = [], set[str]()
    refused: dict[str, HybridOptError] = {}
    for problem in _problems(settings):
        ours = list(_ours(settings, problem, refused))
        ran.update(*({one.rule, one.method} for one in ours))
        others = [one for one in peers if one.supports(problem)]
        if ours or others:
            entries.append((problem, (*ours, *others)))
    for named in (*settings.gradients, *settings.methods):
        if named not in ran and named in refused:
            raise refused[named]
    notes = [f"Left out: {reason}" for reason in refused.values()]
    return BenchPlan(tuple(entries), tuple(dict.fromkeys(notes)))


@dataclass(frozen=True)
class SimulatorOutcome:
    """Rows of one run, one per problem and competitor, and the goals compared with them."""

    settings: SimulatorSettings
    rows: tuple[Row, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]  # omitted competitors
    seconds: float  # wall time of the run

    def as_dict(self) -> dict[str, Any]:
        """Return the content for bench.json."""
        return {
            "measured": MEASURED,
            "settings": {
                **asdict(self.settings),
                "repetitions": self.settings.rounds,  # the values that were used
                "max_seconds": self.settings.limit,
            },
            "limit": self.settings.limit,
            "seconds": self.seconds,
            "goals": [asdict(finding) for finding in self.findings],
            "notes": list(self.notes),
            "rows": [row.as_dict() for row in self.rows],
        }


def run_simulators(
    settings: SimulatorSettings, plan: BenchPlan, *, report: Report = lambda _: None
) -> SimulatorOutcome:
    """Measure a plan.

    Args:
        settings: Repetitions, limits and seed.
        plan: Plan of these settings.
        report: Callback that receives the name of each measurement before it begins.
    """
    began = time.perf_counter()
    ends = began + QUICK_SECONDS if settings.quick else math.inf
    rows: list[Row] = []
    with ExitStack() as closing:
        for one in {one for _, competitors in plan.entries for one in competitors}:
            closing.callback(one.close)
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
        origin = ORIGINS[loaded.observables_from]
        if observables is None:
            observables, origin = z_of_each(circuit.num_qubits), "instead of probabilities"
        problems.append(Problem(path.stem, circuit, tuple(inputs), tuple(weights),
                                tuple(observables), origin=origin))  # fmt: skip
    suite = [parse_problem(text) for text in (QUICK if settings.quick else FULL)]
    if not (problems or settings.batches or settings.shots or settings.noises):
        sampled = [parse_problem(text).resized(shots=count) for text, count in WITH_SHOTS]
        noisy = [parse_problem(text).resized(noise=noise) for text, noise in WITH_NOISE]
        return [*sampled, *suite, *(noisy[:1] if settings.quick else noisy)]
    none = (None,)
    axes = product(problems or suite, settings.batches or none, settings.shots or none,
                   settings.noises or none)  # fmt: skip
    return [one.resized(batch=batch, shots=shots, noise=p) for one, batch, shots, p in axes]


def _ours(
    settings: SimulatorSettings, problem: Problem, refused: dict[str, HybridOptError]
) -> Iterator[Hybridopt]:
    rules = settings.gradients or tuple(GRADIENTS)
    axes = rules, settings.methods, settings.devices, settings.precisions
    for rule, method, device, precision in product(*axes):
        one = Hybridopt(rule, method, device, precision, settings.seed)
        if problem.shots is not None and not one.samples:
            refused[rule] = UnsupportedError(
                f"Gradient {rule} must run without shots (got {problem.shots}): it needs the exact "
                "state. Choose another gradient."
            )
            continue
        try:
            one.layer(problem)
        except (UnsupportedError, ResourceError) as error:
            reason = f"Gradient {rule}, method {method}, problem {problem.name}: {error}"
            refused[rule] = refused[method] = type(error)(reason)
            continue
        yield one


def _peers(settings: SimulatorSettings) -> list[Competitor]:
    kinds = settings.gradients or tuple(GRADIENTS)
    own = [peer_from_file(name) for name in settings.peer if is_file_peer(name)]
    names = [name for name in settings.peer if not is_file_peer(name)]
    keys = [_validation.choice("peer", name, PEER_NAMES) for name in names]
    named = [one for one in PEERS if one.key in keys]
    for one in (*named, *own):
        if reason := one.unavailable():
            raise MissingExtraError(f"`peer` {one.name!r} cannot be measured: {reason}")
    return own + [one for one in (PEERS if settings.peers else named) if one.kind in kinds]
