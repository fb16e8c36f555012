"""Pretrained weights from a state_dict, and what of it does not fit."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hybridopt import checks
from hybridopt.errors import ArgumentError, ArgumentTypeError, CheckpointError, ConversionError
from hybridopt.nn.module_check import check_module
from hybridopt.transfer.last_layer import check_initialised

MOST_NAMES = 8  # of keys in one sentence


@dataclass(frozen=True)
class KeyReport:
    """Which keys of a state_dict met a network, and which did not.

    Attributes:
        loaded: Keys that were taken over.
        missing: Keys of the network that the state_dict has not.
        unexpected: Keys of the state_dict that the network has not.
        wrong_shape: Keys that both have with different shapes: (key, given, wanted).
    """

    loaded: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    wrong_shape: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]

    @property
    def fits(self) -> bool:
        """Whether every key met its partner."""
        return not (self.missing or self.unexpected or self.wrong_shape)

    def __str__(self) -> str:
        shapes = [f"{key} is {given}, not {wanted}" for key, given, wanted in self.wrong_shape]
        parts = [
            f"{len(self.loaded)} keys fit",
            *_listed("missing", self.missing),
            *_listed("unexpected", self.unexpected),
            *_listed("wrong shape", shapes),
        ]
        return "; ".join(parts)


def load_weights(
    network: nn.Module,
    state_dict: str | os.PathLike[str] | Mapping[str, Any],
    *,
    strict: bool = True,
    replaced: str | None = None,
) -> KeyReport:
    """Load a state_dict into a network, in place, and say what did not fit.

    Args:
        network: Any module.
        state_dict: The mapping, or the path of a file that `torch.save` wrote. No code in it
            is run.
        strict: Whether every key must fit; without, those are loaded that do.
        replaced: The name of a layer whose keys need not fit, as it is going to be replaced.

    Returns:
        The keys that fit and those that did not.

    Raises:
        ConversionError: If keys do not fit (``strict``), or none does; every one is named, and the
            network is left as it was.
        ArgumentError: If the file is not there, or a tensor holds NaN.
        ArgumentTypeError: If it is neither a path nor a mapping of tensors.
        CheckpointError: If the file is damaged or holds code.

    Example:
        >>> import torch
        >>> from hybridopt.transfer import load_weights
        >>> network, trained = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
        >>> print(load_weights(network, trained.state_dict()))
        2 keys fit
    """
    check_module(network)
    checks.boolean("strict", strict)
    check_initialised(network)
    given = _tensors(_read(state_dict) if isinstance(state_dict, str | os.PathLike) else state_dict)
    wanted = {k: v for k, v in network.state_dict().items() if isinstance(v, Tensor)}
    excused = (
        () if replaced is None else tuple({*_under(replaced, wanted), *_under(replaced, given)})
    )
    report = _compare(given, wanted, excused)
    counted = [key for key in report.loaded if key not in excused]
    if (strict and not report.fits) or not (counted or not wanted):
        raise ConversionError(
            f"The state_dict does not fit the network {type(network).__name__}: {report}. "
            f"{_way_out(given, wanted, report)}"
        )
    for key in report.loaded:
        if (given[key].is_floating_point() or given[key].is_complex()) and bool(
            given[key].isnan().any()
        ):
            raise ArgumentError(f"The state_dict holds NaN in `{key}`. Take an earlier checkpoint.")
    chosen = OrderedDict((key, given[key]) for key in report.loaded)
    metadata = getattr(state_dict, "_metadata", None)
    if metadata is not None:
        chosen._metadata = metadata  # type: ignore[attr-defined]
    network.load_state_dict(chosen, strict=False)
    return report


def _compare(
    given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], excused: Iterable[str]
) -> KeyReport:
    both = [key for key in wanted if key in given]
    fitting = [key for key in both if given[key].shape == wanted[key].shape]
    strict = set(excused)
    return KeyReport(
        loaded=tuple(fitting),
        missing=tuple(
            key
            for key in wanted
            # files older than torch 0.4.1 do not count batches, and nothing is computed from it
            if key not in given and key not in strict and not key.endswith("num_batches_tracked")
        ),
        unexpected=tuple(key for key in given if key not in wanted and key not in strict),
        wrong_shape=tuple(
            (key, tuple(given[key].shape), tuple(wanted[key].shape))
            for key in both
            if key not in fitting and key not in strict
        ),
    )


def _under(name: str, keys: Iterable[str]) -> list[str]:
    return [key for key in keys if name == "" or key.startswith(f"{name}.")]


def _read(path: str | os.PathLike[str]) -> object:
    file = Path(path)
    if not file.is_file():
        raise ArgumentError(f"There is no file {file} to read a state_dict from.")
    try:
        return torch.load(file, weights_only=True, map_location="cpu")
    except Exception as error:
        raise CheckpointError(
            f"{file} holds no state_dict ({type(error).__name__}): it is damaged, or holds a "
            "pickled module. Write one with torch.save(network.state_dict(), path)."
        ) from error


def _tensors(given: object) -> dict[str, Tensor]:
    if not isinstance(given, Mapping):
        raise ArgumentTypeError(
            "Argument `state_dict` must be a path or a mapping of tensors by name, but is of type "
            f"{type(given).__name__}."
        )
    for key, value in given.items():
        if isinstance(value, Mapping) and any(isinstance(v, Tensor) for v in value.values()):
            raise ArgumentTypeError(
                f"Argument `state_dict` holds a state_dict of its own under {key!r}. Pass that: "
                f"state_dict=torch.load(path)[{key!r}]."
            )
        if not isinstance(key, str):
            raise ArgumentTypeError(
                f"Argument `state_dict` must have names as keys, but has {key!r}."
            )
    return {key: value for key, value in given.items() if isinstance(value, Tensor)}


def _way_out(given: Iterable[str], wanted: Mapping[str, Tensor], report: KeyReport) -> str:
    prefix = _prefix(given, wanted)
    if prefix is not None:
        return (
            f"Its keys begin with {prefix!r}. Take that away: "
            f"{{key.removeprefix({prefix!r}): value for key, value in state_dict.items()}}."
        )
    if not report.loaded:
        return "It belongs to another network."
    return "Pass the network that it was saved from, or strict=False to load what fits."


def _prefix(given: Iterable[str], wanted: Mapping[str, Tensor]) -> str | None:
    """What wrappers such as DataParallel put before each key, if that is what is wrong."""
    for key in given:
        for own in wanted:
            if key.endswith(f".{own}"):
                prefix = key.removesuffix(own)
                if all(other.startswith(prefix) for other in given):
                    return prefix
    return None


def _listed(what: str, names: Iterable[str]) -> list[str]:
    found = list(names)
    if not found:
        return []
    more = f" and {len(found) - MOST_NAMES} more" if len(found) > MOST_NAMES else ""
    return [f"{what}: {', '.join(found[:MOST_NAMES])}{more}"]
