"""hybridopt in its own benchmark: CircuitLayer by every rule, method, device and precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from hybridopt.bench.peers.competitor import DOUBLE, EXACT, SINGLE, SINGLE_STATES, Prepared
from hybridopt.bench.problem import Problem
from hybridopt.execution import AerExecutor
from hybridopt.nn import CircuitLayer

SLOW_METHODS = ("density_matrix", "matrix_product_state")


@dataclass(frozen=True)
class Hybridopt:
    """A CircuitLayer.

    Attributes:
        rule: Of the gradient.
        method: Of Aer.
        device: ``"CPU"``, ``"GPU"`` or ``"auto"``.
        precision: Of the amplitudes.
        seed: Of the shots and random directions.
    """

    rule: str
    method: str = "automatic"
    device: str = "CPU"
    precision: str = "double"
    seed: int = 0
    key: str = "hybridopt"
    library: str = "hybridopt"
    packages: tuple[str, ...] = ("hybridopt-qiskit", "qiskit", "qiskit-aer", "torch")
    exact: bool = True
    compiles: bool = False

    @property
    def samples(self) -> bool:
        """The adjoint rule needs the states themselves."""
        return self.rule != EXACT

    @property
    def name(self) -> str:
        """With what is not the default."""
        options = [self.method, self.device, self.precision]
        usual = ["automatic", "CPU", "double"]
        said = [option for option, default in zip(options, usual, strict=True) if option != default]
        return " ".join(["hybridopt", *said])

    @property
    def kind(self) -> str:
        """The rule: peers are compared with ours of the same kind."""
        return self.rule

    @property
    def tolerance(self) -> float:
        """As the amplitudes are; Aer cuts matrix product states off at small amplitudes."""
        if self.precision == "single":
            return SINGLE_STATES
        return SINGLE if self.method == "matrix_product_state" else DOUBLE

    @property
    def one_by_one(self) -> bool:
        """State vectors are stacked, density matrices and matrix product states are not."""
        return self.method in SLOW_METHODS

    def unavailable(self) -> None:
        """It is here."""

    def layer(self, problem: Problem) -> CircuitLayer:
        """The layer; refuses what does not go together and runs nothing."""
        executor = AerExecutor(
            self.device,
            method=self.method,
            precision=self.precision,
            shots=problem.shots,
            seed=self.seed,
        )
        return CircuitLayer(
            problem.circuit,
            problem.inputs,
            problem.weights,
            problem.observables,
            executor,
            self.rule,
            initial=torch.zeros(len(problem.weights), dtype=torch.float64),
        )

    def prepare(self, problem: Problem) -> Prepared:
        """A layer of 64 bits."""
        layer = self.layer(problem)

        def gradient(x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            layer.weight.data.copy_(torch.from_numpy(w))
            layer.zero_grad()
            values = layer(torch.from_numpy(x))
            values.sum(-1).mean().backward()
            assert layer.weight.grad is not None
            return values.detach().numpy(), layer.weight.grad.numpy()

        explained = layer.explain(problem.batch).splitlines()
        return Prepared(gradient, lambda: layer.executor.usage, " ".join(explained))
