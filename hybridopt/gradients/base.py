"""Base classes of gradient rules and of the circuits that they differentiate."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, ClassVar, TypeVar

import torch
from jaxtyping import Float64
from torch import Tensor
from torch.autograd import forward_ad

from hybridopt.circuits.program import CircuitProgram
from hybridopt.execution import Executor, ForwardRecord, Readout

Rows = Float64[Tensor, "B R"]  # angles of B samples [rad]
Shared = Float64[Tensor, "S O"]  # S rows of angles that all samples share [rad]
Outputs = Float64[Tensor, "S B K"]  # K outputs per shared row and sample
Tangents = tuple[Tensor | None, Tensor | None]  # directions in rows and shared angles, or None
Vjp = tuple[Tensor | None, Tensor | None]


class Evaluation(ABC):
    """A circuit as a differentiable function of its angles.

    It maps the angles ``(B, R)`` of B samples and S rows ``(S, O)`` of shared angles [rad] to K
    outputs each, shape ``(S, B, K)``.

    Attributes:
        program: Family of circuits.
        readout: Readout of each circuit.
        executor: Executor that runs the circuits.
        seed: Seed of random derivatives of this evaluation; None for the executor's random stream.
    """

    program: CircuitProgram
    readout: Readout
    executor: Executor
    seed: int | None = None

    @abstractmethod
    def __call__(self, rows: Rows, shared: Shared) -> Outputs:
        """Run the circuits; the result can be differentiated any number of times."""

    @abstractmethod
    def with_program(self, program: CircuitProgram) -> Evaluation:
        """Return the evaluation of another program with the same readout, for derivatives."""

    def with_seed(self, seed: int) -> Evaluation:
        """Return an evaluation whose random derivatives repeat, so that differences of them do."""
        return self


class GradientRule(ABC):
    """Rule that computes derivatives of a circuit.

    Attributes:
        name: Name of the rule, as in ``gradient="adjoint"``.

    Example:
        >>> import hybridopt as ho
        >>> rule = ho.gradients.Spsa(directions=4)
        >>> layer = ho.CircuitLayer(*ho.load_circuit("strongly_entangling"), gradient=rule)
    """

    name: ClassVar[str]

    @property
    def runs_backward(self) -> bool:
        """Whether the derivative is computed by a backward run of the simulator."""
        return False

    @abstractmethod
    def check(self, program: CircuitProgram, readout: Readout, executor: Executor) -> None:
        """Raise an error if the rule cannot be used; run nothing."""

    @abstractmethod
    def memory(self, evaluation: Evaluation, needs: tuple[bool, bool]) -> ForwardRecord | None:
        """Return a record for a forward run that will be differentiated, or None."""

    def tables(
        self, evaluation: Evaluation, rows: Rows, shared: Shared, needs: tuple[bool, bool]
    ) -> Iterator[tuple[Rows, Shared]]:
        """Yield the angles that `vjp` will evaluate, to submit them with the forward pass.

        The default yields nothing: the circuits of the derivative run when it is requested.
        """
        yield from ()

    def inference_memory(self, evaluation: Evaluation) -> ForwardRecord | None:
        """Return a record that computes outputs without derivatives; None for the executor."""
        return None

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
        """Return derivatives of ``(cotangent * values).sum()`` for rows and for shared angles.

        Args:
            evaluation: Differentiated function.
            rows: Angles of the samples [rad].
            shared: Angles that all samples share [rad].
            cotangent: Weights of the outputs.
            needs: Two flags: derivative needed for rows, for shared angles. Others are None.
            memory: Record of the forward run, from `memory`.
        """

    @abstractmethod
    def jvp(
        self, evaluation: Evaluation, rows: Rows, shared: Shared, tangents: Tangents
    ) -> Outputs:
        """Return the derivative along directions in rows and in shared angles, or None."""

    @abstractmethod
    def explain(self, program: CircuitProgram) -> str:
        """Return the cost of a gradient in words."""

    def explain_for(self, evaluation: Evaluation) -> str:
        """Return the cost of a gradient in words, for the executor and readout of a function."""
        return self.explain(evaluation.program)


def batch_entries(
    info: Any, in_dims: Sequence[int | None], *tensors: Tensor | None
) -> Iterator[tuple[Any, ...]]:
    """Yield the tensors of each entry of a batch, from the arguments of a `vmap` method."""
    for i in range(info.batch_size):
        pairs = zip(tensors, in_dims, strict=True)
        yield tuple(t if t is None or dim is None else t.select(dim, i) for t, dim in pairs)


Result = TypeVar("Result")


def differentiable_jvp(function: Callable[..., Result], *saved: Tensor) -> Result:
    """Call a function of saved tensors so that outer forward modes differentiate it, too."""
    # Torch (2.13) runs the `jvp` of a `Function` with all forward modes off. Its derivative, as in
    # ``jacfwd(jacfwd(f))``, would be zero. The tangents of the innermost mode are removed here.
    with forward_ad._set_fwd_grad_enabled(True):
        duals = [forward_ad.unpack_dual(tensor, level=0) for tensor in saved]  # type: ignore[no-untyped-call]
        return function(*(dual.primal for dual in duals))


class _Positional(inspect.Signature):
    """Signature whose arguments are all positional and without defaults."""

    def bind(self, *args: Any, **kwargs: Any) -> Any:
        return SimpleNamespace(args=args, kwargs=kwargs, apply_defaults=bool)


def with_fixed_signature(function: type[torch.autograd.Function]) -> None:
    """Keep torch from reading and binding the signature of `forward` in every call: 20 us."""
    function.forward.__signature__ = _Positional()  # type: ignore[attr-defined]
