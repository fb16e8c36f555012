"""Forward and backward circuits of the adjoint rule for matrix product states."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from weakref import WeakKeyDictionary

import numpy as np
from jaxtyping import Float64
from qiskit import QuantumCircuit

from hybridopt.circuits.program import CircuitProgram
from hybridopt.circuits.steps import FixedGate, Rotation
from hybridopt.execution.aer.product_states.operators import ChainOperator, generator
from hybridopt.execution.aer.simulator import Data, as_double, save_settings
from hybridopt.execution.aer.strategies.per_setting import WIDEST_DISTRIBUTION
from hybridopt.execution.memory_budget import Limits
from hybridopt.execution.readout import Expectations, Readout

FINAL, START = "final", "start"


class ReadCircuit:
    """Forward circuit with instructions that save the outputs of a readout."""

    def __init__(
        self, program: CircuitProgram, readout: Readout, forward: QuantumCircuit, limits: Limits
    ) -> None:
        self._program, self._readout = program, readout
        settings = readout.settings(program)
        self.settings = len(settings)
        self.circuit = forward.copy()
        widest = max(len(setting.qubits) for setting in settings)
        fits = widest <= WIDEST_DISTRIBUTION and len(settings) <= limits.settings_at_once(widest)
        self._by_aer = isinstance(readout, Expectations) and not fits
        if isinstance(readout, Expectations) and not fits:
            self._labels = [f"observable {k}" for k in range(len(readout.observables))]
            for name, observable in zip(self._labels, readout.observables, strict=True):
                qubits = self.circuit.qubits
                self.circuit.save_expectation_value(observable.simplify(), qubits, label=name)
        else:
            self._labels = save_settings(self.circuit, settings, ())

    def outputs(self, data: Data) -> Float64[np.ndarray, " K"]:
        """Return the outputs of one run."""
        if self._by_aer:
            return np.array([float(data[name]) for name in self._labels])
        tables = [as_double(data[name])[None] for name in self._labels]
        return np.asarray(self._readout.read(self._program, tables)[0])


class SweptCircuits:
    """Circuits of a program that save a matrix product state at each layer with derivatives.

    The angles have the parameters of ``program.template``, also in the backward circuit.
    """

    def __init__(
        self,
        program: CircuitProgram,
        needs: tuple[bool, bool],
        translate: Callable[[QuantumCircuit], QuantumCircuit],
    ) -> None:
        self._program, self._translate = program, translate
        self._parts = [
            (
                self._part(layer.fixed),
                self._part(gate for r in layer.rotations for gate in self._gates(r)),
            )
            for layer in program.layers
        ]
        self.wanted = {
            place: rotations
            for place, layer in enumerate(program.layers)
            if (rotations := [r for r in layer.rotations if needs[0 if r.per_sample else 1]])
        }
        self.generators: dict[int, list[ChainOperator]] = {
            place: list(map(generator, rotations)) for place, rotations in self.wanted.items()
        }
        self.to_start = needs[0] and program.amplitudes is not None
        self.forward = self._forward()
        self.backward = self._backward() if self.wanted or self.to_start else None
        self.bytes_of_states = 0  # of one sample; known after the first run
        self._reading = WeakKeyDictionary[Readout, ReadCircuit]()

    def reading(self, readout: Readout, limits: Limits) -> ReadCircuit:
        """Return the forward circuit with a readout; it is made once and cached."""
        if readout not in self._reading:
            read = ReadCircuit(self._program, readout, self.forward, limits)
            self._reading[readout] = read
        return self._reading[readout]

    def _forward(self) -> QuantumCircuit:
        circuit, amplitudes = QuantumCircuit(self._program.num_qubits), self._program.amplitudes
        if amplitudes is not None:  # gates with real matrices add no phase
            angles = self._program.template.rows[: amplitudes.size - 1]
            amplitudes.append_preparation(circuit, angles)
        for place, (fixed, rotations) in enumerate(self._parts):
            circuit.compose(fixed, inplace=True, copy=False)
            if place in self.wanted:
                circuit.save_matrix_product_state(label=label(place))
            circuit.compose(rotations, inplace=True, copy=False)
        circuit.save_matrix_product_state(label=FINAL)
        return circuit

    def _backward(self) -> QuantumCircuit:
        """Return the circuit from the end to the first layer with derivatives, or to the start.

        It has the inverse of each gate of the forward circuit, so that phases are the same.
        """
        circuit = QuantumCircuit(self._program.num_qubits)
        first = 0 if self.to_start else min(self.wanted)
        circuit.barrier()  # in place of the instruction that sets the first state
        for place in reversed(range(first, len(self._parts))):
            fixed, rotations = self._parts[place]
            circuit.compose(rotations.inverse(), inplace=True, copy=False)
            if place in self.wanted:
                circuit.save_matrix_product_state(label=label(place))
            if place > first or self.to_start:
                circuit.compose(fixed.inverse(), inplace=True, copy=False)
        if self.to_start:
            circuit.save_matrix_product_state(label=START)
        return circuit

    def _gates(self, rotation: Rotation) -> list[FixedGate]:
        template = self._program.body
        source = template.rows if rotation.per_sample else template.shared
        return rotation.gates(source[rotation.angle])

    def _part(self, gates: Iterable[FixedGate]) -> QuantumCircuit:
        """Return gates in the gates of the method, without their global phase."""
        part = QuantumCircuit(self._program.num_qubits)
        for item in gates:
            part.append(item.gate, item.qubits, copy=False)
        done = self._translate(part)
        done.global_phase = 0
        return done


def label(place: int) -> str:
    """Return the label of the saved state of a layer."""
    return f"layer {place}"
