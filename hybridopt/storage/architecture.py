"""How to make a module again: names of classes of a white list, and their arguments, as JSON."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from hybridopt._random import isolated
from hybridopt.bridges.base import QuantumNetwork
from hybridopt.errors import CheckpointError, ConversionError
from hybridopt.nn import CircuitLayer, DressedCircuit
from hybridopt.nn.frozen_state import is_mark
from hybridopt.storage.circuits import KNOWN_LAYERS
from hybridopt.storage.json_codec import from_plain, to_plain

OWN: Mapping[str, type[nn.Module]] = {"DressedCircuit": DressedCircuit}
CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
# what tensors, stored beside the recipe, say themselves; and old names of arguments
SKIPPED = frozenset(
    {"device", "dtype", "_weight", "_freeze", "min_value", "max_value", "size_average", "reduce"}
    | {"executor", "gradient", "frozen", "initial"}
)
RECURRENT = (  # their constructors hide the names
    *("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout"),
    "bidirectional",
)
RECURRENT_EXTRA = {nn.RNN: ("nonlinearity",), nn.LSTM: ("proj_size",)}


class NotBuiltInError(CheckpointError):
    """A module that is not made of torch.nn and hybridopt alone; the message is the reason."""


def recipe_of(module: nn.Module, layers: Mapping[CircuitLayer, int]) -> dict[str, Any]:
    """A recipe of a module, tried; ``layers`` are the numbers of circuit layers stored beside."""
    recipe = _recipe("", module, layers, {})
    _compare(module, made(recipe, {number: layer for layer, number in layers.items()}))
    return recipe


def made(recipe: dict[str, Any], layers: Mapping[int, CircuitLayer]) -> nn.Module:
    """The module of a recipe, with tensors that hold nothing of meaning and are not tied."""
    with isolated(0):
        return _made(recipe, layers, {})


def _recipe(
    path: str, module: nn.Module, layers: Mapping[CircuitLayer, int], seen: dict[nn.Module, str]
) -> dict[str, Any]:
    if module in seen:
        return {"same": seen[module]}
    seen[module], kind = path, type(module)
    if isinstance(module, CircuitLayer) and kind in KNOWN_LAYERS:
        return {"path": path, "layer": layers[module]}
    if getattr(nn, kind.__name__, None) is kind:
        name = f"torch.nn.{kind.__name__}"
    elif OWN.get(kind.__name__) is kind:
        name = f"hybridopt.{kind.__name__}"
    else:
        raise NotBuiltInError(
            f"{_where(path)} is a `{kind.__name__}`, which is none of torch.nn and hybridopt"
        )
    if not isinstance(module, CONTAINERS):
        return {"path": path, "class": name, "arguments": _arguments(path, module)}
    children = [
        [key, _recipe(f"{path}.{key}".lstrip("."), child, layers, seen)]
        for key, child in module._modules.items()  # named_children leaves out what is used twice
        if child is not None
    ]
    return {"path": path, "class": name, "children": children}


def _made(
    recipe: dict[str, Any], layers: Mapping[int, CircuitLayer], seen: dict[str, nn.Module]
) -> nn.Module:
    if "same" in recipe:
        return seen[recipe["same"]]
    if "layer" in recipe:
        module: nn.Module = layers[recipe["layer"]]
    else:
        package, _, name = recipe["class"].rpartition(".")
        kind = OWN.get(name) if package == "hybridopt" else getattr(nn, name, None)
        if not (inspect.isclass(kind) and issubclass(kind, nn.Module)):
            raise CheckpointError(
                f"The file needs the class {package}.{name}, which the installed version does not "
                f"have. Update {package.partition('.')[0]}."
            )
        module = kind(**{key: from_plain(v) for key, v in recipe.get("arguments", {}).items()})
    seen[recipe["path"]] = module
    for key, child in recipe.get("children", ()):
        module.add_module(key, _made(child, layers, seen))
    return module


def _where(path: str) -> str:
    return f"layer `{path}`" if path else "the network"


def _arguments(path: str, module: nn.Module) -> dict[str, Any]:
    """The arguments of a constructor, from the attributes of the same names."""
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
                f"{_where(path)}, a `{type(module).__name__}`, does not tell with which `{name}` "
                "it was made"
            ) from error
    return arguments


def _argument(module: nn.Module, name: str) -> object:
    if isinstance(module, nn.MultiheadAttention) and name in {"bias", "add_bias_kv"}:
        return (module.in_proj_bias if name == "bias" else module.bias_k) is not None
    value = getattr(module, name, NotImplemented)
    if name == "bias" and (value is None or isinstance(value, torch.Tensor)):
        return value is not None
    return value


def _compare(module: nn.Module, again: nn.Module) -> None:
    """Refuse a recipe that makes something else."""
    owns, others = (dict(m.named_modules(remove_duplicate=False)) for m in (module, again))
    if list(owns) != list(others):
        raise NotBuiltInError("its layers are not those that their constructors make")
    for name, own in owns.items():
        if isinstance(own, CircuitLayer):  # stored by itself
            continue
        if type(own) is not type(others[name]) or _parts(own) != _parts(others[name]):
            raise NotBuiltInError(
                f"{_where(name)}, a `{type(own).__name__}`, was changed after it was made"
            )


def _parts(module: nn.Module) -> dict[str, object]:
    """All that a constructor gives a module, but for values of tensors, mode and marks."""
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
    """Classes of all modules, and name, shape and dtype of all tensors: tells networks apart."""
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


def difference(saved: dict[str, str], wanted: dict[str, str]) -> str:
    """The first thing in which two descriptions differ, in words."""
    for name in sorted({*saved, *wanted}):
        there, here = saved.get(name, "missing"), wanted.get(name, "missing")
        if there != here:
            return f"`{name}` is {there} there and {here} here"
    return "its entries have another order"
