"""Base class of classifier and regressor for scikit-learn: network, bridge and training."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from itertools import pairwise
from typing import Any, TypeVar, cast

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor, nn
from torch.optim import Optimizer

from hybridopt import _validation, optim
from hybridopt._copies import copy_module
from hybridopt._random import isolated
from hybridopt.bridges import Bridge, to_quantum
from hybridopt.errors import ArgumentError, ArgumentTypeError, DataError, HybridOptError
from hybridopt.execution import AerExecutor, Executor, Metered, check_executor
from hybridopt.gradients import GradientRule
from hybridopt.sklearn.samples import SPARSE, check_memory, dense_batches, training_samples
from hybridopt.training import History, fit
from hybridopt.training.batches import network_dtype
from hybridopt.training.loop import executors_of
from hybridopt.training.sanity_check import check_network, trial_outputs

OF_FIT = (
    "optimizer", "lr", "scheduler", "epochs", "batch_size", "tol", "patience", "callbacks",
    "progress", "clip_grad_norm", "accumulate",
)  # fmt: skip
Method = TypeVar("Method", bound=Callable[..., Any])
NetworkSpec = Sequence[int] | np.ndarray | nn.Module | Callable[[int, int], nn.Module]


def all_or_nothing(fit_method: Method) -> Method:
    """Return a method that leaves the attributes of its estimator unchanged if it fails."""

    @functools.wraps(fit_method)
    def fit_or_restore(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = dict(vars(self))
        try:
            return fit_method(self, *args, **kwargs)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return cast(Method, fit_or_restore)


@dataclass(eq=False, repr=False)  # scikit-learn reads the parameters of the constructor
class HybridEstimator(BaseEstimator):  # type: ignore[misc]
    """Base class of classifier and regressor: network, bridge and training."""

    network: NetworkSpec = (16,)
    _: KW_ONLY
    bridge: str | Bridge | None = None
    bridge_options: Mapping[str, Any] | None = None
    gradient: str | GradientRule | None = None
    executor: Executor | None = None
    shots: int | None = None
    optimizer: str = "adam"
    optimizer_options: Mapping[str, Any] | None = None
    lr: float | str | None = None
    scheduler: str | Callable[..., Any] | None = None
    epochs: int = 20
    batch_size: int | str | None = "auto"
    loss: object = None
    tol: float | None = None
    patience: int | None = None
    clip_grad_norm: float | None = None
    accumulate: int = 1
    warm_start: bool = False
    callbacks: Sequence[Any] = ()
    progress: bool | str | None = False
    random_state: int | np.random.RandomState | None = None

    def _validated(self, x: object, y: object, *, reset: bool, **checks: Any) -> tuple[Any, Any]:
        """Return features, dense or sparse by rows, and targets with one or more columns."""
        checks |= {"accept_sparse": SPARSE, "dtype": [np.float64, np.float32]}
        samples, targets = validate_data(self, x, y, reset=reset, multi_output=True, **checks)
        return samples, targets

    @property
    def _continues(self) -> bool:
        """Whether `fit` continues with the trained network."""
        return _validation.boolean("warm_start", self.warm_start) and hasattr(self, "network_")

    def _train(
        self, x: Any, y: Tensor, num_outputs: int, sample_weight: np.ndarray | None, *,
        loss: object, continues: bool,
    ) -> None:  # fmt: skip
        """Train a new network, or continue with ``continues``."""
        network, seed = self._network_and_seed(x, num_outputs, continues=continues)
        data = training_samples(x, y, sample_weight, network_dtype(network))
        handed_on = {name: getattr(self, name) for name in OF_FIT} | {"seed": seed, "loss": loss}
        self.history_ = fit(network, data, **handed_on, **(self.optimizer_options or {}))
        self._trained(network)
        self._optimizer: Optimizer | None = None

    def _train_once(
        self, x: Any, y: Tensor, num_outputs: int, sample_weight: np.ndarray | None, *,
        loss: object,
    ) -> None:  # fmt: skip
        """Make one pass through the samples; network and optimizer continue."""
        self._check_partial()
        continues = hasattr(self, "network_")
        network, seed = self._network_and_seed(x, num_outputs, continues=continues)
        made = getattr(self, "_optimizer", None) if continues else None
        if made is None:
            trained = [p for p in network.parameters() if p.requires_grad]
            options = self.optimizer_options or {}
            made = optim.create(self.optimizer, trained, lr=self.lr, **options)  # type: ignore[arg-type]
        size = None if (self.optimizer, self.batch_size) == ("gd", "auto") else self.batch_size
        data = training_samples(x, y, sample_weight, network_dtype(network))
        rest = ("callbacks", "progress", "clip_grad_norm", "accumulate")
        handed_on = {name: getattr(self, name) for name in rest} | {"seed": seed, "loss": loss}
        history = fit(network, data, optimizer=made, epochs=1, batch_size=size, **handed_on)
        before = self.history_.records if continues else []
        records = [replace(one, epoch=len(before) + one.epoch) for one in history]
        self.history_ = History(history.metric_name, [*before, *records], history.status)
        self._trained(network)
        self._optimizer = made

    def _trained(self, network: nn.Module) -> None:
        self.network_ = network.eval()
        self._num_fits += 1

    def _check_partial(self) -> None:
        """Reject parameters that need more than one pass, or all samples in each pass."""
        needs = {
            "optimizer": self.optimizer in {"newton", "lbfgs"},
            "lr": isinstance(self.lr, str),
            "scheduler": self.scheduler is not None,
        }
        for name in (name for name, is_used in needs.items() if is_used):
            raise ArgumentError(
                f"`{name}` must be another one for `partial_fit`, which makes one pass through "
                f'new samples (got {getattr(self, name)!r}). Use for example optimizer="adam" '
                "with a number as `lr` and without a scheduler."
            )

    def _network_and_seed(
        self, x: Any, num_outputs: int, *, continues: bool
    ) -> tuple[nn.Module, int]:
        """Return the trained or a new network, and a seed that differs between calls."""
        self._check_options()
        check_memory(x, self.optimizer, self.batch_size)
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        if continues:
            words = np.random.SeedSequence([seed, self._num_fits]).generate_state(1)
            return self.network_, int(words[0] >> 1)
        self._num_fits: int = 0
        return self._new_network(x, num_outputs, seed), seed

    def _new_network(self, x: Any, num_outputs: int, seed: int) -> nn.Module:
        with isolated(seed):
            network = self._built(x.shape[1], num_outputs, seed)
        check_network(network)
        if self.bridge is not None:
            gradient = "parameter-shift" if self.gradient is None else self.gradient
            if self.executor is None:
                executor = AerExecutor(shots=self.shots, seed=seed)
            else:
                executor = _restarted(check_executor(self.executor), seed)
            options = {"executor": executor, "gradient": gradient, **(self.bridge_options or {})}
            network = to_quantum(network, self.bridge, **options)
        with isolated(seed):
            outputs = trial_outputs(network, next(dense_batches(x[:2], network_dtype(network))))
        shape = tuple(outputs.shape[1:]) if isinstance(outputs, Tensor) else type(outputs).__name__
        if shape != (num_outputs,):
            raise DataError(
                f"`network` must return {num_outputs} outputs per sample, one per class or target "
                f"(got {shape}). Pass a function of (features, outputs) as `network`."
            )
        return network

    def _check_options(self) -> None:
        self._check_keywords("bridge_options", to_quantum)
        self._check_keywords("optimizer_options", fit)
        for name in ("bridge_options", "executor", "shots", "gradient"):
            if self.bridge is None and getattr(self, name) is not None:
                raise ArgumentError(
                    f"`{name}` must be None without a `bridge` (got {getattr(self, name)!r}). "
                    'Pass for example `bridge="memory"`.'
                )
        if self.executor is not None and self.shots is not None:
            raise ArgumentError(
                "`shots` must be None with an `executor`. Pass `executor=AerExecutor(shots=...)`."
            )

    def _check_keywords(self, name: str, taker: Callable[..., Any]) -> None:
        """Reject options that are parameters of the estimator or set by it."""
        options = getattr(self, name)
        if options is None:
            return
        if not isinstance(options, Mapping) or not all(isinstance(key, str) for key in options):
            raise ArgumentTypeError(
                f"`{name}` must be a dict with texts as keys, or None (got {options!r})."
            )
        for key in options:
            parameter = "random_state" if (key, taker) == ("seed", fit) else key
            if parameter in self.get_params(deep=False):
                raise ArgumentError(
                    f"`{name}` must not have the key {key!r}, a parameter of the estimator. Pass "
                    f"`{parameter}=...` to the estimator."
                )
            if key in inspect.signature(taker).parameters:
                raise ArgumentError(f"`{name}` must not have the key {key!r}. Remove it.")

    def _built(self, num_features: int, num_outputs: int, seed: int) -> nn.Module:
        if isinstance(self.network, nn.Module):  # an estimator must not change its parameters
            own = {id(one): _restarted(one, seed) for one in executors_of(self.network)}
            return copy_module(self.network, own, user="An estimator")
        if callable(self.network):
            try:
                return self.network(num_features, num_outputs)
            except HybridOptError:
                raise
            except Exception as error:
                name = getattr(self.network, "__name__", repr(self.network))
                raise ArgumentError(
                    f"Function {name!r} must return a network with {num_features} features and "
                    f"{num_outputs} outputs (got {type(error).__name__}: {error})."
                ) from error
        widths: object = self.network
        if isinstance(widths, str) or not isinstance(widths, Sequence | np.ndarray):
            raise ArgumentTypeError(
                "`network` must be the widths of the hidden layers, a torch.nn.Module, or a "
                f"function of (features, outputs) that returns one (got {self.network!r})."
            )
        hidden = [_validation.integer("network", width, minimum=1) for width in widths]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise([num_features, *hidden, num_outputs]):
            layers += [nn.Linear(inputs, outputs, dtype=torch.float64), nn.Tanh()]
        return nn.Sequential(*layers[:-1])

    @torch.no_grad()
    def _outputs(self, x: object) -> Tensor:
        """Return the network's outputs in float64."""
        check_is_fitted(self)
        checked = validate_data(
            self, x, accept_sparse=SPARSE, dtype=[np.float64, np.float32], reset=False
        )
        batches = dense_batches(checked, network_dtype(self.network_))
        return torch.cat([self.network_(batch) for batch in batches]).double().cpu()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _restarted(executor: Metered, seed: int) -> Any:
    """Return a copy at the start of its random stream; ``seed`` replaces a missing seed."""
    # copy.deepcopy of an executor returns the executor itself, which networks share
    own = copy.copy(executor)
    try:
        state = copy.deepcopy(executor.__getstate__())
    except TypeError:  # the state has for example a connection, which both executors share
        state = None
    if isinstance(state, dict):
        vars(own).update(state)
    position = {**own.state_dict(), "calls": 0}
    if "entropy" in position and getattr(own, "seed", seed) is None:
        position["entropy"] = hex(seed)
    own.load_state_dict(position)
    return own
