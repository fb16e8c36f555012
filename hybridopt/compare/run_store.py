"""Runs and studies on disk: JSON that is checked as it is read, and whose folder it is."""

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
from hybridopt._environment import made_with
from hybridopt._files import output_folder, write_text
from hybridopt.compare.methods import Method
from hybridopt.compare.resampling import Experiment
from hybridopt.compare.results import LABELS, Results, Run
from hybridopt.compare.tuning import Tuning
from hybridopt.errors import CheckpointError
from hybridopt.execution import Executor
from hybridopt.nn.network_spec import network_file

SCHEMA = 2  # of studies, runs and the record of a comparison
PACKAGE = "hybridopt-qiskit"
WAY_OUT = "use a new folder or resume='force'"
SHOWN = 3  # differences that are told; one often brings others
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_NO_NAME = re.compile(r"[^A-Za-z0-9]+")


class RunStore:
    """The runs of one comparison in a folder, one file each, written whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._runs = output_folder(folder / "runs")

    def open(self, settings: Mapping[str, Any], resume: bool | str) -> dict[tuple[str, int], Run]:
        """Give the finished runs by method and seed, and claim the folder for a comparison."""
        settings = json.loads(_ADDRESS.sub("", json.dumps(settings)))
        record = self.folder / "comparison.json"
        stored = [self._load(path) for path in sorted(self._runs.glob("[!.]*.json"))]
        if stored and not resume:
            raise CheckpointError(f"{self.folder} holds runs already. Use a new one, or resume.")
        if stored and resume != "force":
            before = read_content(record, "comparison") if record.exists() else {}
            if before.get("settings") != settings:
                raise CheckpointError(
                    f"{self.folder} holds runs of another comparison: "
                    f"{_differences(before.get('settings', {}), settings)}: {WAY_OUT}."
                )
        write_content(record, "comparison", {"settings": settings})
        return {(run.method, run.seed): run for run in stored if run.done}

    def save(self, run: Run) -> Path:
        """Write a run."""
        return write_content(self._path(run), "run", {"run": run.to_dict()})

    def _path(self, run: Run) -> Path:
        words = _NO_NAME.sub("-", run.method).strip("-")[:60]
        return self._runs / f"{words}-seed{run.seed}-{_digest(run.method)[:8]}.json"

    def _load(self, path: Path) -> Run:
        with damage_told(path, "run"):
            run = run_of(read_content(path, "run").get("run"))
            if self._path(run) != path:
                raise ValueError("it holds a run of another name")
        return run


def write_content(path: str | os.PathLike[str], kind: str, content: Mapping[str, Any]) -> Path:
    """Write JSON, whole or not at all, with its kind, schema and the version that writes it."""
    path = _validation.path("path", path)
    return write_text(path, json.dumps({**head(kind), **content}, indent=1) + "\n")


def head(kind: str) -> dict[str, Any]:
    """Entries that each file begins with."""
    version = made_with()["versions"][PACKAGE]
    return {"kind": f"hybridopt {kind}", "schema": SCHEMA, "version": version}


def read_content(path: Path, kind: str) -> Mapping[str, Any]:
    """Read what `write_content` wrote, and refuse other kinds and schemas."""
    with damage_told(path, kind):
        content = json.loads(path.read_text("utf-8"))
    if not isinstance(content, dict) or content.get("kind") != f"hybridopt {kind}":
        raise CheckpointError(f"{path} is not a {kind}. Delete it, or choose another file.")
    schema = content.get("schema", 1)  # runs of the first schema did not say so
    if schema != SCHEMA:
        version = content.get("version", "0.1.0" if schema == 1 else "of another version")
        raise CheckpointError(
            f"{path} has schema {schema}, written by hybridopt {version}; this version reads "
            f"schema {SCHEMA}. Run the comparison again."
        )
    return content


@contextmanager
def damage_told(path: Path, kind: str) -> Iterator[None]:
    """Say which file is damaged, by a CheckpointError in place of what reading it raises."""
    try:
        yield
    except CheckpointError:
        raise
    except (OSError, ValueError, TypeError, RecursionError) as error:
        words = f"damaged or not a {kind} ({type(error).__name__}: {error})"
        raise CheckpointError(f"{path} is {words}. Delete it and compare again.") from error


def settings_of(
    experiment: Experiment, methods: Sequence[Method], seeds: Sequence[int]
) -> dict[str, Any]:
    """Everything that runs follow from, in plain types, by names that an error can tell."""
    settings: dict[str, Any] = {"seeds": list(seeds), "budget": str(experiment.budget)}
    settings |= {f"method {method.name}": method.to_dict() for method in methods}
    settings |= {"tuning": asdict(experiment.tuning), "threads": experiment.threads}
    for seed in seeds:
        data, network = experiment.draw(seed)
        samples = {f"{name}.{axis}": getattr(p, axis) for name, p in data.parts() for axis in "xy"}
        settings[f"data of seed {seed}"] = _digest(samples)
        settings[f"starting weights of seed {seed}"] = _digest(network.state_dict())
    executor = experiment.make_executor(seeds[0])
    versions = {**made_with()["versions"], "python": platform.python_version()}
    return {
        **settings,
        "network": [str(network), _options(network)],
        "loss": _options(experiment.loss),
        "executor": [repr(executor), _noise(executor)],
        **{f"version of {name}": number for name, number in versions.items()},
        "code": _code(experiment, network, executor),
    }


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    told = []
    for name in [name for name in names if name != "code"][:SHOWN]:
        old, new = (repr(content.get(name)) for content in (before, now))
        short = len(old) + len(new) < 80
        told.append(f"{name} was {old} and is {new}" if short else f"{name} changed")
    if "code" in names:
        old, new = before.get("code", {}), now["code"]
        changed = sorted(name for name in {**old, **new} if old.get(name) != new.get(name))
        told.append(f"in {', '.join(changed)}, code changed")
    return "; ".join(told)


def _digest(content: object) -> str:
    """Sixteen hexadecimal digits of plain types and tensors."""
    text = json.dumps(content, skipkeys=True, default=_digest_of_tensor)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _digest_of_tensor(tensor: object) -> str:
    if not isinstance(tensor, torch.Tensor):
        return type(tensor).__qualname__
    flat = tensor.detach().cpu().reshape(-1).resolve_conj().resolve_neg().contiguous()
    values = hashlib.sha256(flat.view(torch.uint8).numpy().tobytes()).hexdigest()
    return f"{tensor.dtype}{tuple(tensor.shape)} {values}"


def _options(value: object) -> Any:
    """Class and plain attributes of a module (and all within), a function or another object."""
    if isinstance(value, nn.Module):
        parts = [[type(one).__qualname__, _plain(vars(one))] for one in value.modules()]
        return [*parts, _digest(dict(value.named_buffers()))]
    if isinstance(value, functools.partial):
        return [_options(value.func), _plain(value.keywords), _plain(dict(enumerate(value.args)))]
    if inspect.isfunction(value):
        with suppress(ValueError):  # a cell that is not filled yet
            return [value.__qualname__, _plain(inspect.getclosurevars(value).nonlocals)]
    name = getattr(value, "__qualname__", type(value).__qualname__)
    return [name, _plain(getattr(value, "__dict__", {}))]


def _plain(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Numbers, texts, tensors, and the readouts of circuit layers; nothing private."""
    return {
        str(key): _digest(one) if isinstance(one, torch.Tensor) else repr(one)
        for key, one in values.items()
        if isinstance(one, bool | int | float | str | torch.Tensor) or is_dataclass(one)
        if not str(key).startswith("_")
    }


def _noise(executor: Executor) -> str | None:
    noise = getattr(executor, "noise", None)
    if noise is None:
        return None
    content = noise.model.to_dict(serializable=True)
    for error in content["errors"]:
        error.pop("id", None)  # drawn anew for each model
    return _digest(content)


def _code(experiment: Experiment, network: nn.Module, executor: Executor) -> dict[str, str]:
    """Digests of the texts of the user's functions and classes, where there are texts."""
    parts = [network, experiment.loss]
    modules = [one for part in parts if isinstance(part, nn.Module) for one in part.modules()]
    found = {}
    for one in (experiment.network, experiment.loss, experiment.executor, executor, *modules):
        value = one.func if isinstance(one, functools.partial) else one
        named: Any = value if hasattr(value, "__qualname__") else type(value)
        for part in getattr(named, "__mro__", (named,)):
            module = str(getattr(part, "__module__", ""))
            if module.partition(".")[0] not in {"torch", "hybridopt", "builtins"}:
                with suppress(OSError, TypeError):
                    found[part.__qualname__] = _digest(inspect.getsource(part))
    file = network_file(experiment.network) if isinstance(experiment.network, str) else None
    if file is not None and file.is_file():
        found[str(file)] = _digest(file.read_text("utf-8", errors="replace"))
    return found


def run_of(content: object) -> Run:
    """A run from plain types, as `Run.to_dict` gives them; or a ValueError or TypeError."""
    given = _checked("run", content, dict)
    run: Run = _value("run", {name: one for name, one in given.items() if one is not None}, Run)
    if run.done and not (run.curve and math.isfinite(run.test_metric)):
        raise ValueError("a finished run needs a `curve` and a finite `test_metric`")
    return run


def results_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a study's attributes from plain types; or a ValueError or TypeError."""
    given = {one.name: content[one.name] for one in fields(Results) if one.name in content}
    runs = [run_of(run) for run in _checked("runs", given.get("runs", []), list)]
    values = dict(vars(_value("study", {**given, **({"runs": runs} if runs else {})}, Results)))
    pairs = [(method, seed) for method in values["methods"] for seed in values["seeds"]]
    for name, fits in {
        "metric_name": values["metric_name"] in LABELS,
        "control": values["control"] in values["methods"],
        "runs": sorted((run.method, run.seed) for run in runs) == sorted(pairs),
        "confidence": 0 < values["confidence"] < 1,
    }.items():
        if not fits:
            raise ValueError(f"`{name}` does not fit the study: {values[name]!r:.80}")
    return {**values, "tuning": asdict(_value("tuning", values["tuning"], Tuning))}


def _value(name: str, value: object, hint: Any) -> Any:
    """The value, if it is of the annotated kind; mappings become dataclasses, lists tuples."""
    if isinstance(hint, type) and is_dataclass(hint):
        if isinstance(value, hint):
            return value
        hints, given = get_type_hints(hint), _checked(name, value, dict)
        # the constructor's TypeError names entries that are missing or unknown
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
        raise ValueError(f"`{name}` is {value!r:.80}")
    return value


def _checked(name: str, value: object, kind: type[Any]) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"`{name}` must be a {kind.__name__} (got {value!r:.80})")
    return value
