"""Copies of torch modules with hooks of parameters and with computed weights.

`copy.deepcopy` of torch loses the hooks of parameters. It cannot copy weights that a forward
pre-hook computes: pruning, and `torch.nn.utils.weight_norm` and `spectral_norm`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from hybridopt.errors import ConversionError

Hook = Callable[[Tensor], Tensor | None]
CALL_HOOKS = [name for name in vars(nn.Module()) if "hook" in name and "state_dict" not in name]
"""Attributes of a module with hooks of its forward and backward pass."""


def copy_module(
    module: nn.Module,
    memo: dict[int, Any] | None = None,
    *,
    user: str = "A bridge",
    after_forward: bool = False,
) -> nn.Module:
    """Copy a module with the hooks of its parameters.

    Args:
        module: Module to copy.
        memo: Replacements of its parts by id, as in `copy.deepcopy`.
        user: Subject of the error message.
        after_forward: True to detach the copies of all tensors that a forward pass left behind.

    Raises:
        ConversionError: If `copy.deepcopy` fails.
    """
    memo = {} if memo is None else memo
    for value in _results(module) if after_forward else _computed(module):
        memo.setdefault(id(value), value.detach().clone())
    try:
        copied = copy.deepcopy(module, memo)
    except Exception as error:
        raise ConversionError(
            f"The network {type(module).__name__} cannot be copied ({error}). {user} works on a "
            "copy, so `copy.deepcopy(network)` must work. Remove computed tensors from it"
            f"{_names_of_results(module)}."
        ) from error
    copy_tensor_hooks(module, memo)
    compute_weights(copied)
    return copied


def copy_state(module: nn.Module, copied: nn.Module, memo: dict[int, Any]) -> None:
    """Copy the content of a module into an empty one of its class, as `copy_module` does."""
    memo[id(module)] = copied
    for value in _results(module):
        memo.setdefault(id(value), value.detach().clone())
    compiled = ("_compiled_call_impl",)
    content = {key: value for key, value in vars(module).items() if key not in compiled}
    vars(copied).update(copy.deepcopy(content, memo))
    copy_tensor_hooks(module, memo)
    compute_weights(copied)


def copy_tensor_hooks(module: nn.Module, memo: dict[int, Any]) -> None:
    """Give the copies of parameters, which ``memo`` has by id, the hooks of the parameters."""
    for parameter in module.parameters():
        copied = memo.get(id(parameter))
        if isinstance(copied, nn.Parameter) and copied is not parameter:
            put_tensor_hooks(copied, gradient_hooks(parameter), accumulation_hooks(parameter))


def put_tensor_hooks(
    parameter: nn.Parameter, gradient: Sequence[Hook], accumulation: Sequence[Any] = ()
) -> None:
    """Register hooks on a parameter that has none; it may be frozen."""
    given = bool(gradient or accumulation)
    if not given or gradient_hooks(parameter) or accumulation_hooks(parameter):
        return  # a part that copied itself has its hooks
    trains = parameter.requires_grad
    parameter.requires_grad_()
    for hook in gradient:
        parameter.register_hook(hook)  # type: ignore[no-untyped-call]
    for hook in accumulation:
        parameter.register_post_accumulate_grad_hook(hook)  # type: ignore[no-untyped-call]
    parameter.requires_grad_(trains)


def gradient_hooks(tensor: Tensor) -> tuple[Hook, ...]:
    """Return the hooks of `Tensor.register_hook`."""
    return tuple((tensor._backward_hooks or {}).values())


def accumulation_hooks(tensor: Tensor) -> tuple[Any, ...]:
    """Return the hooks of `Tensor.register_post_accumulate_grad_hook`."""
    return tuple((getattr(tensor, "_post_accumulate_grad_hooks", None) or {}).values())


def check_no_tensor_hooks(module: nn.Module, reason: str) -> None:
    """Raise an error for the first parameter with a hook."""
    for name, parameter in module.named_parameters():
        if gradient_hooks(parameter) or accumulation_hooks(parameter):
            raise hook_error(name, reason)


def hook_error(name: str, reason: str) -> ConversionError:
    """Return the error for a parameter with a hook."""
    return ConversionError(
        f"Parameter `{name}` must not have a hook, because {reason}. Remove the hook first."
    )


def copy_call_hooks(source: nn.Module, target: nn.Module) -> None:
    """Add the hooks of a module's forward and backward pass to those of another module."""
    for name in CALL_HOOKS:
        hooks = getattr(source, name)
        if isinstance(hooks, dict):
            kept = {k: h for k, h in hooks.items() if not isinstance(h, BasePruningMethod)}
            getattr(target, name).update(kept)  # pruning belongs to parameters of the source
        elif hooks is not None:  # kind of backward hooks
            setattr(target, name, hooks)


def count_call_hooks(module: nn.Module) -> int:
    """Return the number of hooks of a module's forward and backward pass."""
    lists = ("_with_kwargs", "_always_called")  # options of hooks
    names = [name for name in CALL_HOOKS if not name.endswith(lists)]
    return sum(
        len(hooks) for hooks in (getattr(module, n) for n in names) if isinstance(hooks, dict)
    )


def pruning_of(module: nn.Module, name: str) -> Tensor | None:
    """Return the mask of a pruned parameter ``weight_orig``; None for other parameters."""
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, BasePruningMethod) and name == f"{hook._tensor_name}_orig":
            mask: Tensor = getattr(module, f"{hook._tensor_name}_mask")
            return mask
    return None


def is_computed(module: nn.Module, name: str) -> bool:
    """Return whether a weight is computed from other parameters, by a hook or parametrization."""
    by_hook = any(made == name for _, made in _weight_hooks(module))
    return by_hook or name in getattr(module, "parametrizations", {})


def has_computed_weights(module: nn.Module) -> bool:
    """Return whether a forward pre-hook of torch computes a weight of this module."""
    return any(True for _ in _weight_hooks(module))


@torch.no_grad()  # torch can then copy the network; the next forward pass adds the graph
def compute_weights(network: nn.Module) -> None:
    """Compute the weights that forward pre-hooks of torch make, where their parameters exist."""
    for module in network.modules():
        for hook, name in _weight_hooks(module):
            made_of = [p for key, p in module._parameters.items() if key.startswith(f"{name}_")]
            if any(p is None for p in made_of):
                continue
            training, module.training = module.training, False  # no power iteration
            hook(module, ())
            module.training = training


def _weight_hooks(module: nn.Module) -> Iterator[tuple[Any, str]]:
    """Yield torch's forward pre-hooks that compute weights, with the weights' names."""
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, BasePruningMethod):
            yield hook, hook._tensor_name
        elif isinstance(hook, WeightNorm | SpectralNorm):
            yield hook, hook.name


def _computed(network: nn.Module) -> Iterator[Tensor]:
    """Yield the weights that torch's forward pre-hooks computed."""
    for module in network.modules():
        for _, name in _weight_hooks(module):
            value = vars(module).get(name)
            if isinstance(value, Tensor):
                yield value


def _names_of_results(network: nn.Module) -> str:
    kept = {id(value) for value in _results(network)}
    places = [(name, vars(module)) for name, module in network.named_modules()]
    names = [f"{name}.{a}".strip(".") for name, own in places for a in own if id(own[a]) in kept]
    return f": {', '.join(f'`{name}`' for name in names)}" if names else ""


def _results(network: nn.Module) -> Iterator[Tensor]:
    """Yield the attributes of all modules that are results of a computation."""
    for module in network.modules():
        for value in vars(module).values():
            if isinstance(value, Tensor) and not value.is_leaf:
                yield value
