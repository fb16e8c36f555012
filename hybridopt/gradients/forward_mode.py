"""Forward-mode derivatives of functions whose `jvp` is made of the function itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from torch import Tensor
from torch.autograd import forward_ad

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
