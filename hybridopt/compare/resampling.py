"""Split and starting weights of a seed, the same for all methods."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from hybridopt import _validation
from hybridopt._copies import copy_module, has_computed_weights
from hybridopt._inputs import call, concatenate, map_inputs, take_rows
from hybridopt._modules import check_has_values, evaluation_mode
from hybridopt._random import isolated
from hybridopt.bridges import QuantumNetwork
from hybridopt.compare.budget import Budget
from hybridopt.compare.executors import ExecutorSource, call_source, executor_from, set_executor
from hybridopt.compare.tuning import Tuning
from hybridopt.data import Dataset, Part, as_dataset, load_dataset
from hybridopt.data.dataset import Scaling
from hybridopt.errors import ArgumentError, DataError
from hybridopt.execution import Executor
from hybridopt.nn import CircuitLayer
from hybridopt.nn.network_spec import build_network
from hybridopt.training.loop import executors_of

TEST_FRACTION = 0.2  # used if the data have no test part
VALIDATION_STREAM = 1  # separates the random stream of the validation part
NetworkSource = nn.Module | str | Callable[[], nn.Module]


@dataclass(frozen=True)
class Experiment:
    """Settings that all runs share; see `compare`."""

    network: NetworkSource
    data: str | Dataset
    redraw: bool  # True if each seed draws a new split
    budget: Budget
    tuning: Tuning
    executor: ExecutorSource
    loss: object
    threads: int = 1  # torch threads per run
    judge: ExecutorSource = None  # executor of the trained models; None is that of the training

    def draw(self, seed: int) -> tuple[Dataset, nn.Module]:
        """Return data and untrained network of a seed, in one dtype."""
        data = draw_data(self.data, seed, redraw=self.redraw)
        network = self.draw_network(data, seed)
        kinds = [p.dtype for p in network.parameters() if p.is_floating_point()]
        return as_dataset(data, dtype=kinds[0] if kinds else None), network

    def draw_network(self, data: Dataset, seed: int) -> nn.Module:
        """Return the untrained network of a seed, with the executor of the experiment."""
        network = draw_network(self.network, data, seed)
        if self.executor is None or not executors_of(network):
            return network
        own = copy_module(network, user="`compare`")
        set_executor(own, self.make_executor(seed))
        return own

    def make_executor(self, seed: int, source: ExecutorSource = None) -> Executor:
        """Return the executor of a run, from the source of a method or that of the experiment."""
        return executor_from(self.executor if source is None else source, seed)

    def make_judge(self, seed: int) -> Executor:
        """Return the executor under which trained networks are judged."""
        return executor_from(self.judge, seed, "judge")


def draw_data(source: str | Dataset, seed: int, *, redraw: bool) -> Dataset:
    """Return the data of a seed with two parts; without ``redraw``, the parts do not change."""
    if isinstance(source, str):
        return load_dataset(source, seed=seed if redraw else 0)
    if not redraw and source.test is not None:
        return source
    parts = [part for _, part in source.parts()]
    whole = _joined(parts)
    size = len(source.test or ()) or max(1, round(TEST_FRACTION * len(whole)))
    train, test = split_rows(whole.y, size, source.task, [seed if redraw else 0])
    x, x_scaling = _standardized_again(whole.x, source.x_scaling, train)
    y, y_scaling = _standardized_again(whole.y, source.y_scaling, train)
    whole = Part(x, y, whole.sample_weight)
    return replace(
        source, train=whole.rows(train), test=whole.rows(test),
        x_scaling=x_scaling, y_scaling=y_scaling,
    )  # fmt: skip


def _joined(parts: Sequence[Part]) -> Part:
    """Return the samples of all parts; samples of a part without weights have weight 1."""
    weight = None
    if any(part.sample_weight is not None for part in parts):
        weights = (part.sample_weight for part in parts)
        weight = torch.cat(
            [torch.ones(len(p)) if w is None else w for p, w in zip(parts, weights, strict=True)]
        )
    x = concatenate([part.x for part in parts])
    return Part(x, torch.cat([part.y for part in parts]), weight)


def validation_split(data: Dataset, fraction: float, seed: int) -> Dataset:
    """Split the training part; the new ``test`` part is for the validation of trials."""
    size = max(1, round(fraction * len(data.train)))
    train, validation = split_rows(data.train.y, size, data.task, [seed, VALIDATION_STREAM])
    return replace(data, train=data.train.rows(train), test=data.train.rows(validation))


def split_rows(
    y: Tensor, size: int, task: str, entropy: list[int]
) -> tuple[Int64[np.ndarray, " train"], Int64[np.ndarray, " test"]]:
    """Return rows to train on and ``size`` others, stratified by classes if possible."""
    from sklearn.model_selection import train_test_split

    if size >= len(y):
        raise DataError(f"`data` must have at least {size + 1} samples (got {len(y)}).")
    state = int(np.random.SeedSequence(entropy).generate_state(1)[0])
    counts = np.unique(y.numpy(), return_counts=True)[1] if task == "classification" else [0]
    can_share = min(counts) >= 2 and min(size, len(y) - size) >= len(counts)
    rows, classes = np.arange(len(y), dtype=np.int64), y.numpy() if can_share else None
    train, rest = train_test_split(rows, test_size=size, stratify=classes, random_state=state)
    return train, rest


def _standardized_again(
    values: Any, scaling: Scaling | None, train: Int64[np.ndarray, " train"]
) -> tuple[Any, Scaling | None]:
    if scaling is None:
        return values, None
    if not isinstance(values, Tensor):
        raise DataError(
            "`data` with several inputs must have `x_scaling=None`, because a new split would "
            "standardize them again. Standardize them yourself, or pass `redraw_split=False`."
        )
    raw = scaling.restore(values)
    equal = all(bool((one == one[0]).all()) for one in (scaling.scale, scaling.mean))
    new = Scaling.from_rows(raw[train].numpy(), shared=equal and raw.shape[1] > 1)
    return new.standardize(raw).to(values.dtype), new


def check_network(source: Any) -> NetworkSource:
    """Reject sources of other types, and networks with layers that cannot be initialized again."""
    if not isinstance(source, nn.Module):
        if not callable(source):
            expected = (
                'a torch.nn.Module, a function that makes one, or a text like "mlp:64-20-10"; '
                "`compare` also takes a dict of these by names"
            )
            _validation.instance("network", source, str, expected)
        return cast(NetworkSource, source)
    _reject_quantum(source)
    for name, module in source.named_modules():
        own = [p for p in module.parameters(recurse=False) if p.requires_grad]
        if own and _resetter(module) is None:
            raise ArgumentError(
                f"{_where(name)} ({type(module).__name__}) has weights, but no method "
                "`reset_parameters`. Add it, or pass a function that makes the network."
            )
        if own and has_computed_weights(module):
            raise ArgumentError(
                f"{_where(name)} ({type(module).__name__}) has a computed weight, pruned or "
                "normalised, which `reset_parameters` does not set. Pass a function that makes the "
                "network."
            )
    return source


def draw_network(source: NetworkSource, data: Dataset, seed: int) -> nn.Module:
    """Return the network of a seed with new starting weights; frozen weights are kept."""
    if isinstance(source, nn.Module):
        network = copy_module(source, user="`compare`")
    elif isinstance(source, str):
        network = build_network(source, data, seed=seed)
    else:
        takes = "no arguments (bind them with functools.partial)"
        with isolated(seed):
            network = call_source("network", source, takes=takes, kind=nn.Module)
    _reject_quantum(network)
    with isolated(seed):
        _materialize(network, data)
        if isinstance(source, nn.Module):
            _reset(network)
    return network


def _reject_quantum(network: nn.Module) -> None:
    for name, module in network.named_modules():
        if isinstance(module, QuantumNetwork):
            raise ArgumentError(
                f"{_where(name)} must not be a quantum network. Pass the plain network "
                '(`to_classical(network)`), and name the bridge in a method ("memory+adam").'
            )


def _where(name: str) -> str:
    return f"Layer `{name}`" if name else "The network"


def _materialize(network: nn.Module, data: Dataset) -> None:
    """Run lazy layers once, which sets their shapes and weights."""
    if not any(map(is_lazy, (*network.parameters(), *network.buffers()))):
        return
    # circuits are not executed for an empty batch, which some classical layers do not support
    x = take_rows(data.train.x, slice(0 if executors_of(network) else 2))
    kinds = [p.dtype for p in network.parameters() if p.is_floating_point()]
    try:
        with torch.no_grad(), evaluation_mode(network):
            call(
                network,
                map_inputs(lambda t: t.to(kinds[0]) if kinds and t.is_floating_point() else t, x),
            )
    except Exception as error:
        raise ArgumentError(
            "Lazy layers must get their shapes from the data "
            f"(got {type(error).__name__}: {error}). Set the sizes of the layers."
        ) from error
    check_has_values(network, ArgumentError)


@torch.no_grad()
def _reset(network: nn.Module) -> None:
    for module in network.modules():
        reset = _resetter(module)
        own = list(module.parameters(recurse=False))
        frozen = [(p, p.clone()) for p in own if not p.requires_grad]
        if reset is None or (own and len(frozen) == len(own)):
            continue
        reset()
        for parameter, value in frozen:
            parameter.copy_(value)


def _resetter(module: nn.Module) -> Callable[[], object] | None:
    for name in ("reset_parameters", "_reset_parameters"):  # MultiheadAttention has the latter
        if callable(found := getattr(module, name, None)):
            return found  # type: ignore[no-any-return]
    if isinstance(module, CircuitLayer):
        return lambda: nn.init.uniform_(module.weight, -math.pi, math.pi)
    return None
