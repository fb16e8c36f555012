"""The runs of the adjoint rule, in numpy: there with the states remembered, and back."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex128, Float64
from qiskit import QuantumCircuit

from hybridopt.circuits.circuit_program import CircuitProgram, Rotation
from hybridopt.execution import Readout, StateExecutor
from hybridopt.execution.stack import Stack
from hybridopt.gradients.adjoint_circuits import FINAL, AdjointCircuits, layer_label
from hybridopt.gradients.observable_action import ObservableAction

BYTES = 16  # of one amplitude
AMPLITUDES_PER_STACK = 1 << 20
BYTES_PER_AMPLITUDE = 128  # the stack of both states, their copies in numpy, and the product


@dataclass(frozen=True, eq=False)
class Memory:
    """What one forward run leaves for the run back.

    Attributes:
        final: Final states, shape ``(B, dim)``, each of norm 1.
        layers: States of the whole stack before the rotations of each layer, in their frames.
    """

    final: Complex128[np.ndarray, "B dim"]
    layers: dict[int, Complex128[np.ndarray, " amplitudes"]]


class Sweep:
    """One evaluation, with what its derivative will need.

    The states before each layer are kept if they fit into half of the executor's memory;
    otherwise the run back carries both states along, in one stack of twice the size.

    Args:
        program: The circuits.
        readout: Expectation values, or probabilities without post-selection.
        executor: Has state vectors.
        needs: Whether derivatives by rows, and by shared angles, will be taken.
    """

    def __init__(
        self,
        program: CircuitProgram,
        readout: Readout,
        executor: StateExecutor,
        needs: tuple[bool, bool] = (True, True),
    ) -> None:
        self._program = program
        self._readout = readout
        self._executor = executor
        self._circuits = AdjointCircuits(program, needs)
        self._act = ObservableAction(readout, program)
        self._angles: tuple[np.ndarray, np.ndarray] | None = None
        self._memories: dict[tuple[int, int], Memory] = {}

    def values(
        self, rows: Float64[np.ndarray, "B R"], shared: Float64[np.ndarray, "S O"]
    ) -> Float64[np.ndarray, "S B K"]:
        """Outputs; what `vjp` at the same angles will need is remembered if it fits."""
        self._angles = (rows.copy(), shared.copy())
        outputs = self._readout.num_outputs(self._program)
        result = np.empty((len(shared), len(rows), outputs))
        remember = self._fits(len(rows) * len(shared))
        for s, start, stack in self._stacks(rows, shared):
            memory, values = self._forward(stack, shared[s], remember=remember, read=True)
            result[s, start : start + stack.size] = values
            if remember:
                self._memories[s, start] = memory
        return result

    def vjp(
        self,
        rows: Float64[np.ndarray, "B R"],
        shared: Float64[np.ndarray, "S O"],
        cotangent: Float64[np.ndarray, "S B K"],
    ) -> tuple[Float64[np.ndarray, "B R"], Float64[np.ndarray, "S O"]]:
        """Derivatives by rows and shared angles; zeros where they are not needed."""
        by_rows, by_shared = np.zeros_like(rows), np.zeros_like(shared)
        for s, start, stack in self._stacks(rows, shared):
            part = slice(start, start + stack.size)
            if not cotangent[s, part].any() or not self._circuits.wanted:
                continue
            memory = self._memory(s, start, rows, shared)
            if memory is None:
                memory, _ = self._forward(stack, shared[s], remember=False, read=False)
                found = self._back_together(stack, shared[s], memory, cotangent[s, part])
            else:
                found = self._back(stack, shared[s], memory, cotangent[s, part])
            for rotation, by_sample in found:
                if rotation.per_sample:
                    by_rows[part, rotation.angle] += by_sample
                else:
                    by_shared[s, rotation.angle] += by_sample.sum()
        return by_rows, by_shared

    def _forward(
        self, stack: Stack, shared: Float64[np.ndarray, " O"], *, remember: bool, read: bool
    ) -> tuple[Memory, Float64[np.ndarray, "B K"] | None]:
        settings = self._readout.settings(self._program) if read else ()
        circuit, labels = self._circuits.forward(stack, shared, settings, remember=remember)
        saved = self._executor.evolve(circuit, stack.size * len(settings))
        states = saved[FINAL].reshape(1 << stack.index_bits, -1)[: stack.size]
        layers = {place: saved[layer_label(place)] for place in self._circuits.wanted if remember}
        memory = Memory(math.sqrt(1 << stack.index_bits) * states, layers)
        if not read:
            return memory, None
        tables = [stack.split(saved[label].real) for label in labels]
        return memory, self._readout.read(self._program, tables)

    def _back(
        self,
        stack: Stack,
        shared: Float64[np.ndarray, " O"],
        memory: Memory,
        weights: Float64[np.ndarray, "B K"],
    ) -> Iterator[tuple[Rotation, Float64[np.ndarray, " B"]]]:
        """From the states that were remembered and those of one run back."""
        state, length = self._weighted(stack, memory, weights)
        if length == 0:
            return

        def save(circuit: QuantumCircuit, place: int) -> None:
            circuit.save_statevector(label=layer_label(place))

        circuit = self._circuits.backward(stack, state, shared, save)
        saved = self._executor.evolve(circuit)
        scale = 2 * length * math.sqrt(1 << stack.index_bits)
        for place, rotations in self._circuits.wanted.items():
            one, other = memory.layers[place], saved[layer_label(place)]
            product = (other.real * one.imag - other.imag * one.real).reshape(
                1 << stack.index_bits, -1
            )
            if not any(rotation.per_sample for rotation in rotations):
                product = product[: stack.size].sum(axis=0, keepdims=True)
            for rotation in rotations:
                marginal = _marginal(product, rotation.qubits)
                yield rotation, scale * (marginal @ rotation.family.eigenvalues)[: stack.size]

    def _back_together(
        self,
        stack: Stack,
        shared: Float64[np.ndarray, " O"],
        memory: Memory,
        weights: Float64[np.ndarray, "B K"],
    ) -> Iterator[tuple[Rotation, Float64[np.ndarray, " B"]]]:
        """From one run back of (phi - i lambda)/2 and (phi + i lambda)/2, side by side."""
        lam, length = self._weighted(stack, memory, weights)
        if length == 0:
            return
        phi = np.zeros_like(lam)
        blocks = math.sqrt(stack.size)
        phi[: memory.final.size] = memory.final.ravel() / blocks
        pair = stack.doubled()
        labels: dict[str, Rotation] = {}

        def save(circuit: QuantumCircuit, place: int) -> None:
            for rotation in self._circuits.wanted[place]:
                label = f"rotation {len(labels)}"
                circuit.save_probabilities([*rotation.qubits, *pair.index], label=label)
                labels[label] = rotation

        state = np.concatenate([phi - 1j * lam, phi + 1j * lam]) / 2
        circuit = self._circuits.backward(pair, state, shared, save)
        saved = self._executor.evolve(circuit)
        for label, rotation in labels.items():
            below, above = saved[label].real.reshape(2, 1 << stack.index_bits, -1)
            by_sample = (above - below) @ rotation.family.eigenvalues
            yield rotation, 2 * length * blocks * by_sample[: stack.size]

    def _weighted(
        self, stack: Stack, memory: Memory, weights: Float64[np.ndarray, "B K"]
    ) -> tuple[Complex128[np.ndarray, " amplitudes"], float]:
        """Lambda of the whole stack, normalised, and its norm."""
        result = np.zeros((1 << stack.index_bits, memory.final.shape[1]), dtype=np.complex128)
        result[: stack.size] = self._act(weights, memory.final)
        length = float(np.linalg.norm(result))
        return (result.ravel() / length if length else result.ravel()), length

    def _memory(self, s: int, start: int, rows: np.ndarray, shared: np.ndarray) -> Memory | None:
        """What was remembered at these angles, if anything was."""
        if self._angles is None or not all(
            np.array_equal(one, other)
            for one, other in zip(self._angles, (rows, shared), strict=True)
        ):
            return None
        return self._memories.get((s, start))

    def _stacks(
        self, rows: Float64[np.ndarray, "B R"], shared: Float64[np.ndarray, "S O"]
    ) -> Iterator[tuple[int, int, Stack]]:
        """All samples at each row of shared angles, in stacks that fit."""
        fits = min(AMPLITUDES_PER_STACK, self._executor.max_memory // BYTES_PER_AMPLITUDE)
        size = 1 << max(0, (fits >> self._program.num_qubits).bit_length() - 1)
        for s in range(len(shared)):
            for start in range(0, len(rows), size):
                yield s, start, Stack(self._program, rows[start : start + size])

    def _fits(self, evaluations: int) -> bool:
        """Whether all states of all samples may be kept."""
        states = 2 * evaluations * (len(self._circuits.wanted) + 1)  # stacks are padded
        return (states * BYTES << self._program.num_qubits) <= self._executor.max_memory // 2


def _marginal(
    product: Float64[np.ndarray, "blocks dim"], qubits: tuple[int, ...]
) -> Float64[np.ndarray, "blocks states"]:
    """Sums over all qubits but some, the first of which becomes the least significant."""
    ascending = sorted(qubits)
    shape = [len(product)]
    above = int(math.log2(product.shape[1]))
    for qubit in reversed(ascending):
        shape += [1 << (above - qubit - 1), 2]
        above = qubit
    shape.append(1 << above)
    summed = product.reshape(shape).sum(axis=tuple(range(1, len(shape), 2)))
    order = [1 + ascending[::-1].index(qubit) for qubit in reversed(qubits)]
    return np.asarray(summed.transpose(0, *order).reshape(len(product), -1))
