"""Networks by a short text: ``mlp:64-20-10``, or ``file.py:function`` for the user's own."""

from __future__ import annotations

import importlib.util
import sys
from itertools import pairwise
from pathlib import Path

from torch import nn

from hybridopt._random import isolated
from hybridopt.data import Dataset
from hybridopt.errors import ArgumentError

HIDDEN = 20  # of the network that is made when none is named


def build_network(spec: str, data: Dataset | None, *, seed: int) -> nn.Module:
    """Make the network that a text describes, with weights drawn from a seed, to fit the data.

    ``"mlp:64-20-10"`` are linear layers of these widths with tanh between, ``"file.py:function"``
    is what a function without arguments returns, ``"auto"`` an MLP with 20 hidden units.
    """
    if spec == "auto":
        if data is None:
            raise ArgumentError("The network `auto` needs data. Write `mlp:64-20-10` instead.")
        spec = f"mlp:{data.num_features}-{HIDDEN}-{data.num_outputs}"
    kind, separator, rest = spec.rpartition(":")
    if not separator or not kind:
        raise ArgumentError(
            f"The network {spec!r} is not understood. Write `mlp:64-20-10` or `file.py:function`."
        )
    with isolated(seed):
        return _mlp(spec, rest, data) if kind == "mlp" else _from_file(Path(kind), rest)


def network_file(spec: str | None) -> Path | None:
    """The Python file that such a text names; None if it names none."""
    kind, separator, _ = (spec or "").rpartition(":")
    return Path(kind) if separator and kind not in {"", "mlp"} else None


def _mlp(spec: str, text: str, data: Dataset | None) -> nn.Module:
    widths = [int(width) if width.isdecimal() else 0 for width in text.split("-")]
    if len(widths) < 2 or min(widths) < 1:
        raise ArgumentError(
            f"The network {spec!r} must name two or more widths of 1 or more, as `mlp:64-20-10`."
        )
    if data is not None and (widths[0], widths[-1]) != (data.num_features, data.num_outputs):
        raise ArgumentError(
            f"The network {spec!r} takes {widths[0]} features and gives {widths[-1]} outputs, but "
            f"the data {data.name!r} needs `mlp:{data.num_features}-...-{data.num_outputs}`."
        )
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def _from_file(path: Path, function: str) -> nn.Module:
    module_spec = importlib.util.spec_from_file_location(f"hybridopt_user_{path.stem}", path)
    if not path.is_file() or module_spec is None or module_spec.loader is None:
        raise ArgumentError(f"There is no file {path} that Python could import a network from.")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_spec.name] = module  # dataclasses and pickle look there
    try:
        module_spec.loader.exec_module(module)
        network = getattr(module, function)()
    except Exception as error:
        raise ArgumentError(
            f"{path}:{function} gave no network: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(network, nn.Module):
        raise ArgumentError(
            f"{path}:{function} must return a torch.nn.Module, but returned "
            f"{type(network).__name__}."
        )
    return network
