"""Selection of the layers that become meshes, and checks of the others."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn
from torch.nn.modules.conv import _ConvTransposeNd

from hybridopt import _validation
from hybridopt._copies import is_computed
from hybridopt.bridges.weight_structure import check_no_accumulation_hook, check_no_gradient_hook
from hybridopt.errors import ConversionError

CONVERTED = (nn.Linear, nn.Conv2d)
# layers with matrix products that have no circuit form here; other layers stay classical
RECURRENT = (nn.RNNBase, nn.RNNCellBase)
CONVOLUTIONS = (nn.Conv1d, nn.Conv3d, _ConvTransposeNd)
UNSUPPORTED = (*RECURRENT, *CONVOLUTIONS, nn.MultiheadAttention, nn.Bilinear)


def layers_to_convert(network: nn.Module, keep_classical: Iterable[str]) -> dict[str, nn.Module]:
    """Return the layers that become meshes by their first name."""
    kept = _kept(network, keep_classical)
    chosen = {
        name: module
        for name, module in network.named_modules()
        if id(module) not in kept and _is_converted(name, module)
    }
    if not chosen:
        raise ConversionError(
            "`network` must have a trainable Linear or Conv2d layer that is not kept classical "
            f'(got a {type(network).__name__}). Use bridge="memory" or bridge="generator".'
        )
    _check_ties(network, chosen)
    return chosen


def _kept(network: nn.Module, names: Iterable[str]) -> set[int]:
    """Return ids of the modules that stay classical: named and frozen ones, with their parts."""
    known = {name: module for name, module in network.named_modules(remove_duplicate=False) if name}
    kept = [known[_validation.choice("layer in `keep_classical`", name, known)] for name in names]
    for module in network.modules():
        if not any(p.requires_grad and p.numel() for p in module.parameters()):
            kept += [module]
    return {id(module) for container in kept for module in container.modules()}


def _is_converted(name: str, module: nn.Module) -> bool:
    """Return True if the layer becomes a mesh; raise if it is unsupported."""
    if isinstance(module, UNSUPPORTED):
        raise _no_circuit_form(name, module)
    if not isinstance(module, CONVERTED):
        return False
    weight = module._parameters.get("weight")
    made = any(is_computed(module, attribute) for attribute in ("weight", "bias"))
    if weight is None or made or not _has_plain_forward(module):
        raise _no_circuit_form(name, module)
    if not weight.requires_grad or not weight.numel():
        return False
    for attribute, parameter in module.named_parameters(recurse=False):
        full_name = f"{name}.{attribute}".lstrip(".")
        check_no_accumulation_hook(full_name, parameter)
        check_no_gradient_hook(full_name, parameter, "a mesh computes all weights from its angles")
    return True


def _has_plain_forward(module: nn.Module) -> bool:
    plain = nn.Linear if isinstance(module, nn.Linear) else nn.Conv2d
    names = ("forward", "_conv_forward")
    return all(getattr(type(module), n, None) is getattr(plain, n, None) for n in names)


def _no_circuit_form(name: str, module: nn.Module) -> ConversionError:
    layer = f"Layer `{name}`" if name else "The network"
    keep = f", or pass `keep_classical=['{name}']`" if name else ""
    what = f"is of class {type(module).__name__}, which has no mesh"
    if isinstance(module, CONVERTED) and _has_plain_forward(module):
        what += " if its weight or bias is computed (pruning, normalisation, parametrization)"
    return ConversionError(
        f"{layer} {what}. Supported layers: plain Linear, plain Conv2d. Use "
        f'bridge="memory" or bridge="generator"{keep}.'
    )


def _check_ties(network: nn.Module, chosen: dict[str, nn.Module]) -> None:
    owners: dict[nn.Parameter, list[str]] = {}
    for name, module in network.named_modules():
        for parameter in module.parameters(recurse=False):
            owners.setdefault(parameter, []).append(name)
    for name, module in chosen.items():
        for parameter in module.parameters(recurse=False):
            others = [other for other in owners[parameter] if other != name]
            if others and parameter.requires_grad:
                raise ConversionError(
                    f"Layer `{name}` must not share a parameter with `{others[0]}`, because each "
                    f"mesh has its own angles. Untie them, pass `keep_classical=['{name}']`, or "
                    'use bridge="memory".'
                )
