"""What a gradient rule is, and what it is given."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64
from torch import Tensor

from hybridopt.circuits.circuit_program import CircuitProgram
from hybridopt.execution import Executor, Readout

Vjp = tuple[Tensor | None, Tensor | None]


@runtime_checkable
class Evaluation(Protocol):
    """A circuit as a differentiable function of its angles.

    With B samples, S tables of shared angles, R + O angles and K outputs it takes rows ``(B, R)``
    and shared ``(S, O)`` [rad] to values ``(S, B, K)``.
    """

    @property
    def program(self) -> CircuitProgram:
        """The family of circuits."""
        ...

    @property
    def readout(self) -> Readout:
        """What is read."""
        ...

    @property
    def executor(self) -> Executor:
        """What runs the circuits."""
        ...

    def __call__(
        self, rows: Float64[Tensor, "B R"], shared: Float64[Tensor, "S O"]
    ) -> Float64[Tensor, "S B K"]:
        """Run the circuits; differentiable any number of times."""
        ...


@runtime_checkable
class Memory(Protocol):
    """An evaluation that keeps what its derivative will need."""

    def values(
        self, rows: Float64[np.ndarray, "B R"], shared: Float64[np.ndarray, "S O"]
    ) -> Float64[np.ndarray, "S B K"]:
        """Outputs at these angles."""
        ...


@runtime_checkable
class GradientRule(Protocol):
    """How derivatives of a circuit are found.

    Example:
        >>> import hybridopt as ho
        >>> rule = ho.gradients.Spsa(directions=4)
        >>> layer = ho.CircuitLayer(*ho.load_circuit("strongly_entangling"), gradient=rule)
    """

    @property
    def name(self) -> str:
        """By which it is asked for."""
        ...

    def check(self, program: CircuitProgram, readout: Readout, executor: Executor) -> None:
        """Raise if the rule cannot be used; run nothing."""
        ...

    def memory(self, evaluation: Evaluation, needs: tuple[bool, bool]) -> Memory | None:
        """What runs an evaluation that will be differentiated; None runs it like any other."""
        ...

    def vjp(
        self,
        evaluation: Evaluation,
        rows: Float64[Tensor, "B R"],
        shared: Float64[Tensor, "S O"],
        cotangent: Float64[Tensor, "S B K"],
        needs: tuple[bool, bool],
        memory: Memory | None = None,
    ) -> Vjp:
        """Derivatives of the sum of ``cotangent * values`` by rows and by shared angles.

        Args:
            evaluation: What is differentiated.
            rows: Angles of the samples [rad].
            shared: Angles that samples share [rad].
            cotangent: Weights of the outputs.
            needs: Whether each of the two is wanted; None stands for what is not.
            memory: What ran the evaluation.
        """
        ...

    def jvp(
        self,
        evaluation: Evaluation,
        rows: Float64[Tensor, "B R"],
        shared: Float64[Tensor, "S O"],
        tangents: tuple[Tensor | None, Tensor | None],
    ) -> Float64[Tensor, "S B K"]:
        """Derivative of the values along a direction in the angles; None is no direction."""
        ...

    def explain(self, program: CircuitProgram) -> str:
        """What a gradient by the shared angles takes."""
        ...
