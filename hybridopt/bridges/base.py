"""Base classes of bridges and of the networks that they make."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar, TypeVar

import torch
from qiskit import QuantumCircuit
from qiskit.providers import BackendV2
from torch import Tensor, nn

from hybridopt import _validation
from hybridopt._modules import check_has_values, check_module
from hybridopt.errors import ArgumentError, ConversionError, UnsupportedError
from hybridopt.execution import AerExecutor, Cost, Executor, Job
from hybridopt.execution.random_stream import RandomStream
from hybridopt.gradients import GradientRule, ParameterShift
from hybridopt.gradients.cost import total_cost
from hybridopt.nn import CircuitLayer
from hybridopt.nn.summary import RunsCircuits, SummaryParts, SummaryRow, layer_rows

REAL_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
BridgeRows = tuple[dict[str, SummaryRow], frozenset[str], Sequence[str]]
Calls = list[tuple[int, bool | None]]  # of a layer: samples, and whether x needs gradients


WHOLE = "(all)"  # stands for the whole network in a summary


class QuantumNetwork(nn.Module, RunsCircuits):
    """A network with the forward signature of the one it was made from.

    Its weights, or some of its layers, live in circuits; its parameters are the trainable angles
    and what stays classical. A control is one without circuits. An abstract base class.

    Example:
        >>> import torch, hybridopt as ho
        >>> quantum = ho.to_quantum(torch.nn.Linear(3, 2), bridge="mesh")
        >>> quantum(torch.rand(5, 3)).shape, quantum.num_qubits, quantum.num_angles
        (torch.Size([5, 2]), 6, 8)
    """

    bridge: Bridge | None = None  # that `to_quantum` made it by, for files
    merge_every_epoch = False
    network: nn.Module

    def __init__(self, training: bool = True) -> None:
        super().__init__()
        self.training = training
        self._calls: dict[str, Calls] = {}  # of circuit layers in the last forward pass
        self._batch: int | None = None  # samples in it

    @abstractmethod
    def decode(self, *, readout: str = "angles") -> nn.Module:
        """The plain network: from the angles, or with ``readout="circuit"`` as the circuit says."""

    @property
    @abstractmethod
    def bridge_name(self) -> str:
        """Name of the bridge, or of the control."""

    @property
    @abstractmethod
    def compute_dtype(self) -> torch.dtype:
        """Dtype that the network computes in; the dtype of the angles does not tell."""

    @property
    @abstractmethod
    def num_weights(self) -> int:
        """M, the trainable weights of the network that was carried over."""

    @property
    @abstractmethod
    def num_qubits(self) -> int:
        """Qubits of the widest circuit; 0 for a control."""

    @property
    @abstractmethod
    def num_angles(self) -> int:
        """Angles of all circuits; 0 for a control."""

    @property
    def gradient(self) -> GradientRule:
        """Rule that finds derivatives by the angles, where autograd does not."""
        return ParameterShift()

    @property
    def num_trainable(self) -> int:
        """Trainable numbers, what stays classical included."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)

    @abstractmethod
    def circuit(self) -> QuantumCircuit | None:
        """The (widest) circuit at the present angles; None for a control."""

    @abstractmethod
    def _bridge_cost(self, batch_size: int | None) -> Cost | None:
        """Cost of the bridge's own circuits."""

    @abstractmethod
    def _bridge_rows(self, device: BackendV2 | None, batch_size: int | None) -> BridgeRows:
        """Rows of circuits by layer (`WHOLE`: of all), layers whose weights are made, and notes."""

    @abstractmethod
    def _explain_bridge(self, batch_size: int | None) -> str:
        """Explanation of the bridge's own circuits."""

    @abstractmethod
    def _with_weights(self) -> AbstractContextManager[nn.Module]:
        """The inner network with trainable tensors in the places of its weights, for a while."""

    def step_cost(self, batch_size: int | None = None) -> Cost | None:
        """Settings, shots and runs of one forward and backward; None where that is not known.

        Circuit layers that the network had before are in it. How many samples reach a layer is
        known from the last forward pass; before it, every layer is taken to see each sample once.
        See `RunsCircuits`.
        """
        _validation.optional_integer("batch_size", batch_size, minimum=1)
        with self._with_weights() as network:
            costs = [_calls_cost(*both) for both in self._inner(network, batch_size)]
        return total_cost([self._bridge_cost(batch_size), *costs])

    def explain(self, batch_size: int | None = None) -> str:
        """How a batch would be run, and why; see `RunsCircuits`."""
        _validation.optional_integer("batch_size", batch_size, minimum=1)
        lines = [self._explain_bridge(batch_size)]
        with self._with_weights() as network:
            names = {module: name for name, module in network.named_modules()}
            for layer, calls in self._inner(network, batch_size):
                lines.append(f"{names[layer]}: {layer.explain(sum(count for count, _ in calls))}")
        return "\n".join(lines)

    def _summary_parts(self, device: BackendV2 | None, batch_size: int | None) -> SummaryParts:
        control = self.num_qubits == 0
        title = f"{self.bridge_name} {'control' if control else 'bridge'} of "
        title += type(self.network).__name__ + ": no circuit of its own" * control
        rows, made, notes = self._bridge_rows(device, batch_size)
        whole = [rows.pop(WHOLE)] if WHOLE in rows else []
        words = f"weights by {'a formula' if control else 'the circuit'}"
        with self._with_weights() as network:
            names = {module: name for name, module in network.named_modules()}
            for layer, calls in self._inner(network, batch_size):
                name = names[layer]
                row = layer.summary_row(device, name, _calls_cost(layer, calls))
                if name in made:
                    row = replace(row, kind=f"{row.kind}, {words}", trainable=0)
                rows[name] = row
        return title, [*whole, *layer_rows(self.network, rows, made, words)], notes

    @contextmanager
    def _recording(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Iterator[None]:
        """Note for `step_cost` what reaches the circuit layers in the network."""
        inputs = (v for v in (*args, *kwargs.values()) if isinstance(v, Tensor) and v.ndim)
        self._batch = next((len(x) for x in inputs), 1)
        self._calls = {}
        handles = [
            module.register_forward_pre_hook(_note_in(self._calls.setdefault(name, [])))
            for name, module in self.network.named_modules()
            if isinstance(module, CircuitLayer)
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _scaled(self, count: int, batch_size: int | None) -> int:
        """A count of the last forward pass for another number of samples."""
        samples = self._batch if batch_size is None else batch_size
        return math.ceil(count * (samples or 0) / max(1, self._batch or 1))

    def _inner(
        self, network: nn.Module, batch_size: int | None
    ) -> list[tuple[CircuitLayer, Calls]]:
        """Circuit layers, and the calls that one step makes of each."""
        places = [module for _, module in network.named_modules(remove_duplicate=False)]
        found: list[tuple[CircuitLayer, Calls]] = []
        trained_before = False
        for name, module in network.named_modules():
            if isinstance(module, CircuitLayer):
                calls: Calls = [
                    (self._scaled(count, batch_size), trained_before if asked is None else asked)
                    for count, asked in self._calls.get(name, ())
                ]
                once: Calls = [(batch_size or 1, trained_before)]
                found.append((module, calls or places.count(module) * once))
            tensors = module._parameters.values()
            trained_before |= any(p is not None and p.requires_grad for p in tensors)
        return found


def _calls_cost(layer: CircuitLayer, calls: Calls) -> Cost | None:
    return total_cost(layer.step_cost(n, input_gradient=asked) for n, asked in calls)


def _note_in(calls: Calls) -> Callable[..., None]:
    def note(_layer: CircuitLayer, inputs: tuple[Any, ...]) -> None:
        x = inputs[0] if inputs else None
        if isinstance(x, Tensor) and x.ndim:
            asked = x.requires_grad if torch.is_grad_enabled() else None
            calls.append((math.prod(x.shape[:-1]), asked))

    return note


@dataclass(frozen=True)
class Bridge(ABC):
    """A rule that carries a network into circuits and back; its fields are its options.

    Options are plain numbers, texts and mappings of them, so that they can be stored. A control is
    a bridge whose networks have no circuit.

    Example:
        >>> import hybridopt as ho
        >>> bridge = ho.bridges.BRIDGES["mesh"](scale=3)
        >>> isinstance(bridge, ho.bridges.Bridge), bridge.name, bridge.scale
        (True, 'mesh', 3.0)
    """

    name: ClassVar[str]

    @abstractmethod
    def check(self, network: nn.Module) -> None:
        """Refuse a network that this bridge cannot carry; nothing is run.

        Raises:
            ArgumentTypeError: If it is no torch module.
            ConversionError: With the name of the layer or parameter that is in the way.
        """

    @abstractmethod
    def encode(
        self, network: nn.Module, *, executor: Executor, gradient: GradientRule
    ) -> QuantumNetwork:
        """Carry a network over; the network is left as it is."""

    def decode(self, quantum: QuantumNetwork, *, readout: str = "angles") -> nn.Module:
        """The plain network again, as `hybridopt.to_classical` gives it."""
        return quantum.decode(readout=readout)


class AnyNetworkBridge(Bridge):
    """A bridge that carries every network that has trainable real weights."""

    def check(self, network: nn.Module) -> None:
        """Refuse a network that no bridge can carry."""
        check_network(network)


class HasTwin(Bridge):
    """A bridge whose networks are a formula in torch as well."""

    circuit_options: ClassVar[tuple[str, ...]] = ()  # without a meaning for the formula

    @abstractmethod
    def twin(self, network: nn.Module, *, executor: Executor) -> QuantumNetwork:
        """Make the same network by a formula; of the executor, shots and seed alone are taken."""


Formula = TypeVar("Formula", bound="FormulaStream")


class FormulaStream(RandomStream):
    """Random stream of a formula that stands for a circuit; no setting, shot or run is counted."""

    usage = Cost()
    has_noise = False

    def __init__(self, shots: int | None = None, seed: int | None = None) -> None:
        self.shots = _validation.optional_integer("shots", shots, minimum=1)
        super().__init__(seed)

    def explain(self, job: Job) -> str:
        """That nothing is run."""
        return "by the closed form, without a run"


def formula_like(kind: type[Formula], executor: Executor) -> Formula:
    """Return a formula with the executor's shots and seed; noise on gates has no formula."""
    if executor.has_noise:
        raise UnsupportedError(
            "A twin has no formula for noise on gates. Give an executor without `noise_model`."
        )
    return kind(executor.shots, executor.seed if isinstance(executor, AerExecutor) else None)


def check_network(network: nn.Module) -> None:
    """Refuse what no bridge can carry, by the name of the parameter; nothing is run."""
    check_module(network)
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
    check_has_values(network, ConversionError)
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
            "trained. Unfreeze some with `parameter.requires_grad_(True)`."
        )


def _check_parameter(name: str, parameter: nn.Parameter) -> None:
    if parameter.dtype not in REAL_DTYPES:
        raise ConversionError(
            f"Parameter `{name}` is {parameter.dtype}, but the weights in a circuit must be real "
            "floating-point numbers of 16 bits or more. Convert it, or keep it as a buffer."
        )
    count = int((~torch.isfinite(parameter.detach())).sum())
    if count:
        raise ConversionError(
            f"Parameter `{name}` has {count} values that are NaN or infinite. Train or initialise "
            "the network again before converting it."
        )


def check_no_options(bridge: Bridge, options: Mapping[str, Any]) -> None:
    """Refuse options beside an instance, which has its own."""
    if options:
        names = ", ".join(f"`{name}`" for name in options)
        raise ArgumentError(
            f"{names} must be set on the instance of the bridge. Use {type(bridge).__name__}(...)."
        )
