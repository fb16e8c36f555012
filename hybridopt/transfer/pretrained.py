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
from hybridopt._modules import check_module
from hybridopt.errors import ArgumentError, ArgumentTypeError, CheckpointError, ConversionError
from hybridopt.transfer.last_layer import check_has_values, check_initialised


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
    check_initialised(network)
    check_has_values(network)
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
        _check_values(key, given[key], wanted[key].dtype)
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
        _check_kind(key, value)
    return {key: value for key, value in given.items() if isinstance(value, Tensor)}


def _check_kind(key: str, value: object) -> None:
    """What must be known of a value before it is compared; extras pass unloaded."""
    if isinstance(value, np.ndarray):
        raise ArgumentTypeError(
            f"The state_dict holds a numpy array in `{key}`, where a tensor must be. Take "
            "{key: torch.as_tensor(value) for key, value in state_dict.items()}."
        )
    if not isinstance(value, Tensor):
        return
    if value.layout is not torch.strided or value.is_quantized:
        raise ArgumentTypeError(
            f"The state_dict holds a {'quantized' if value.is_quantized else 'sparse'} tensor in "
            f"`{key}`. Take {'.dequantize()' if value.is_quantized else '.to_dense()'} of it."
        )
    if value.is_meta:
        raise ArgumentError(
            f"The state_dict is on the meta device: `{key}` has a shape, but no values. Take that "
            "of a network with weights."
        )


def _check_values(key: str, value: Tensor, dtype: torch.dtype) -> None:
    """Refuse numbers that would be others in the network."""
    if not (value.is_floating_point() or value.is_complex()):
        return
    if bool(value.isnan().any()):
        raise ArgumentError(f"The state_dict holds NaN in `{key}`. Take an earlier checkpoint.")
    if value.is_complex() and not dtype.is_complex:
        raise ArgumentError(
            f"The state_dict holds complex numbers in `{key}`, of which a network of {dtype} would "
            "lose the imaginary part. Take `.real` of it, if that is meant."
        )
    if dtype.is_floating_point and not torch.equal(value.isfinite(), value.to(dtype).isfinite()):
        largest = value[value.isfinite()].abs().max()
        raise ArgumentError(
            f"The state_dict holds {largest:.3g} in `{key}`, which is more than {dtype} can hold. "
            "Cast the network first: network.double()."
        )


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
    found = ", ".join(names)
    return [f"{what}: {found}"] if found else []
