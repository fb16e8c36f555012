"""`transfer`: a pretrained network with a new head, for another task."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from hybridopt import _validation, gradients
from hybridopt._modules import check_has_values, check_module, copy_module
from hybridopt.bridges import QuantumNetwork
from hybridopt.bridges.api import without_quantum_networks
from hybridopt.errors import ArgumentError, ConversionError
from hybridopt.execution import Executor, check_executor
from hybridopt.nn.frozen_state import HEAD_NAME
from hybridopt.transfer.freezing import check_names, unfreeze
from hybridopt.transfer.freezing import freeze as freeze_parts
from hybridopt.transfer.heads import check_head, check_outputs, make_head
from hybridopt.transfer.last_layer import LastLayer, check_not_compiled, find_last_layer
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
    """Start another task from a pretrained network: its body, and a new head on it.

    Args:
        network: The pretrained network; it is left as it is. One whose weights or layers live in
            circuits by `to_quantum` is carried back first (`to_classical`, from the angles). A
            `CircuitLayer` or `DressedCircuit` in its body stays one.
        num_outputs: Outputs of the new head; None is as many as before, or those of a head of your
            own. In the place of a convolution they are channels: a network that flattens them
            afterwards returns as many numbers for each of its places.
        freeze: ``"body"`` trains the head alone; ``"none"`` trains all; else names of the layers,
            parts or parameters that keep still. Frozen normalisations keep their statistics, too,
            in train mode as in eval mode (`hybridopt.transfer.freeze`).
        head: ``"linear"``; ``"dressed"``, a circuit between two linear layers (`DressedCircuit`);
            the name of a bridge, such as ``"memory"`` or ``"mesh"``: a linear layer carried over by
            it; or a module of your own. In the place of a convolution, linear means a convolution.
        head_layer: The name of the layer that the head takes the place of, or of a part that holds
            it; None is the last one with outputs, in the order in which layers run.
        state_dict: Pretrained weights of `network` to load first: a mapping, or the path of a file.
            Keys of the layer that is replaced need not fit.
        strict: Whether all other keys must fit. Without, what fits is loaded, and a warning names
            the rest (`hybridopt.transfer.load_weights` returns it).
        executor: What runs the head's circuits; None is `AerExecutor()`. A linear head needs none.
        gradient: The gradient rule of the head's circuits.
        head_options: Further arguments of the head: ``bias`` (linear, bridges), ``num_qubits``,
            ``depth``, ``frozen`` (dressed), the options of the bridge.
        seed: Draws the head's weights; None draws fresh entropy.

    Returns:
        A network of the class of the classical one, in train or eval mode as that is, for `fit`,
        `to_quantum`, `to_classical`, ``deepcopy`` and pickle.

    Raises:
        ConversionError: If the layer to replace is not clear, or keys do not fit; each is named.
        UnknownNameError: For an unknown head, option or layer.
        ArgumentError, ArgumentTypeError: If another argument is unusable.

    References:
        Mari et al., Quantum 4, 340 (2020), arXiv:1912.08278: classical or quantum to classical or
        quantum.

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
    check_not_compiled(network)
    check_has_values(network, ConversionError)
    outputs = _validation.optional_integer("num_outputs", num_outputs, minimum=1)
    _validation.boolean("strict", strict)
    _validation.instance("head_layer", head_layer, str | None, "the name of a layer")
    _validation.optional_integer("seed", seed, minimum=0)
    check_head(head, options)
    wanted = check_outputs(head, outputs)
    if isinstance(freeze, str) and freeze not in ("body", "none"):
        raise ArgumentError(
            f'Argument `freeze` must be "body", "none" or a list of names, but is {freeze!r}. One '
            f"layer: freeze=[{freeze!r}]."
        )
    names = freeze if isinstance(freeze, str) else check_names(freeze)
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
    """A classical copy with the pretrained weights, and the layer that is to be replaced."""
    target = copy_module(network, user="A transfer")

    def load(replaced: str | None) -> None:
        if state_dict is None:
            return
        report = load_weights(target, state_dict, strict=strict, replaced=replaced)
        if not report.fits:
            text = f"Not all of the state_dict was loaded: {report}."
            warnings.warn(text, UserWarning, stacklevel=4)

    in_circuits = any(isinstance(module, QuantumNetwork) for module in network.modules())
    if in_circuits:
        load(None)
        target = without_quantum_networks(target)
    place = find_last_layer(target, head_layer, num_outputs=num_outputs)
    if place.guessed:
        text = (
            f"What runs in {type(target).__name__} depends on values or cannot be followed, so "
            f"`{place.name}` is taken for its last layer, as it was registered last. Say which one "
            f"it is: head_layer={place.name!r}."
        )
        warnings.warn(text, UserWarning, stacklevel=3)
    if not in_circuits:
        load(place.name)
    return target, place


def _put(network: nn.Module, name: str, head: nn.Module) -> nn.Module:
    """The network with the head in that place; marked, so that head and body are known later."""
    head.train(network.get_submodule(name).training)
    if name == "":
        setattr(head, HEAD_NAME, "")
        return head
    for module in network.modules():  # of a transfer before this one
        module.__dict__.pop(HEAD_NAME, None)
    owner, _, attribute = name.rpartition(".")
    setattr(network.get_submodule(owner), attribute, head)
    setattr(network, HEAD_NAME, name)
    return network


def _check_frozen_names(names: list[str], replaced: str) -> None:
    """Refuse names of the layer that is replaced, of its parts, and of parts that hold it."""
    for name in names:
        inside = f"{name}.".startswith(f"{replaced}.") or replaced == ""
        if inside or f"{replaced}.".startswith(f"{name}.") or name == "":
            raise ArgumentError(
                f"Argument `freeze` names `{name}`, which is or holds the layer that is replaced, "
                f'`{replaced}`. Name other layers, or pass freeze="body".'
            )
