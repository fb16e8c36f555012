"""Pretrained networks with a new head for another task."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from hybridopt import _validation, gradients
from hybridopt._copies import copy_module
from hybridopt._modules import check_has_values, check_module, check_not_scripted
from hybridopt.bridges import QuantumNetwork
from hybridopt.bridges.api import without_quantum_networks
from hybridopt.errors import ArgumentError, ConversionError
from hybridopt.execution import Executor, check_executor
from hybridopt.nn.frozen_state import HEAD_NAME
from hybridopt.transfer.freezing import check_names, unfreeze
from hybridopt.transfer.freezing import freeze as freeze_parts
from hybridopt.transfer.heads import check_head, check_outputs, make_head
from hybridopt.transfer.last_layer import LastLayer, find_last_layer
from hybridopt.transfer.pretrained import load_weights


def transfer(
    network: nn.Module,
    *,
    num_outputs: int | None = None,
    freeze: str | Sequence[str] = "body",
    head: str | nn.Module = "linear",
    head_layer: str | None = None,
    state_dict: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    strict: bool = True,
    executor: Executor | None = None,
    gradient: str | gradients.GradientRule = "parameter-shift",
    head_options: Mapping[str, Any] | None = None,
    seed: int | None = 0,
) -> nn.Module:
    """Return a copy of a pretrained network with a new head for another task.

    Args:
        network: Pretrained network; it is not changed. A quantum network is converted first
            (`to_classical`). A `CircuitLayer` or `DressedCircuit` in its body is kept.
        num_outputs: Number of outputs of the new head; None for the number of the old head, or of a
            module given as head. If the head replaces a convolution, it has this number of
            channels.
        freeze: ``"body"`` to freeze everything except the head, ``"none"`` to train everything, or
            names of frozen layers, parts or parameters (`hybridopt.transfer.freeze`).
        head: ``"linear"``, ``"dressed"`` (`DressedCircuit`), a bridge such as ``"memory"`` or
            ``"mesh"`` for a linear layer converted by `to_quantum`, or a module. The linear layer
            is a convolution if it replaces one.
        head_layer: Name of the replaced layer, or of a part that contains it. None for the last
            layer with outputs in the forward pass.
        state_dict: Pretrained weights of `network`, which are loaded first: a mapping, or the path
            of a file as in `hybridopt.transfer.load_weights` (`torch.save`, safetensors,
            `numpy.savez`, `torch.jit.save`). Keys of the replaced layer do not have to fit.
        strict: True if all other keys must fit. Otherwise fitting keys are loaded, and a warning
            lists the others (`hybridopt.transfer.load_weights` returns them).
        executor: Executor of the head's circuits; None for `AerExecutor()`.
        gradient: Gradient rule of the head's circuits.
        head_options: Further arguments of the head: ``bias`` (linear, bridges), ``num_qubits``,
            ``depth``, ``frozen`` (dressed), or options of the bridge.
        seed: Seed for the weights of the head. If None, a random seed is used.

    Returns:
        Network with the class and the mode (train or eval) of the classical network. It works with
        `fit`, `to_quantum`, `to_classical`, ``deepcopy`` and pickle.

    Raises:
        ConversionError: If the replaced layer is ambiguous, or if keys do not fit.
        UnknownNameError: If a head, an option or a layer is unknown.
        ArgumentError, ArgumentTypeError: If another argument is unusable.

    References:
        Mari et al., Quantum 4, 340 (2020), arXiv:1912.08278: transfer from classical or quantum to
        classical or quantum networks.

    Example:
        >>> import torch, hybridopt as ho
        >>> from torch import nn
        >>> source = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
        >>> target = ho.transfer(source, num_outputs=3, head="dressed")
        >>> history = ho.fit(target, ho.load_dataset("iris"), epochs=1)
        >>> target(torch.rand(5, 4)).shape
        torch.Size([5, 3])
    """
    options = {} if head_options is None else head_options
    check_module(network)
    check_not_scripted(network)
    check_has_values(network, ConversionError)
    outputs = _validation.optional_integer("num_outputs", num_outputs, minimum=1)
    _validation.boolean("strict", strict)
    _validation.instance("head_layer", head_layer, str | None, "the name of a layer")
    _validation.optional_integer("seed", seed, minimum=0)
    check_head(head, options)
    wanted = check_outputs(head, outputs)
    if isinstance(freeze, str) and freeze not in ("body", "none"):
        raise ArgumentError(
            f"`freeze` must be a list if it has names of layers (got {freeze!r}). Use "
            f'freeze=[{freeze!r}], "body" or "none".'
        )
    names = freeze if isinstance(freeze, str) else check_names(freeze, "freeze")
    rule = gradients.create(gradient)
    if executor is not None:
        check_executor(executor)
    target, place = _prepared(network, head_layer, wanted, state_dict, strict=strict)
    if not isinstance(names, str):
        _check_frozen_names(names, place.name)
    width = place.width("out") if outputs is None else outputs
    new = make_head(
        head, place, width, executor=executor, gradient=rule, options=options, seed=seed
    )
    target = _put(target, place.name, new)
    unfreeze(target)
    if names != "none":
        freeze_parts(target, names)
    return target


def _prepared(
    network: nn.Module,
    head_layer: str | None,
    num_outputs: int | None,
    state_dict: str | os.PathLike[str] | Mapping[str, Any] | None,
    *,
    strict: bool,
) -> tuple[nn.Module, LastLayer]:
    """Return a classical copy with the pretrained weights, and the layer to replace."""
    target = copy_module(network, user="A transfer")

    def load(replaced: str | None) -> None:
        if state_dict is None:
            return
        report = load_weights(target, state_dict, strict=strict, replaced=replaced)
        if not report.fits:
            warnings.warn(f"`state_dict` was loaded in part: {report}.", UserWarning, stacklevel=4)

    in_circuits = any(isinstance(module, QuantumNetwork) for module in network.modules())
    if in_circuits:
        load(None)
        target = without_quantum_networks(target)
    place = find_last_layer(target, head_layer, num_outputs=num_outputs)
    if place.guessed:
        warnings.warn(
            f"The forward pass of {type(target).__name__} cannot be traced, so `{place.name}`, the "
            f"layer registered last, is replaced. Confirm it by head_layer={place.name!r}, or "
            "choose another layer.",
            UserWarning,
            stacklevel=3,
        )
    if not in_circuits:
        load(place.name)
    return target, place


def _put(network: nn.Module, name: str, head: nn.Module) -> nn.Module:
    """Return the network with the head, and a mark that distinguishes head and body."""
    head.train(network.get_submodule(name).training)
    if name == "":
        setattr(head, HEAD_NAME, "")
        return head
    for module in network.modules():  # mark of an earlier transfer
        module.__dict__.pop(HEAD_NAME, None)
    owner, _, attribute = name.rpartition(".")
    setattr(network.get_submodule(owner), attribute, head)
    setattr(network, HEAD_NAME, name)
    return network


def _check_frozen_names(names: list[str], replaced: str) -> None:
    """Raise an error for names of the replaced layer, its parts, and parts that contain it."""
    for name in names:
        inside = f"{name}.".startswith(f"{replaced}.") or replaced == ""
        if inside or f"{replaced}.".startswith(f"{name}.") or name == "":
            raise ArgumentError(
                f"`freeze` must not contain the replaced layer `{replaced}` (got `{name}`). Use "
                'names of other layers, or freeze="body".'
            )
