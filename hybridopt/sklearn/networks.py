"""The networks of estimators: widths, modules, or functions that make them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from hybridopt.errors import ArgumentError, ArgumentTypeError, DataError, HybridOptError
from hybridopt.training.sanity_check import trial_outputs

NetworkSpec = Sequence[int] | nn.Module | Callable[[int, int], nn.Module]


def mlp(widths: Sequence[int]) -> nn.Module:
    """Linear layers of these widths in double precision, with tanh between."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs, dtype=torch.float64), nn.Tanh()]
    return nn.Sequential(*layers[:-1])


def made_by(factory: Callable[[int, int], nn.Module], features: int, outputs: int) -> nn.Module:
    """What a function of the user's makes of the numbers of features and outputs.

    Raises:
        ArgumentError: If it fails.
        ArgumentTypeError: If it returns no module.
    """
    name = getattr(factory, "__name__", repr(factory))
    try:
        network = factory(features, outputs)
    except HybridOptError:
        raise
    except Exception as error:
        raise ArgumentError(
            f"The network function {name!r} gave no network of {features} features and {outputs} "
            f"outputs: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(network, nn.Module):
        raise ArgumentTypeError(
            f"The network function {name!r} must return a torch.nn.Module, but returned "
            f"{type(network).__name__}."
        )
    return network


def check_outputs(network: nn.Module, samples: Tensor, num_outputs: int) -> None:
    """Refuse a network whose outputs are not one number a class or target.

    Args:
        network: What shall be trained.
        samples: Shape ``(samples, features)``.
        num_outputs: Classes or targets.

    Raises:
        DataError: Naming what it returns.
    """
    outputs = trial_outputs(network, samples)
    shape = tuple(outputs.shape[1:]) if isinstance(outputs, Tensor) else type(outputs).__name__
    if shape != (num_outputs,):
        raise DataError(
            f"The network must return {num_outputs} numbers for each sample, one a class or "
            f"target, but returns {shape}. Pass a function of (features, outputs) as `network`."
        )
