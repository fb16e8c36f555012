"""The runs of the adjoint rule, in numpy: there with the states remembered, and back."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex128, Float64

from hybridopt.circuits.circuit_program import CircuitProgram, Rotation
from hybridopt.execution import Readout, StateExecutor
from hybridopt.execution.stack import Stack
from hybridopt.gradients.adjoint_circuits import FINAL, AdjointCircuits, layer_label, rotation_label
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
        self._circuits = program.derived(
            ("adjoint circuits", needs), lambda: AdjointCircuits(program, needs)
        )
        self._act = program.derived(
            ("observable action", readout), lambda: ObservableAction(readout, program)
        )
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
        for s, start, samples in self._stacks(rows, shared):
            memory, values = self._forward(samples, shared[s], remember=remember, read=True)
            result[s, start : start + len(samples)] = values
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
        for s, start, samples in self._stacks(rows, shared):
            part = slice(start, start + len(samples))
            if not cotangent[s, part].any() or not self._circuits.wanted:
                continue
            memory = self._memory(s, start, rows, shared)
            way_back = self._back
            if memory is None:
                memory, _ = self._forward(samples, shared[s], remember=False, read=False)
                way_back = self._back_together
            for rotation, by_sample in way_back(samples, shared[s], memory, cotangent[s, part]):
                if rotation.per_sample:
                    by_rows[part, rotation.angle] += by_sample
                else:
                    by_shared[s, rotation.angle] += by_sample.sum()
        return by_rows, by_shared

    def _forward(
        self,
        rows: Float64[np.ndarray, "B R"],
        shared: Float64[np.ndarray, " O"],
        *,
        remember: bool,
        read: bool,
    ) -> tuple[Memory, Float64[np.ndarray, "B K"] | None]:
        settings = self._readout.settings(self._program) if read else ()
        bits = Stack.bits_for(len(rows))
        stack = self._circuits.forward(bits, settings, remember=remember)
        saved = self._executor.evolve(stack, rows, shared, settings=len(rows) * len(settings))
        states = math.sqrt(1 << bits) * saved[FINAL].reshape(1 << bits, -1)[: len(rows)]
        layers = {place: saved[layer_label(place)] for place in self._circuits.wanted if remember}
        if not read:
            return Memory(states, layers), None
        tables = [stack.split(saved[label], len(rows))[0] for label in stack.labels]
        return Memory(states, layers), self._readout.read(self._program, tables)

    def _back(
        self,
        rows: Float64[np.ndarray, "B R"],
        shared: Float64[np.ndarray, " O"],
        memory: Memory,
        weights: Float64[np.ndarray, "B K"],
    ) -> Iterator[tuple[Rotation, Float64[np.ndarray, " B"]]]:
        """From the states that were remembered and those of one run back."""
        bits = Stack.bits_for(len(rows))
        state, length = self._weighted(bits, memory, weights)
        if length == 0:
            return
        stack = self._circuits.backward(bits, together=False)
        saved = self._executor.evolve(stack, rows, shared, state)
        scale = 2 * length * math.sqrt(1 << bits)
        for place, rotations in self._circuits.wanted.items():
            product = _imaginary_product(saved[layer_label(place)], memory.layers[place])
            product = product.reshape(1 << bits, -1)[: len(rows)]
            if not any(rotation.per_sample for rotation in rotations):
                product = product.sum(axis=0, keepdims=True)
            for rotation in rotations:
                marginal = _marginal(product, rotation.qubits)
                yield rotation, scale * (marginal @ rotation.family.eigenvalues)

    def _back_together(
        self,
        rows: Float64[np.ndarray, "B R"],
        shared: Float64[np.ndarray, " O"],
        memory: Memory,
        weights: Float64[np.ndarray, "B K"],
    ) -> Iterator[tuple[Rotation, Float64[np.ndarray, " B"]]]:
        """From one run back of (phi - i lambda)/2 and (phi + i lambda)/2, side by side."""
        bits = Stack.bits_for(len(rows))
        lam, length = self._weighted(bits, memory, weights)
        if length == 0:
            return
        norm = math.sqrt(len(rows))
        phi = np.zeros_like(lam)
        phi[: memory.final.size] = memory.final.ravel() / norm
        stack = self._circuits.backward(bits + 1, together=True)
        saved = self._executor.evolve(
            stack,
            np.concatenate([rows, np.zeros(((1 << bits) - len(rows), rows.shape[1])), rows]),
            shared,
            np.concatenate([phi - 1j * lam, phi + 1j * lam]) / 2,
        )
        for place, rotations in self._circuits.wanted.items():
            for number, rotation in enumerate(rotations):
                label = rotation_label(place, number)
                below, above = saved[label].reshape(2, 1 << bits, -1)
                by_sample = (above - below) @ rotation.family.eigenvalues
                yield rotation, 2 * length * norm * by_sample[: len(rows)]

    def _weighted(
        self, bits: int, memory: Memory, weights: Float64[np.ndarray, "B K"]
    ) -> tuple[Complex128[np.ndarray, " amplitudes"], float]:
        """Lambda of the whole stack, normalised, and its norm."""
        result = np.zeros((1 << bits, memory.final.shape[1]), dtype=np.complex128)
        result[: len(weights)] = self._act(weights, memory.final)
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
    ) -> Iterator[tuple[int, int, Float64[np.ndarray, "b R"]]]:
        """All samples at each row of shared angles, as many at once as fit."""
        fits = min(AMPLITUDES_PER_STACK, self._executor.max_memory // BYTES_PER_AMPLITUDE)
        size = 1 << max(0, (fits >> self._program.num_qubits).bit_length() - 1)
        for s in range(len(shared)):
            for start in range(0, len(rows), size):
                yield s, start, rows[start : start + size]

    def _fits(self, evaluations: int) -> bool:
        """Whether all states of all samples may be kept."""
        states = 2 * evaluations * (len(self._circuits.wanted) + 1)  # stacks are padded
        return (states * BYTES << self._program.num_qubits) <= self._executor.max_memory // 2


def _imaginary_product(
    lam: Complex128[np.ndarray, " amplitudes"], phi: Complex128[np.ndarray, " amplitudes"]
) -> Float64[np.ndarray, " amplitudes"]:
    """Im(conj(lambda) phi), amplitude by amplitude."""
    product: Float64[np.ndarray, " amplitudes"] = lam.real * phi.imag
    return np.subtract(product, lam.imag * phi.real, out=product)


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
