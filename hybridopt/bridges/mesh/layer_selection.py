"""Which layers of a network become meshes, which stay classical, and which are in the way."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn
from torch.nn.modules.conv import _ConvTransposeNd

from hybridopt import _validation
from hybridopt.errors import ConversionError

CARRIED = (nn.Linear, nn.Conv2d)
# products with matrices that have no circuit form here; what has none stays classical as it is
RECURRENT = (nn.RNNBase, nn.RNNCellBase)
REFUSED = (*RECURRENT, nn.MultiheadAttention, nn.Conv1d, nn.Conv3d, _ConvTransposeNd, nn.Bilinear)


def layers_to_carry(network: nn.Module, keep_classical: Iterable[str]) -> dict[str, nn.Module]:
    """The layers that become meshes, each once, by their first name."""
    kept = _kept(network, keep_classical)
    chosen = {
        name: module
        for name, module in network.named_modules()
        if id(module) not in kept and _is_carried(name, module)
    }
    if not chosen:
        raise ConversionError(
            f"The network {type(network).__name__} has no Linear or Conv2d layer with trainable "
            'weights that is not kept classical. Use bridge="memory" or bridge="generator".'
        )
    _refuse_ties(network, chosen)
    return chosen


def _kept(network: nn.Module, names: Iterable[str]) -> set[int]:
    """Modules that stay as they are: the named ones, all in them, and all in frozen ones."""
    known = {name: module for name, module in network.named_modules(remove_duplicate=False) if name}
    kept = [known[_validation.choice("layer in `keep_classical`", name, known)] for name in names]
    for module in network.modules():
        if not any(p.requires_grad and p.numel() for p in module.parameters()):
            kept += [module]
    return {id(module) for container in kept for module in container.modules()}


def _is_carried(name: str, module: nn.Module) -> bool:
    """Whether it becomes a mesh; refused if it cannot and would have to."""
    if isinstance(module, REFUSED):
        _refuse(name, module, "has no circuit form in the mesh bridge, which takes Linear, Conv2d")
    if not isinstance(module, CARRIED):
        return False
    weight = module._parameters.get("weight")
    if weight is None or not _has_the_plain_forward(module):
        _refuse(name, module, "computes something else than a plain Linear or Conv2d does")
    assert weight is not None
    return weight.requires_grad and weight.numel() > 0


def _has_the_plain_forward(module: nn.Module) -> bool:
    plain = nn.Linear if isinstance(module, nn.Linear) else nn.Conv2d
    names = ("forward", "_conv_forward")
    return all(getattr(type(module), n, None) is getattr(plain, n, None) for n in names)


def _refuse(name: str, module: nn.Module, why: str) -> None:
    what = f"Layer `{name}`" if name else "The network"
    way_out = f", or pass `keep_classical=['{name}']`" if name else ""
    raise ConversionError(
        f"{what} is of type {type(module).__name__}, which {why}. Use a bridge that takes any "
        f'layer, such as bridge="memory" or bridge="generator"{way_out}.'
    )


def _refuse_ties(network: nn.Module, chosen: dict[str, nn.Module]) -> None:
    owners: dict[nn.Parameter, list[str]] = {}
    for name, module in network.named_modules():
        for parameter in module.parameters(recurse=False):
            owners.setdefault(parameter, []).append(name)
    for name, module in chosen.items():
        for parameter in module.parameters(recurse=False):
            others = [other for other in owners[parameter] if other != name]
            if others and parameter.requires_grad:
                raise ConversionError(
                    f"Layer `{name}` must own its weights (tied to layer `{others[0]}`), because a "
                    f"mesh has its own angles. Untie them, pass `keep_classical=['{name}']`, or "
                    'use bridge="memory".'
                )
