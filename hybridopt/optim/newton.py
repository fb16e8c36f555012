"""Newton's method for networks, as an optimizer like torch's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import islice
from typing import Any, Literal

import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT

from hybridopt import _validation
from hybridopt.errors import ArgumentError, ArgumentTypeError, TrainingError
from hybridopt.optim.closure import Closure, RepeatedClosure
from hybridopt.optim.curvature import Curvature, FlatParameters, GaussNewton, Hessian, matrix
from hybridopt.optim.directions import GROWTH, CholeskyDirections, ConjugateGradientDirections

CURVATURES = ("hessian", "gauss-newton")
SOLVERS = ("auto", "exact", "cg")
MAX_LINE_SEARCHES = 4  # directions a step tries before it leaves the weights as they are
LOSS_ROUNDING = 4  # units in the last place that a mean over a batch may be wrong by
SUFFICIENT = 1e-4  # share of the predicted decrease that is asked for (Nocedal & Wright, p. 33)
SHORTEST, LONGEST = 0.1, 0.5  # of the previous length: bounds on the interpolated one

Directions = CholeskyDirections | ConjugateGradientDirections


class Newton(Optimizer):
    r"""Newton's method with Levenberg-Marquardt damping and a line search.

    One step moves the weights :math:`\theta` to

    .. math::
        \theta - t\, D\, (H + \lambda I)^{-1} \nabla L(\theta),

    where :math:`H` is the Hessian of the loss or its Gauss-Newton matrix
    :math:`J^\top H_L J`, and :math:`D` holds each group's ``lr``. The damping :math:`\lambda`
    starts at 0; it doubles while :math:`H + \lambda I` is not positive definite or the
    direction does not lower the loss; after a step of length :math:`t < 1` it is divided by
    :math:`t`, and after a full one it halves, in the end to 0.
    The line search halves :math:`t = 1` or more until the loss has decreased enough. So a
    quadratic loss (linear regression) is minimized in one step, no step increases the loss, and
    where no decrease is found the weights stay bitwise as they were.

    The closure returns the loss and does *not* call `backward()`. Within a step it is called
    once with a graph and once, without, for each length tried; all calls draw the same random
    numbers from torch. Buffers that a network changes in its forward pass, such as the running
    statistics of BatchNorm, see every one of these calls.

    Cost of a step with ``n`` trainable numbers: one backward pass for the gradient; then with
    the exact solver ``n`` Hessian rows, batched into as few backward passes as memory allows,
    ``n**2`` numbers in float64 and ``n**3 / 3`` multiplications for each damping tried; with
    conjugate gradients at most ``max_cg`` backward passes. Gauss-Newton doubles the backward
    passes.

    Args:
        params: Parameters, or groups of them, each with its own ``lr`` if it likes; shapes and
            floating-point precisions are free, and frozen ones are skipped.
        lr: Scales the step; 1 is Newton's own.
        curvature: ``"hessian"``, or ``"gauss-newton"``, positive semi-definite for every convex
            loss, for which the closure returns ``(loss, outputs)``.
        solver: ``"exact"`` factorizes the whole matrix, ``"cg"`` uses truncated conjugate
            gradients on products with it, ``"auto"`` is exact up to ``max_exact`` numbers.
        max_exact: The largest ``n`` that ``"auto"`` solves exactly.
        max_cg: The most conjugate gradient iterations in a step.
        max_line_search: The most lengths tried along a direction.

    Raises:
        ArgumentError: If a setting is out of range.

    Example:
        >>> import torch
        >>> from hybridopt.optim import Newton
        >>> x, y = torch.randn(100, 3), torch.randn(100, 1)
        >>> network = torch.nn.Linear(3, 1)
        >>> newton = Newton(network.parameters())
        >>> loss = newton.step(lambda: torch.nn.functional.mse_loss(network(x), y))
        >>> residual = y - network(x).detach()
        >>> bool((x.T @ residual).abs().max() < 1e-3)  # one step: the normal equations hold
        True

    References:
        Nocedal & Wright, Numerical Optimization, 2nd ed. (2006), chapters 3, 7 and 10;
        Levenberg, Quart. Appl. Math. 2, 164 (1944); Marquardt, J. SIAM 11, 431 (1963); Martens,
        ICML (2010), for Hessian-free training; Schraudolph, Neural Computation 14, 1723 (2002),
        for Gauss-Newton products.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1.0,
        *,
        curvature: Literal["hessian", "gauss-newton"] = "hessian",
        solver: Literal["auto", "exact", "cg"] = "auto",
        max_exact: int = 500,
        max_cg: int = 100,
        max_line_search: int = 10,
    ) -> None:
        defaults = {
            "lr": _validation.real("lr", lr, minimum=0, strict=True),
            "curvature": _validation.choice("curvature", curvature, CURVATURES),
            "solver": _validation.choice("solver", solver, SOLVERS),
            "max_exact": _validation.integer("max_exact", max_exact, minimum=0),
            "max_cg": _validation.integer("max_cg", max_cg, minimum=1),
            "max_line_search": _validation.integer("max_line_search", max_line_search, minimum=1),
        }
        groups: list[Any] = list(params)
        if not groups:
            raise ArgumentError("Newton has nothing to train: `params` is empty.")
        super().__init__(groups, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with an ``lr`` of their own; all other settings are shared.

        Raises:
            ArgumentError: If the group has other settings, or parameters that are not real.
        """
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        _validation.real("lr", group["lr"], minimum=0, strict=True)
        for name, value in self.defaults.items():
            if name != "lr" and group[name] != value:
                raise ArgumentError(
                    f"Argument `{name}` must be the same for all parameter groups, but is "
                    f"{group[name]!r} in one and {value!r} for the optimizer. Only `lr` can differ."
                )
        for p in group["params"]:
            if not p.is_floating_point():
                raise ArgumentError(
                    f"Newton needs real floating-point parameters, but one has dtype {p.dtype}."
                )

    @property
    def damping(self) -> float:
        """The damping that the next step starts with, in the units of the Hessian."""
        return float(self._memory.get("damping", 0.0))

    def step(self, closure: Closure | None = None) -> Float[Tensor, ""]:  # type: ignore[override]
        """Take one step.

        Args:
            closure: Returns the loss, or ``(loss, outputs)`` with ``curvature="gauss-newton"``,
                as tensors with their graph; does not call `backward()`.

        Returns:
            The loss before the step.

        Raises:
            TrainingError: If the loss or a derivative is not finite; the weights are unchanged.
            ArgumentError: If the closure calls `backward()`, or its loss depends on no parameter.
            ArgumentTypeError: If the closure does not return what it should.
        """
        if closure is None:
            raise ArgumentTypeError(
                "Newton.step needs a closure that returns the loss, but none was given."
            )
        params = [p for group in self.param_groups for p in group["params"] if p.requires_grad]
        if not params:
            raise ArgumentError("All parameters of this optimizer are frozen: nothing to train.")
        flat = FlatParameters(params)
        with_outputs = self.param_groups[0]["curvature"] == "gauss-newton"
        with RepeatedClosure(closure, flat.params, with_outputs=with_outputs) as question:
            loss, outputs = question.graph()
            _require_finite("loss", loss)
            model = Hessian(loss, flat) if outputs is None else GaussNewton(loss, outputs, flat)
            _require_finite("gradient of the loss", model.gradient)
            if bool(model.gradient.any()):
                self._descend(question, loss.detach(), model, flat)
        return loss.detach()

    def _descend(
        self, question: RepeatedClosure, loss: Tensor, model: Curvature, flat: FlatParameters
    ) -> None:
        scale, gradient, solver = self._learning_rates(), model.gradient, self._solver(model, flat)
        candidates = ((scale * d, damping) for d, damping in solver.directions(self.damping))
        downhill = ((d, damping) for d, damping in candidates if float(gradient @ d) < 0)
        for direction, damping in islice(downhill, MAX_LINE_SEARCHES):
            length = self._search(question, loss, flat, direction, float(gradient @ direction))
            self._adapt(damping, length, smallest=solver.smallest_damping)
            if length is not None:
                return

    def _adapt(self, damping: float, length: float | None, *, smallest: float) -> None:
        """Set the next damping: less after a full step, more after a shortened or failed one."""
        if length == 1.0:
            damping /= GROWTH
        else:
            before = max(self.damping, smallest)
            damping = max(damping, GROWTH * before if length is None else before / length)
        self._memory["damping"] = damping if damping >= smallest else 0.0

    def _search(
        self,
        question: RepeatedClosure,
        loss: Tensor,
        flat: FlatParameters,
        direction: Float64[Tensor, " num_parameters"],
        slope: float,
    ) -> float | None:
        """Go along ``direction``; the weights stay at the length that is returned, if one is."""
        start, length = flat.read(), None

        def loss_at(length: float) -> float:
            flat.write(start + length * direction)
            return question.loss() if bool(flat.read().isfinite().all()) else math.inf

        try:
            length = backtrack(
                loss_at,
                float(loss),
                slope,
                resolution=LOSS_ROUNDING * torch.finfo(loss.dtype).eps,
                max_evaluations=self.param_groups[0]["max_line_search"],
            )
        finally:
            if length is None:
                flat.write(start)
        return length

    def _solver(self, model: Curvature, flat: FlatParameters) -> Directions:
        settings, noise = self.param_groups[0], flat.resolution
        small = settings["solver"] == "auto" and flat.size <= settings["max_exact"]
        if small or settings["solver"] == "exact":
            return CholeskyDirections(model.gradient, matrix(model), resolution=noise)
        return ConjugateGradientDirections(model, resolution=noise, max_steps=settings["max_cg"])

    def _learning_rates(self) -> Float64[Tensor, " num_parameters"]:
        rates = [
            torch.full((p.numel(),), float(group["lr"]), dtype=torch.float64, device=p.device)
            for group in self.param_groups
            for p in group["params"]
            if p.requires_grad
        ]
        return torch.cat(rates)

    @property
    def _memory(self) -> dict[str, Any]:
        """What lasts from step to step; kept with the first parameter, so `state_dict` has it."""
        memory: dict[str, Any] = self.state[self.param_groups[0]["params"][0]]
        return memory


def _require_finite(what: str, value: Tensor) -> None:
    if not bool(value.isfinite().all()):
        shown = f", but {value.item()}" if value.numel() == 1 else ""
        raise TrainingError(
            f"The {what} is not finite{shown}, so Newton cannot take a step. The weights are "
            "unchanged: lower the learning rate, or scale the data or the initial weights down."
        )


def backtrack(
    loss_at: Callable[[float], float],
    loss: float,
    slope: float,
    *,
    resolution: float,
    max_evaluations: int,
) -> float | None:
    r"""Find a step length by Armijo backtracking, starting at 1.

    A length :math:`t` is accepted when

    .. math::
        L(t) \le L(0) + 10^{-4}\, t\, L'(0).

    Otherwise the next one minimizes the parabola through :math:`L(0), L'(0), L(t)`, within 0.1
    and 0.5 of :math:`t`. Where the predicted decrease drowns in the loss's rounding error, a
    length is accepted if the loss does not increase, and none shorter is tried.

    References:
        Nocedal & Wright, Numerical Optimization, 2nd ed. (2006), algorithm 3.1 and section 3.5.
    """
    length = 1.0
    for _ in range(max_evaluations):
        drowned = -slope * length <= resolution * abs(loss)
        tried = loss_at(length)
        if tried <= (loss if drowned else loss + SUFFICIENT * length * slope):
            return length
        if drowned:
            return None
        vertex = -slope * length**2 / (2 * (tried - loss - slope * length))
        if not math.isfinite(tried):
            vertex = 0.0
        length = min(max(vertex, SHORTEST * length), LONGEST * length)
    return None
