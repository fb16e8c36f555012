"""Networks from a short text: ``mlp:64-20-10``, or ``file.py:function`` of the user."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from torch import nn

from hybridopt._random import isolated
from hybridopt._user_code import call_in_file
from hybridopt.data import Dataset
from hybridopt.errors import ArgumentError

HIDDEN = 20  # width of the hidden layer of `auto`


def build_network(spec: str, data: Dataset | None, *, seed: int) -> nn.Module:
    """Build a network from a text, with weights drawn from a seed.

    ``"mlp:64-20-10"`` has linear layers of these widths with tanh between them.
    ``"file.py:function"`` is the result of a function without arguments. ``"auto"`` is an MLP with
    20 hidden units for the data.
    """
    if spec == "auto":
        if data is None:
            raise ArgumentError("The network 'auto' needs data. Use `mlp:64-20-10` instead.")
        spec = f"mlp:{data.num_features}-{HIDDEN}-{data.num_outputs}"
    kind, separator, rest = spec.rpartition(":")
    if not separator or not kind:
        raise ArgumentError(
            f"The network must be `mlp:64-20-10` or `file.py:function` (got {spec!r})."
        )
    with isolated(seed):
        return _mlp(spec, rest, data) if kind == "mlp" else _from_file(Path(kind), rest)


def network_file(spec: str | None) -> Path | None:
    """Return the Python file in such a text, or None."""
    kind, separator, _ = (spec or "").rpartition(":")
    return Path(kind) if separator and kind not in {"", "mlp"} else None


def _mlp(spec: str, text: str, data: Dataset | None) -> nn.Module:
    widths = [int(width) if width.isdecimal() else 0 for width in text.split("-")]
    if len(widths) < 2 or min(widths) < 1:
        raise ArgumentError(
            f"The network must have at least two widths of at least 1, as in `mlp:64-20-10` "
            f"(got {spec!r})."
        )
    if data is not None and (widths[0], widths[-1]) != (data.num_features, data.num_outputs):
        raise ArgumentError(
            f"The network {spec!r} has {widths[0]} inputs and {widths[-1]} outputs, but the data "
            f"{data.name!r} needs `mlp:{data.num_features}-...-{data.num_outputs}`."
        )
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def _from_file(path: Path, function: str) -> nn.Module:
    network = call_in_file("network", path, function)
    if not isinstance(network, nn.Module):
        raise ArgumentError(
            f"{path}:{function} must return a torch.nn.Module (got {type(network).__name__})."
        )
    return network
