"""What an executor can run: a family of circuits, one for each set of angles."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64
from qiskit import QuantumCircuit


@runtime_checkable
class Program(Protocol):
    """A circuit whose angles are given later; it holds no data and knows nothing of torch.

    ``row`` angles differ from sample to sample, ``shared`` angles are the same for all samples.
    """

    @property
    def num_qubits(self) -> int:
        """Number of qubits of every circuit of the family."""
        ...

    @property
    def num_row_angles(self) -> int:
        """R, the number of angles that a sample brings."""
        ...

    @property
    def num_shared_angles(self) -> int:
        """O, the number of angles that all samples share."""
        ...

    def bind(
        self, row: Float64[np.ndarray, " R"], shared: Float64[np.ndarray, " O"]
    ) -> QuantumCircuit:
        """The circuit at these angles [rad], without measurements."""
        ...

    def simulator_circuit(
        self, row: Float64[np.ndarray, " R"], shared: Float64[np.ndarray, " O"]
    ) -> QuantumCircuit:
        """The same unitary in the instructions that a simulator takes fastest."""
        ...

    def working_memory(self) -> int:
        """Bytes that building and simulating one circuit of the family takes, from above."""
        ...
