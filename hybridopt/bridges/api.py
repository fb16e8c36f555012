"""Conversion of networks to circuits and back: `to_quantum` and `to_classical`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from torch import nn

from hybridopt import _validation, gradients
from hybridopt._copies import copy_call_hooks, copy_module
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
    """Convert a network to a quantum network.

    Args:
        network: Torch module with trainable floating-point weights. It is copied and not changed;
            train or eval mode is kept. Padding rows and pruned entries keep their values.
        bridge: ``"memory"``, ``"mesh"``, ``"generator"``, a control (``"twin"``,
            ``"random-subspace"``, ``"walsh-subspace"``), or an instance such as
            ``ho.bridges.Memory(form="full")``.
        executor: Executor of the circuits; None for `AerExecutor()`.
        gradient: ``"parameter-shift"``, ``"adjoint"`` or ``"spsa"`` where the bridge supports it,
            or an instance of a gradient rule.
        **options: Options of the bridge, if ``bridge`` is a name.

    Returns:
        Module with the network's forward signature. Its parameters are the trainable angles and
        the parameters that stay classical.

    Raises:
        ArgumentTypeError: If the network is not a module.
        ConversionError: If the network has no weights that a circuit can train: no parameters, or
            only frozen, integer, complex or non-finite ones. Also if it is compiled or distributed,
            or its weights have a structure that the bridge cannot keep, such as a gradient hook.
        UnknownNameError: If the bridge, gradient rule or option is unknown.
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
    r"""Convert a quantum network, or any module that contains circuits, to plain torch.

    A `CircuitLayer` with inputs that enter rotations by integer factors is a finite Fourier series
    of its inputs. It becomes that series, a torch module of :math:`\prod_i (2 R_i + 1)` numbers per
    output. :math:`R_i` is the highest frequency of input i: 1 for an input that enters one rotation
    once. The same number of settings determines the series exactly, without a fit. A
    `DressedCircuit` becomes linear layer, series, linear layer.

    Args:
        network: Quantum network, circuit layer, or module that contains them; it is not changed.
        readout: ``"angles"`` computes the weights of quantum networks exactly from the angles,
            without a run; ``"circuit"`` reads them with the executor, shot noise included. A
            Fourier series is always computed from circuits. With ``"angles"``, its executor must
            have no shots; gate noise is allowed.

    Returns:
        For a quantum network, the original class with the same state_dict keys, dtypes, buffers and
        requires_grad; for a circuit layer, a trainable `hybridopt.nn.FourierSeries`.

    Raises:
        ConversionError: If the network contains no circuit, or a layer has no exact torch form.
            Causes are a trained or non-integer factor of an input, a product of inputs,
            post-selected probabilities, and shots.
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
    if not _outermost(network):
        raise ConversionError(
            f"`network` must contain a circuit (got a classical {type(network).__name__}). Make a "
            "quantum network with `to_quantum` first."
        )
    return _decoded(network, readout)


def without_quantum_networks(network: nn.Module) -> nn.Module:
    """Return a copy with quantum networks decoded from their angles; no circuit is run."""
    networks = [m for m in _outermost(network).values() if isinstance(m, QuantumNetwork)]
    memo = {id(module): _plain(module, "angles") for module in networks}
    return copy_module(network, memo, after_forward=True)


def _plain(quantum: QuantumNetwork, readout: str) -> nn.Module:
    """Return the plain network, also with the hooks of the quantum network itself."""
    plain = quantum.decode(readout=readout)
    copy_call_hooks(quantum, plain)
    return plain


def create_bridge(bridge: str | Bridge, options: Mapping[str, Any]) -> Bridge:
    """Return a bridge from its name and options, or an instance unchanged."""
    if isinstance(bridge, Bridge):
        check_no_options(bridge, options)
        return bridge
    kind = BRIDGES[_validation.choice("bridge", bridge, BRIDGES)]
    if kind is not Twin:  # a twin takes the options of another bridge
        _validation.keywords(f'bridge="{kind.name}"', options, [one.name for one in fields(kind)])
    return kind(**options)


def _outermost(network: nn.Module, prefix: str = "") -> dict[str, nn.Module]:
    """Return quantum networks and circuit layers by name, without those inside others."""
    if isinstance(network, QuantumNetwork | CircuitLayer) or type(network) is DressedCircuit:
        return {prefix.removesuffix("."): network}
    found: dict[str, nn.Module] = {}
    for name, child in network.named_children():
        found |= _outermost(child, f"{prefix}{name}.")
    return found


def _decoded(network: nn.Module, readout: str) -> nn.Module:
    """Return a copy without circuits; all layers are checked before a circuit is run."""
    found = _outermost(network)
    for name, module in found.items():
        if not isinstance(module, QuantumNetwork):
            kind = type(module).__name__
            owner = f"Layer `{name}`, a {kind}," if name else f"The {kind}"
            check_surrogate(module, owner, sampled=readout == "circuit")
            _check_untied(network, module, owner)
    memo = {
        id(module): _decoded(_plain(module, readout), readout)
        if isinstance(module, QuantumNetwork)
        else surrogate(module)
        for module in found.values()
    }
    return copy_module(network, memo, after_forward=True) if found else network


def _check_untied(network: nn.Module, circuit: nn.Module, owner: str) -> None:
    """Raise if a circuit layer shares its weights, because its coefficients are its own."""
    own = set(circuit.modules())
    inside = {p for part in own for p in part.parameters(recurse=False)}
    for name, module in network.named_modules():
        if module not in own and not inside.isdisjoint(module.parameters(recurse=False)):
            raise ConversionError(
                f"{owner} must not share a parameter with `{name}`, because its torch form has its "
                "own numbers. Untie them with `layer.weight = torch.nn.Parameter(...)`."
            )
