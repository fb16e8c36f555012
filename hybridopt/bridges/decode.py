"""Networks with circuits in them as networks without."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from torch import nn

from hybridopt.bridges.quantum_network import QuantumNetwork
from hybridopt.nn import CircuitLayer, DressedCircuit
from hybridopt.nn.surrogate import check_surrogate, surrogate

CIRCUIT_LAYERS = (CircuitLayer, DressedCircuit)


def carried_back(network: nn.Module, *, readout: str) -> nn.Module | None:
    """A copy whose quantum networks are decoded and whose circuit layers are Fourier series.

    Every layer is checked before any circuit runs. One at two places comes back as one.

    Args:
        network: It is left as it is.
        readout: ``"angles"`` or ``"circuit"``, as in `hybridopt.to_classical`.

    Returns:
        The copy, or None if there is no circuit in the network.

    Raises:
        ConversionError: If a circuit layer has no exact torch form.
        ResourceError: If one has too large a torch form.
    """
    found = _places(network)
    if not found:
        return None
    for name, module in found.items():
        if isinstance(module, CIRCUIT_LAYERS):
            check_surrogate(module, _owner(name, module), sampled=readout == "circuit")
    return _replaced(network, {module: _plain(module, readout) for module in found.values()})


def without_quantum_networks(network: nn.Module) -> nn.Module:
    """A copy whose quantum networks are decoded from their angles; no circuit runs."""
    networks = [m for m in _places(network).values() if isinstance(m, QuantumNetwork)]
    return _replaced(network, {module: module.decode() for module in networks})


def _places(network: nn.Module, prefix: str = "") -> dict[str, nn.Module]:
    """Quantum networks and circuit layers by name, the outermost of each."""
    if isinstance(network, (QuantumNetwork, CircuitLayer)) or type(network) is DressedCircuit:
        return {prefix: network}
    found = {}
    for name, child in network.named_children():
        found.update(_places(child, f"{prefix}.{name}" if prefix else name))
    return found


def _plain(module: nn.Module, readout: str) -> nn.Module:
    if not isinstance(module, QuantumNetwork):
        return surrogate(module)
    decoded = module.decode(readout=readout)
    inner = carried_back(decoded, readout=readout)
    return decoded if inner is None else inner


def _replaced(network: nn.Module, replacements: Mapping[nn.Module, nn.Module]) -> nn.Module:
    """A deep copy in which others stand for some modules, wherever these are referred to."""
    return copy.deepcopy(network, {id(old): new for old, new in replacements.items()})


def _owner(name: str, module: nn.Module) -> str:
    kind = type(module).__name__
    return f"Layer `{name}`, a {kind}," if name else f"The {kind}"
