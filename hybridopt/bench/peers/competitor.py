"""What every simulator in the benchmark is asked for, and hybridopt itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, TypeAlias

import numpy as np
import torch

from hybridopt.bench.problem import Problem
from hybridopt.execution import AerExecutor, Cost
from hybridopt.nn import CircuitLayer

Numbers: TypeAlias = Any  # numpy float64; their shapes are checked where they are compared
Gradient: TypeAlias = Callable[[Numbers, Numbers], tuple[Numbers, Numbers]]

DOUBLE = 1e-9  # allowed deviation, relative to the largest value that the outputs can take
SINGLE = 1e-6  # numbers that pass through 32 bits once
SINGLE_STATES = 1e-5  # amplitudes of 32 bits, rounded by every one of some hundred gates
SHIFT, EXACT, RANDOM = "parameter-shift", "adjoint", "spsa"  # kinds of rules, named as ours are
ONE_BY_ONE = ("density_matrix", "matrix_product_state")  # state vectors are stacked, these are not


@dataclass(frozen=True)
class PreparedProblem:
    """A problem in a competitor's own form."""

    # takes inputs (B, I) and weights (P,) to the outputs (B, K) and the gradient (P,) of the mean
    # over the samples of their sum
    gradient: Gradient
    usage: Callable[[], Cost] | None = None  # what was spent so far, where it is counted
    note: str = ""  # how it is run


class Competitor(ABC):
    """One simulator with one gradient rule."""

    key: str  # by which `--peer` asks for it; several rules of one simulator share it
    name: str  # as tables show it
    library: str
    rule: str  # as its library calls it
    kind: str = EXACT  # our rule that does the same
    exact: bool = True  # it runs problems without shots
    samples: bool = False  # it runs problems with shots
    tolerance: float = DOUBLE  # deviation that its floating point numbers explain, without shots
    one_by_one: bool = False  # it takes samples one by one: the time of one tells that of a batch
    compiles: bool = False  # the first call compiles, so that it tells nothing of the others
    modules: tuple[str, ...] = ()  # packages that it imports
    extra: str = "peers-all"  # of our package, which installs them

    def unavailable(self) -> str:
        """Return why it cannot be used here, with the way out; empty if it can."""
        absent = ", ".join(module for module in self.modules if find_spec(module) is None)
        return absent and (
            f'{absent} is not installed. Install it by `pip install "hybridopt-qiskit'
            f'[{self.extra}]"`, or in a checkout `pip install ".[{self.extra}]"`.'
        )

    @abstractmethod
    def prepare(self, problem: Problem) -> PreparedProblem:
        """Translate a problem, without running its circuit."""


class Hybridopt(Competitor):
    """A CircuitLayer; method, device and precision are Aer's."""

    key = library = "hybridopt"

    def __init__(
        self,
        rule: str,
        method: str = "automatic",
        device: str = "CPU",
        precision: str = "double",
        seed: int = 0,
    ) -> None:
        self.rule = self.kind = rule
        self.method, self.device, self.precision, self.seed = method, device, precision, seed
        usual = {"automatic", "CPU", "double"}
        options = [option for option in (method, device, precision) if option not in usual]
        self.name = " ".join(["hybridopt", *options])
        self.samples = rule != EXACT  # which needs the states themselves
        self.one_by_one = method in ONE_BY_ONE
        if precision == "single":
            self.tolerance = SINGLE_STATES
        elif method == "matrix_product_state":  # Aer cuts them off at small amplitudes
            self.tolerance = SINGLE

    def layer(self, problem: Problem) -> CircuitLayer:
        """Return the layer; refuses what does not go together and runs nothing."""
        executor = AerExecutor(
            self.device, shots=problem.shots, seed=self.seed, method=self.method,
            precision=self.precision,
        )  # fmt: skip
        return CircuitLayer(
            problem.circuit, problem.inputs, problem.weights, problem.observables, executor,
            self.rule, torch.zeros(len(problem.weights), dtype=torch.float64),
        )  # fmt: skip

    def prepare(self, problem: Problem) -> PreparedProblem:
        """Make a layer of 64 bits."""
        layer = self.layer(problem)

        def gradient(x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            layer.weight.data.copy_(torch.from_numpy(w))
            layer.zero_grad()
            values = layer(torch.from_numpy(x))
            values.sum(-1).mean().backward()
            assert layer.weight.grad is not None
            return values.detach().numpy(), layer.weight.grad.numpy()

        explained = layer.explain(problem.batch).splitlines()
        return PreparedProblem(gradient, lambda: layer.executor.usage, " ".join(explained))


def torch_gradient(forward: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Gradient:
    """Return values and gradient of a torch function, by its backward pass."""

    def gradient(x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weights = torch.tensor(w, requires_grad=True)
        values = forward(torch.tensor(x), weights)
        values.sum(-1).mean().backward()  # type: ignore[no-untyped-call]
        assert weights.grad is not None
        return values.detach().numpy(), weights.grad.numpy()

    return gradient
