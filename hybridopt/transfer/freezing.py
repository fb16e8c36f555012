"""Frozen parts of a network, which training does not change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import nn

from hybridopt import _validation
from hybridopt._modules import check_module, check_not_scripted
from hybridopt.errors import ArgumentError, ArgumentTypeError
from hybridopt.nn.frozen_state import MARK, Frozen, head_of, lock_eval, mark_of, unlock_eval


def freeze(network: nn.Module, names: str | Sequence[str] = "body") -> None:
    """Freeze parts of a network, in place.

    Frozen parameters have no gradient. A frozen module with its own buffers (statistics of a
    normalisation, vectors of a spectral norm) stays in evaluation mode, also after
    `network.train()`, so that its buffers do not change. Dropout and modules that contain the new
    head follow the mode of the network.

    Args:
        network: Any module.
        names: Names of layers, parts or parameters. ``"body"`` is everything except the head of a
            transferred network; in a list, it is the part of that name if there is one.

    Raises:
        UnknownNameError: If a name does not exist.
        ArgumentError: If ``"body"`` is given and `transfer` made no head of the network.

    Example:
        >>> from hybridopt.transfer import freeze
        >>> import torch
        >>> network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
        >>> freeze(network, ["0"])
        >>> [parameter.requires_grad for parameter in network.parameters()]
        [False, False, True, True]
    """
    check_module(network)
    check_not_scripted(network)
    for module, parameters, whole in selected(network, names):
        own = dict(module.named_parameters(recurse=False))
        before = mark_of(module)
        changed = [name for name in parameters if own[name].requires_grad]
        for name in changed:
            own[name].requires_grad_(False)
        all_frozen = not any(parameter.requires_grad for parameter in own.values())
        mark = Frozen(
            (*before.parameters, *changed), before.whole or (all_frozen and bool(whole or own))
        )
        setattr(module, MARK, mark)
        if mark.whole:
            lock_eval(module)


def unfreeze(network: nn.Module, names: str | Sequence[str] | None = None) -> list[str]:
    """Undo `freeze`, in place; parameters that were frozen before `freeze` stay frozen.

    Args:
        network: Any module.
        names: Names as in `freeze`; None for everything.

    Returns:
        Names of the unfrozen parameters.

    Raises:
        UnknownNameError: If a name does not exist.

    Example:
        >>> import torch
        >>> from hybridopt.transfer import freeze, unfreeze
        >>> network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
        >>> freeze(network, ["0"])
        >>> unfreeze(network)
        ['0.weight', '0.bias']
    """
    check_module(network)
    prefixes = {module: name for name, module in network.named_modules()}
    unfrozen = []
    for module, parameters, _ in selected(network, [""] if names is None else names):
        mark = mark_of(module)
        changed = [name for name in mark.parameters if name in parameters]
        for name in changed:
            module.get_parameter(name).requires_grad_(True)
            unfrozen.append(f"{prefixes[module]}.{name}".strip("."))
        if changed or (mark.whole and not mark.parameters):
            unlock_eval(module, network.training)
            left = tuple(name for name in mark.parameters if name not in changed)
            setattr(module, MARK, Frozen(left, whole=False))
    return unfrozen


def check_names(names: object, argument: str = "names") -> list[str]:
    """Return names of an argument as a list, if they are strings in a list or a tuple."""
    if isinstance(names, list | tuple) and all(type(name) is str for name in names):
        return list(names)
    raise ArgumentTypeError(
        f'`{argument}` must be "body" or a list of names of layers or parameters (got {names!r}).'
    )


def selected(
    network: nn.Module, names: str | Sequence[str]
) -> Iterator[tuple[nn.Module, list[str], bool]]:
    """Yield modules, names of their selected parameters, and whether the module is selected."""
    modules = dict(network.named_modules(remove_duplicate=False))
    parameters = dict(network.named_parameters(remove_duplicate=False))
    head = head_of(network)
    inside = set() if head is None else set(head.modules())
    above = {module for module in network.modules() if head in set(module.modules())}
    for name in check_names([names] if isinstance(names, str) else names):
        if name == "body" and (names == name or name not in {*modules, *parameters}):
            if head is None:
                raise ArgumentError(
                    f'`network` must have a head of `transfer` for "body" (got '
                    f"{type(network).__name__}). Use the names of layers."
                )
            chosen = [module for module in network.modules() if module not in inside]
        elif name in modules:
            chosen = list(modules[name].modules())
        else:
            _validation.choice("layer or parameter", name, [*filter(None, modules), *parameters])
            owner, _, attribute = name.rpartition(".")
            yield modules[owner], [attribute], False
            continue
        for module in chosen:
            own = [own for own, _ in module.named_parameters(recurse=False)]
            yield module, own, module not in above
