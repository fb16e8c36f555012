"""Search for the layer that computes the outputs of a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, fx, nn

from hybridopt import _validation
from hybridopt._copies import copy_module
from hybridopt._random import isolated
from hybridopt.bridges import QuantumNetwork
from hybridopt.errors import ArgumentError, ConversionError
from hybridopt.nn import CircuitLayer
from hybridopt.nn.dressed import DressedModule

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d
WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)  # each has one `module`
CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict, *WRAPPERS)
OF_ONE_WIDTH = ("normalized_shape", "unflattened_size")
RESHAPES = ("view", "reshape", "unflatten")
UNTRACEABLE = (
    *(fx.proxy.TraceError, ArithmeticError, AssertionError, AttributeError, LookupError),
    *(NotImplementedError, RuntimeError, TypeError, ValueError),
)


@dataclass(frozen=True)
class LastLayer:
    """Layer that a new head replaces."""

    name: str  # "" is the network itself
    pattern: nn.Module  # the layer, or the first one with outputs in it; has the number of inputs
    guessed: bool = False  # True if the order of registration decided between several layers

    def width(self, end: str) -> int:
        """Return the number of features or channels of the end "in" or "out"."""
        unit = "channels" if isinstance(self.pattern, Convolution) else "features"
        return int(getattr(self.pattern, f"{end}_{unit}"))


def find_last_layer(
    network: nn.Module, name: str | None = None, *, num_outputs: int | None = None
) -> LastLayer:
    """Return the last layer of the traced forward pass, or the last registered one."""
    if name is not None:
        return _named(network, name)
    prefix, inner = "", network
    while isinstance(inner, WRAPPERS):
        prefix, inner = _join(prefix, "module"), inner.module
    if _has_outputs(inner):
        return LastLayer(prefix, inner)
    # a copy, as the forward pass may change the network
    trial = copy_module(inner, {id(p): p for p in inner.parameters()}, user="The search")
    try:
        with isolated(0):
            graph = _Tracer().trace(trial)
    except UNTRACEABLE:
        (found, fixed), guessed = _last_registered(inner), _is_guess(inner)
    else:
        (found, fixed), guessed = _last_run(inner, graph), False
    place = LastLayer(_join(prefix, found), inner.get_submodule(found), guessed)
    if fixed and num_outputs not in (None, place.width("out")):
        raise _part_behind(inner, found, fixed[-1])
    modules = network.named_modules(remove_duplicate=False)
    names = [name for name, module in modules if module is place.pattern]
    if len(names) > 1:
        raise ConversionError(
            f"The last layer of {type(network).__name__} must have one name (got "
            f"{', '.join(names)}). Choose one, for instance head_layer={names[-1]!r}."
        )
    return place


def _named(network: nn.Module, name: str) -> LastLayer:
    known = [known for known, _ in network.named_modules(remove_duplicate=False)]
    if name != "":
        _validation.choice("layer", name, filter(None, known))
    for inner, module in _units(network.get_submodule(name)):
        if not _has_outputs(module):
            continue
        if isinstance(module, Convolution) and inner:
            raise ArgumentError(
                "`head_layer` must be the convolution, not a part that begins with it (got "
                f"`{name}` with `{inner}`). Pass head_layer={_join(name, inner)!r}."
            )
        return LastLayer(name, module)
    raise ArgumentError(
        "`head_layer` must contain a Linear, a convolution or a circuit (got "
        f"`{name}`, a {type(network.get_submodule(name)).__name__}). Choose another layer."
    )


def _has_outputs(module: nn.Module) -> bool:
    """Return whether a module maps ``in_features`` to ``out_features``, or channels."""
    if isinstance(module, nn.Linear | Convolution | DressedModule | CircuitLayer):
        return True
    widths = (getattr(module, "in_features", None), getattr(module, "out_features", None))
    return all(type(width) is int for width in widths) and not any(True for _ in module.children())


def _is_whole(module: nn.Module) -> bool:
    """Return whether a module counts as one layer."""
    if _has_outputs(module) or isinstance(module, QuantumNetwork):
        return True
    return type(module).__module__.startswith("torch.nn") and not isinstance(module, CONTAINERS)


def _units(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Yield the layers of a module with their names, in the order of registration."""
    if _is_whole(module):
        yield prefix, module
        return
    for name, child in module.named_children():
        yield from _units(child, _join(prefix, name))


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}".strip(".")


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return _is_whole(m)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: dict[str, Any]
    ) -> Any:
        if isinstance(m, WRAPPERS):  # their forward pass depends on devices
            return m.module(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)


def _last_run(network: nn.Module, graph: fx.Graph) -> tuple[str, list[str]]:
    """Return the last layer with outputs, and later parts of one width without weights."""
    found: set[str] = set()
    behind: list[str] = []
    fixed: list[str] = []
    waiting = {node for node in graph.nodes if node.op == "output"}
    for node in reversed(graph.nodes):  # from the outputs to the inputs
        if node not in waiting:
            continue
        in_network = node.op in {"call_module", "get_attr"}
        part = _attribute(network, str(node.target)) if in_network else None
        if isinstance(part, nn.Module) and _has_outputs(part):
            found.add(str(node.target))
            continue
        text = getattr(node.target, "__name__", str(node.target))
        behind += [text] * _has_weights(part)
        fixed += [text] * (_has_one_width(part) or (text in RESHAPES and _names_a_size(node)))
        waiting.update(node.all_input_nodes)
    if len(found) > 1:
        raise ConversionError(
            f"The outputs of {type(network).__name__} must come from one layer (got "
            f"{', '.join(sorted(found))}). Choose one, for instance head_layer={min(found)!r}."
        )
    if not found:
        raise _missing_outputs(network)
    (name,) = found
    if behind:
        raise _part_behind(network, name, behind[-1])
    if sum(node.op == "call_module" and node.target == name for node in graph.nodes) > 1:
        raise ConversionError(
            f"The last layer `{name}` of {type(network).__name__} must run once per forward pass "
            "(got several times). Use another network or `head_layer`."
        )
    return name, fixed


def _attribute(network: nn.Module, name: str) -> object:
    owner, _, attribute = name.rpartition(".")
    return getattr(network.get_submodule(owner), attribute, None)


def _has_weights(part: object) -> bool:
    """Return whether a part has weights of a fixed width; a single number fits any width."""
    if isinstance(part, nn.Module):
        return any(True for _ in part.parameters())
    return isinstance(part, nn.Parameter) and part.numel() > 1


def _has_one_width(part: object) -> bool:
    """Return whether a module or tensor without weights accepts only one width."""
    if isinstance(part, nn.Module):
        has_shape = any(getattr(part, name, None) for name in OF_ONE_WIDTH)
        return has_shape or any(buffer.numel() > 1 for buffer in part.buffers())
    return isinstance(part, Tensor) and part.numel() > 1


def _names_a_size(node: fx.Node) -> bool:
    arguments = [a if isinstance(a, list | tuple) else [a] for a in node.args[1:]]
    return any(type(size) is int and size > 1 for sizes in arguments for size in sizes)


def _last_registered(network: nn.Module) -> tuple[str, list[str]]:
    """Return the result of `_last_run` for the order of registration."""
    fixed: list[str] = []
    last_weights = None
    for name, module in reversed(list(_units(network))):
        if _has_weights(module):
            last_weights = last_weights or name
            if _has_outputs(module):
                if last_weights != name:
                    raise _part_behind(network, name, last_weights)
                return name, fixed[::-1]
        fixed += [name] * _has_one_width(module)
    raise _missing_outputs(network)


def _is_guess(network: nn.Module) -> bool:
    """Return whether another order of the layers could give another result."""
    units = [module for _, module in _units(network)]
    inside = {parameter for module in units for parameter in module.parameters()}
    loose = any(p not in inside and p.numel() > 1 for p in network.parameters())
    return loose or sum(map(_has_outputs, units)) > 1


def _missing_outputs(network: nn.Module) -> ConversionError:
    return ConversionError(
        f"{type(network).__name__} must end with a Linear, a convolution or a circuit. Choose a "
        "layer by `head_layer=`, or add a Linear."
    )


def _part_behind(network: nn.Module, name: str, behind: str) -> ConversionError:
    part = _attribute(network, behind)
    what = f"`{behind}`" if part is None else f"`{behind}` ({type(part).__name__})"
    return ConversionError(
        f"{what} in {type(network).__name__} comes after the last layer with outputs, `{name}`, "
        "and does not fit a head of another width. Pass `head_layer=` with the name of a part "
        "that contains both, or of another layer."
    )
