"""Selection of the strategy that runs a job, with the reason."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from qiskit import QuantumCircuit

from hybridopt.circuits.amplitudes import fresh_start
from hybridopt.circuits.instructions import qubits_of, refuse_stretches, without_boxes
from hybridopt.circuits.physical import PhysicalCircuit, physical_circuit
from hybridopt.circuits.program import CircuitProgram, Program
from hybridopt.circuits.ry_multiplexer import MultiplexerProgram
from hybridopt.errors import UnsupportedError
from hybridopt.execution.aer.capacity import Capacity, in_words
from hybridopt.execution.aer.density_adjoint.effects import MeasuredReadout
from hybridopt.execution.aer.density_adjoint.reading import compiled
from hybridopt.execution.aer.density_adjoint.transfer_circuit import TransferCircuit
from hybridopt.execution.aer.in_place.adjoint import InPlaceAdjoint, LockType
from hybridopt.execution.aer.in_place.circuit import supports
from hybridopt.execution.aer.in_place.state import is_available
from hybridopt.execution.aer.product_states.adjoint import ProductStateAdjoint
from hybridopt.execution.aer.simulator import Simulator
from hybridopt.execution.aer.strategies.base import Strategy
from hybridopt.execution.aer.strategies.checkpoints import Checkpoints, saves_runs
from hybridopt.execution.aer.strategies.in_place import InPlace
from hybridopt.execution.aer.strategies.index_blocks import (
    IndexBlocks,
    multiplexer_of,
    needs_blocks,
)
from hybridopt.execution.aer.strategies.on_gpu import fastest_on_gpu
from hybridopt.execution.aer.strategies.per_setting import (
    WIDEST_DISTRIBUTION,
    AngleTable,
    Measured,
    OneByOne,
    SavedExpectations,
)
from hybridopt.execution.aer.strategies.saved_states import SavedStates
from hybridopt.execution.aer.strategies.shared_ending import SharedEnding
from hybridopt.execution.aer.strategies.stacked import Stacked
from hybridopt.execution.aer.translation import Translation, runnable_with_noise
from hybridopt.execution.cost import Cost
from hybridopt.execution.job import Job
from hybridopt.execution.memory_budget import (
    BYTES_PER_CHECKPOINT_AMPLITUDE,
    BYTES_PER_DRAWN_OUTCOME,
    BYTES_PER_READ_STATE,
    Limits,
)
from hybridopt.execution.noise import Noise
from hybridopt.execution.readout import Expectations, Readout, Setting
from hybridopt.execution.readout.mitigation import ReadoutMitigation

STRATEGIES = ("automatic", "in-place", "stacked", "checkpoints", "table")
TRUNCATION = 1e-16  # default of Aer for matrix product states
# gates times amplitudes; stacked rows are faster for smaller jobs
WORK_WORTH_CHECKPOINTS = 15_000_000
KEEP_NO_PROBABILITIES = frozenset(
    {"gpu-expectations", "measured", "saved-expectations", "saved-states"}
)
WORK_WORTH_SUMS = 1_000_000  # for tables of shifts, measured at 0.8 million on the CPU


@dataclass
class Strategies:
    """Strategies of one executor, its options, and the rule that selects a strategy."""

    method: str
    device: str
    precision: str
    shots: int | None
    noise: Noise | None
    limits: Limits
    strategy: str
    options: Mapping[str, object] = field(default_factory=dict)  # further options of Aer
    mitigation: ReadoutMitigation | None = None
    _simulators: dict[str, Simulator] = field(init=False, default_factory=dict)
    _translations: dict[str, Translation] = field(init=False, default_factory=dict)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_translations": {}}  # computed again after unpickling

    def mitigated(self, program: Program, readout: Readout) -> Readout:
        """Return the readout with corrected readout errors, if they are to be corrected."""
        if self.mitigation is None or not isinstance(program, CircuitProgram):
            return readout
        translation = self._translation(self._method_for(program.num_qubits))
        return translation.mitigated(program, readout, self.mitigation)

    @property
    def capacity(self) -> Capacity:
        """Largest circuits and readouts that fit into memory."""
        return Capacity(self.limits.max_memory)

    @property
    def usage(self) -> Cost:
        """Cost of all simulators."""
        return sum((simulator.usage for simulator in self._simulators.values()), Cost())

    def start_call(self) -> None:
        """Forget the cost and the requests of the last call."""
        for simulator in self._simulators.values():
            simulator.state.start_call()

    def cost_of_call(self) -> Callable[[], Cost]:
        """Return a function that computes the cost since `start_call`, also after later calls."""
        tallies = [simulator.state.of_call for simulator in self._simulators.values()]
        return lambda: sum((tally.cost for tally in tallies), Cost())

    @property
    def discarded_weight(self) -> float | None:
        """Truncated weight of the last call; None if nothing can have been truncated."""
        weights = [simulator.discarded_weight() for simulator in self._simulators.values()]
        known = [weight for weight in weights if weight is not None]
        return sum(known) if known else None

    def parts(self, job: Job) -> list[tuple[Strategy, Job]]:
        """Return the job in parts whose probabilities fit into memory; their results add up."""
        strategy = self.choose(job)[0]
        size = self.settings_at_once(job, strategy)
        readouts = [job.readout] if size == sys.maxsize else job.readout.parts(size)
        if len(readouts) == 1:
            return [(strategy, job)]
        jobs, first = [], job.stream.first_setting if job.stream else 0
        for readout in readouts:
            stream = job.stream and replace(job.stream, first_setting=first)
            jobs.append(replace(job, readout=readout, stream=stream))
            first += len(readout.settings(job.program))
        return [(self.choose(part)[0], part) for part in jobs]

    def settings_at_once(self, job: Job, strategy: Strategy | None = None) -> int:
        """Return the largest number of settings whose probabilities fit into memory."""
        name, readout = (strategy or self.choose(job)[0]).name, job.readout
        whole = job.shots is None and isinstance(readout, Expectations) and readout.is_whole
        if name in KEEP_NO_PROBABILITIES or (name == InPlace.name and whole):
            return sys.maxsize
        return self.limits.settings_at_once(job.program.num_qubits)

    def explain(self, job: Job) -> str:
        """Return the strategy of a job, its runs and the reason in words."""
        job = replace(job, readout=self.mitigated(job.program, job.readout))
        strategy, method, reason = self.choose(job)
        count = len(job.shared) * len(job.rows) * job.readout.num_settings
        names = [name.removeprefix("matrix_product_state_") for name in self.options]
        words = ", ".join(map("{} {}".format, names, self.options.values()))
        sampling = f"truncated ({words})" if words else "exact"
        shots = job.shots_for(self.shots)
        sampling = sampling if shots is None else f"{in_words(shots, 'shot')} per setting"
        noise = "" if self.noise is None else f", noise of {self.noise}{self._where(job, method)}"
        if self.mitigation is not None:
            noise += (
                ", readout errors corrected by inverse confusion matrices (an estimate, whose "
                f"variance per shot is at most {job.readout.variance_bound:.3g} instead of 1)"
            )
        return (
            f"{in_words(count, 'setting')} of {in_words(job.program.num_qubits, 'qubit')} on Aer "
            f"{method} ({self.device}, {self.precision} precision), {sampling}{noise}. Strategy "
            f"{strategy.name}: {strategy.explain(job)}. Why: {reason}."
        )

    def _where(self, job: Job, method: str) -> str:
        """Return the device qubits of the circuit and its two-qubit gates in words."""
        settings = job.readout.settings(job.program)
        if not isinstance(job.program, CircuitProgram) or not settings:
            return ""
        placed = self._translation(method).of(job.program, settings)[0]
        counts = Counter(
            f"{item.operation.name} on {'-'.join(str(placed.device_qubits[q]) for q in qubits)}"
            for item in placed.circuit.data
            for qubits in [qubits_of(placed.circuit, item)]
            if len(qubits) == 2 and item.operation.name != "barrier"
        )
        every = ", ".join(f"{count} {where}" for where, count in sorted(counts.items()))
        qubits = ", ".join(map(str, placed.device_qubits))
        total = in_words(counts.total(), "two-qubit gate")
        return f" on device qubits {qubits}, {total}{f' ({every})' if every else ''}"

    def check(self, program: Program, readout: Readout, shots: int | None = None) -> None:
        """Raise an error if no strategy can run the program within the memory.

        Shots, if given, are those of a job instead of those of the executor.
        """
        if not isinstance(program, CircuitProgram):
            self._check_bound_program(program, readout, shots or self.shots)
            return
        method = self._method_for(program.num_qubits)
        if self.noise is not None:
            self.noise.check(program, runnable_with_noise(method))
            if program.device_qubits is not None:
                qubits = program.device_qubits
                settings = readout.settings(program)
                self.noise.check_readout(qubits[q] for one in settings for q in one.qubits)
        readout = self.mitigated(program, readout)
        if self.mitigation is not None:
            readout.settings(program)  # raises for qubits without a confusion matrix
        automatic = self.method == "automatic"
        self.capacity.check_width(program, readout, method, is_automatic=automatic)
        shots = self.shots if shots is None else shots
        if isinstance(readout, Expectations) and not self._reads_states(program, readout, shots):
            self.capacity.check_strings(readout)

    def choose(self, job: Job) -> tuple[Strategy, str, str]:
        """Return the strategy, the method of Aer, and the reason."""
        program = job.program
        if not isinstance(program, CircuitProgram):
            return self._for_bound_program(job)
        method = self._method_for(program.num_qubits)
        if method != "statevector" or self.noise is not None or program.native_gates:
            return self._without_stacks(job, method)
        if self.strategy == "table":
            return self._table(job, method), method, "given by `strategy`"
        if self.strategy == "checkpoints":
            fits = self.capacity.largest(2, BYTES_PER_CHECKPOINT_AMPLITUDE)
            if program.num_qubits > fits:
                what = f"The circuit has {in_words(program.num_qubits, 'qubit')} and checkpoints"
                self.capacity.refuse(what, method, fits, "Raise `max_memory`, or omit `strategy`.")
        kinds: dict[str, type[Strategy]] = {"stacked": Stacked, "checkpoints": Checkpoints}
        if self.strategy in kinds:
            kind, reason = kinds[self.strategy], "given by `strategy`"
        elif self.device == "GPU":
            shots = job.shots_for(self.shots)
            kind, reason = fastest_on_gpu(
                job, shots, self._reads_states(program, job.readout, shots)
            )
        else:
            kind, reason = self._fastest(job, program)
        return kind(self._simulator_of(job, method), self.limits), method, reason

    def _for_bound_program(self, job: Job) -> tuple[Strategy, str, str]:
        """Return the strategy for a program that builds its own circuits."""
        method = "statevector" if self.method == "automatic" else self.method
        parts = self._simulator_of(job, method), self.limits
        program = multiplexer_of(job.program, job.readout)
        in_place = (self.device, self.precision) == ("CPU", "double") and is_available()
        if program is not None and needs_blocks(program):
            return IndexBlocks(*parts, in_place), method, "the index is only a label"
        if program is not None and in_place and self.strategy == "in-place":
            return IndexBlocks(*parts, in_place), method, "given by `strategy`"
        return OneByOne(*parts), method, "the program builds its own circuits"

    def _fastest(self, job: Job, program: CircuitProgram) -> tuple[type[Strategy], str]:
        """Return the strategy for state vectors on a CPU, and the reason."""
        always = self.strategy == InPlace.name
        if self._runs_in_place(program) and InPlace.fits(job, self.limits, always=always):
            return InPlace, "given by `strategy`" if always else "it is faster for these states"
        if self._reads_states(program, job.readout, job.shots_for(self.shots)):
            return SavedStates, "one state is read faster than many settings"
        work = len(job.shared) * len(job.rows) * len(program.steps) << program.num_qubits
        fits = self.capacity.largest(2, BYTES_PER_CHECKPOINT_AMPLITUDE) >= program.num_qubits
        if len(job.shared) == 1:
            return Stacked, "there is one set of shared angles"
        if work > WORK_WORTH_CHECKPOINTS and fits:
            return Checkpoints, "the circuits begin with the same gates"
        sums = work > WORK_WORTH_SUMS and fits and saves_runs(program, job.shared)
        reason = "the circuits begin with the same gates and differ in one angle"
        return (Checkpoints, reason) if sums else (Stacked, "the work is small")

    def adjoint_in_place(
        self, program: CircuitProgram, readout: Readout, needs: tuple[bool, bool], lock: LockType
    ) -> InPlaceAdjoint | None:
        """Return the adjoint rule in buffers of numpy, which locks the cost that it counts."""
        if not self._runs_in_place(program):
            return None
        simulator = self.simulator("statevector")
        parts = program, readout, needs, self.limits, simulator, lock
        return InPlaceAdjoint(*parts, always=self.strategy == InPlace.name)

    def adjoint_of_product_states(
        self, program: CircuitProgram, readout: Readout, needs: tuple[bool, bool], lock: LockType
    ) -> ProductStateAdjoint:
        """Return the adjoint rule for matrix product states, which locks its cost."""
        method = "matrix_product_state"
        truncation = self.options.get("matrix_product_state_truncation_threshold", TRUNCATION)
        assert isinstance(truncation, float)
        parts = self.limits, self.simulator(method), self._translation(method)
        return ProductStateAdjoint(program, readout, needs, *parts, lock, truncation)

    def _runs_in_place(self, program: CircuitProgram) -> bool:
        exact = self.noise is None and self._method_for(program.num_qubits) == "statevector"
        free = self.strategy in {"automatic", InPlace.name}
        usual = (self.device, self.precision) == ("CPU", "double")
        return exact and free and usual and supports(program) and is_available()

    def _reads_states(self, program: CircuitProgram, readout: Readout, shots: int | None) -> bool:
        """Return True if exact values are read from saved states, without groups of strings."""
        free = self.strategy in {"automatic", InPlace.name} and shots is None and self.noise is None
        method = self._method_for(program.num_qubits)
        fits = self.capacity.largest(2, 2 * BYTES_PER_READ_STATE) >= program.num_qubits
        return free and method == "statevector" and readout.reads_states and fits

    def _without_stacks(self, job: Job, method: str) -> tuple[Strategy, str, str]:
        parts = self._simulator_of(job, method), self.limits, self._translation(method)
        if self.noise is not None and method != "density_matrix":
            reason = "the density matrix does not fit, or another method is given"
            return Measured(*parts), method, reason
        settings = job.readout.settings(job.program)
        widest = max((len(setting.qubits) for setting in settings), default=0)
        if method == "matrix_product_state" and widest > WIDEST_DISTRIBUTION:
            reason = f"the probabilities of {widest} qubits are too many"
            if job.shots_for(self.shots) is not None:
                return Measured(*parts), method, reason
            if isinstance(job.readout, Expectations):
                return SavedExpectations(*parts), method, reason
        shared = SharedEnding(*parts)
        exact_noise = self.noise is not None and job.shots_for(self.shots) is None
        if exact_noise and self.strategy == "automatic" and shared.is_faster(job):
            return shared, method, "the samples share most gates"
        return self._table(job, method), method, "stacks and checkpoints need state vectors"

    def _table(self, job: Job, method: str) -> AngleTable:
        return AngleTable(self._simulator_of(job, method), self.limits, self._translation(method))

    def _method_for(self, num_qubits: int) -> str:
        if self.method != "automatic":
            return self.method
        if self.noise is None:
            return "statevector"
        fits = num_qubits <= self.capacity.largest(4)
        return "density_matrix" if fits or self.shots is None else "statevector"

    def _check_bound_program(self, program: Program, readout: Readout, shots: int | None) -> None:
        if self.noise is not None:
            raise UnsupportedError(
                "Noise cannot act on this program, which builds its own circuits. Use "
                '`synthesis="gates"` for the memory bridge, or `chain_program` for your own job.'
            )
        method = "statevector" if self.method == "automatic" else self.method
        if method != "statevector" and getattr(program, "needs_statevector", True):
            raise UnsupportedError(
                "`method` must be 'statevector' for a multiplexer (got "
                f'{method!r}). For the memory bridge, `synthesis="gates"` allows other methods.'
            )
        needed = program.working_memory()
        in_blocks = multiplexer_of(program, readout) is not None
        if isinstance(program, MultiplexerProgram) and program.is_multiplexer and not in_blocks:
            needed = program.whole_memory()
        if in_blocks and shots is not None:
            needed += BYTES_PER_DRAWN_OUTCOME << program.num_qubits
        self.capacity.check_working_memory(program, needed)
        if not in_blocks:  # which need no room for a whole state
            self.capacity.check_width(program, readout, method, is_automatic=False)

    def simulator(self, method: str) -> Simulator:
        """Return the simulator of a method of Aer."""
        new = Simulator(method, self.device, self.precision, self.shots, self.options)
        return self._simulators.setdefault(method, new)

    def _simulator_of(self, job: Job, method: str) -> Simulator:
        simulator = self.simulator(method)
        return simulator if job.shots is None else replace(simulator, shots=job.shots)

    def place(self, circuit: QuantumCircuit) -> PhysicalCircuit:
        """Return the circuit on the qubits and in the gates of its runs."""
        if self.noise is None:
            return physical_circuit(circuit)
        start = fresh_start(circuit)
        if start.amplitudes is not None:
            raise UnsupportedError(
                "Amplitudes as inputs need an executor without noise. Use angles as inputs, or "
                "`AerExecutor(noise_model=None)`."
            )
        flat = without_boxes(start.circuit)
        refuse_stretches(flat)
        if circuit.layout is None:
            method = self._method_for(circuit.num_qubits)
            return self._translation(method).place(flat, self.noise)
        self.noise.check_isa(flat)
        narrow = physical_circuit(flat, native=frozenset())
        method = self._method_for(len(narrow.used))
        return replace(narrow, native=runnable_with_noise(method))

    def transfer_circuit(
        self, program: CircuitProgram, readout: Readout
    ) -> tuple[TransferCircuit, MeasuredReadout]:
        """Return a program with noise, and its readout, for the adjoint rule."""
        if program.amplitudes is not None:
            raise UnsupportedError(
                "Amplitudes as inputs must not be used with noise and the adjoint rule. Use angles "
                "as inputs, or `AerExecutor(noise_model=None)`."
            )
        readout = self.mitigated(program, readout)
        settings = readout.settings(program)
        read = settings or (Setting((), (0,)),)  # of multiples of the identity
        circuit, found = self._translation("density_matrix").derived(program, read, compiled)
        measured = found[: len(settings)]
        return circuit, MeasuredReadout(program, readout, measured, circuit.num_qubits)

    def _translation(self, method: str) -> Translation:
        return self._translations.setdefault(method, Translation(method, self.noise))
