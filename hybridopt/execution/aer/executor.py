"""Executor on the Qiskit Aer simulator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from threading import Lock
from typing import Any, ClassVar

import numpy as np
from qiskit import QuantumCircuit

from hybridopt import _validation
from hybridopt._suggestions import explain_arguments
from hybridopt.circuits.physical import PhysicalCircuit
from hybridopt.circuits.program import CircuitProgram, Program
from hybridopt.errors import ResourceError, UnsupportedError
from hybridopt.execution.aer.adjoint import AdjointState
from hybridopt.execution.aer.density_adjoint.record import DensityAdjoint
from hybridopt.execution.aer.devices import checked_device, default_memory
from hybridopt.execution.aer.simulator import RunRequest, as_double, side_by_side
from hybridopt.execution.aer.stack import StackRun
from hybridopt.execution.aer.strategy_selection import STRATEGIES, TRUNCATION, Strategies
from hybridopt.execution.cost import Cost
from hybridopt.execution.executor import ForwardRecord, StateExecutor
from hybridopt.execution.job import MAX_SHOTS, Job, Stream, check_readable
from hybridopt.execution.memory_budget import BYTES_PER_OUTPUT, Limits
from hybridopt.execution.noise import noise_of
from hybridopt.execution.random_stream import RandomStream
from hybridopt.execution.readout import Readout
from hybridopt.execution.readout_errors import mitigation_for
from hybridopt.execution.result import Result
from hybridopt.execution.transpilation import placement_options

METHODS = ("automatic", "statevector", "density_matrix", "matrix_product_state")
PRECISIONS = ("double", "single")
PLAIN_SETTINGS = (
    *("device", "shots", "method", "precision", "seed", "strategy"),
    *("max_bond_dimension", "truncation", "readout_mitigation"),
)


class AerExecutor(RandomStream, StateExecutor):
    """Executor on Aer, exact, with shots or with noise, on the CPU or the GPU.

    Without noise, or with a density matrix that fits into memory, shots are drawn from the exact
    probabilities. Their distribution is the same as for single measurements. A copy
    (`copy.deepcopy`) is the same executor: all copies share one cost and one random stream.

    Args:
        device: Device that simulates the circuits: ``"CPU"``, ``"GPU"``, or ``"auto"`` for the GPU
            if available. Torch's ``"cuda"`` is the GPU. `fit(device=)` moves torch modules only.
        shots: Number of shots per setting; None for exact simulation.
        noise_model: A `qiskit_aer.noise.NoiseModel`, or a `BackendV2` for its noise, couplings and
            gates. A transpiled circuit runs unchanged, with the noise of its device qubits. Other
            circuits are transpiled for a device, before their parameters get values. With a
            `NoiseModel`, they are only written in its gates (level 0 of the transpiler). X and Y
            are measured after a change of basis, whose gates have errors, also without shots.
        method: ``"statevector"``, ``"density_matrix"``, ``"matrix_product_state"``, or
            ``"automatic"``. Automatic is statevector without noise and density matrix with noise.
            If that does not fit into memory and ``shots`` is given, trajectories are simulated: one
            random state vector per shot.
        precision: Precision of the amplitudes, ``"double"`` or ``"single"``.
        seed: Seed for shot sampling; None for a random seed. The random numbers of a setting depend
            on the seed, the call and the row of angles, so no two calls share their shot noise.
        max_memory: Largest memory of circuits, states and results at one time, above that of the
            process after import: bytes, or a text such as ``"2 GB"``; None for half of the memory
            of the machine, or of its GPU if that is used and has less. Work is cut to fit, or
            refused before a circuit runs.
        max_bond_dimension: Largest bond dimension of a matrix product state; None for no limit.
        truncation: Largest sum of squared Schmidt coefficients that a matrix product state drops
            per gate. Aer before 0.18.2 drops nothing where it may drop all but one.
        strategy: Strategy to run jobs, for timing: ``"automatic"``, ``"in-place"``,
            ``"stacked"``, ``"checkpoints"`` or ``"table"``. In place, gates of Aer act on numpy
            buffers, and Aer receives no job. Automatic does this for exact states of up to 2^15
            amplitudes per row of angles, on one core up to 2^20, where it was measured as faster.
            It needs an inner class of Aer, which is checked at its first use.
        layout: Device qubit of each circuit qubit, for the noise of a device; None for a layout
            from Qiskit's transpiler.
        optimization_level: Level of the transpiler that places circuits on the device, 0 to 3.
            Without a device, transpile the circuit yourself: other values than 1 are rejected.
        seed_transpiler: Seed of this transpiler.
        readout_mitigation: ``"inverse"`` corrects readout errors by the inverse of their confusion
            matrices; None for no correction. It is linear, so that gradient rules stay exact. With
            shots, values are unbiased but vary more; probabilities can be negative. Errors of
            gates, and quantum errors of ``measure``, are not corrected.
        confusion: Confusion matrices for the correction; None for those of ``noise_model``. Either
            one 2x2 matrix per qubit of the device, one matrix of all n qubits (n at most 10), or a
            dict of matrices by device qubit or by tuple of device qubits. Entry (i, j) is the
            probability to read outcome j if it is i, as in Aer's `ReadoutError`: rows sum to 1. The
            first qubit is the least significant bit.

    Raises:
        ArgumentTypeError: If an argument has the wrong type, such as ``shots=1e3``.
        ArgumentError: If a number is out of range or a name is unknown.
        DeviceError: If ``device`` is ``"GPU"`` and Aer finds no GPU.
        UnsupportedError: If the method cannot simulate the noise or run the strategy, or if no
            readout error can be corrected.

    Example:
        >>> from hybridopt import AerExecutor
        >>> import torch, hybridopt as ho
        >>> executor = AerExecutor(shots=1000, seed=7)
        >>> layer = ho.CircuitLayer(*ho.load_circuit("data_reuploading"), executor=executor)
        >>> _ = layer(torch.rand(5, layer.in_features))
        >>> executor.usage
        Cost(settings=5, shots=5000, runs=1)
    """

    changeable: ClassVar[frozenset[str]] = frozenset({"device", "max_memory", "seed", "strategy"})

    @explain_arguments
    def __init__(
        self,
        device: object = "CPU",
        *,
        shots: int | None = None,
        noise_model: object | None = None,
        method: str = "automatic",
        precision: str = "double",
        seed: int | None = None,
        max_memory: int | str | None = None,
        strategy: str = "automatic",
        max_bond_dimension: int | None = None,
        truncation: float = TRUNCATION,
        layout: Sequence[int] | None = None,
        optimization_level: int = 1,
        seed_transpiler: int = 0,
        readout_mitigation: str | None = None,
        confusion: object | None = None,
    ) -> None:
        self.shots = _validation.optional_integer("shots", shots, minimum=1, maximum=MAX_SHOTS)
        self.method = _validation.choice("method", method, METHODS)
        self.device = checked_device(device, self.method)
        self.precision = _validation.choice("precision", precision, PRECISIONS)
        self.seed = _validation.optional_integer("seed", seed, minimum=0)
        self.strategy = _validation.choice("strategy", strategy, STRATEGIES)
        self.max_bond_dimension = _validation.optional_integer(
            "max_bond_dimension", max_bond_dimension, minimum=1
        )
        self.truncation = _validation.real("truncation", truncation, minimum=0.0, below=1.0)
        limit = _validation.optional_memory("max_memory", max_memory)
        self.max_memory = default_memory(self.device) if limit is None else limit
        noise = noise_of(noise_model)
        backend = None if noise is None else noise.device
        options = placement_options(backend, layout, optimization_level, seed_transpiler)
        self.noise = None if noise is None else replace(noise, options=options)
        self._check_combination()
        mitigation = mitigation_for(self.noise, readout_mitigation, confusion)
        self.readout_mitigation = readout_mitigation
        self.confusion = None if confusion is None or mitigation is None else mitigation.confusion
        simulated = self.method, self.device, self.precision, self.shots, self.noise
        limits = Limits(self.max_memory, on_gpu=self.device == "GPU")
        self._strategies = Strategies(
            *simulated, limits, self.strategy, self._truncation(), mitigation
        )
        super().__init__(self.seed)
        self._lock = Lock()

    @property
    def usage(self) -> Cost:
        """Cost since construction, counted when circuits reach Aer.

        The adjoint rule with noise counts its settings, but no runs, as it works in numpy.
        """
        with self._lock:
            return self._strategies.usage

    @property
    def discarded_weight(self) -> float | None:
        """Sum of the squared Schmidt coefficients that the last call dropped.

        None if the last call used no matrix product state. The property runs the circuits of that
        call once more, without counting them, because Aer's log of truncations grows in every run.
        """
        with self._lock:
            return self._strategies.discarded_weight

    @property
    def has_noise(self) -> bool:
        """Whether gate noise is simulated; circuits are then decomposed to hardware gates."""
        return self.noise is not None

    def settings(self) -> dict[str, Any]:
        """Return the arguments of the constructor as plain data.

        ``"noise_model"`` is JSON, or the name of a device or model that JSON cannot hold.
        """
        settings = {name: getattr(self, name) for name in PLAIN_SETTINGS}
        if self.max_memory != default_memory(self.device):  # the default depends on the machine
            settings["max_memory"] = self.max_memory
        if self.noise is not None and self.noise.device is not None:
            settings |= asdict(self.noise.options)
        settings["confusion"] = self.confusion and {
            k: m.tolist() for k, m in self.confusion.items()
        }
        return {**settings, "noise_model": self.noise and self.noise.to_plain()}

    @property
    def holds_states(self) -> bool:
        """Whether pure states, or density matrices with noise, are available without shots."""
        pure = {"statevector", "matrix_product_state"}
        methods = pure if self.noise is None else {"density_matrix"}
        return self.shots is None and self.method in {"automatic", *methods}

    def place(self, circuit: QuantumCircuit) -> PhysicalCircuit:
        """Return the circuit on the qubits and in the gates of its runs; run nothing.

        Raises:
            CircuitError: If the noise lacks gates for it, or a gate follows a measurement.
            UnsupportedError: If the device or the layout does not fit, or the noise has no effect.
        """
        return self._strategies.place(circuit)

    def check(self, program: Program, readout: Readout) -> None:
        """Raise an error if the program or the readout cannot be run; run nothing.

        Raises:
            ArgumentTypeError: If ``program`` is not a program, or ``readout`` not a readout.
            ArgumentError: If the circuit has no qubits, or the readout names other qubits.
            UnsupportedError: If the device has too few qubits, or the noise has no effect.
            ResourceError: If `max_memory` is too small; the message gives the number of qubits.
        """
        check_readable(program, readout)
        self._strategies.check(program, readout)

    def run(self, job: Job) -> Result:
        """Run every combination of shared angles and rows.

        Returns:
            Values of shape ``(S, B, K)``, exact or estimated from the shots; variances with shots.

        Raises:
            ArgumentTypeError: If ``job`` is not a `Job`.
            ArgumentError: If the tables have the wrong width, or an angle is not finite.
            ResourceError: If one circuit, or the result, does not fit into `max_memory`.
            ExecutionError: If Aer reports a failure.
        """
        shape = self._checked_shape(job)
        stream = job.stream or Stream(self._next_call())
        readout = self._strategies.mitigated(job.program, job.readout)
        shots = job.shots_for(self.shots)
        job = replace(job, readout=readout, stream=stream, shots=shots, precision=None)
        values, variances = np.zeros(shape), None if job.shots is None else np.zeros(shape)
        if job.readout.is_constant:  # only multiples of the identity
            values[:] = job.readout.read(job.program, [])
        elif values.size:
            with self._lock:  # stacks hold the angles of one run at a time
                self._strategies.start_call()
                entropy = self._entropy if stream.entropy is None else stream.entropy
                for strategy, part in self._strategies.parts(job):
                    strategy.add_results(part, entropy, values, variances)
                if variances is not None and job.readout.is_summed:
                    variances /= job.shots or 1
                return Result(values, variances, self._strategies.cost_of_call())
        return Result(values, variances)

    def explain(self, job: Job) -> str:
        """Return the strategy and its reason; raise the errors of `run`, but run nothing."""
        self._check_job(job)
        return self._strategies.explain(job)

    def adjoint(
        self, program: CircuitProgram, readout: Readout, needs: tuple[bool, bool]
    ) -> ForwardRecord:
        """Return an evaluation by state vectors or product states, or by density matrices.

        Raises:
            UnsupportedError: If there are shots, or if errors depend on angles.
            ResourceError: If the states of one sample do not fit into `max_memory`.
        """
        if not self.holds_states:
            raise UnsupportedError(
                f"{self!r} must have exact state vectors, or exact density matrices with noise."
            )
        if self.noise is not None:
            with self._lock:
                parts = self._strategies.transfer_circuit(program, readout)
            count = partial(self.count_settings, program, readout)
            return DensityAdjoint(*parts, needs, self.max_memory, count)
        if self.method == "matrix_product_state":
            return self._strategies.adjoint_of_product_states(program, readout, needs, self._lock)
        in_place = self._strategies.adjoint_in_place(program, readout, needs, self._lock)
        simulator = self._strategies.simulator("statevector")
        return AdjointState(program, readout, self, self._evolve, simulator, needs, in_place)

    def count_settings(self, program: CircuitProgram, readout: Readout, circuits: int) -> None:
        """Add circuits to `usage`, in all bases of a readout; see `StateExecutor`."""
        with self._lock:
            mitigated = self._strategies.mitigated(program, readout)
            method = "density_matrix" if self.noise else "statevector"
            self._strategies.simulator(method).state.tally.uncounted[mitigated, None] += circuits

    def _evolve(self, runs: Sequence[StackRun]) -> list[dict[str, np.ndarray]]:
        """Run stacks of similar size in one call; return the saved data of each by label."""
        with self._lock:
            requests = []
            for run in runs:
                binds = run.stack.fill(run.rows, run.shared[None], run.state)
                requests.append(RunRequest(run.stack.circuit, run.settings, binds, run.readout))
            options = side_by_side(max(run.stack.num_qubits for run in runs), len(runs))
            saved = self._strategies.simulator("statevector").submit(requests, **options)
        return [{label: as_double(values) for label, values in one.items()} for (one,) in saved]

    def __repr__(self) -> str:
        noise = "" if self.noise is None else f", noise_model={self.noise}"
        limits = ""
        if self._truncation():
            limits = f", max_bond_dimension={self.max_bond_dimension}, truncation={self.truncation}"
        if self.readout_mitigation is not None:
            noise += f", readout_mitigation={self.readout_mitigation!r}"
            noise += "" if self.confusion is None else ", confusion=..."
        return (
            f"AerExecutor(device={self.device!r}, shots={self.shots}, method={self.method!r}, "
            f"precision={self.precision!r}, seed={self.seed}{limits}{noise})"
        )

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=Lock())

    def _check_job(self, job: object) -> None:
        checked = _validation.instance(
            "job", job, Job, "a Job, such as Job(lower(circuit), Probabilities(), rows, shared)"
        )
        self.check(checked.program, checked.readout)
        checked.check()
        if checked.shots is not None:
            self._strategies.check(checked.program, checked.readout, checked.shots)

    def _checked_shape(self, job: Job) -> tuple[int, int, int]:
        """Check a job, and return the shape of its outputs, which must fit into memory."""
        self._check_job(job)
        shape = (len(job.shared), len(job.rows), job.readout.num_outputs(job.program))
        needed = BYTES_PER_OUTPUT * math.prod(map(float, shape))
        if needed > self.max_memory:
            raise ResourceError(
                f"`max_memory` must be at least {_validation.memory_text(needed, up=True)} for "
                f"outputs of shape {shape} (got {_validation.memory_text(self.max_memory)}). Use "
                "smaller batches, or read fewer qubits."
            )
        return shape

    def _truncation(self) -> dict[str, object]:
        """Return the options of Aer for matrix product states, if they are not the defaults."""
        options = {
            "matrix_product_state_max_bond_dimension": self.max_bond_dimension,
            "matrix_product_state_truncation_threshold": self.truncation,
        }
        if self.max_bond_dimension is None and self.truncation == TRUNCATION:
            return {}
        if self.method != "matrix_product_state":
            raise UnsupportedError(
                "`max_bond_dimension` and `truncation` need "
                f'`method="matrix_product_state"` (got {self.method!r}).'
            )
        return dict(options)

    def _check_combination(self) -> None:
        states = self.noise is None and self.method in {"automatic", "statevector"}
        if self.strategy in {"in-place", "stacked", "checkpoints"} and not states:
            raise UnsupportedError(
                "`strategy` must be 'automatic' or 'table' with noise or with another method than "
                f"'statevector' (got {self.strategy!r}, which needs exact state vectors)."
            )
        by_shots = self.method in {"statevector", "matrix_product_state"}
        if self.noise is not None and by_shots and self.shots is None:
            raise UnsupportedError(
                f"`method` must be 'density_matrix' or 'automatic' for exact noise (got "
                f"{self.method!r}). Give `shots` to simulate noise with this method."
            )
