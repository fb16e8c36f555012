"""Runs and studies in JSON files, and the comparison that an output folder belongs to."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import math
import os
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import torch
from torch import nn

from hybridopt import _validation
from hybridopt._environment import OWN, made_with, versions
from hybridopt._files import LARGEST_JSON, check_folder, read_bytes, write_text
from hybridopt.compare.executors import executor_settings
from hybridopt.compare.methods import Method
from hybridopt.compare.resampling import Experiment
from hybridopt.compare.results import LABELS, Results, Run
from hybridopt.compare.stage_setup import experiment_of
from hybridopt.compare.tuning import Tuning
from hybridopt.errors import CheckpointError
from hybridopt.execution import Executor
from hybridopt.nn.network_spec import network_file
from hybridopt.storage.archive import check_schema

SCHEMA = 2  # schema of studies, runs and the settings of a comparison
DIGEST = "sha256"  # last entry of each file, if no other tool wrote it
SHOWN = 3  # largest number of differences in a message; one often causes others
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_NO_NAME = re.compile(r"[^A-Za-z0-9]+")


class RunStore:
    """Runs of one comparison in a folder, one file per run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._runs = folder / "runs"
        check_folder(self._runs)

    def open(self, settings: Mapping[str, Any], resume: bool | str) -> dict[tuple[str, int], Run]:
        """Return finished runs by method and seed, and assign the folder to the comparison."""
        settings = json.loads(_ADDRESS.sub("", json.dumps(settings)))
        record = self.folder / "comparison.json"
        stored = [self._load(path) for path in sorted(self._runs.glob("[!.]*.json"))]
        if stored and not resume:
            raise CheckpointError(
                f"`output` must have no runs if resume=False (got {self.folder}). Use a new folder."
            )
        before = read_content(record, "comparison") if stored and record.exists() else {}
        known = before.get("earlier", {}) | before.get("settings", {})
        if stored and before.get("settings") != settings:
            fits = bool(known) and _runs_fit(known, settings)
            if resume != "force" or not fits:
                remedy = "Use a new folder" + (" or resume='force'." if fits else ".")
                kept = {
                    name: value
                    for name, value in known.items()
                    if name in settings or name.startswith("network of ")
                }
                changes = _differences(before["settings"] if fits else kept, settings)
                raise CheckpointError(
                    f"`output` {self.folder} has runs of another comparison: {changes}. {remedy}"
                )
        write_content(record, "comparison", {"settings": settings, "earlier": known})
        return {(run.method, run.seed): run for run in stored if run.done}

    def save(self, run: Run) -> Path:
        """Write a run to its file."""
        return write_content(self._path(run), "run", {"run": run.to_dict()})

    def _path(self, run: Run) -> Path:
        words = _NO_NAME.sub("-", run.method).strip("-")[:60]
        return self._runs / f"{words}-seed{run.seed}-{_digest(run.method)[:8]}.json"

    def _load(self, path: Path) -> Run:
        with damage_reported(path, "run"):
            content = read_content(path, "run")
            run = run_of(content.get("run"))
            if self._path(run) != path:
                raise ValueError("method or seed do not match the name of the file")
            check_digest(content)
        return run


def write_content(path: str | os.PathLike[str], kind: str, content: Mapping[str, Any]) -> Path:
    """Write JSON with kind, schema, version and a digest in one atomic step."""
    path = _validation.path("path", path)
    return write_text(path, json.dumps(with_digest({**head(kind), **content}), indent=1) + "\n")


def with_digest(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return JSON values with their digest as the last entry."""
    plain = json.loads(json.dumps(content))
    return {**plain, DIGEST: _digest_of_json(plain)}


def check_digest(content: Mapping[str, Any]) -> None:
    """Raise a ValueError if a file was changed; files without a digest are of other tools.

    The settings of a comparison need no digest, because they are compared with those at hand.
    """
    plain = dict(content)
    if plain.pop(DIGEST, None) not in {None, _digest_of_json(plain)}:
        raise ValueError("it was changed after it was written")


def _digest_of_json(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of JSON values, in any order and with any blanks."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def head(kind: str) -> dict[str, Any]:
    """Return the first entries of each file."""
    return {"kind": f"hybridopt {kind}", "schema": SCHEMA, "version": versions([OWN])[OWN]}


def read_content(path: Path, kind: str) -> Mapping[str, Any]:
    """Read a file of `write_content`; reject other kinds and schemas."""
    with damage_reported(path, kind):
        content = json.loads(read_bytes(path, most=LARGEST_JSON).decode("utf-8"))
    if not isinstance(content, dict) or content.get("kind") != f"hybridopt {kind}":
        raise CheckpointError(f"{path} is not a {kind}. Delete it, or choose another file.")
    schema = content.get("schema", 1)  # missing in runs of the first schema
    version = content.get("version", "0.1.0" if schema == 1 else "of unknown version")
    with damage_reported(path, kind):
        check_schema(path, schema, version, [SCHEMA])
    return content


@contextmanager
def damage_reported(path: Path, kind: str) -> Iterator[None]:
    """Turn errors of reading a file into a CheckpointError with its name."""
    try:
        yield
    except CheckpointError:
        raise
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(
            f"{path} is damaged or not a {kind} ({type(error).__name__}: {error}). Delete it and "
            "compare again."
        ) from error


def settings_of(
    experiment: Experiment, methods: Sequence[Method], seeds: Sequence[int]
) -> dict[str, Any]:
    """Return all settings that the runs depend on, by names for error messages."""
    settings: dict[str, Any] = {"seeds": list(seeds), "budget": str(experiment.budget)}
    settings |= {f"method {method.name}": method.to_dict() for method in methods}
    settings |= {"tuning": asdict(experiment.tuning), "threads": experiment.threads}
    executor = experiment.make_executor(seeds[0])
    versions = {**made_with()["versions"], "python": platform.python_version()}
    settings |= {
        "loss": _options(experiment.loss),
        "executor": executor_settings(executor),
        **_executors(experiment, methods, seeds[0]),
        **{f"version of {name}": number for name, number in versions.items()},
    }
    code: dict[str, str] = {}
    for of, own in _by_network(experiment, methods).items():
        for seed in seeds:
            data, network = own.draw(seed)
            samples = {f"{name}.{k}": t for name, p in data.parts() for k, t in p.tensors().items()}
            settings[f"data of seed {seed}{of}"] = _digest(samples)
            settings[f"starting weights of seed {seed}{of}"] = _digest(network.state_dict())
        settings[f"network{of}"] = [str(network), _options(network)]
        for name, digest in _code(own, methods, network, executor).items():
            _add(code, name, digest)
    return {**settings, "code": code}


def _of(method: Method) -> str:
    return f" of {method.name}"


def _by_network(experiment: Experiment, methods: Sequence[Method]) -> dict[str, Experiment]:
    """Return the experiments with the network of the comparison, and of methods with their own."""
    return {
        "" if one.network is None else _of(one): experiment_of(experiment, one) for one in methods
    }


def _executors(experiment: Experiment, methods: Sequence[Method], seed: int) -> dict[str, Any]:
    """Return the settings of the executors of methods and of the judge, where they are given."""
    judge = experiment.judge
    settings: dict[str, Any] = {
        "judge": None if judge is None else executor_settings(experiment.make_judge(seed))
    }
    for method in methods:
        if method.has_executors:
            made = [experiment.make_executor(seed, stage.executor) for stage in method.stages]
            settings[f"executors of method {method.name}"] = list(map(executor_settings, made))
    judge = experiment.judge
    return settings | (
        {} if judge is None else {"judge": executor_settings(experiment.make_judge(seed))}
    )


def _runs_fit(known: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether runs differ at most in code and versions, or in methods and seeds as such."""
    methods = (name for name in known.keys() & now.keys() if name.startswith("method "))
    own = [f"network of {name.removeprefix('method ')}" for name in methods]
    if any((name in known) != (name in now) for name in own):
        return False  # a method has its own network in one of them only
    free = {"code", "seeds"}
    common = (name for name in known.keys() & now.keys() - free)
    return all(known[name] == now[name] for name in common if not name.startswith("version of "))


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    changes = []
    for name in [name for name in names if name != "code"][:SHOWN]:
        old, new = (repr(content.get(name)) for content in (before, now))
        short = len(old) + len(new) < 80
        changes.append(f"{name} was {old} and is {new}" if short else f"{name} changed")
    if "code" in names:
        old, new = before.get("code", {}), now["code"]
        changed = sorted(name for name in {**old, **new} if old.get(name) != new.get(name))
        changes.append(f"in {', '.join(changed)}, code changed")
    return "; ".join(changes)


def _digest(content: object) -> str:
    """Return a hash of plain types and tensors, 16 hexadecimal digits."""
    text = json.dumps(content, skipkeys=True, default=_digest_of_tensor)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _digest_of_tensor(tensor: object) -> str:
    if not isinstance(tensor, torch.Tensor):
        return type(tensor).__qualname__
    flat = tensor.detach().cpu().reshape(-1).resolve_conj().resolve_neg().contiguous()
    values = hashlib.sha256(flat.view(torch.uint8).numpy().tobytes()).hexdigest()
    return f"{tensor.dtype}{tuple(tensor.shape)} {values}"


def _options(value: object) -> Any:
    """Return class and plain attributes of an object, and of all modules in a module."""
    if isinstance(value, nn.Module):
        parts = [[type(one).__qualname__, _plain(vars(one))] for one in value.modules()]
        return [*parts, _digest(dict(value.named_buffers()))]
    if isinstance(value, functools.partial):
        return [_options(value.func), _plain(value.keywords), _plain(dict(enumerate(value.args)))]
    if inspect.isfunction(value):
        with suppress(ValueError):  # an empty cell
            return [value.__qualname__, _plain(inspect.getclosurevars(value).nonlocals)]
    name = getattr(value, "__qualname__", type(value).__qualname__)
    return [name, _plain(getattr(value, "__dict__", {}))]


def _plain(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Return public numbers, texts, tensors, and readouts of circuit layers."""
    return {
        str(key): _digest(one) if isinstance(one, torch.Tensor) else repr(one)
        for key, one in values.items()
        if isinstance(one, bool | int | float | str | torch.Tensor) or is_dataclass(one)
        if not str(key).startswith("_")
    }


def _code(
    experiment: Experiment, methods: Sequence[Method], network: nn.Module, executor: Executor
) -> dict[str, str]:
    """Return hashes of the source code of the user's functions and classes."""
    parts = [network, experiment.loss]
    modules = [one for part in parts if isinstance(part, nn.Module) for one in part.modules()]
    found: dict[str, str] = {}
    sources = [experiment.executor, experiment.judge]
    sources += [stage.executor for method in methods for stage in method.stages]
    for one in (experiment.network, experiment.loss, *sources, executor, *modules):
        value = one.func if isinstance(one, functools.partial) else one
        named: Any = value if hasattr(value, "__qualname__") else type(value)
        for part in getattr(named, "__mro__", (named,)):
            module = str(getattr(part, "__module__", ""))
            if module.partition(".")[0] not in {"torch", "hybridopt", "builtins"}:
                with suppress(OSError, TypeError):
                    _add(found, part.__qualname__, _digest(inspect.getsource(part)))
    file = network_file(experiment.network) if isinstance(experiment.network, str) else None
    if file is not None and file.is_file():
        found[str(file)] = _digest(file.read_text("utf-8", errors="replace"))
    return found


def _add(found: dict[str, str], name: str, digest: str) -> None:
    """Add a digest to those of a name, which several classes or functions may have."""
    known = found.get(name, "").split()
    found[name] = " ".join(known if digest in known else [*known, digest])


def run_of(content: object) -> Run:
    """Make a run from plain types; raise ValueError or TypeError if they are invalid."""
    given = _checked("run", content, dict)
    run: Run = _value("run", {name: one for name, one in given.items() if one is not None}, Run)
    if run.done and not (run.curve and math.isfinite(run.test_metric) and run.num_test > 0):
        raise ValueError(
            "a finished run must have a `curve`, `num_test` and a finite `test_metric`"
        )
    return run


def results_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """Make the attributes of a study from plain types; raise ValueError or TypeError."""
    given = {one.name: content[one.name] for one in fields(Results) if one.name in content}
    runs = [run_of(run) for run in _checked("runs", given.get("runs", []), list)]
    values = dict(vars(_value("study", {**given, **({"runs": runs} if runs else {})}, Results)))
    pairs = [(method, seed) for method in values["methods"] for seed in values["seeds"]]
    for name, fits in {
        "metric_name": values["metric_name"] in LABELS,
        "control": values["control"] in values["methods"],
        "runs": sorted((run.method, run.seed) for run in runs) == sorted(pairs),
        "confidence": 0 < values["confidence"] < 1,
        "details": _are_details(values["details"]),
    }.items():
        if not fits:
            raise ValueError(f"`{name}` must match the study (got {values[name]!r:.80})")
    return {**values, "tuning": asdict(_value("tuning", values["tuning"], Tuning))}


def _are_details(details: Mapping[str, Any]) -> bool:
    stages = details.get("stages", {})
    if not all(isinstance(one, dict) for one in (stages, details.get("versions", {}))):
        return False
    texts = [details.get("executors", {}), details.get("judged", {})]
    if not all(isinstance(one, dict) and all(map(_is_text, one.values())) for one in texts):
        return False
    return _is_text(details.get("judge", "")) and all(
        isinstance(part, list) and all(isinstance(one, dict) and "budget" in one for one in part)
        for part in stages.values()
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _value(name: str, value: object, hint: Any) -> Any:
    """Check a value against its annotation; dicts become dataclasses, lists become tuples."""
    if isinstance(hint, type) and is_dataclass(hint):
        if isinstance(value, hint):
            return value
        hints, given = get_type_hints(hint), _checked(name, value, dict)
        # missing and unknown entries raise the constructor's TypeError
        return hint(**{key: _value(key, one, hints.get(key, object)) for key, one in given.items()})
    if get_origin(hint) is tuple:
        return tuple(_value(name, one, get_args(hint)[0]) for one in _checked(name, value, list))
    if get_origin(hint) is dict:
        return _checked(name, value, dict)
    if get_origin(hint) is Literal:
        fits = isinstance(value, str) and value in get_args(hint)
    else:
        kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        kinds += (int,) if float in kinds else ()
        fits = isinstance(value, kinds) and not isinstance(value, bool)
    if not fits:
        raise ValueError(f"`{name}` has the invalid value {value!r:.80}")
    return value


def _checked(name: str, value: object, kind: type[Any]) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"`{name}` must be a {kind.__name__} (got {value!r:.80})")
    return value
