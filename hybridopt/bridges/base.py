"""Base classes of bridges and of the networks that they make."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

import torch
from qiskit import QuantumCircuit
from qiskit.providers import BackendV2
from torch import Tensor, fx, nn
from torch.nn.utils.parametrize import is_parametrized

from hybridopt import _validation
from hybridopt._copies import check_no_tensor_hooks, copy_state
from hybridopt._modules import check_has_values, check_module, check_unwrapped
from hybridopt.bridges.weight_structure import check_carried, fixed_entries
from hybridopt.errors import ArgumentError, ConversionError, UnsupportedError
from hybridopt.execution import Cost, Executor, Job
from hybridopt.execution.executor import Lowering
from hybridopt.execution.random_stream import RandomStream
from hybridopt.gradients import GradientRule
from hybridopt.gradients.cost import total_cost
from hybridopt.nn import CircuitLayer
from hybridopt.nn.output_errors import SquaredErrors, errors_seen, explain_errors
from hybridopt.nn.summary import RunsCircuits, SummaryParts, SummaryRow, layer_rows

REAL_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
BridgeRows = tuple[dict[str, SummaryRow], frozenset[str], Sequence[str]]
Calls = list[tuple[int, bool | None]]  # per call of a layer: samples, and whether x needs gradients
WHOLE = "(all)"  # name of a circuit for all layers in a summary


class QuantumNetwork(nn.Module, RunsCircuits):
    """Network with the forward signature of the plain network it was made from.

    Its weights, or some of its layers, are in circuits. Its parameters are the trainable angles and
    the parameters that stay classical. A control has no circuit. This is an abstract base class.

    Example:
        >>> import torch, hybridopt as ho
        >>> quantum = ho.to_quantum(torch.nn.Linear(3, 2), bridge="mesh")
        >>> quantum(torch.rand(5, 3)).shape, quantum.num_qubits, quantum.num_angles
        (torch.Size([5, 2]), 6, 8)
    """

    bridge: Bridge | None = None  # set by `to_quantum`; written to files
    merge_every_epoch = False
    network: nn.Module

    def __init__(self, training: bool = True) -> None:
        super().__init__()
        self.training = training
        self._calls: dict[str, Calls] = {}  # of circuit layers in the last forward pass
        self._batch: int | None = None  # samples in the last forward pass

    def __deepcopy__(self, memo: dict[int, Any]) -> QuantumNetwork:
        copied = type(self).__new__(type(self))
        copy_state(self, copied, memo)
        return copied

    def __getstate__(self) -> dict[str, Any]:
        check_no_tensor_hooks(self, "pickle loses it")
        for name, module in self.named_modules():
            empty = isinstance(module, fx.GraphModule) and None in module._parameters.values()
            if empty or is_parametrized(module):
                kind = "a GraphModule with weights of its own" if empty else "parametrized"
                raise ConversionError(
                    f"Layer `{name}` must not be {kind}, because torch cannot pickle it. Write the "
                    "network with `hybridopt.save`."
                )
        return super().__getstate__()  # type: ignore[no-any-return, no-untyped-call]

    @abstractmethod
    def decode(self, *, readout: str = "angles") -> nn.Module:
        """Return the plain network, from the angles or with ``readout="circuit"`` from a run."""

    @property
    @abstractmethod
    def bridge_name(self) -> str:
        """Name of the bridge or of the control."""

    @property
    @abstractmethod
    def compute_dtype(self) -> torch.dtype:
        """Dtype of the computation; the dtype of the angles is always float64."""

    @property
    @abstractmethod
    def num_weights(self) -> int:
        """Number M of trainable weights of the plain network."""

    @property
    @abstractmethod
    def num_qubits(self) -> int:
        """Number of qubits of the widest circuit; 0 for a control."""

    @property
    @abstractmethod
    def num_angles(self) -> int:
        """Number of angles of all circuits; 0 for a control."""

    @property
    @abstractmethod
    def gradient(self) -> GradientRule:
        """Gradient rule of the circuits; unused where autograd differentiates."""

    @property
    def num_trainable(self) -> int:
        """Number of trainable numbers, including those that stay classical."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    @abstractmethod
    def circuit(self) -> QuantumCircuit | None:
        """Return the (widest) circuit at the present angles; None for a control."""

    @abstractmethod
    def _bridge_cost(self, batch_size: int | None) -> Cost | None:
        """Return the cost of the bridge's own circuits."""

    @abstractmethod
    def _bridge_rows(self, device: BackendV2 | None, batch_size: int | None) -> BridgeRows:
        """Return summary rows by layer (or `WHOLE`), layers with computed weights, and notes."""

    @abstractmethod
    def _explain_bridge(self, batch_size: int | None) -> str:
        """Return the explanation of the bridge's own circuits."""

    @abstractmethod
    def _with_weights(self) -> AbstractContextManager[nn.Module]:
        """Return a context in which the inner network has trainable tensors as weights."""

    def step_cost(self, batch_size: int | None = None) -> Cost | None:
        """Return settings, shots and runs of one forward and backward; None if not known.

        Circuit layers of the plain network are included. The number of samples per layer comes from
        the last forward pass; before it, each layer counts every sample once. See `RunsCircuits`.
        """
        _validation.optional_integer("batch_size", batch_size, minimum=1)
        costs = [_calls_cost(layer, calls) for _, layer, calls in self._inner(batch_size)]
        return total_cost([self._bridge_cost(batch_size), *costs])

    def explain(self, batch_size: int | None = None) -> str:
        """Return a description of how a batch would be run, and why; see `RunsCircuits`."""
        _validation.optional_integer("batch_size", batch_size, minimum=1)
        inner = [
            f"{name}: {layer.explain(sum(count for count, _ in calls))}"
            for name, layer, calls in self._inner(batch_size)
        ]
        own = errors_seen(self)
        for _, layer, _ in self._inner(batch_size):  # which name their own
            own -= errors_seen(layer) if isinstance(layer, nn.Module) else SquaredErrors()
        return "\n".join([self._explain_bridge(batch_size), *explain_errors(own), *inner])

    def _summary_parts(self, device: BackendV2 | None, batch_size: int | None) -> SummaryParts:
        control = self.num_qubits == 0
        title = f"{self.bridge_name} {'control' if control else 'bridge'} of "
        title += type(self.network).__name__ + ": no circuit of its own" * control
        rows, made, notes = self._bridge_rows(device, batch_size)
        whole = [rows.pop(WHOLE)] if WHOLE in rows else []
        words = f"weights by {'a formula' if control else 'the circuit'}"
        for name, layer, calls in self._inner(batch_size):
            row = layer.summary_row(device, name, _calls_cost(layer, calls))
            if name in made:
                row = replace(row, kind=f"{row.kind}, {words}", trainable=0)
            rows[name] = row
        return title, [*whole, *layer_rows(self.network, rows, made, words)], notes

    @contextmanager
    def _recording(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[None]:
        """Record for `step_cost` the inputs of circuit layers in the network."""
        inputs = (v for v in (*args, *kwargs.values()) if isinstance(v, Tensor) and v.ndim)
        self._batch = next((len(x) for x in inputs), 1)
        self._calls = {}
        handles = [
            module.register_forward_pre_hook(partial(_record, self._calls.setdefault(name, [])))
            for name, module in self.network.named_modules()
            if isinstance(module, CircuitLayer)
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _scaled(self, count: int, batch_size: int | None) -> int:
        """Return a count of the last forward pass for another number of samples."""
        samples = self._batch if batch_size is None else batch_size
        return math.ceil(count * (samples or 0) / max(1, self._batch or 1))

    def _inner(self, batch_size: int | None) -> Iterator[tuple[str, CircuitLayer, Calls]]:
        """Yield names of circuit layers, the layers with weights, and their calls in one step."""
        with self._with_weights() as network:
            places = [module for _, module in network.named_modules(remove_duplicate=False)]
            trained_before = False
            for name, module in network.named_modules():
                if isinstance(module, CircuitLayer):
                    calls: Calls = [
                        (
                            self._scaled(count, batch_size),
                            trained_before if asked is None else asked,
                        )
                        for count, asked in self._calls.get(name, ())
                    ]
                    once: Calls = [(batch_size or 1, trained_before)]
                    yield name, module, calls or places.count(module) * once
                tensors = module._parameters.values()
                trained_before |= any(p is not None and p.requires_grad for p in tensors)


def _calls_cost(layer: CircuitLayer, calls: Calls) -> Cost | None:
    return total_cost(layer.step_cost(n, input_gradient=asked) for n, asked in calls)


def _record(calls: Calls, _layer: CircuitLayer, inputs: tuple[Any, ...]) -> None:
    x = inputs[0] if inputs else None
    if isinstance(x, Tensor) and x.ndim:
        asked = x.requires_grad if torch.is_grad_enabled() else None
        calls.append((math.prod(x.shape[:-1]), asked))


@dataclass(frozen=True)
class Bridge(ABC):
    """Rule that converts a network to circuits and back; its fields are its options.

    Options are numbers, strings and mappings of them, so that files can store them. A control is a
    bridge whose networks have no circuit.

    Example:
        >>> import hybridopt as ho
        >>> bridge = ho.bridges.BRIDGES["mesh"](scale=3)
        >>> isinstance(bridge, ho.bridges.Bridge), bridge.name, bridge.scale
        (True, 'mesh', 3.0)
    """

    name: ClassVar[str]

    @abstractmethod
    def check(self, network: nn.Module) -> None:
        """Raise if this bridge cannot convert the network; run nothing.

        Raises:
            ArgumentTypeError: If it is not a torch module.
            ConversionError: If a layer or parameter, named in the message, cannot be converted.
        """

    @abstractmethod
    def encode(
        self, network: nn.Module, *, executor: Executor, gradient: GradientRule
    ) -> QuantumNetwork:
        """Convert a network; the network is not changed."""

    def decode(self, quantum: QuantumNetwork, *, readout: str = "angles") -> nn.Module:
        """Return the plain network, as `hybridopt.to_classical` does."""
        return quantum.decode(readout=readout)


class AnyNetworkBridge(Bridge):
    """Bridge for every network with trainable real weights."""

    @property
    def is_direct(self) -> bool:
        """Whether each weight has an angle of its own."""
        return False

    def check(self, network: nn.Module) -> None:
        """Raise if no bridge can convert the network."""
        check_network(network)
        check_carried(network, direct=self.is_direct)


class HasTwin(Bridge):
    """Bridge with a twin: the same networks as a formula in torch."""

    circuit_options: ClassVar[tuple[str, ...]] = ()  # options without a meaning for the twin

    @abstractmethod
    def twin(self, network: nn.Module, *, executor: Executor) -> QuantumNetwork:
        """Make the same network from a formula; only the executor's shots and seed are used."""


class FormulaStream(RandomStream):
    """Random stream of a formula in place of a circuit; it counts no settings, shots or runs."""

    usage = Cost()
    has_noise = False
    lowering: Lowering = "whole"

    def __init__(self, shots: int | None = None, seed: int | None = None) -> None:
        self.shots = _validation.optional_integer("shots", shots, minimum=1)
        super().__init__(seed)

    def explain(self, job: Job) -> str:
        """Return the statement that nothing is run."""
        return "by the closed form, without a run"

    @classmethod
    def like(cls, executor: Executor) -> Any:
        """Return a formula with the executor's shots and seed; raise if the executor has noise."""
        if executor.has_noise:
            raise UnsupportedError(
                "`executor` must be without noise, because a twin has no formula for gate noise. "
                "Leave out `noise_model`."
            )
        return cls(executor.shots, getattr(executor, "seed", None))


def check_no_options(bridge: Bridge, options: Mapping[str, Any]) -> None:
    """Raise if options are given together with an instance, which has its own."""
    if options:
        names = ", ".join(f"`{name}`" for name in options)
        raise ArgumentError(
            f"{names} must be set on the instance of the bridge. Use {type(bridge).__name__}(...)."
        )


def check_network(network: nn.Module) -> None:
    """Raise if no bridge can convert the network, with the parameter's name; run nothing."""
    check_module(network)
    check_unwrapped(network)
    if any(isinstance(module, QuantumNetwork) for module in network.modules()):
        raise ConversionError(
            "`network` must not contain a quantum network. Convert it with `to_classical` first."
        )
    parameters = dict(network.named_parameters())
    if not parameters:
        raise ConversionError(
            f"`network` must have trainable weights (got a {type(network).__name__} without any)."
        )
    check_has_values(network, ConversionError)
    for name, parameter in parameters.items():
        _check_parameter(name, parameter)
    for name, buffer in network.named_buffers():
        if buffer.is_floating_point() and bool(buffer.isnan().any()):  # a mask may hold -inf
            raise ConversionError(
                f"Buffer `{name}` must not hold NaN. Initialise the network again."
            )
    for name, module in network.named_modules():
        if getattr(module, "sparse", False) is True:
            raise ConversionError(
                f"Layer `{name}` must not use sparse gradients, because angles have none. Make it "
                "with sparse=False."
            )
    if not any(p.requires_grad and p.numel() for p in parameters.values()):
        raise ConversionError(
            "`network` must have a trainable parameter (got requires_grad=False for all). Unfreeze "
            "one with `parameter.requires_grad_(True)`."
        )
    fixed = fixed_entries(network)
    if all(bool(fixed[p].all()) for p in fixed) and set(fixed) >= _trained(parameters.values()):
        raise ConversionError(
            "`network` must have a trainable entry (got only padding rows and pruned entries)."
        )


def _trained(parameters: Iterable[nn.Parameter]) -> set[nn.Parameter]:
    return {p for p in parameters if p.requires_grad and p.numel()}


def _check_parameter(name: str, parameter: nn.Parameter) -> None:
    if parameter.dtype not in REAL_DTYPES:
        raise ConversionError(
            f"Parameter `{name}` must be real with at least 16 bits (got {parameter.dtype}). "
            "Convert it, or register it as a buffer."
        )
    count = int((~torch.isfinite(parameter.detach())).sum())
    if count:
        raise ConversionError(
            f"Parameter `{name}` must be finite (got {count} NaN or infinite values). Train or "
            "initialise the network again."
        )
