"""The common base of classifier and regressor."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn

from hybridopt import _validation
from hybridopt._random import isolated
from hybridopt.bridges import Bridge, to_quantum
from hybridopt.errors import ArgumentError, ArgumentTypeError, DataError, HybridOptError
from hybridopt.execution import AerExecutor, Executor, Metered, check_executor
from hybridopt.gradients import GradientRule
from hybridopt.training import fit
from hybridopt.training.batches import network_dtype
from hybridopt.training.loop import EVALUATION_BATCH, executors_of
from hybridopt.training.sanity_check import check_network, trial_outputs

OF_FIT = (
    "optimizer", "lr", "scheduler", "epochs", "batch_size", "loss", "tol", "patience", "callbacks",
    "progress",
)  # fmt: skip
NetworkSpec = Sequence[int] | np.ndarray | nn.Module | Callable[[int, int], nn.Module]


class HybridEstimator(BaseEstimator):  # type: ignore[misc]
    """A network, the way into circuits, and `fit`, for classifier and regressor."""

    def __init__(
        self,
        network: NetworkSpec = (16,),
        *,
        bridge: str | Bridge | None = None,
        bridge_options: Mapping[str, Any] | None = None,
        gradient: str | GradientRule | None = None,
        executor: Executor | None = None,
        shots: int | None = None,
        optimizer: str = "adam",
        optimizer_options: Mapping[str, Any] | None = None,
        lr: float | str | None = None,
        scheduler: str | Callable[..., Any] | None = None,
        epochs: int = 20,
        batch_size: int | str | None = "auto",
        loss: object = None,
        tol: float | None = None,
        patience: int | None = None,
        callbacks: Sequence[Any] = (),
        progress: bool | str = False,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.network = network
        self.bridge = bridge
        self.bridge_options = bridge_options
        self.gradient = gradient
        self.executor = executor
        self.shots = shots
        self.optimizer = optimizer
        self.optimizer_options = optimizer_options
        self.lr = lr
        self.scheduler = scheduler
        self.epochs = epochs
        self.batch_size = batch_size
        self.loss = loss
        self.tol = tol
        self.patience = patience
        self.callbacks = callbacks
        self.progress = progress
        self.random_state = random_state

    def _train(self, x: np.ndarray, y: Tensor, num_outputs: int) -> None:
        self._check_options()
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        with isolated(seed):
            network = self._built(x.shape[1], num_outputs, seed)
        check_network(network)
        if self.bridge is not None:
            gradient = "parameter-shift" if self.gradient is None else self.gradient
            executor = AerExecutor(shots=self.shots, seed=seed)
            if self.executor is not None:
                executor = _restarted(check_executor(self.executor), seed)
            options = {"executor": executor, "gradient": gradient, **(self.bridge_options or {})}
            network = to_quantum(network, self.bridge, **options)
        samples = torch.tensor(x, dtype=network_dtype(network))
        with isolated(seed):
            outputs = trial_outputs(network, samples[:2])
        shape = tuple(outputs.shape[1:]) if isinstance(outputs, Tensor) else type(outputs).__name__
        if shape != (num_outputs,):
            raise DataError(
                f"The network must return {num_outputs} numbers for each sample, one a class or "
                f"target, but returns {shape}. Pass a function of (features, outputs) as `network`."
            )
        handed_on = {name: getattr(self, name) for name in OF_FIT}
        self.history_ = fit(
            network, (samples, y), seed=seed, **handed_on, **(self.optimizer_options or {})
        )
        self.network_ = network.eval()

    def _check_options(self) -> None:
        _check_keywords("bridge_options", self.bridge_options, to_quantum, {})
        _check_keywords("optimizer_options", self.optimizer_options, fit, {"seed": "random_state"})
        for name in ("bridge_options", "executor", "shots", "gradient"):
            if self.bridge is None and getattr(self, name) is not None:
                raise ArgumentError(
                    f"Argument `{name}` is for a network in a circuit, but `bridge` is None. "
                    'Pass for instance bridge="memory".'
                )
        if self.executor is not None and self.shots is not None:
            raise ArgumentError(
                "Argument `shots` cannot be given beside `executor`, which has its own: "
                "AerExecutor(shots=...)."
            )

    def _built(self, num_features: int, num_outputs: int, seed: int) -> nn.Module:
        if isinstance(self.network, nn.Module):  # an estimator leaves what it was given
            executors = executors_of(self.network)
            own = {id(executor): _restarted(executor, seed) for executor in executors}
            return copy.deepcopy(self.network, own)
        if callable(self.network):
            try:
                return self.network(num_features, num_outputs)
            except HybridOptError:
                raise
            except Exception as error:
                name = getattr(self.network, "__name__", repr(self.network))
                raise ArgumentError(
                    f"The network function {name!r} gave no network of {num_features} features and "
                    f"{num_outputs} outputs: {type(error).__name__}: {error}"
                ) from error
        widths: object = self.network
        if isinstance(widths, str) or not isinstance(widths, Sequence | np.ndarray):
            raise ArgumentTypeError(
                "Argument `network` must be the widths of the hidden layers, a torch.nn.Module, or "
                "a function of (number of features, number of outputs) that returns one, but is "
                f"{self.network!r}."
            )
        hidden = [_validation.integer("network", width, minimum=1) for width in widths]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise([num_features, *hidden, num_outputs]):
            layers += [nn.Linear(inputs, outputs, dtype=torch.float64), nn.Tanh()]
        return nn.Sequential(*layers[:-1])

    @torch.no_grad()
    def _outputs(self, x: object) -> np.ndarray:
        check_is_fitted(self)
        checked = validate_data(self, x, dtype=[np.float64, np.float32], reset=False)
        samples = torch.tensor(checked, dtype=network_dtype(self.network_))
        outputs = [self.network_(batch) for batch in torch.split(samples, EVALUATION_BATCH)]
        return np.asarray(torch.cat(outputs).double().cpu().numpy())


def _restarted(executor: Metered, seed: int) -> Any:
    """A copy at the beginning of its stream; ``seed`` serves where it has none of its own."""
    # copy.deepcopy of an executor gives the thing itself, as networks share theirs
    own = copy.copy(executor)
    try:
        state = copy.deepcopy(executor.__getstate__())
    except TypeError:  # it holds a connection, say, which both have to use
        state = None
    if isinstance(state, dict):
        vars(own).update(state)
    position = {**own.state_dict(), "calls": 0}
    if "entropy" in position and getattr(own, "seed", seed) is None:
        position["entropy"] = hex(seed)
    own.load_state_dict(position)
    return own


def _check_keywords(
    name: str, options: object, taker: Callable[..., Any], renamed: Mapping[str, str]
) -> None:
    """Refuse options that the function they are handed on to is given by the estimator itself."""
    if options is None:
        return
    if not isinstance(options, Mapping) or not all(isinstance(key, str) for key in options):
        raise ArgumentTypeError(
            f"Argument `{name}` must be a dict or None, with names as keys, but is {options!r}."
        )
    own = inspect.signature(HybridEstimator).parameters
    for key in options:
        parameter = renamed.get(key, key)
        if parameter in own:
            raise ArgumentError(
                f"Argument `{name}` holds {key!r}, which is a parameter of the estimator. Pass "
                f"`{parameter}=...` instead."
            )
        if key in inspect.signature(taker).parameters:
            raise ArgumentError(f"Argument `{name}` holds {key!r}, which is none of them.")
