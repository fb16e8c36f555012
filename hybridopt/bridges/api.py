"""From network to circuit and back: `to_quantum` and `to_classical`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from torch import nn

from hybridopt import _validation, gradients
from hybridopt._modules import copy_module
from hybridopt.bridges.base import Bridge, QuantumNetwork, check_no_options
from hybridopt.bridges.generator.network import Generator
from hybridopt.bridges.memory.network import Memory
from hybridopt.bridges.mesh.network import Mesh
from hybridopt.bridges.subspaces import RandomSubspace, WalshSubspace
from hybridopt.bridges.twin import Twin
from hybridopt.errors import ConversionError
from hybridopt.execution import AerExecutor, Executor, check_executor
from hybridopt.nn import CircuitLayer, DressedCircuit
from hybridopt.nn.surrogate import check_surrogate, surrogate

BRIDGES: Mapping[str, type[Bridge]] = {
    bridge.name: bridge for bridge in (Memory, Mesh, Generator, Twin, RandomSubspace, WalshSubspace)
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
        bridge: ``"memory"``, ``"mesh"``, ``"generator"``, a control (``"twin"``,
            ``"random-subspace"``, ``"walsh-subspace"``), or an instance such as
            ``ho.bridges.Memory(form="full")``.
        executor: What runs the circuits; None is `AerExecutor()`.
        gradient: ``"parameter-shift"``, ``"adjoint"``, ``"spsa"`` where the bridge takes them, or
            an instance of a gradient rule.
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
    chosen = create_bridge(bridge, options)
    chosen.check(network)
    rule = gradients.create(gradient)
    if executor is not None:
        check_executor(executor)
    quantum = chosen.encode(network, executor=executor or AerExecutor(), gradient=rule)
    quantum.bridge = chosen
    return quantum


def to_classical(network: nn.Module, *, readout: str = "angles") -> nn.Module:
    r"""Carry a quantum network, or any module with circuits in it, back into plain torch.

    A `CircuitLayer` whose inputs enter rotations with integer factors is a finite Fourier series in
    them. It comes back as that series, a torch module of :math:`\prod_i (2 R_i + 1)` numbers an
    output, where :math:`R_i` is the highest frequency of input i (1 for an input that enters one
    rotation once). As many settings of its executor determine them; nothing is fitted, and from
    there on no circuit is needed. A `DressedCircuit` comes back as linear layer, series, linear
    layer: without shots, it *is* that classical network.

    Args:
        network: A quantum network, a circuit layer, or a module that contains some. It is left as
            it is.
        readout: ``"angles"`` computes the weights of quantum networks from the angles, without a
            run and exactly; ``"circuit"`` reads them with the executor, shot noise included. Series
            come from circuits either way, with ``"angles"`` from exact executors only (noise
            without shots is exact).

    Returns:
        For a quantum network the original class with the same state_dict keys, dtypes, buffers and
        requires_grad; for circuit layers `hybridopt.nn.FourierSeries`, which can be trained on.

    Raises:
        ConversionError: If there is no circuit in it, or a layer has no exact torch form: a factor
            that is no integer, or is trained; products of inputs; post-selection; shots.
        ResourceError: If a series would have more than four million coefficients.

    Example:
        >>> import torch, hybridopt as ho
        >>> head = ho.DressedCircuit(8, 2, num_qubits=3, depth=2)
        >>> classical = ho.to_classical(head)
        >>> classical.layer
        FourierSeries(in_features=3, out_features=3, orders=[1, 1, 1], coefficients=81)
        >>> x = torch.rand(5, 8)
        >>> torch.allclose(classical(x), head(x), atol=1e-5)
        True
    """
    _validation.choice("readout", readout, ("angles", "circuit"))
    _validation.instance("network", network, nn.Module, "a quantum network")
    found = _outermost(network)
    if not found:
        raise ConversionError(
            f"The network {type(network).__name__} contains no circuit, so it is classical "
            "already. Make a quantum network with `to_quantum` first."
        )
    return _carried_back(network, found, readout)


def without_quantum_networks(network: nn.Module) -> nn.Module:
    """Return a copy whose quantum networks are decoded from their angles; no circuit runs."""
    networks = [m for m in _outermost(network).values() if isinstance(m, QuantumNetwork)]
    return copy_module(network, {id(module): module.decode() for module in networks})


def create_bridge(bridge: str | Bridge, options: Mapping[str, Any]) -> Bridge:
    """Return a bridge given by name with its options, or an instance as it is."""
    if isinstance(bridge, Bridge):
        check_no_options(bridge, options)
        return bridge
    kind = BRIDGES[_validation.choice("bridge", bridge, BRIDGES)]
    if kind is not Twin:  # which takes the options of another bridge
        _validation.keywords(f'bridge="{kind.name}"', options, [one.name for one in fields(kind)])
    return kind(**options)


def _outermost(network: nn.Module, prefix: str = "") -> dict[str, nn.Module]:
    """Return quantum networks and circuit layers by name, without those inside another one."""
    if isinstance(network, QuantumNetwork | CircuitLayer) or type(network) is DressedCircuit:
        return {prefix.removesuffix("."): network}
    found = {}
    for name, child in network.named_children():
        found |= _outermost(child, f"{prefix}{name}.")
    return found


def _carried_back(network: nn.Module, found: Mapping[str, nn.Module], readout: str) -> nn.Module:
    """A copy without circuits; every layer is checked before any runs, one at two places is one."""
    for name, module in found.items():
        if not isinstance(module, QuantumNetwork):
            kind = type(module).__name__
            owner = f"Layer `{name}`, a {kind}," if name else f"The {kind}"
            check_surrogate(module, owner, sampled=readout == "circuit")
    return copy_module(network, {id(one): _plain(one, readout) for one in found.values()})


def _plain(module: nn.Module, readout: str) -> nn.Module:
    if not isinstance(module, QuantumNetwork):
        return surrogate(module)
    decoded = module.decode(readout=readout)
    inner = _outermost(decoded)
    return _carried_back(decoded, inner, readout) if inner else decoded
