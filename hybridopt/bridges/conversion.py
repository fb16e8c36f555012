"""From network to circuit and back: `to_quantum` and `to_classical`."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from hybridopt import checks, gradients
from hybridopt.bridges.bridge import Bridge
from hybridopt.bridges.generator import Generator
from hybridopt.bridges.memory import Memory
from hybridopt.bridges.quantum_network import QuantumNetwork
from hybridopt.bridges.random_subspace import RandomSubspace
from hybridopt.bridges.twin import Twin
from hybridopt.bridges.walsh_subspace import WalshSubspace
from hybridopt.errors import ArgumentError, ArgumentTypeError, ConversionError
from hybridopt.execution import AerExecutor, Executor

BRIDGES: Mapping[str, type[Bridge]] = {
    bridge.name: bridge for bridge in (Memory, Generator, Twin, RandomSubspace, WalshSubspace)
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
        bridge: ``"memory"``, a control (``"twin"``, ``"random-subspace"``,
            ``"walsh-subspace"``), or an instance such as
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
    chosen = _bridge(bridge, options)
    chosen.check(network)
    rule = gradients.create(gradient)
    if executor is not None:
        _check_executor(executor)
    quantum = chosen.encode(network, executor=executor or AerExecutor(), gradient=rule)
    quantum.bridge, quantum.gradient_rule = chosen, rule
    return quantum


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


def _bridge(bridge: object, options: Mapping[str, Any]) -> Bridge:
    if isinstance(bridge, Bridge):
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
