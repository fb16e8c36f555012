"""From network to circuit and back: `to_quantum` and `to_classical`."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from hybridopt import checks, gradients
from hybridopt.bridges.memory import Memory
from hybridopt.bridges.network import QuantumNetwork
from hybridopt.bridges.random_subspace import RandomSubspace
from hybridopt.bridges.twin import Twin
from hybridopt.errors import ArgumentError, ArgumentTypeError, ConversionError
from hybridopt.execution import AerExecutor, Executor

REAL_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
Bridge = Memory | Twin | RandomSubspace
BRIDGES: Mapping[str, type[Bridge]] = {
    bridge.name: bridge for bridge in (Memory, Twin, RandomSubspace)
}


def to_quantum(
    network: nn.Module,
    bridge: str | Bridge = "memory",
    *,
    executor: Executor | None = None,
    gradient: str | gradients.GradientRule = "parameter-shift",
    **options: Any,
) -> QuantumNetwork:
    """Carry a network into a circuit.

    Args:
        network: Any torch module with trainable floating-point weights. It is copied and left as
            it is; train or eval mode is kept.
        bridge: ``"memory"``, a control (``"twin"``, ``"random-subspace"``), or an instance such as
            ``ho.bridges.Memory(form="full")``.
        executor: What runs the circuits; None is `AerExecutor()`.
        gradient: ``"parameter-shift"``, or an instance of a gradient rule.
        **options: Of the bridge, if it is given by name.

    Returns:
        A module with the network's forward signature. Its parameters are the trainable angles and
        what stays classical.

    Raises:
        ArgumentTypeError: If the network is no module.
        ConversionError: If the network has nothing that can be trained as a circuit: no
            parameters, all frozen, integer, complex, or not finite.
        UnknownNameError: For an unknown bridge, gradient rule or option.
        ResourceError: If the circuit does not fit into the executor's memory.

    Example:
        >>> import torch, hybridopt as ho
        >>> network = torch.nn.Linear(3, 2)
        >>> quantum = ho.to_quantum(network, bridge="memory")
        >>> quantum.num_qubits, quantum.num_angles
        (4, 8)
        >>> torch.equal(ho.to_classical(quantum).weight, network.weight)
        True
    """
    check_network(network)
    chosen = _bridge(bridge, options)
    rule = gradients.create(gradient)
    if executor is not None:
        _check_executor(executor)
    return chosen.encode(network, executor=executor or AerExecutor(), gradient=rule)


def to_classical(network: nn.Module, *, readout: str = "angles") -> nn.Module:
    """Carry a quantum network back into plain torch.

    Args:
        network: A quantum network, or a module that contains some.
        readout: ``"angles"`` computes the weights from the angles, without a run and exactly;
            ``"circuit"`` reads them with the executor, shot noise included.

    Returns:
        The original class with the same state_dict keys, dtypes, buffers and requires_grad.

    Raises:
        ConversionError: If there is no circuit in it.
    """
    checks.choice("readout", readout, ("angles", "circuit"))
    if not isinstance(network, nn.Module):
        raise ArgumentTypeError(
            f"Argument `network` must be a quantum network, but is of type "
            f"{type(network).__name__}."
        )
    if isinstance(network, QuantumNetwork):
        return network.decode(readout=readout)
    if not any(isinstance(module, QuantumNetwork) for module in network.modules()):
        raise ConversionError(
            f"The network {type(network).__name__} contains no circuit, so it is classical "
            "already. Make a quantum network with `to_quantum` first."
        )
    result = copy.deepcopy(network)
    decoded: dict[QuantumNetwork, nn.Module] = {}  # a layer at two places comes back as one
    for parent in list(result.modules()):
        for name, child in parent._modules.items():
            if isinstance(child, QuantumNetwork):
                if child not in decoded:
                    decoded[child] = child.decode(readout=readout)
                parent._modules[name] = decoded[child]
    return result


def check_network(network: object) -> None:
    """Refuse what no bridge can carry; nothing is run.

    Raises:
        ArgumentTypeError: If it is no torch module.
        ConversionError: With the name of the parameter that is in the way.
    """
    if not isinstance(network, nn.Module):
        raise ArgumentTypeError(
            "Argument `network` must be a torch.nn.Module, but is of type "
            f"{type(network).__name__}."
        )
    if any(isinstance(module, QuantumNetwork) for module in network.modules()):
        raise ConversionError(
            "The network contains a circuit already. Carry it back with `to_classical` first."
        )
    parameters = dict(network.named_parameters())
    if not parameters:
        raise ConversionError(
            f"The network {type(network).__name__} has no parameters, so there is nothing to carry "
            "into a circuit."
        )
    for name, parameter in parameters.items():
        _check_parameter(name, parameter)
    for name, buffer in network.named_buffers():
        if buffer.is_floating_point() and bool(buffer.isnan().any()):  # a mask may hold -inf
            raise ConversionError(f"Buffer `{name}` holds NaN. Initialise the network again.")
    for name, module in network.named_modules():
        if getattr(module, "sparse", False) is True:
            raise ConversionError(
                f"Layer `{name}` asks for sparse gradients, which angles cannot have. Make it with "
                "sparse=False."
            )
    if not any(p.requires_grad and p.numel() for p in parameters.values()):
        raise ConversionError(
            "All parameters of the network are frozen (requires_grad=False), so no angle could be "
            "trained. Thaw some with `parameter.requires_grad_(True)`."
        )


def _check_parameter(name: str, parameter: nn.Parameter) -> None:
    if isinstance(parameter, UninitializedParameter):
        raise ConversionError(
            f"Parameter `{name}` has no shape yet. Run the lazy network on one batch first."
        )
    if parameter.dtype not in REAL_DTYPES:
        raise ConversionError(
            f"Parameter `{name}` is {parameter.dtype}, but the weights in a circuit must be real "
            "floating-point numbers of 16 bits or more. Convert it, or keep it as a buffer."
        )
    if parameter.is_meta:
        raise ConversionError(f"Parameter `{name}` is on the meta device and has no values.")
    if not bool(torch.isfinite(parameter.detach()).all()):
        count = int((~torch.isfinite(parameter.detach())).sum())
        raise ConversionError(
            f"Parameter `{name}` has {count} values that are NaN or infinite. Train or initialise "
            "the network again before converting it."
        )


def _bridge(bridge: object, options: Mapping[str, Any]) -> Bridge:
    if isinstance(bridge, Memory | Twin | RandomSubspace):
        if options:
            raise ArgumentError(
                f"Options {', '.join(options)} were given beside an instance of a bridge. Set them "
                f"on the instance: {type(bridge).__name__}(...)."
            )
        return bridge
    kind = BRIDGES[checks.choice("bridge", bridge, BRIDGES)]
    checks.keywords(f'bridge="{kind.name}"', options, inspect.signature(kind).parameters)
    return kind(**options)


def _check_executor(executor: object) -> None:
    if not isinstance(executor, Executor):
        raise ArgumentTypeError(
            f"Argument `executor` must be an executor such as AerExecutor(), but is of type "
            f"{type(executor).__name__}."
        )
