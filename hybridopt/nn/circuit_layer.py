"""A parameterized circuit as a torch layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float64
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
from qiskit.providers import BackendV2
from qiskit.quantum_info import Operator, Pauli, SparseObservable, SparsePauliOp
from torch import Tensor, nn

from hybridopt import _suggestions, _validation
from hybridopt._modules import check_samples, given_input
from hybridopt.circuits import CircuitProgram
from hybridopt.circuits.amplitudes import with_encodings
from hybridopt.circuits.counts import count_gates
from hybridopt.circuits.errors import CircuitError
from hybridopt.circuits.instructions import qubits_of
from hybridopt.circuits.lowering import WAYS_OUT, check_parameters
from hybridopt.circuits.observables import as_pauli_sum
from hybridopt.circuits.physical import PhysicalCircuit
from hybridopt.errors import ArgumentError, ArgumentTypeError
from hybridopt.execution import (
    AerExecutor,
    Cost,
    Executor,
    Expectations,
    Job,
    Probabilities,
    Readout,
    check_executor,
)
from hybridopt.execution.placed_readout import explain_placement, place_circuit, place_readout
from hybridopt.gradients import GradientRule, ParameterShift, create
from hybridopt.gradients.cost import training_cost
from hybridopt.nn.evaluation import CircuitEvaluation
from hybridopt.nn.graph_capture import outside_graphs
from hybridopt.nn.output_errors import HasOutputErrors, explain_errors
from hybridopt.nn.parameter_map import AngleMap
from hybridopt.nn.summary import RunsCircuits, SummaryParts, SummaryRow, without_repeats

Observable: TypeAlias = SparsePauliOp | SparseObservable | Operator | Pauli | str


@dataclass(frozen=True, eq=False)
class _Compiled:
    """Program and readout of the layer for one executor."""

    executor: Executor
    physical: PhysicalCircuit
    program: CircuitProgram
    readout: Readout
    angles: AngleMap
    evaluation: CircuitEvaluation


class CircuitLayer(nn.Module, RunsCircuits, HasOutputErrors):
    r"""A parameterized circuit as a torch module.

    Output k of sample x is the expectation value :math:`\langle O_k \rangle`, or the probability of
    outcome k. The state is that of the circuit at inputs x and the weights of the layer. Gradients
    are computed for weights, and for inputs that require them; none under `torch.no_grad`.

    A circuit that was transpiled for a device (``circuit.layout`` is set) runs unchanged, without
    the idle qubits of the device. Its observables act on the qubits of the circuit before
    transpilation, or on all qubits of the device. If circuit and device have equally many qubits,
    they act on the device qubits, as in the estimators of Qiskit. Probabilities refer to the qubits
    before transpilation.

    Args:
        circuit: Circuit without measurements. Parameters may occur several times and in
            expressions such as ``2 * x * w + 0.3``.
        input_parameters: I parameters set by the samples.
        weight_parameters: P trained parameters.
        observables: K Hermitian observables on all qubits: `SparsePauliOp`, `SparseObservable`,
            `Pauli`, `Operator` (up to 10 qubits), or Pauli strings, whose rightmost letter acts on
            qubit 0. None gives the probabilities of all outcomes. A readout such as
            `Probabilities(qubits=(2, 0))` gives those of some qubits.
        executor: Executor of all circuits, forward and for gradients; default `AerExecutor()`.
        gradient: ``"parameter-shift"``, ``"adjoint"``, ``"spsa"``, or an instance.
        initial: Initial weights, shape ``(P,)``; None draws them uniformly from [-pi, pi) with
            the torch generator.
        normalize: Whether input amplitudes are divided by their norm. If False, their norm must be
            1. The gradient with respect to the input includes the division.
        pad_with: Value of missing amplitudes, for inputs with fewer than 2^n columns; None rejects
            such inputs. All inputs of the circuit must then be amplitudes.

    Attributes:
        weight: Trained parameter, shape ``(P,)`` [rad where a weight is an angle].
        in_features: Number of inputs I.

    Raises:
        CircuitError: If the circuit cannot be differentiated or has parameters that are not listed.
        ArgumentError: If an observable is not Hermitian or acts on another number of qubits.
        UnsupportedError: If the gradient rule does not support the executor.
        ResourceError: If the circuit does not fit into memory.

    Example:
        >>> import torch
        >>> from hybridopt import CircuitLayer
        >>> from qiskit.circuit.library import real_amplitudes, zz_feature_map
        >>> features, ansatz = zz_feature_map(3), real_amplitudes(3)
        >>> circuit = features.compose(ansatz)
        >>> layer = CircuitLayer(circuit, features.parameters, ansatz.parameters, ["ZII", "IZI"])
        >>> layer(torch.rand(32, 3)).shape
        torch.Size([32, 2])
    """

    weight: nn.Parameter
    output_shape: tuple[int, ...] | None = None  # set by subclasses that sum over outcomes
    outcome_index: Tensor  # output index per outcome; out_features for outcomes that do not count

    @_suggestions.explain_arguments
    def __init__(
        self,
        circuit: QuantumCircuit,
        input_parameters: Sequence[Parameter] = (),
        weight_parameters: Sequence[Parameter] = (),
        observables: Sequence[Observable] | Observable | Readout | None = None,
        executor: Executor | None = None,
        gradient: str | GradientRule = "parameter-shift",
        initial: Tensor | Sequence[float] | np.ndarray | None = None,
        *,
        normalize: bool = False,
        pad_with: float | None = None,
    ) -> None:
        super().__init__()
        kind = "a qiskit.QuantumCircuit (`hybridopt.load_circuit` reads files)"
        _validation.instance("circuit", circuit, QuantumCircuit, kind)
        self.circuit = with_encodings(circuit.copy())  # the user may change the original
        self.input_parameters = _parameters("input_parameters", input_parameters)
        self.in_features = len(self.input_parameters)
        self.weight_parameters = _parameters("weight_parameters", weight_parameters)
        self.readout = _readout(observables)
        self.executor = AerExecutor() if executor is None else check_executor(executor)
        self.gradient = create(gradient)
        self.normalize = _validation.boolean("normalize", normalize)
        self.pad_with = _validation.optional_real("pad_with", pad_with)
        self._last: _Compiled | None = None
        self._last_pass = (1, True)  # number of samples, True if x required gradients
        self._check_circuit()
        compiled = self._compiled()
        self.executor.check(compiled.program, compiled.readout)
        self.gradient.check(compiled.program, compiled.readout, self.executor)
        if self.normalize and not compiled.program.num_amplitudes:
            raise ArgumentError("`normalize` must be False for a circuit without amplitudes.")
        if self.pad_with is not None and compiled.program.num_amplitudes != self.in_features:
            raise ArgumentError(
                "`pad_with` must be None for this circuit: its inputs are not all amplitudes."
            )
        self.weight = nn.Parameter(_initial(initial, len(self.weight_parameters)))

    @property
    def out_features(self) -> int:
        """Number of outputs K."""
        if self.output_shape is not None:
            return math.prod(self.output_shape)
        return self.program_readout.num_outputs(self.program)

    @property
    def num_qubits(self) -> int:
        """Number of simulated qubits, without idle qubits of a device."""
        return self.program.num_qubits

    @property
    def program(self) -> CircuitProgram:
        """Lowered circuit for the current executor."""
        return self._compiled().program

    @property
    def program_readout(self) -> Readout:
        """Readout on the qubits of the program."""
        return self._compiled().readout

    @outside_graphs
    def forward(self, x: Tensor | None = None) -> Tensor:
        """Return the outputs of every sample.

        Args:
            x: Samples, shape ``(..., I)``, real floating point. It must be given, also for I = 0.

        Returns:
            Outputs, shape ``(..., K)``, in the dtype of x.

        Raises:
            ArgumentError: If x has another width, or an angle is NaN or infinite.
            ArgumentTypeError: If x is not a tensor of real floating point numbers.
        """
        x = self._filled(given_input(x, self.in_features))
        check_samples(x, self.in_features, "a CircuitLayer", "input parameter")
        weight: Tensor = self.weight
        _check_weights("weight", weight, len(self.weight_parameters))
        angles = self._compiled().angles
        weight = weight.double()
        flat = x if x.ndim == 2 else x.reshape(math.prod(x.shape[:-1]), self.in_features)
        samples = flat.double()
        if torch.is_grad_enabled():
            self.__dict__["_last_pass"] = len(samples), x.requires_grad
        equal = self._are_equal(len(samples))
        rows = angles.rows(samples[:1] if equal else samples, weight)
        values = self._evaluation()(rows, angles.shared(weight))[0]
        if equal:
            values = values.expand(len(samples), -1)
        if self.output_shape is not None:
            sums = values.new_zeros(len(samples), self.out_features + 1)
            values = sums.index_add(-1, self.outcome_index, values)[:, :-1]
        shape = *x.shape[:-1], *(self.output_shape or values.shape[-1:])
        return (values if values.shape == shape else values.reshape(shape)).to(x.dtype)

    def explain(self, batch_size: int | None = None) -> str:
        """Return the plan for a batch and for its gradient; see `RunsCircuits.explain`."""
        batch_size = self._samples(batch_size)
        program = self.program
        by_rule = self.gradient.inference_memory(self._evaluation()) is not None
        where = "computed by the rule below, not by Aer. An equal job on Aer: " if by_rule else ""
        lines = [f"Forward: {where}{self._explain_job(batch_size, 1)}"]
        lines += explain_placement(self._compiled().physical, program)
        of_rows, of_shared = (sum(map(len, rules)) for rules in program.shifts)
        for kind, samples, tables in (
            ("angles shared by all samples", batch_size, of_shared),
            ("angles that depend on inputs, if required", batch_size * of_rows, min(1, of_rows)),
        ):
            if self.gradient == ParameterShift() and tables:
                lines.append(f"Gradient, {kind}: {self._explain_job(samples, tables)}")
        lines.append(f"Rule {self.gradient.explain_for(self._evaluation())}.")
        return "\n".join(without_repeats(lines) + explain_errors(self._errors.seen))

    @property
    def standard_errors(self) -> Float64[Tensor, "samples K"] | None:
        """Standard errors of the outputs of the last forward pass; None if they are exact.

        They are estimated from the shots. Shape ``(samples, K)``, in the units of the outputs.
        Sums over outcomes, as for `from_qnn` with an interpretation, have no standard errors here.
        """
        variances = self._errors.last
        if variances is None or self.output_shape is not None:
            return None
        return torch.from_numpy(np.sqrt(variances[0]))

    def step_cost(
        self, batch_size: int | None = None, *, input_gradient: bool | None = None
    ) -> Cost:
        """Return the cost of one forward and backward pass; see `RunsCircuits.step_cost`.

        Args:
            batch_size: Number of samples; default that of the last forward pass, or 1.
            input_gradient: True if inputs require gradients; default as in the last forward pass.
        """
        samples = self._samples(batch_size)
        input_gradient = self._last_pass[1] if input_gradient is None else input_gradient
        angles = self._compiled().angles
        with torch.enable_grad():
            weight = self.weight.double().to("meta")
            x = weight.new_empty((1, self.in_features), requires_grad=input_gradient)
            needs = angles.rows(x, weight).requires_grad, angles.shared(weight).requires_grad
        evaluation = self._evaluation()
        cost = training_cost(evaluation, self.gradient, needs)
        return cost * (1 if self._are_equal(samples) else samples)

    def circuits(self) -> Mapping[str, QuantumCircuit]:
        """Return the circuit with its current weights and free inputs under the name ``""``."""
        values = zip(self.weight_parameters, self.weight.detach().tolist(), strict=True)
        return {"": self.circuit.assign_parameters(dict(values))}

    def summary_row(self, device: BackendV2 | None, name: str, cost: Cost | None) -> SummaryRow:
        """Return the row of this layer in a summary, with the cost of a training step."""
        angles = self.program.num_row_angles + self.program.num_shared_angles
        trainable, kind = self.weight.numel() * self.weight.requires_grad, type(self).__name__
        gates = count_gates(self.circuit, device)
        return SummaryRow(name, kind, trainable, self.num_qubits, angles, cost, gates)

    def _summary_parts(self, device: BackendV2 | None, batch_size: int | None) -> SummaryParts:
        title = f"{type(self).__name__} with {self.in_features} inputs, {self.out_features} outputs"
        return title, [self.summary_row(device, "", self.step_cost(batch_size))], ()

    def _samples(self, batch_size: int | None) -> int:
        if batch_size is None:
            return self._last_pass[0]
        return _validation.integer("batch_size", batch_size, minimum=0)

    def extra_repr(self) -> str:
        """Return sizes and gradient rule."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"num_qubits={self.num_qubits}, weights={len(self.weight_parameters)}, "
            f"gradient={self.gradient.name!r}, executor={self.executor!r}"
            + (f", output_shape={self.output_shape}" if self.output_shape else "")
            + (", normalize=True" if self.normalize else "")
            + (f", pad_with={self.pad_with}" if self.pad_with is not None else "")
        )

    def __getstate__(self) -> dict[str, Any]:
        # compiled parts are made again from the circuit, because functions cannot be pickled
        return {**self.__dict__, "_last": None, "_last_pass": (1, True)}

    def _check_circuit(self) -> None:
        """Check that the parameters are those of the circuit and that it has no measurements."""
        check_parameters(self.circuit, self.input_parameters, self.weight_parameters)
        for item in self.circuit.data if self.output_shape is None else ():
            if item.operation.name == "measure":
                (qubit,) = qubits_of(self.circuit, item)
                raise CircuitError(
                    f"Instruction `measure` on qubit {qubit} has no unitary. {WAYS_OUT['measure']}"
                )

    def _compiled(self) -> _Compiled:
        """Return the circuit for the current executor, placed once per executor."""
        if self._last is None or self._last.executor is not self.executor:
            given = self.input_parameters, self.weight_parameters
            physical = place_circuit(self.executor, self.circuit)
            placed = place_readout(physical, self.readout, sampled=self.executor.shots is not None)
            program = physical.lower(*given, placed.qubits)
            angles = AngleMap(program, *given, normalize=self.normalize)
            circuits = program, placed.readout, self.executor
            evaluation = CircuitEvaluation(*circuits, self.gradient, errors=self._errors)
            parts = physical, program, placed.readout, angles, evaluation
            self._last = _Compiled(self.executor, *parts)
        return self._last

    def _evaluation(self) -> CircuitEvaluation:
        compiled = self._compiled()
        now = compiled.evaluation
        if now.rule is not self.gradient or now.training is not self.training:
            now = replace(now, rule=self.gradient, training=self.training)
            self._last = replace(compiled, evaluation=now)
        return now

    def _are_equal(self, samples: int) -> bool:
        """Return True if one run serves all samples: no angles per sample and no shots."""
        angles = self._compiled().program.num_row_angles
        return angles == 0 and self.executor.shots is None and samples > 1

    def _filled(self, x: Tensor) -> Tensor:
        """Return the input with its amplitudes filled up by ``pad_with``."""
        if not isinstance(x, Tensor) or x.ndim == 0 or not self.program.num_amplitudes:
            return x
        missing = self.in_features - x.shape[-1]
        if missing > 0 and self.pad_with is None:
            raise ArgumentError(
                f"The input must have {self.in_features} columns, one per amplitude or angle "
                f"(got {x.shape[-1]}). Pass `pad_with=0.0` to fill the amplitudes up."
            )
        return x if missing <= 0 else nn.functional.pad(x, (0, missing), value=self.pad_with)

    def _explain_job(self, samples: int, tables: int) -> str:
        compiled = self._compiled()
        rows = np.zeros((samples, compiled.program.num_row_angles))
        shared = np.zeros((tables, compiled.program.num_shared_angles))
        return self.executor.explain(Job(compiled.program, compiled.readout, rows, shared))


def _parameters(name: str, given: Sequence[Parameter]) -> tuple[Parameter, ...]:
    kind = "a list of qiskit.circuit.Parameter, for instance `circuit.parameters`"
    items = _validation.items(name, given)
    return tuple(_validation.instance(name, item, Parameter, kind) for item in items)


def _readout(observables: object) -> Readout:
    if observables is None:
        return Probabilities()
    if isinstance(observables, Readout):
        return observables
    if isinstance(observables, Observable):
        observables = [observables]
    items = _validation.items("observables", observables)
    return Expectations(tuple(as_pauli_sum(item, "observables") for item in items))


def _initial(initial: object, size: int) -> Tensor:
    if initial is None:
        return torch.rand(size) * 2 * math.pi - math.pi
    try:
        weights = torch.as_tensor(initial)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ArgumentTypeError(
            f"`initial` must be a tensor or a list of {size} numbers (torch: {error})."
        ) from error
    _check_weights("initial", weights, size)
    if not weights.is_floating_point():
        weights = weights.to(torch.get_default_dtype())
    if not weights.is_meta and not torch.isfinite(weights).all():
        raise ArgumentError("`initial` must be finite (got NaN or infinite numbers).")
    return weights.detach().clone()


def _check_weights(name: str, weights: Tensor, size: int) -> None:
    if weights.is_complex():
        raise ArgumentTypeError(f"`{name}` must be real (got dtype {weights.dtype}).")
    if weights.shape != (size,):
        raise ArgumentError(
            f"`{name}` must have shape ({size},), one number per weight parameter "
            f"(got shape {tuple(weights.shape)})."
        )
