"""What a gradient rule is, and what it is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float64
from torch import Tensor
from torch.autograd import forward_ad

from hybridopt.circuits.program import CircuitProgram
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


Result = TypeVar("Result")


def differentiable_jvp(function: Callable[..., Result], *saved: Tensor) -> Result:
    """Call a function of saved tensors so that outer forward modes see what it does.

    Torch (2.13) runs the `jvp` of a `torch.autograd.Function` with all forward modes off: inside
    another, as in ``jacfwd(jacfwd(f))``, derivatives of the `jvp` would be zero without a word.
    Here they are on, and the tangents of the innermost mode, which `jvp` was given, are taken off
    the saved tensors.
    """
    with forward_ad._set_fwd_grad_enabled(True):
        duals = [forward_ad.unpack_dual(tensor, level=0) for tensor in saved]  # type: ignore[no-untyped-call]
        return function(*(dual.primal for dual in duals))
