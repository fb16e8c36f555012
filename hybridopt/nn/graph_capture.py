"""Circuits in networks that torch compiles, traces or exports."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn, TypeVar, cast

import torch
from torch import Tensor, fx
from torch._compile import _disable_dynamo

from hybridopt.errors import UnsupportedError
from hybridopt.nn.checkpointing import repeatable

WAY_OUT = "Use `hybridopt.to_classical(network)`, which has torch operations only."
FAKE_TENSORS = {"FakeTensor", "FunctionalTensor"}  # importing their modules takes seconds
Forward = TypeVar("Forward", bound=Callable[..., Any])


def outside_graphs(forward: Forward) -> Forward:
    """Make a forward method run outside of the graphs of `torch.compile`, and refuse other graphs.

    `torch.compile` breaks its graph at this method and runs it as it is, with its gradients. A
    graph of `torch.export`, ONNX, TorchScript or `torch.fx` cannot contain a circuit.

    Raises:
        UnsupportedError: If the inputs belong to a trace instead of a batch of data.
    """

    @functools.wraps(forward)
    def checked(module: Any, *args: Any, **kwargs: Any) -> Any:
        inputs = (*args, *kwargs.values())
        capture = _capture(inputs)
        if capture is not None:
            refuse_graph(module, capture)
        executor = getattr(module, "executor", None)
        if executor is None or executor.shots is None:  # nothing is drawn
            return forward(module, *args, **kwargs)
        with repeatable(executor, inputs):
            return forward(module, *args, **kwargs)

    # unlike `torch.compiler.disable`, it imports torch._dynamo in the first call, not here
    disabled: Any = _disable_dynamo(checked)
    disabled._torchdynamo_disable = True
    disabled._torchdynamo_disable_msg = f"it runs circuits. {WAY_OUT}"
    disabled.__signature__ = inspect.signature(forward)
    disabled.__wrapped__ = _one_input  # for the tracer of torch.fx, which cannot pass ``*args``
    return cast(Forward, disabled)


def _one_input(module: Any, x: Any) -> None:
    """Signature of a forward method with one input."""


def refuse_graph(module: object, capture: str) -> NoReturn:
    """Raise the error for a module with circuits in a graph."""
    raise UnsupportedError(
        f"A {type(module).__name__} must be called with data (got {capture}, whose graph cannot "
        f"contain circuits). {WAY_OUT}"
    )


def _capture(values: Iterable[Any]) -> str | None:
    """Return the name of the tracer that the inputs belong to; None for data."""
    if torch._C._get_tracing_state() is not None:
        return "`torch.jit.trace`"
    if torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.PROXY) is not None:
        return "`torch.func.linearize` or `make_fx`"
    for value in values:
        if isinstance(value, fx.Proxy):
            return "`torch.fx`"
        if isinstance(value, Tensor):
            if type(value).__name__ in FAKE_TENSORS:
                return "`torch.export`"
        elif isinstance(value, list | tuple | Mapping):
            inner = value.values() if isinstance(value, Mapping) else value
            found = _capture(inner)
            if found is not None:
                return found
    return None
