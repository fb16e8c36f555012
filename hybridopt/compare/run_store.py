"""Runs and studies read from JSON: nothing is believed until it is checked."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from hybridopt.compare.records import Point, Run, Trial
from hybridopt.compare.results import Results
from hybridopt.compare.study_table import LABELS

UNKNOWN = ("test_metric", "training_seconds", "inference_seconds")  # of a failed run
TUNING = {"trials": int, "share": float, "step": float}


def read_json(path: Path) -> Any:
    """What a file holds.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is no JSON, or nested beyond reason.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def run_of(content: object) -> Run:
    """A run from plain types, as `Run.to_dict` gives them.

    Raises:
        ValueError, TypeError: Saying what is missing or wrong.
    """
    known = dict(_mapping("the run", content))
    finished = known.get("status", "done") == "done"
    for name in UNKNOWN:
        if not finished and known.get(name, 0) is None:
            known[name] = math.nan
    known["rates"] = tuple(
        _value("a rate", rate, float) for rate in _list("rates", known.get("rates"))
    )
    known["trials"] = tuple(_record(Trial, one) for one in _list("trials", known.get("trials")))
    known["curve"] = tuple(_record(Point, one) for one in _list("curve", known.get("curve")))
    if finished and not known["curve"]:
        raise ValueError("`curve` is empty")
    run: Run = _record(Run, known)
    if finished and not math.isfinite(run.test_metric):
        raise ValueError("`test_metric` is no finite number")
    return run


def results_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a study's attributes from plain types.

    Raises:
        ValueError, TypeError: Saying what is missing or wrong.
    """
    values = {one.name: content[one.name] for one in fields(Results) if one.name in content}
    for one in fields(Results):
        required = one.default is MISSING and one.default_factory is MISSING
        if required and one.name not in values:
            raise ValueError(f"`{one.name}` is missing")
    for name in ("data", "task", "budget", "control", "metric_name"):
        _value(name, values[name], str)
    if values["metric_name"] not in LABELS:
        raise ValueError(f"`metric_name` is {values['metric_name']!r}")
    values["methods"] = tuple(
        _value("a method", m, str) for m in _list("methods", values["methods"])
    )
    values["seeds"] = tuple(_value("a seed", s, int) for s in _list("seeds", values["seeds"]))
    if not values["methods"] or values["control"] not in values["methods"]:
        raise ValueError("`control` is not among the methods")
    values["runs"] = tuple(run_of(run) for run in _list("runs", values["runs"]))
    pairs = [(run.method, run.seed) for run in values["runs"]]
    if sorted(pairs) != sorted((m, s) for m in values["methods"] for s in values["seeds"]):
        raise ValueError("`runs` are not one for each method and seed")
    _check_settings(values)
    return values


def _check_settings(values: Mapping[str, Any]) -> None:
    tuning = _mapping("tuning", values["tuning"])
    for name, kind in TUNING.items():
        if name not in tuning:
            raise ValueError(f"`tuning` has no `{name}`")
        _value(name, tuning[name], kind)
    if not 0 < _value("confidence", values.get("confidence", 0.95), float) < 1:
        raise ValueError("`confidence` is not between 0 and 1")
    _value("reach", values.get("reach"), float | None)
    _value("seconds", values.get("seconds", 0.0), float)
    details = _mapping("details", values.get("details", {}))
    for stages in _mapping("stages", details.get("stages", {})).values():
        for stage in _list("stages", stages):
            _value("budget", _mapping("a stage", stage).get("budget"), str)
    samples = _mapping("samples", details.get("samples", {}))
    if samples:
        for part in ("train", "test"):
            _value(part, samples.get(part), int)
    _mapping("versions", details.get("versions", {}))


def _record(kind: type[Any], content: object) -> Any:
    given = _mapping(kind.__name__, content)
    hints = get_type_hints(kind)
    names = {one.name for one in fields(kind)}
    if unknown := sorted(given.keys() - names):
        raise ValueError(f"it has an unknown `{unknown[0]}`")
    for one in fields(kind):
        if one.name in given:
            _value(one.name, given[one.name], hints[one.name])
        elif one.default is MISSING:
            raise ValueError(f"`{one.name}` is missing")
    return kind(**given)


def _value(name: str, value: object, hint: Any) -> Any:
    """The value, if it is of the annotated kind."""
    if get_origin(hint) is Literal:
        fits = isinstance(value, str) and value in get_args(hint)
    elif get_origin(hint) is tuple:
        fits = isinstance(value, tuple)
    else:
        fits = any(_is_a(value, kind) for kind in get_args(hint) or (hint,))
    if not fits:
        raise ValueError(f"`{name}` is {value!r:.80}")
    return value


def _is_a(value: object, kind: type) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int | float if kind is float else kind)


def _mapping(name: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} is no mapping, but {value!r:.80}")
    return value


def _list(name: str, value: object) -> list[Any] | tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"`{name}` is no list, but {value!r:.80}")
    return value
