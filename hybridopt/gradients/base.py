"""Base classes of gradient rules, and of what they differentiate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, TypeVar

from jaxtyping import Float64
from torch import Tensor
from torch.autograd import forward_ad

from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution import Executor, ForwardRecord, Readout

Rows = Float64[Tensor, "B R"]  # angles of B samples [rad]
Shared = Float64[Tensor, "S O"]  # S rows of angles that all samples share [rad]
Outputs = Float64[Tensor, "S B K"]  # K numbers for each of both
Tangents = tuple[Tensor | None, Tensor | None]  # of rows and shared angles; None is no direction
Vjp = tuple[Tensor | None, Tensor | None]


class Evaluation(ABC):
    """A circuit as a differentiable function of its angles.

    With B samples, S tables of shared angles, R + O angles and K outputs it takes rows ``(B, R)``
    and shared ``(S, O)`` [rad] to values ``(S, B, K)``.

    Attributes:
        program: The family of circuits.
        readout: What is read.
        executor: Runs the circuits.
    """

    program: CircuitProgram
    readout: Readout
    executor: Executor

    @abstractmethod
    def __call__(self, rows: Rows, shared: Shared) -> Outputs:
        """Run the circuits; differentiable any number of times."""


class GradientRule(ABC):
    """Rule by which derivatives of a circuit are found.

    Attributes:
        name: By which it is asked for.

    Example:
        >>> import hybridopt as ho
        >>> rule = ho.gradients.Spsa(directions=4)
        >>> layer = ho.CircuitLayer(*ho.load_circuit("strongly_entangling"), gradient=rule)
    """

    name: ClassVar[str]

    @abstractmethod
    def check(self, program: CircuitProgram, readout: Readout, executor: Executor) -> None:
        """Raise if the rule cannot be used; run nothing."""

    @abstractmethod
    def memory(self, evaluation: Evaluation, needs: tuple[bool, bool]) -> ForwardRecord | None:
        """Return what runs an evaluation to be differentiated; None runs it like any other."""

    @abstractmethod
    def vjp(
        self,
        evaluation: Evaluation,
        rows: Rows,
        shared: Shared,
        cotangent: Outputs,
        needs: tuple[bool, bool],
        memory: ForwardRecord | None = None,
    ) -> Vjp:
        """Return derivatives of the sum of ``cotangent * values`` by rows and by shared angles.

        Args:
            evaluation: Differentiated function.
            rows: Angles of the samples [rad].
            shared: Angles that samples share [rad].
            cotangent: Weights of the outputs.
            needs: Whether each of the two is wanted; None stands for what is not.
            memory: What ran the evaluation.
        """

    @abstractmethod
    def jvp(
        self, evaluation: Evaluation, rows: Rows, shared: Shared, tangents: Tangents
    ) -> Outputs:
        """Return the derivative along a direction in the angles; None is no direction."""

    @abstractmethod
    def explain(self, program: CircuitProgram) -> str:
        """Return what a gradient by the shared angles takes."""


def batch_entries(
    info: Any, in_dims: Sequence[int | None], *tensors: Tensor | None
) -> Iterator[tuple[Any, ...]]:
    """Yield the tensors of every entry of a batch, as the `vmap` of a function is given it."""
    for i in range(info.batch_size):
        pairs = zip(tensors, in_dims, strict=True)
        yield tuple(t if t is None or dim is None else t.select(dim, i) for t, dim in pairs)


Result = TypeVar("Result")


def differentiable_jvp(function: Callable[..., Result], *saved: Tensor) -> Result:
    """Call a function of saved tensors so that outer forward modes differentiate it, too."""
    # Torch (2.13) runs the `jvp` of a `Function` with all forward modes off, so that derivatives of
    # it, as in ``jacfwd(jacfwd(f))``, were zero. The tangents of the innermost mode are removed.
    with forward_ad._set_fwd_grad_enabled(True):
        duals = [forward_ad.unpack_dual(tensor, level=0) for tensor in saved]  # type: ignore[no-untyped-call]
        return function(*(dual.primal for dual in duals))
