"""Different learning rates for the new head and for what was there before."""

from __future__ import annotations

from typing import Any

from torch import nn

from hybridopt import _validation
from hybridopt._modules import check_module
from hybridopt.bridges.weight_network import WeightNetwork
from hybridopt.errors import ArgumentError
from hybridopt.nn.frozen_state import head_of, mark_of

BODY_SHARE = 0.1  # of the head's rate: fine-tuning shall keep what was learned


def parameter_groups(
    network: nn.Module, *, lr: float, body_lr: float | None = None
) -> list[dict[str, Any]]:
    """The head's parameters at one learning rate, the body's at another, for any torch optimizer.

    Angles that make weights of the head alone are the head's, as those of a network whose body was
    frozen when `to_quantum` carried it.

    What is frozen is in the body's group all the same: optimizers pass over parameters without
    gradient, and train them once they are unfrozen (`Unfreeze`). What was frozen in the network
    before `transfer` froze anything is left out.

    Args:
        network: What `transfer` returned, or a network that holds it.
        lr: Learning rate of the head.
        body_lr: Learning rate of everything else; None is a tenth of `lr`.

    Returns:
        One or two groups, as constructors of optimizers take them.

    Raises:
        ArgumentError: If the network has no head that `transfer` made, angles mix head and body, or
            a rate is not positive.

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
            f"The network {type(network).__name__} has no head that `transfer` made. Make the "
            'groups by hand: [{"params": ..., "lr": ...}, ...].'
        )
    in_head = {*head.parameters(), *_made_for(head, network)}
    frozen_for_now = {
        m.get_parameter(name) for m in network.modules() for name in mark_of(m).parameters
    }
    trained = [p for p in network.parameters() if p.requires_grad or p in frozen_for_now]
    body_rate = BODY_SHARE * rate if body_rate is None else body_rate
    groups = [
        {"params": [p for p in trained if p in in_head], "lr": rate},
        {"params": [p for p in trained if p not in in_head], "lr": body_rate},
    ]
    return [group for group in groups if group["params"]]


def _made_for(head: nn.Module, network: nn.Module) -> set[nn.Parameter]:
    """The parameters of circuits that make weights of the head; they must make no others."""
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
                f"The parameters of the {circuit.bridge_name} network make `{names[0]}` and other "
                "weights of head and body together. Give the optimizer one rate, or carry the head "
                f'alone: transfer(..., head="{circuit.bridge_name}").'
            )
    return found
