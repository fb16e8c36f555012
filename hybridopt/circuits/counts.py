"""Depth and gate counts of circuits, as given or on a device."""

from __future__ import annotations

from dataclasses import dataclass

from qiskit import QuantumCircuit, transpile
from qiskit.circuit import CircuitInstruction
from qiskit.providers import BackendV2

from hybridopt import _validation
from hybridopt._warnings import ignored_warnings
from hybridopt.errors import ArgumentError, MissingExtraError, ResourceError

# For 127 qubits, Qiskit took 10 s for this number of gates of a memory, 105 s for random pairs.
MOST_TRANSPILED = 50_000
LEVEL, SEED = 1, 0  # of the transpiler: counts are reproducible


@dataclass(frozen=True)
class GateCount:
    """Number of gates on the longest path of a circuit, and number of two-qubit gates."""

    depth: int
    two_qubit: int


def count_gates(circuit: QuantumCircuit, backend: BackendV2 | None = None) -> GateCount:
    """Return depth and two-qubit gates, as given or transpiled for a backend (level 1, seed 0).

    Gates on more qubits are decomposed. Barriers do not count. Parameters may be free.
    """
    if backend is not None:
        if backend.num_qubits is not None and circuit.num_qubits > backend.num_qubits:
            raise ArgumentError(
                f"The circuit must fit on the {backend.num_qubits} qubits of backend "
                f"`{backend.name}` (got {circuit.num_qubits} qubits). Use another backend."
            )
        check_transpilable(circuit.size())
        circuit = transpile(circuit, backend, optimization_level=LEVEL, seed_transpiler=SEED)
    elif any(_is_gate(item) and len(item.qubits) > 2 for item in circuit.data):
        circuit = transpile(circuit, basis_gates=["u", "cx"], optimization_level=0)
    two_qubit = sum(_is_gate(item) and len(item.qubits) == 2 for item in circuit.data)
    return GateCount(circuit.depth(_is_gate), two_qubit)


def check_transpilable(size: int) -> None:
    """Raise ResourceError if it would take minutes to transpile this number of gates."""
    if size > MOST_TRANSPILED:
        raise ResourceError(
            f"The circuit must have at most {MOST_TRANSPILED:,} gates (got {size:,}). To transpile "
            "it would take minutes. Use no backend to count its own gates."
        )


def find_backend(backend: object) -> BackendV2 | None:
    """Return a backend, given as an instance or by the name of a fake of qiskit-ibm-runtime."""
    if backend is None or isinstance(backend, BackendV2):
        return backend
    expected = "a qiskit BackendV2, the name of a fake backend such as 'FakeManilaV2', or None"
    name = _validation.instance("backend", backend, str, expected)
    try:
        from qiskit_ibm_runtime.fake_provider import FakeProviderForBackendV2
    except ImportError as error:
        raise MissingExtraError(
            f"Backend {name!r} needs qiskit-ibm-runtime, which is not installed. Install the extra "
            "`hybridopt-qiskit[ibm]`, or use a BackendV2."
        ) from error
    with ignored_warnings():  # some fake backends warn about their error rates
        fakes = FakeProviderForBackendV2().backends()
    known = {backend.name: backend for backend in fakes}
    by_class = {type(backend).__name__: backend for backend in fakes}
    if name in by_class:
        return by_class[name]
    if name not in known:
        raise ArgumentError(
            f"Unknown fake backend {name!r}. Available: {', '.join(sorted(known))}. Or use a "
            "BackendV2, such as GenericBackendV2(num_qubits=5)."
        )
    return known[name]


def _is_gate(item: CircuitInstruction) -> bool:
    return not getattr(item.operation, "_directive", False)
