"""Pretrained weights from a state_dict, and what of it does not fit."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from hybridopt import _validation
from hybridopt._modules import check_has_values, check_module
from hybridopt.errors import ArgumentError, ArgumentTypeError, CheckpointError, ConversionError


@dataclass(frozen=True)
class KeyReport:
    """Which keys of a state_dict met a network, and which did not.

    Attributes:
        loaded: Keys that were taken over.
        missing: Keys of the network that the state_dict has not.
        unexpected: Keys of the state_dict that the network has not.
        wrong_shape: Keys that both have with different shapes: (key, given, wanted).

    Example:
        >>> import torch
        >>> from hybridopt.transfer import load_weights
        >>> body = {"weight": torch.zeros(2, 3)}
        >>> report = load_weights(torch.nn.Linear(3, 2), body, strict=False)
        >>> report.fits, report.missing
        (False, ('bias',))
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
        kinds = {"missing": self.missing, "unexpected": self.unexpected, "wrong shape": shapes}
        listed = [f"{kind}: {', '.join(keys)}" for kind, keys in kinds.items() if keys]
        return "; ".join([f"{len(self.loaded)} keys fit", *listed])


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
        ArgumentError: If the file is not there, a tensor holds NaN or has no values, or what it
            holds has no place in the network's dtype.
        ArgumentTypeError: If it is neither a path nor a mapping of dense tensors.
        CheckpointError: If the file is damaged or holds code.

    Example:
        >>> import torch
        >>> from hybridopt.transfer import load_weights
        >>> network, trained = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
        >>> print(load_weights(network, trained.state_dict()))
        2 keys fit
    """
    check_module(network)
    _validation.boolean("strict", strict)
    check_has_values(network, ConversionError)
    given = _tensors(_read(state_dict) if isinstance(state_dict, str | os.PathLike) else state_dict)
    wanted = {k: v for k, v in network.state_dict().items() if isinstance(v, Tensor)}
    excused = set()
    if replaced is not None:
        prefix = f"{replaced}." if replaced else ""
        excused = {key for key in {*wanted, *given} if key.startswith(prefix)}
    report = _compare(given, wanted, excused)
    if (strict and not report.fits) or (wanted and excused.issuperset(report.loaded)):
        raise ConversionError(
            f"The state_dict does not fit the network {type(network).__name__}: {report}. "
            f"{_way_out(given, wanted, report)}"
        )
    for key in report.loaded:
        _check_values(key, given[key], wanted[key].dtype)
    chosen = OrderedDict((key, given[key]) for key in report.loaded)
    if hasattr(state_dict, "_metadata"):
        chosen._metadata = state_dict._metadata  # type: ignore[attr-defined]
    network.load_state_dict(chosen, strict=False)
    return report


def _compare(
    given: Mapping[str, Tensor], wanted: Mapping[str, Tensor], excused: set[str]
) -> KeyReport:
    shapes = {key: (given[key].shape, wanted[key].shape) for key in wanted if key in given}
    # files older than torch 0.4.1 do not count batches, and nothing is computed from it
    old = {key for key in wanted if key.endswith("num_batches_tracked")}
    return KeyReport(
        loaded=tuple(key for key, (own, other) in shapes.items() if own == other),
        missing=tuple(key for key in wanted if key not in {*given, *excused, *old}),
        unexpected=tuple(key for key in given if key not in {*wanted, *excused}),
        wrong_shape=tuple(
            (key, tuple(own), tuple(other))
            for key, (own, other) in shapes.items()
            if own != other and key not in excused
        ),
    )


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


def _tensors(given: Any) -> dict[str, Tensor]:
    """The tensors of a mapping, once their kinds are checked; extras pass unloaded."""
    given = _validation.instance("state_dict", given, Mapping, "a path or a mapping of tensors")
    for key, value in given.items():
        _validation.instance("state_dict", key, str, "a mapping with names as keys")
        kind = None
        if isinstance(value, Mapping) and any(isinstance(v, Tensor) for v in value.values()):
            kind, way_out = "state_dict", f"Pass that: state_dict=torch.load(path)[{key!r}]"
        elif isinstance(value, np.ndarray):
            kind, way_out = "numpy array", "Take torch.as_tensor(...) of it"
        elif isinstance(value, Tensor) and value.is_quantized:
            kind, way_out = "quantized tensor", "Take .dequantize() of it"
        elif isinstance(value, Tensor) and value.layout is not torch.strided:
            kind, way_out = "sparse tensor", "Take .to_dense() of it"
        if kind is not None:
            raise ArgumentTypeError(f"The `state_dict` holds a {kind} in `{key}`. {way_out}.")
        if isinstance(value, Tensor) and value.is_meta:
            raise ArgumentError(
                f"The state_dict is on the meta device: `{key}` has a shape, but no values. Take "
                "that of a network with weights."
            )
    return {key: value for key, value in given.items() if isinstance(value, Tensor)}


def _check_values(key: str, value: Tensor, dtype: torch.dtype) -> None:
    """Refuse numbers that would be others in the network."""
    if not (value.is_floating_point() or value.is_complex()):
        return
    if bool(value.isnan().any()):
        raise ArgumentError(f"The state_dict holds NaN in `{key}`. Take an earlier checkpoint.")
    if value.is_complex() and not dtype.is_complex:
        raise ArgumentError(
            f"The state_dict holds complex numbers in `{key}`, whose imaginary part a network of "
            f"{dtype} would lose. Take `.real` of it, if that is meant."
        )
    if dtype.is_floating_point and not torch.equal(value.isfinite(), value.to(dtype).isfinite()):
        largest = value[value.isfinite()].abs().max()
        raise ArgumentError(
            f"The state_dict holds {largest:.3g} in `{key}`, which is more than {dtype} can hold. "
            "Cast the network first: network.double()."
        )


def _way_out(given: Iterable[str], wanted: Iterable[str], report: KeyReport) -> str:
    # what wrappers such as DataParallel put before each key
    prefixes = {key.removesuffix(own) for key in given for own in wanted if key.endswith(f".{own}")}
    for prefix in sorted(prefixes):
        if all(key.startswith(prefix) for key in given):
            return (
                f"Its keys begin with {prefix!r}. Take that away: "
                f"{{key.removeprefix({prefix!r}): value for key, value in state_dict.items()}}."
            )
    if not report.loaded:
        return "It belongs to another network."
    return "Pass the network that it was saved from, or strict=False to load what fits."
