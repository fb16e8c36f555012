"""Interface of all simulators in the benchmark, and its implementation for hybridopt."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, TypeAlias

import numpy as np
import torch

from hybridopt.bench.noise import noise_model
from hybridopt.bench.problem import Problem
from hybridopt.execution import AerExecutor, Cost
from hybridopt.execution.aer.devices import device_name
from hybridopt.nn import CircuitLayer

Numbers: TypeAlias = Any  # numpy float64; their shapes are checked when they are compared
Gradient: TypeAlias = Callable[[Numbers, Numbers], tuple[Numbers, Numbers]]

DOUBLE = 1e-9  # allowed deviation, relative to the largest possible value of the outputs
SINGLE = 1e-6  # the same for numbers that are rounded to 32 bits once
SINGLE_STATES = 1e-5  # the same for 32-bit amplitudes, rounded after each of some hundred gates
SHIFT, EXACT, RANDOM = "parameter-shift", "adjoint", "spsa"  # kinds of rules, by our names
ONE_BY_ONE = ("density_matrix", "matrix_product_state")  # methods that stack no samples


@dataclass(frozen=True)
class Duration:
    """Time of one call, or mean of several."""

    wall: float  # [s]
    cpu: float  # of all threads [s]


@dataclass(frozen=True)
class PreparedProblem:
    """Problem, translated for a competitor."""

    # inputs (B, I) and weights (P,) -> outputs (B, K), and the gradient (P,) of the sum of the
    # outputs, averaged over the samples
    gradient: Gradient
    usage: Callable[[], Cost] | None = None  # total cost so far, if it is counted
    note: str = ""  # description of the execution
    duration: Callable[[], Duration] | None = None  # of the last call, if another process ran it


class Competitor(ABC):
    """Simulator with one gradient rule."""

    key: str  # value of `--peer`; several rules of one simulator share it
    name: str  # name in tables
    library: str
    rule: str  # name of the gradient rule in that library
    kind: str = EXACT  # equivalent rule of hybridopt
    exact: bool = True  # True if it runs problems without shots
    samples: bool = False  # True if it runs problems with shots
    noisy: bool = False  # True if it runs problems with noise
    tolerance: float = DOUBLE  # deviation due to floating-point rounding, without shots
    one_by_one: bool = False  # True if its time is proportional to the number of samples
    compiles: bool = False  # True if the first call compiles and is therefore slower
    modules: tuple[str, ...] = ()  # packages that it imports
    extra: str = "peers-all"  # extra of our package that installs them

    def unavailable(self) -> str:
        """Return the missing packages and how to install them; empty if none is missing."""
        absent = ", ".join(module for module in self.modules if find_spec(module) is None)
        return absent and (
            f'{absent} is not installed. Run `pip install "hybridopt-qiskit[{self.extra}]"`, '
            f'or in a checkout `pip install ".[{self.extra}]"`.'
        )

    def supports(self, problem: Problem) -> bool:
        """Return True if it runs problems with these shots and this noise."""
        counted = self.exact if problem.shots is None else self.samples
        return counted and (self.noisy or problem.noise is None)

    @abstractmethod
    def prepare(self, problem: Problem) -> PreparedProblem:
        """Translate a problem without running its circuit."""

    def close(self) -> None:  # noqa: B027  # most need no end
        """End what outlives a problem, such as a process."""


class Hybridopt(Competitor):
    """`CircuitLayer` with a method, a device and a precision of Aer."""

    key = library = "hybridopt"
    noisy = True

    def __init__(
        self,
        rule: str,
        method: str = "automatic",
        device: str = "CPU",
        precision: str = "double",
        seed: int = 0,
    ) -> None:
        self.rule = self.kind = rule
        device = device_name(device)
        self.method, self.device, self.precision, self.seed = method, device, precision, seed
        usual = {"automatic", "CPU", "double"}
        options = [option for option in (method, device, precision) if option not in usual]
        self.name = " ".join(["hybridopt", *options])
        self.samples = rule != EXACT  # the adjoint rule needs the state
        self.one_by_one = method in ONE_BY_ONE
        if precision == "single":
            self.tolerance = SINGLE_STATES
        elif method == "matrix_product_state":  # Aer truncates small amplitudes
            self.tolerance = SINGLE

    def layer(self, problem: Problem) -> CircuitLayer:
        """Return the layer of a problem; it checks all options and runs no circuit."""
        executor = AerExecutor(
            self.device, shots=problem.shots, seed=self.seed, method=self.method,
            precision=self.precision, noise_model=noise_model(problem),
        )  # fmt: skip
        return CircuitLayer(
            problem.circuit, problem.inputs, problem.weights, problem.observables, executor,
            self.rule, torch.zeros(len(problem.weights), dtype=torch.float64),
        )  # fmt: skip

    def prepare(self, problem: Problem) -> PreparedProblem:
        """Create a layer with 64-bit weights."""
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
    """Return a function for values and gradient of a torch function, by a backward pass."""

    def gradient(x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weights = torch.tensor(w, requires_grad=True)
        values = forward(torch.tensor(x), weights)
        values.sum(-1).mean().backward()  # type: ignore[no-untyped-call]
        assert weights.grad is not None
        return values.detach().numpy(), weights.grad.numpy()

    return gradient
