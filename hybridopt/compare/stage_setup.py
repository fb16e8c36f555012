"""What a stage of a method trains: the network in its bridge, its batches, its seed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from torch import nn

from hybridopt.bridges import Bridge, Twin, to_quantum
from hybridopt.compare.methods import Stage
from hybridopt.execution import Executor
from hybridopt.training.batches import MINIBATCH


def enter(network: nn.Module, stage: Stage, executor: Executor, seed: int) -> nn.Module:
    """The network that a stage trains: the plain one, or that one in the stage's bridge.

    A bridge that draws random numbers of its own draws them from the run's seed, unless the user
    has set its seed.
    """
    if stage.bridge is None:
        return network
    return to_quantum(network, _seeded(stage, seed), executor=executor, gradient=stage.gradient)


def batch_size(stage: Stage) -> int | None:
    """Samples a step; None is all of them."""
    size = stage.batch_size
    if size == "auto":
        return None if stage.full_batch else MINIBATCH
    return size if isinstance(size, int) else None


def stage_seed(seed: int, stage: int) -> int:
    """Of the order of the samples: the run's own for a first stage, so all methods share it."""
    if not stage:
        return seed
    return int(np.random.SeedSequence([seed, stage]).generate_state(1)[0])


def _seeded(stage: Stage, seed: int) -> Bridge:
    assert stage.bridge is not None
    return stage.bridge if stage.seeded else _drawing_from(stage.bridge, seed)


def _drawing_from(bridge: Bridge, seed: int) -> Bridge:
    """A bridge with this seed; a twin named after a bridge draws what that bridge does."""
    if isinstance(bridge, Twin):
        return Twin(of=_drawing_from(bridge.of, seed))
    options: dict[str, Any] = {"seed": seed} if hasattr(bridge, "seed") else {}
    return replace(bridge, **options)
