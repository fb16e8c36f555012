"""Pretrained weights from a state_dict."""

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
from hybridopt.errors import ArgumentError, ArgumentTypeError, ConversionError
from hybridopt.transfer.weight_files import read_weights


@dataclass(frozen=True)
class KeyReport:
    """Keys of a state_dict compared with those of a network.

    Attributes:
        loaded: Loaded keys.
        missing: Keys of the network that are missing in the state_dict.
        unexpected: Keys of the state_dict that are missing in the network.
        wrong_shape: Keys with different shapes, as (key, given shape, shape in the network).

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
        """Whether all keys fit."""
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
    """Load a state_dict into a network, in place.

    Args:
        network: Any module.
        state_dict: Mapping, or path of a file with one tensor per key: of `torch.save`,
            safetensors (``pip install 'hybridopt-qiskit[weights]'``), `numpy.savez`, or
            `torch.jit.save`, which is not compiled. No code in the file is run.
        strict: True if all keys must fit; otherwise only fitting keys are loaded.
        replaced: Name of a layer whose keys need not fit; None for no layer.

    Returns:
        Report of fitting and other keys.

    Raises:
        ConversionError: If keys do not fit with ``strict``, or if none fits. The message has all
            keys, and the network is unchanged.
        ArgumentError: If the file does not exist, or if values are NaN, missing, or too large or
            complex for the dtype of the network.
        ArgumentTypeError: If ``state_dict`` is neither a path nor a mapping of dense tensors.
        CheckpointError: If the file is damaged, has another format, or contains code.
        MissingExtraError: If the file needs the package safetensors, which is not installed.

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
    wanted = {k: v for k, v in network.state_dict().items() if isinstance(v, Tensor)}
    if isinstance(state_dict, str | os.PathLike):
        content = read_weights(Path(state_dict), {k: tuple(v.shape) for k, v in wanted.items()})
        given = _tensors(content, from_file=True)
    else:
        given = _tensors(state_dict)
    excused = set()
    if replaced is not None:
        prefix = f"{replaced}." if replaced else ""
        excused = {key for key in {*wanted, *given} if key.startswith(prefix)}
    report = _compare(given, wanted, excused)
    if (strict and not report.fits) or (wanted and excused.issuperset(report.loaded)):
        raise ConversionError(
            f"`state_dict` must fit the network {type(network).__name__} ({report}). "
            f"{_advice(given, wanted, report)}"
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
    # files before torch 0.4.1 have no count of batches, and it has no effect
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


def _tensors(given: Any, *, from_file: bool = False) -> dict[str, Tensor]:
    """Return the tensors of a mapping after a check of their kinds; other values are skipped.

    Tensors of a file that do not fit the network may be without values.
    """
    given = _validation.instance("state_dict", given, Mapping, "a path or a mapping of tensors")
    for key, value in given.items():
        _validation.instance("state_dict", key, str, "a mapping with names as keys")
        kind = None
        if isinstance(value, Mapping) and any(isinstance(v, Tensor) for v in value.values()):
            kind, advice = "state_dict", f"Pass state_dict=torch.load(path)[{key!r}]"
        elif isinstance(value, np.ndarray):
            kind, advice = "numpy array", "Use torch.as_tensor(...)"
        elif isinstance(value, Tensor) and value.is_quantized:
            kind, advice = "quantized tensor", "Use .dequantize()"
        elif isinstance(value, Tensor) and value.layout is not torch.strided:
            kind, advice = "sparse tensor", "Use .to_dense()"
        if kind is not None:
            raise ArgumentTypeError(
                f"`{key}` of `state_dict` must be a dense tensor (got a {kind}). {advice}."
            )
        if isinstance(value, Tensor) and not from_file:
            _check_not_meta(key, value)
    return {key: value for key, value in given.items() if isinstance(value, Tensor)}


def _check_not_meta(key: str, value: Tensor) -> None:
    if value.is_meta:
        raise ArgumentError(
            f"`{key}` of `state_dict` must have values (got a tensor on the meta device)."
        )


def _check_values(key: str, value: Tensor, dtype: torch.dtype) -> None:
    """Raise an error for NaN and for values that the dtype of the network cannot represent."""
    _check_not_meta(key, value)
    if not (value.is_floating_point() or value.is_complex()):
        return
    if value.element_size() == 1:  # torch has few functions for 8 bits
        value = value.float()
    if bool(value.isnan().any()):
        raise ArgumentError(f"`{key}` of `state_dict` must not be NaN. Use an earlier checkpoint.")
    if value.is_complex() and not dtype.is_complex:
        raise ArgumentError(
            f"`{key}` of `state_dict` must be real for {dtype} (got {value.dtype}). Use `.real` if "
            "the imaginary part is not needed."
        )
    if dtype.is_floating_point and not torch.equal(value.isfinite(), value.to(dtype).isfinite()):
        largest = value[value.isfinite()].abs().max()
        raise ArgumentError(
            f"`{key}` of `state_dict` must be in the range of {dtype} (got {largest:.3g}). Cast "
            "the network first: network.double()."
        )


def _advice(given: Iterable[str], wanted: Iterable[str], report: KeyReport) -> str:
    # prefixes of wrappers such as DataParallel
    prefixes = {key.removesuffix(own) for key in given for own in wanted if key.endswith(f".{own}")}
    for prefix in sorted(prefixes):
        if all(key.startswith(prefix) for key in given):
            return (
                f"All keys begin with {prefix!r}. Remove it: "
                f"{{key.removeprefix({prefix!r}): value for key, value in state_dict.items()}}."
            )
    if not report.loaded:
        return "Use a state_dict of this network."
    return "Pass the original network, or strict=False to load only fitting keys."
