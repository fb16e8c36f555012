"""Separate learning rates for the new head and the pretrained body."""

from __future__ import annotations

from typing import Any

from torch import nn

from hybridopt import _validation
from hybridopt._modules import check_module
from hybridopt.bridges.weight_network import WeightNetwork
from hybridopt.errors import ArgumentError
from hybridopt.nn.frozen_state import head_of, mark_of

BODY_SHARE = 0.1  # of the rate of the head; small changes keep the pretrained features


def parameter_groups(
    network: nn.Module, *, lr: float, body_lr: float | None = None
) -> list[dict[str, Any]]:
    """Return parameter groups for any torch optimizer: one for the head, one for the body.

    The group of the head includes angles that determine only weights of the head. These exist if
    the body was frozen before `to_quantum`. Frozen parameters are in the group of the body, so
    that they are trained after `Unfreeze`; optimizers skip parameters without a gradient.
    Parameters that were frozen before `transfer` are excluded.

    Args:
        network: Result of `transfer`, or a network that contains one.
        lr: Learning rate of the head.
        body_lr: Learning rate of the body; None for a tenth of `lr`.

    Returns:
        One or two groups for the constructor of an optimizer.

    Raises:
        ArgumentError: If `transfer` made no head of the network, if angles determine weights of
            head and body, or if a rate is not positive.

    Example:
        >>> import torch, hybridopt as ho
        >>> from torch import nn
        >>> network = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
        >>> target = ho.transfer(network, num_outputs=3, freeze="none")
        >>> groups = ho.parameter_groups(target, lr=0.01, body_lr=0.001)
        >>> history = ho.fit(
        ...     target, ho.load_dataset("iris"), optimizer=torch.optim.Adam(groups), epochs=2
        ... )
        >>> [(len(group["params"]), group["lr"]) for group in groups]
        [(2, 0.01), (2, 0.001)]
    """
    check_module(network)
    rate = _validation.real("lr", lr, minimum=0, strict=True)
    body_rate = _validation.optional_real("body_lr", body_lr, minimum=0, strict=True)
    head = head_of(network)
    if head is None:
        raise ArgumentError(
            f"`network` must have a head of `transfer` (got {type(network).__name__}). Create the "
            'groups by hand: [{"params": ..., "lr": ...}, ...].'
        )
    in_head = {*head.parameters(), *_quantum_parameters(head, network)}
    frozen_by_transfer = {
        m.get_parameter(name) for m in network.modules() for name in mark_of(m).parameters
    }
    trained = [p for p in network.parameters() if p.requires_grad or p in frozen_by_transfer]
    body_rate = BODY_SHARE * rate if body_rate is None else body_rate
    groups = [
        {"params": [p for p in trained if p in in_head], "lr": rate},
        {"params": [p for p in trained if p not in in_head], "lr": body_rate},
    ]
    return [group for group in groups if group["params"]]


def _quantum_parameters(head: nn.Module, network: nn.Module) -> set[nn.Parameter]:
    """Return parameters of circuits that determine weights of the head, and no others."""
    inside, found = set(head.modules()), set()
    for circuit in network.modules():
        if not isinstance(circuit, WeightNetwork) or circuit in inside:
            continue
        names = [name for slot in circuit.layout.slots for name in slot.names]
        owners = {circuit.network.get_submodule(name.rpartition(".")[0]) for name in names}
        if owners <= inside:
            found |= {*circuit.parameters()} - {*circuit.network.parameters()}
        elif owners & inside:
            raise ArgumentError(
                f"Angles of the {circuit.bridge_name} network must not determine weights of both "
                f"head and body (got `{names[0]}` and others). Use one learning rate, or "
                f'convert only the head: transfer(..., head="{circuit.bridge_name}").'
            )
    return found
