"""Newton's method as a torch optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
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
MAX_LINE_SEARCHES = 4  # number of directions per step; then the weights are unchanged
LOSS_ROUNDING = 4  # rounding error of a mean over a batch, in units in the last place
SUFFICIENT = 1e-4  # required fraction of the predicted decrease (Nocedal & Wright, p. 33)
SHORTEST, LONGEST = 0.1, 0.5  # bounds of an interpolated length, relative to the previous one

Directions = CholeskyDirections | ConjugateGradientDirections


class Newton(Optimizer):
    r"""Newton's method with Levenberg-Marquardt damping and a line search.

    One step moves the weights :math:`\theta` to

    .. math::
        \theta - t\, D\, (H + \lambda I)^{-1} \nabla L(\theta),

    where :math:`H` is the Hessian of the loss or its Gauss-Newton matrix
    :math:`J^\top H_L J`, and :math:`D` contains the ``lr`` of each group. The damping
    :math:`\lambda` starts at 0. It doubles while :math:`H + \lambda I` is not positive definite or
    the direction does not lower the loss. A step of length :math:`t < 1` divides it by :math:`t`; a
    full step halves it, down to 0. The line search reduces :math:`t = 1` by a factor of 2 or more
    until the loss has decreased enough. Therefore a quadratic loss is minimized in one step, and
    no step increases the loss. Without a decrease, the weights are bitwise unchanged.

    The closure returns the loss and does *not* call `backward()`. In a step, it is called once with
    a graph and once without a graph per length. All calls draw the same random numbers from torch.
    Each call updates buffers of the forward pass, such as the running statistics of BatchNorm.

    A step with ``n`` trainable numbers costs one backward pass for the gradient. The exact solver
    computes ``n`` rows of the Hessian in as few backward passes as memory allows. It stores
    ``n**2`` numbers in float64 and costs ``n**3 / 3`` multiplications per damping. Conjugate
    gradients need at most ``max_cg`` backward passes. Gauss-Newton doubles the number of passes.

    Args:
        params: Parameters, or groups of them with an optional ``lr``; frozen parameters are
            skipped.
        lr: Factor of the step; 1 for the Newton step.
        curvature: ``"hessian"``, or ``"gauss-newton"``, which is positive semi-definite for every
            convex loss; then the closure returns ``(loss, outputs)``.
        solver: ``"exact"`` for a factorization of the matrix, ``"cg"`` for truncated conjugate
            gradients, ``"auto"`` for the exact solver up to ``max_exact`` numbers.
        max_exact: Largest ``n`` for the exact solver with ``"auto"``.
        max_cg: Maximum number of conjugate-gradient iterations per step.
        max_line_search: Maximum number of step lengths per direction.

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
        super().__init__(check_params(params), defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add parameters with their own ``lr``; all other settings are shared.

        Raises:
            ArgumentError: If the group has other settings or parameters that are not real.
        """
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        _validation.real("lr", group["lr"], minimum=0, strict=True)
        for name, value in self.defaults.items():
            if name != "lr" and group[name] != value:
                raise ArgumentError(
                    f"`{name}` must be {value!r} in all groups (got {group[name]!r}). Only `lr` "
                    "can differ."
                )
        for p in group["params"]:
            if not p.is_floating_point():
                raise ArgumentError(
                    f"`params` must have real floating-point dtypes for Newton (got {p.dtype})."
                )

    @property
    def damping(self) -> float:
        """Damping at the start of the next step, in units of the Hessian."""
        return float(self._step_state.get("damping", 0.0))

    def step(self, closure: Closure | None = None) -> Float[Tensor, ""]:  # type: ignore[override]
        """Take one step.

        Args:
            closure: Function that returns the loss, or ``(loss, outputs)`` with
                ``curvature="gauss-newton"``, as tensors with their graph, without `backward()`.

        Returns:
            Loss before the step.

        Raises:
            TrainingError: If the loss or a derivative is not finite; the weights are unchanged.
            ArgumentError: If the closure calls `backward()`, or its loss depends on no parameter.
            ArgumentTypeError: If the closure returns a wrong type.
        """
        if closure is None:
            raise ArgumentTypeError(
                "`closure` must be a function that returns the loss (got None)."
            )
        params = [p for group in self.param_groups for p in group["params"] if p.requires_grad]
        if not params:
            raise ArgumentError("`params` must have a trainable parameter (got only frozen ones).")
        flat = FlatParameters(params)
        with_outputs = self.param_groups[0]["curvature"] == "gauss-newton"
        with RepeatedClosure(closure, flat.params, with_outputs=with_outputs) as repeated:
            loss, outputs = repeated.graph()
            _require_finite("loss", loss)
            model = Hessian(loss, flat) if outputs is None else GaussNewton(loss, outputs, flat)
            _require_finite("gradient of the loss", model.gradient)
            if bool(model.gradient.any()):
                self._descend(repeated, loss.detach(), model, flat)
        return loss.detach()

    def _descend(
        self, repeated: RepeatedClosure, loss: Tensor, model: Curvature, flat: FlatParameters
    ) -> None:
        scale, gradient, solver = self._learning_rates(), model.gradient, self._solver(model, flat)
        candidates = ((scale * d, damping) for d, damping in solver.directions(self.damping))
        downhill = ((d, damping) for d, damping in candidates if float(gradient @ d) < 0)
        for direction, damping in islice(downhill, MAX_LINE_SEARCHES):
            length = self._search(repeated, loss, flat, direction, float(gradient @ direction))
            self._adapt(damping, length, smallest=solver.smallest_damping)
            if length is not None:
                return

    def _adapt(self, damping: float, length: float | None, *, smallest: float) -> None:
        """Set the next damping: less after a full step, more after a shorter or failed one."""
        if length == 1.0:
            damping /= GROWTH
        else:
            before = max(self.damping, smallest)
            damping = max(damping, GROWTH * before if length is None else before / length)
        self._step_state["damping"] = damping if damping >= smallest else 0.0

    def _search(
        self,
        repeated: RepeatedClosure,
        loss: Tensor,
        flat: FlatParameters,
        direction: Float64[Tensor, " num_parameters"],
        slope: float,
    ) -> float | None:
        """Move along ``direction``; return the length, or None if the weights are unchanged."""
        start, length = flat.read(), None

        def loss_at(length: float) -> float:
            flat.write(start + length * direction)
            return repeated.loss() if bool(flat.read().isfinite().all()) else math.inf

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
    def _step_state(self) -> dict[str, Any]:
        """State between steps, stored with the first parameter for `state_dict`."""
        state: dict[str, Any] = self.state[self.param_groups[0]["params"][0]]
        return state


def check_params(params: object) -> list[Any]:
    """Return parameters or groups of them as a list; raise an error if it is empty."""
    expected = "parameters or groups of them, such as network.parameters()"
    groups = list(_validation.instance("params", params, Iterable, expected))
    if not groups:
        raise ArgumentError("`params` must have at least one parameter (got none).")
    return groups


def _require_finite(name: str, value: Tensor) -> None:
    if not bool(value.isfinite().all()):
        shown = value.item() if value.numel() == 1 else "NaN or inf"
        raise TrainingError(
            f"The {name} must be finite for a step of Newton (got {shown}). The weights are "
            "unchanged. Lower the learning rate, or scale down the data or the initial weights."
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

    Otherwise the next one minimizes the parabola through :math:`L(0), L'(0), L(t)`, limited to 0.1
    to 0.5 times :math:`t`. If the predicted decrease is below the rounding error of the loss, a
    length is accepted if the loss does not increase, and the search ends.

    References:
        Nocedal & Wright, Numerical Optimization, 2nd ed. (2006), algorithm 3.1 and section 3.5.
    """
    length = 1.0
    for _ in range(max_evaluations):
        rounded = -slope * length <= resolution * abs(loss)
        tried = loss_at(length)
        if tried <= (loss if rounded else loss + SUFFICIENT * length * slope):
            return length
        if rounded:
            return None
        vertex = -slope * length**2 / (2 * (tried - loss - slope * length))
        if not math.isfinite(tried):
            vertex = 0.0
        length = min(max(vertex, SHORTEST * length), LONGEST * length)
    return None
