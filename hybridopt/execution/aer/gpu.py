"""Circuits and options of Aer for runs on a GPU.

The rules follow from the source of Aer 0.17 and 0.18 with its own (Thrust) kernels. None of them
was measured:

- ``save_probabilities`` of w qubits is one pass over the state for each of the :math:`2^w`
  outcomes (``ChunkContainer::probabilities``). One copy of the state takes less time unless there
  are few outcomes.
- ``save_expectation_value`` is one pass per Pauli string, for all runs of a batch together.
- A table of angles runs as one batch up to 16 qubits (``BatchShotsExecutor``). A batch converts
  gates with free angles to matrices on one qubit and its controls (``BatchConverter``), which is
  wrong for rotations on two qubits. It sets the first state of one run only. On several GPUs,
  batches are wrong (https://github.com/Qiskit/qiskit-aer/issues/2244), so one is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from qiskit import QuantumCircuit

from hybridopt.execution.aer.marginals import marginal

QUBITS_OF_A_BATCH = 16  # default of Aer
BOUND_IN_A_BATCH = frozenset(
    {"mcp", "mcphase", "mcr", "mcrx", "mcry", "mcrz", "p", "r", "rx", "ry", "rz", "u", "u1", "u2",
     "u3"}
)  # fmt: skip
NOT_IN_A_BATCH = frozenset({"initialize", "set_density_matrix", "set_statevector"})
ONE_GPU = {"target_gpus": [0]}
# A copy takes about 4 ns per amplitude, a pass 20 us and little more; estimates, as said above.
QUBITS_PER_PASS = 12
MOST_PASSES = 8  # log2 of the number of passes

Reads = Mapping[str, tuple[int, ...]]  # qubits of probabilities, by label


def runs_in_batches(circuit: QuantumCircuit) -> bool:
    """Return True if Aer runs a table of the circuit as one batch, with correct results."""
    if circuit.num_qubits > QUBITS_OF_A_BATCH:
        return False
    return not any(
        item.name in NOT_IN_A_BATCH
        or (item.is_parameterized() and item.name not in BOUND_IN_A_BATCH)
        for item in circuit.data
    )


def gpu_options(circuits: Sequence[QuantumCircuit]) -> dict[str, object]:
    """Return the options of a call; gates are fused only where no table runs in batches."""
    batch = all(map(runs_in_batches, circuits))
    widest = max(circuit.num_qubits for circuit in circuits)
    return {
        "batched_shots_gpu": batch,
        "batched_shots_gpu_max_qubits": QUBITS_OF_A_BATCH if batch else 0,
        "fusion_enable": widest > QUBITS_OF_A_BATCH,
        "max_parallel_experiments": 1,
        **ONE_GPU,
    }


def with_saved_states(circuit: QuantumCircuit) -> tuple[QuantumCircuit, Reads]:
    """Return the circuit with saved states in place of probabilities of many outcomes.

    Instructions are shared with the circuit, because stacks change their angles in place.
    """
    few = min(MOST_PASSES, circuit.num_qubits - QUBITS_PER_PASS)
    reads: dict[str, tuple[int, ...]] = {}
    changed = circuit.copy_empty_like()
    for item in circuit.data:
        if item.name == "save_probabilities" and len(item.qubits) > few:
            label = item.operation._label
            reads[label] = tuple(circuit.find_bit(qubit).index for qubit in item.qubits)
            changed.save_statevector(label=label)
        else:
            changed.append(item.operation, item.qubits, item.clbits, copy=False)
    return (changed, reads) if reads else (circuit, reads)


def with_probabilities(data: Mapping[str, Any], reads: Reads) -> dict[str, Any]:
    """Return the saved data of a run with probabilities in place of the saved states."""
    read = {}
    for label, qubits in reads.items():
        state = np.asarray(data[label]).astype(np.complex128, copy=False)
        (read[label],) = marginal((state.real**2 + state.imag**2)[None], qubits)
    return {**data, **read}
