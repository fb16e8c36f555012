"""Recipes of modules as JSON: classes of torch.nn and hybridopt with their arguments."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from hybridopt._copies import count_call_hooks
from hybridopt._random import isolated
from hybridopt.bridges.base import QuantumNetwork
from hybridopt.errors import CheckpointError, ConversionError
from hybridopt.nn import CircuitLayer, DressedCircuit
from hybridopt.nn.frozen_state import is_mark
from hybridopt.storage.circuits import KNOWN_LAYERS
from hybridopt.storage.json_codec import from_plain, to_plain

OWN: Mapping[str, type[nn.Module]] = {"DressedCircuit": DressedCircuit}
CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
# arguments that follow from the stored tensors, and deprecated arguments
SKIPPED = frozenset(
    {"device", "dtype", "_weight", "_freeze", "min_value", "max_value", "size_average", "reduce"}
    | {"executor", "gradient", "frozen", "initial"}
)
CALLS = 100  # of torch's functions per tensor of a constructor; those of torch.nn make up to 20
CONSTRUCTORS = frozenset(
    {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.randint}
    | {torch.arange, torch.eye, torch.linspace, torch.randperm, torch.empty_strided}
)
LARGEST_DEPTH = 2_000  # of our circuits in a recipe; they are made before tensors are compared
MOST_MODULES = 10_000  # of a recipe; the largest networks of torchvision have a thousand
RECURRENT = (  # not in the signatures of the constructors
    *("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout"),
    "bidirectional",
)
RECURRENT_EXTRA = {nn.RNN: ("nonlinearity",), nn.LSTM: ("proj_size",)}


class NotBuiltInError(CheckpointError):
    """A module with other classes than those of torch.nn and hybridopt."""


def recipe_of(module: nn.Module, layers: Mapping[CircuitLayer, int]) -> dict[str, Any]:
    """Return a tested recipe of a module; ``layers`` are the numbers of its circuit layers."""
    recipe = _recipe("", module, layers, {})
    _compare(module, made(recipe, {number: layer for layer, number in layers.items()}))
    return recipe


def made(
    recipe: dict[str, Any], layers: Mapping[int, CircuitLayer], *, tensors: int | None = None
) -> nn.Module:
    """Return the module of a recipe, with untied weights.

    Args:
        recipe: Recipe of `recipe_of`.
        layers: Circuit layers by their numbers.
        tensors: Number of tensors that it may have, all without memory; None for arbitrary
            values.
    """
    with isolated(0):
        if tensors is None:
            return _made(recipe, layers, {})
        with torch.device("meta"), TensorBudget(calls=CALLS * (tensors + 1)):
            return _made(recipe, layers, {})


class TensorBudget(TorchFunctionMode):
    """Context in which new tensors are limited.

    Args:
        calls: Number of calls of torch's functions.
        numbers: Number of elements of all new tensors together.
    """

    def __init__(self, *, calls: float = math.inf, numbers: float = math.inf) -> None:
        super().__init__()
        self._calls, self._numbers = calls, numbers

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run a function of torch if the limits allow it."""
        kwargs = kwargs or {}
        self._calls -= 1
        if func in CONSTRUCTORS and not math.isinf(self._numbers):
            ignored = {"device", "generator", "out", "pin_memory"}
            plain = {key: value for key, value in kwargs.items() if key not in ignored}
            self._numbers -= func(*args, **plain, device="meta").numel()
        if self._calls < 0 or self._numbers < 0:
            raise CheckpointError(
                "The file declares a network that is larger than its tensors. Use another copy, "
                "or save it again."
            )
        return func(*args, **kwargs)


def _recipe(
    path: str, module: nn.Module, layers: Mapping[CircuitLayer, int], seen: dict[nn.Module, str]
) -> dict[str, Any]:
    if module in seen:
        return {"same": seen[module]}
    if len(seen) >= MOST_MODULES:
        raise NotBuiltInError(f"it has more than {MOST_MODULES:,} layers")
    seen[module], kind = path, type(module)
    if isinstance(module, CircuitLayer) and kind in KNOWN_LAYERS:
        return {"path": path, "layer": layers[module]}
    if getattr(nn, kind.__name__, None) is kind:
        name = f"torch.nn.{kind.__name__}"
    elif OWN.get(kind.__name__) is kind:
        name = f"hybridopt.{kind.__name__}"
    else:
        raise NotBuiltInError(
            f"{_where(path)} is a `{kind.__name__}`, not a class of torch.nn or hybridopt"
        )
    if not isinstance(module, CONTAINERS):
        return {"path": path, "class": name, "arguments": _arguments(path, module)}
    children = [
        [key, _recipe(f"{path}.{key}".lstrip("."), child, layers, seen)]
        for key, child in module._modules.items()  # named_children omits repeated modules
        if child is not None
    ]
    return {"path": path, "class": name, "children": children}


def _made(
    recipe: dict[str, Any], layers: Mapping[int, CircuitLayer], seen: dict[str, nn.Module]
) -> nn.Module:
    if len(seen) > MOST_MODULES:
        raise CheckpointError(
            f"The file must have at most {MOST_MODULES:,} layers. Pass the network as `network=`."
        )
    if "same" in recipe:
        return seen[recipe["same"]]
    if "layer" in recipe:
        module: nn.Module = layers[recipe["layer"]]
    else:
        package, _, name = recipe["class"].rpartition(".")
        kind = OWN.get(name) if package == "hybridopt" else getattr(nn, name, None)
        if not (inspect.isclass(kind) and issubclass(kind, nn.Module)):
            raise CheckpointError(
                f"The file needs the class {package}.{name}, which is not installed. Update "
                f"{package.partition('.')[0]}."
            )
        arguments = {key: from_plain(v) for key, v in recipe.get("arguments", {}).items()}
        if package == "hybridopt" and arguments.get("depth", 0) > LARGEST_DEPTH:
            raise CheckpointError(
                f"`depth` of a {name} in the file must be at most {LARGEST_DEPTH:,} (got "
                f"{arguments['depth']:,}). Pass the network as `network=`."
            )
        module = kind(**arguments)
    seen[recipe["path"]] = module
    for key, child in recipe.get("children", ()):
        module.add_module(key, _made(child, layers, seen))
    return module


def _where(path: str) -> str:
    return f"layer `{path}`" if path else "the network"


def _arguments(path: str, module: nn.Module) -> dict[str, Any]:
    """Return the arguments of a constructor from the attributes of the same names."""
    given = inspect.signature(type(module)).parameters.values()
    names = {p.name for p in given if p.kind not in {p.VAR_POSITIONAL, p.VAR_KEYWORD}}
    if isinstance(module, nn.RNNBase):
        names = {*RECURRENT, *RECURRENT_EXTRA.get(type(module), ())}
    arguments = {}
    for name in sorted(names - SKIPPED):
        try:
            arguments[name] = to_plain(_argument(module, name))
        except ConversionError as error:
            raise NotBuiltInError(
                f"{_where(path)}, a `{type(module).__name__}`, has no plain attribute `{name}`"
            ) from error
    return arguments


def _argument(module: nn.Module, name: str) -> object:
    if isinstance(module, nn.MultiheadAttention) and name in {"bias", "add_bias_kv"}:
        return (module.in_proj_bias if name == "bias" else module.bias_k) is not None
    value = getattr(module, name, NotImplemented)
    if name == "bias" and (value is None or isinstance(value, torch.Tensor)):
        return value is not None
    return value


def _compare(module: nn.Module, copy: nn.Module) -> None:
    """Raise an error if a recipe makes another module."""
    owns, others = (dict(m.named_modules(remove_duplicate=False)) for m in (module, copy))
    if list(owns) != list(others):
        raise NotBuiltInError("its layers differ from those of the constructors")
    for name, own in owns.items():
        if isinstance(own, CircuitLayer):  # stored separately
            continue
        if type(own) is not type(others[name]) or _parts(own) != _parts(others[name]):
            raise NotBuiltInError(
                f"{_where(name)}, a `{type(own).__name__}`, was changed after construction"
            )


def _parts(module: nn.Module) -> dict[str, object]:
    """Return the attributes of a module without values of tensors, mode and marks."""
    parts: dict[str, object] = {}
    for name, value in vars(module).items():
        if name in {"_modules", "training"} or is_mark(name, value):
            continue
        if name in {"_parameters", "_buffers"}:
            parts[name] = [(key, None if t is None else t.shape) for key, t in value.items()]
        elif isinstance(value, dict):  # hooks
            parts[name] = len(value)
        else:
            plain = isinstance(value, bool | int | float | str | tuple | list | set | None)
            parts[name] = value if plain and name != "_flat_weights" else type(value)
    return parts


def describe(network: nn.Module, *, dtypes: bool = True) -> dict[str, str]:
    """Return the classes of all modules, and name, shape and dtype of all tensors."""
    described = {
        name: f"{str(tensor.dtype).removeprefix('torch.') if dtypes else ''}{tuple(tensor.shape)}"
        for name, tensor in network.state_dict().items()
        if isinstance(tensor, torch.Tensor)
    }
    for name, module in network.named_modules():
        text = type(module).__qualname__
        if isinstance(module, QuantumNetwork):
            form = getattr(getattr(module, "options", None), "form", None)
            text += f" (form={form}, merge={module.merge_every_epoch})"
        described[f"module {name}".rstrip()] = text
    return described


def hooks_of(network: nn.Module) -> dict[str, str]:
    """Return the number of hooks of the forward and backward pass, for modules that have some."""
    counts = {name: count_call_hooks(module) for name, module in network.named_modules()}
    return {f"hooks of {name}".strip(): str(count) for name, count in counts.items() if count}


def difference(saved: dict[str, str], wanted: dict[str, str]) -> str:
    """Return the first difference of two descriptions as a text."""
    for name in sorted({*saved, *wanted}):
        there, here = saved.get(name, "missing"), wanted.get(name, "missing")
        if there != here:
            return f"`{name}` is {there} in the file and {here} in the network"
    return "the entries have another order"
