"""Forward and backward runs of the adjoint rule, in numpy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Complex128, Float64

from hybridopt import _validation
from hybridopt.circuits.program import CircuitProgram
from hybridopt.circuits.steps import Rotation
from hybridopt.errors import ResourceError
from hybridopt.execution.aer.adjoint_circuits import FINAL, START, AdjointCircuits, label
from hybridopt.execution.aer.in_place.adjoint import InPlaceAdjoint
from hybridopt.execution.aer.marginals import eigenvalue_sums
from hybridopt.execution.aer.observable_action import ObservableAction
from hybridopt.execution.aer.simulator import Simulator
from hybridopt.execution.aer.stack import Stack, StackRun
from hybridopt.execution.executor import ForwardRecord, StateExecutor
from hybridopt.execution.job import Job, Outputs, Rows, Shared
from hybridopt.execution.memory_budget import (
    AMPLITUDES_PER_RUN_ON_A_GPU,
    BYTES_PER_ADJOINT_AMPLITUDE,
    BYTES_PER_COMPLEX,
    Limits,
)
from hybridopt.execution.readout import Expectations, Readout

AMPLITUDES_PER_CALL = 1 << 20
QUBITS_WITHOUT_COPIES = 13  # on a GPU; narrower states of layers are copied faster than read there
AMPLITUDES_OF_COTANGENTS = 1 << 16  # measured: larger stacks of several cotangents are not faster
AMPLITUDES_PER_RUN = 1 << 14  # smaller runs take less time than the transfer of their gates to Aer

Arrays = list[np.ndarray]  # one per run of a call
Saved = dict[str, np.ndarray]  # results of one run, by label
Slopes = Float64[np.ndarray, "b ..."]  # derivatives for each sample of a run


@dataclass(frozen=True, eq=False)
class _ForwardStates:
    """States of one forward run that the backward run needs."""

    final: Complex128[np.ndarray, "B dim"]  # each of norm 1
    layers: dict[int, Complex128[np.ndarray, " amplitudes"]]  # before the rotations of each layer


@dataclass(eq=False)
class AdjointState(ForwardRecord):
    """Evaluation by state vectors; the states before each layer are kept if they fit.

    On a GPU, they are kept only for derivatives of angles of samples on few qubits. Otherwise, the
    final state is kept, and derivatives are read on the GPU.
    """

    program: CircuitProgram
    readout: Readout
    executor: StateExecutor
    evolve: Callable[[Sequence[StackRun]], list[Saved]]
    simulator: Simulator
    needs: tuple[bool, bool]
    in_place: InPlaceAdjoint | None = None  # if small stacks run in place

    def __post_init__(self) -> None:
        self.on_gpu = self.simulator.device == "GPU"
        needed = BYTES_PER_ADJOINT_AMPLITUDE << self.program.num_qubits
        if needed > self.executor.max_memory:
            raise ResourceError(
                f"`max_memory` must be at least {_validation.memory_text(needed, up=True)} for "
                f"the adjoint rule with {self.program.num_qubits} qubits (got "
                f"{_validation.memory_text(self.executor.max_memory)}). Raise it, or use "
                'gradient="parameter-shift".'
            )
        program, needs = self.program, self.needs
        self._circuits = program.derived(
            ("adjoint circuits", needs), lambda: AdjointCircuits(program, needs)
        )
        self._limits = Limits(self.executor.max_memory, self.on_gpu)
        wanted = [one for layer in self._circuits.wanted.values() for one in layer]
        of_samples = any(rotation.per_sample for rotation in wanted)
        wide = program.num_qubits >= QUBITS_WITHOUT_COPIES
        self._reads_on_gpu = self.on_gpu and (wide or not of_samples)
        self._alone = self._reads_on_gpu and of_samples  # each outcome of the index is a pass
        self._from_states = self.readout.reads_states or (
            self.on_gpu and isinstance(self.readout, Expectations)
        )
        self._act = ObservableAction.of(program, self.readout, self._limits)
        self._angles: tuple[np.ndarray, np.ndarray] | None = None
        self._kept: dict[tuple[int, int], _ForwardStates] = {}

    def values(self, rows: Rows, shared: Shared) -> Outputs:
        """Return the outputs, and keep the states for `vjp` at the same angles if they fit."""
        if self.in_place is not None and self.in_place.fits(rows, shared):
            return self.in_place.values(rows, shared)
        self._angles = (rows.copy(), shared.copy())
        outputs = self.readout.num_outputs(self.program)
        result = np.empty((len(shared), len(rows), outputs))
        keep = self._can_keep(len(rows) * len(shared))
        at_once = self._limits.settings_at_once(self.program.num_qubits)
        read = self._from_states or self.readout.num_settings <= at_once
        if not read:  # too many settings for the run that keeps its states
            result[:] = self.executor.run(Job(self.program, self.readout, rows, shared)).values
            if not keep:
                return result
        for s, parts in self._calls(rows, shared):
            samples = [rows[part] for part in parts]
            kept, values = self._forward(samples, shared[s], keep=keep, read=read)
            if keep:
                self._kept |= {
                    (s, part.start): state for part, state in zip(parts, kept, strict=True)
                }
            for part, outputs_of_part in zip(parts, values, strict=False):
                result[s, part] = outputs_of_part
        return result

    def vjp(self, rows: Rows, shared: Shared, cotangent: Outputs) -> tuple[Rows, Shared]:
        """Return derivatives with respect to rows and shared angles; zeros if not needed."""
        if self.in_place is not None and self.in_place.fits(rows, shared):
            return self.in_place.vjp(rows, shared, cotangent)
        by_rows, by_shared = np.zeros_like(rows), np.zeros_like(shared)
        known = self._angles is not None and all(map(np.array_equal, self._angles, (rows, shared)))
        for s, parts in self._calls(rows, shared):
            if not cotangent[s].any() or not (self._circuits.wanted or self._circuits.to_start):
                continue
            samples = [rows[part] for part in parts]
            states = [self._kept.get((s, part.start)) if known else None for part in parts]
            found = [state for state in states if state is not None]
            together = self._reads_on_gpu
            if len(found) < len(parts):
                together = together or not self._can_keep(parts[-1].stop - parts[0].start)
                found, _ = self._forward(samples, shared[s], keep=not together, read=False)
            weights = [cotangent[s, part] for part in parts]
            slopes = self._back(samples, shared[s], found, weights, together=together)
            for place, rotation, by_sample in slopes:
                if rotation is None:
                    by_rows[parts[place], : self.program.num_amplitudes] += by_sample
                elif rotation.per_sample:
                    by_rows[parts[place], rotation.angle] += by_sample
                else:
                    by_shared[s, rotation.angle] += by_sample.sum()
        return by_rows, by_shared

    def _can_keep(self, states: int) -> bool:
        """Return whether states of this number of circuits, before all layers, fit into memory."""
        layers = 0 if self._reads_on_gpu else len(self._circuits.wanted)
        kept = 2 * states * (layers + 1)  # stacks are padded
        needed = BYTES_PER_COMPLEX * kept << self.program.num_qubits
        return needed <= self.executor.max_memory // 2

    def vjps(
        self, rows: Rows, shared: Shared, cotangents: Float64[np.ndarray, "E S B K"]
    ) -> tuple[Float64[np.ndarray, "E B R"], Float64[np.ndarray, "E S O"]]:
        """Return derivatives for E cotangents; runs stack lambda of several ones if they fit."""
        if self.in_place is not None and self.in_place.fits(rows, shared):
            return self.in_place.vjps(rows, shared, cotangents)
        known = self._angles is not None and all(map(np.array_equal, self._angles, (rows, shared)))
        stacked = sum(len(state.final) for state in self._kept.values()) == len(rows) * len(shared)
        special = self._reads_on_gpu or self._circuits.to_start or not self._circuits.wanted
        if special or not (known and stacked):
            return super().vjps(rows, shared, cotangents)
        by_rows = np.zeros((len(cotangents), *rows.shape))
        by_shared = np.zeros((len(cotangents), *shared.shape))
        for (s, start), state in self._kept.items():
            part = slice(start, start + len(state.final))
            fits = min(AMPLITUDES_OF_COTANGENTS, self._amplitudes_per_call())
            size = max(1, fits // state.final.size)
            for first in range(0, len(cotangents), size):
                some = slice(first, first + size)
                weights = cotangents[some, s, part]
                for rotation, slopes in self._back_stacked(rows[part], shared[s], state, weights):
                    if rotation.per_sample:
                        by_rows[some, part, rotation.angle] += slopes
                    else:
                        by_shared[some, s, rotation.angle] += slopes.sum(axis=1)
        return by_rows, by_shared

    def _forward(
        self, samples: Arrays, shared: np.ndarray, *, keep: bool, read: bool
    ) -> tuple[list[_ForwardStates], list[Float64[np.ndarray, "b K"]]]:
        from_states = read and self._from_states
        keep = keep and not self._reads_on_gpu
        settings = self.readout.settings(self.program) if read and not from_states else ()
        runs = []
        for lane, rows in enumerate(samples):
            bits = Stack.bits_for(len(rows))
            stack = self._circuits.forward(bits, settings, keep=keep, lane=lane)
            count = len(rows) * (1 if from_states else len(settings))
            of = self.readout if from_states else None
            runs.append(StackRun(stack, rows, shared, settings=count, readout=of))
        states, values = [], []
        for run, saved in zip(runs, self.evolve(runs), strict=True):
            blocks = 1 << run.stack.sample_bits
            final = math.sqrt(blocks) * saved[FINAL].reshape(blocks, -1)[: len(run.rows)]
            layers = {place: saved[label(place)] for place in self._circuits.wanted if keep}
            states.append(_ForwardStates(final, layers))
            if from_states:
                values.append(self._act.values(final))
            elif read:
                tables = [run.stack.split(saved[t], len(run.rows))[0] for t in run.stack.labels]
                outputs = self.readout.read(self.program, tables)
                # multiples of the identity need no table, and have no axis of rows
                values.append(np.broadcast_to(outputs, (len(run.rows), outputs.shape[-1])))
        return states, values

    def _back(
        self,
        samples: Arrays,
        shared: np.ndarray,
        states: list[_ForwardStates],
        weights: Arrays,
        *,
        together: bool,
    ) -> Iterator[tuple[int, Rotation | None, Slopes]]:
        """Run lambda, or both (phi -+ i lambda)/2, back; yield run, rotation and derivatives.

        None in place of the rotation stands for the amplitudes of the first state.
        """
        runs: list[tuple[int, float, StackRun]] = []
        for place, (rows, state) in enumerate(zip(samples, states, strict=True)):
            bits = Stack.bits_for(len(rows))
            lam = np.zeros((1 << bits, state.final.shape[1]), dtype=np.complex128)
            lam[: len(rows)] = self._act(weights[place], state.final)
            length = float(np.linalg.norm(lam))
            if length == 0:
                continue
            stack = self._circuits.backward(
                bits + together, together=together, on_gpu=self._reads_on_gpu, lane=len(runs)
            )
            run = StackRun(stack, rows, shared, lam.ravel() / length)
            if together:
                phi = np.zeros_like(lam)
                phi[: len(rows)] = state.final / math.sqrt(len(rows))
                padding = np.zeros(((1 << bits) - len(rows), rows.shape[1]))
                table = np.concatenate([rows, padding, rows])
                both = np.concatenate([phi - 1j * lam / length, phi + 1j * lam / length]) / 2
                run = StackRun(stack, table, shared, both.ravel())
            runs.append((place, 2 * length, run))
        saved = self.evolve([run for *_, run in runs]) if runs else []
        read = self._slopes_together if together else self._slopes
        for (place, scale, _), data in zip(runs, saved, strict=True):
            for rotation, slopes in read(states[place], data):
                yield place, rotation, scale * slopes
            if self._circuits.to_start:
                rows, both = samples[place], data[START]
                if together:
                    both = both.reshape(2, -1)
                    first, turned = (both[1] - both[0]) / 1j, self._phase(rows, both.sum(0))
                else:
                    first, turned = both, self._fixed_phase(rows, shared, states[place])
                yield place, None, scale * self._amplitudes_of(first / turned, len(rows))

    def _back_stacked(
        self,
        rows: Rows,
        shared: np.ndarray,
        state: _ForwardStates,
        weights: Float64[np.ndarray, "E b K"],
    ) -> Iterator[tuple[Rotation, Float64[np.ndarray, "E n"]]]:
        """Run lambda of several cotangents back as one stack; yield rotations and derivatives.

        There is one number per sample (n = b), or their sum (n = 1).
        """
        (copies, count), dim = weights.shape[:2], state.final.shape[1]
        bits = Stack.bits_for(copies * count)
        lam = np.zeros((1 << bits, dim), dtype=np.complex128)
        for place, one in enumerate(weights):
            lam[place * count : (place + 1) * count] = self._act(one, state.final)
        length = float(np.linalg.norm(lam))
        if length == 0:
            return
        stack = self._circuits.backward(bits, together=False)
        run = StackRun(stack, np.tile(rows, (copies, 1)), shared, lam.ravel() / length)
        (saved,) = self.evolve([run])
        for rotation, slopes in self._slopes(state, saved, copies):
            yield rotation, 2 * length * slopes.reshape(copies, -1)

    def _slopes(
        self, state: _ForwardStates, saved: Saved, copies: int = 1
    ) -> Iterator[tuple[Rotation, Slopes]]:
        """Yield Im <lambda|D|phi> from the kept states phi and some saved lambda for each."""
        count = len(state.final)
        blocks = 1 << Stack.bits_for(count)
        for layer, rotations in self._circuits.wanted.items():
            phi = state.layers[layer].reshape(blocks, -1)[:count]
            lam = saved[label(layer)].reshape(-1, phi.shape[1])[: copies * count]
            lam = lam.reshape(copies, *phi.shape)
            product = lam.real * phi.imag  # becomes Im(conj(lambda) phi)
            product -= lam.imag * phi.real
            if not any(rotation.per_sample for rotation in rotations):
                product = product.sum(axis=1, keepdims=True)
            product = product.reshape(-1, phi.shape[1])
            sums = math.sqrt(blocks) * eigenvalue_sums(product, rotations)
            yield from zip(rotations, sums.T, strict=True)

    def _slopes_together(
        self, state: _ForwardStates, saved: Saved
    ) -> Iterator[tuple[Rotation, Slopes]]:
        """Yield the same from the probabilities of (phi -+ i lambda)/2."""
        count = len(state.final)
        for layer, rotations in self._circuits.wanted.items():
            for number, rotation in enumerate(rotations):
                both = saved[label(layer, number)]
                if self._reads_on_gpu and not rotation.per_sample:  # summed over the samples
                    yield rotation, math.sqrt(count) * both.reshape(1)
                    continue
                below, above = both.reshape(2, 1 << Stack.bits_for(count), -1)[:, :count]
                yield rotation, (above - below) @ rotation.family.eigenvalues * math.sqrt(count)

    def _amplitudes_of(self, states: np.ndarray, count: int) -> Slopes:
        assert self.program.amplitudes is not None
        blocks = states.reshape(1 << Stack.bits_for(count), -1)[:count]
        return np.asarray(blocks[:, self.program.amplitudes.places()].real)

    def _phase(self, rows: Rows, states: np.ndarray) -> complex:
        """Return the global phase of states that were taken back to the start."""
        assert self.program.amplitudes is not None
        known = self.program.amplitudes.states(rows, self.program.num_qubits)
        overlap = complex(np.vdot(known, states[: known.size]))
        return overlap / abs(overlap)

    def _fixed_phase(self, rows: Rows, shared: np.ndarray, state: _ForwardStates) -> complex:
        """Return the phase of a backward run from a kept state; it is the same at all angles."""

        def measured() -> complex:
            stack = self._circuits.backward(0, together=False, lane=-1)
            (saved,) = self.evolve([StackRun(stack, rows[:1], shared, state.final[0])])
            return self._phase(rows[:1], saved[START])

        return self.program.derived(("adjoint phase", self.needs), measured)

    def _calls(self, rows: Rows, shared: Shared) -> Iterator[tuple[int, list[slice]]]:
        """Yield, per row of shared angles and call, the samples of its parallel runs."""
        fits = self._amplitudes_per_call()
        size = 1 if self._alone else 1 << max(0, (fits >> self.program.num_qubits).bit_length() - 1)
        for s in range(len(shared)):
            for start in range(0, len(rows), size):
                count = min(size, len(rows) - start)
                amplitudes = count << self.program.num_qubits
                runs = min(self.simulator.parallel_runs, max(1, amplitudes // AMPLITUDES_PER_RUN))
                length = -(-count // runs)
                parts = range(start, start + count, length)
                yield s, [slice(first, min(first + length, start + count)) for first in parts]

    def _amplitudes_per_call(self) -> int:
        fits = self.executor.max_memory // 2 // BYTES_PER_ADJOINT_AMPLITUDE
        return min(AMPLITUDES_PER_RUN_ON_A_GPU if self.on_gpu else AMPLITUDES_PER_CALL, fits)
