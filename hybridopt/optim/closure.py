"""Repeated calls of a closure in one step, with the same random numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from hybridopt.errors import ArgumentError, ArgumentTypeError

Closure: TypeAlias = Callable[[], Tensor | tuple[Tensor, Tensor]]

BACKWARD_CALLED = (
    "`closure` must not call `backward()`, as Newton computes all derivatives. Return only the "
    "loss or (loss, outputs)."
)


class RepeatedClosure:
    """Context in which each call of a closure draws the same random numbers from torch."""

    def __init__(self, closure: Closure, params: Sequence[Tensor], *, with_outputs: bool) -> None:
        self._closure = closure
        self._params = params
        self._with_outputs = with_outputs
        indices = {p.device.index for p in params if p.device.type == "cuda"}
        on_devices = [torch.cuda.default_generators[index] for index in sorted(indices)]
        self._generators = [torch.default_generator, *on_devices]

    def __enter__(self) -> RepeatedClosure:
        self._before = [generator.get_state() for generator in self._generators]
        self._after: list[Tensor] | None = None
        return self

    def __exit__(self, *error: object) -> None:
        if self._after is not None:
            self._set_random_state(self._after)

    @torch.enable_grad()
    def graph(self) -> tuple[Tensor, Tensor | None]:
        """Return the loss and the outputs with their graph."""
        before = [(p.grad, getattr(p.grad, "_version", 0)) for p in self._params]
        loss, outputs = self._unpack(self._call())
        for p, (gradient, version) in zip(self._params, before, strict=True):
            kept = p.grad is gradient and getattr(p.grad, "_version", 0) == version
            if p.grad is not None and not kept and bool(p.grad.any()):  # zero: only cleared
                raise ArgumentError(BACKWARD_CALLED)
        if not loss.requires_grad:
            raise ArgumentError(
                "The loss of `closure` must depend on a trainable parameter. Remove `detach()`, "
                "`item()` and `torch.no_grad()`."
            )
        return loss, outputs

    @torch.no_grad()
    def loss(self) -> float:
        """Return the loss without a graph at the current weights."""
        return self._unpack(self._call())[0].item()

    def _call(self) -> object:
        self._set_random_state(self._before)
        with sdpa_kernel(SDPBackend.MATH):  # the only attention kernel with second derivatives
            result = self._closure()
        if self._after is None:
            self._after = [generator.get_state() for generator in self._generators]
        return result

    def _set_random_state(self, states: Sequence[Tensor]) -> None:
        for generator, state in zip(self._generators, states, strict=True):
            generator.set_state(state)

    def _unpack(self, result: Any) -> tuple[Tensor, Tensor | None]:
        if not self._with_outputs:
            return _scalar(result), None
        if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], Tensor)):
            raise ArgumentTypeError(
                '`closure` must return tensors (loss, outputs) with curvature="gauss-newton" '
                f"(got {_describe(result)})."
            )
        return _scalar(result[0]), result[1]


def _scalar(loss: object) -> Tensor:
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        raise ArgumentTypeError(
            f"`closure` must return the loss, a tensor with one element (got {_describe(loss)})."
        )
    return loss.reshape(())


def _describe(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    return f"{value!r} of type {type(value).__name__}"
