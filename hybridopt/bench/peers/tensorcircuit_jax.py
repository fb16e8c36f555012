"""TensorCircuit-NG on jax: one compiled function, with vmap over samples and jax gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from qiskit.quantum_info import SparsePauliOp

from hybridopt.bench.peers.competitor import Competitor, PreparedProblem
from hybridopt.bench.problem import Problem
from hybridopt.bench.translation import PlacedGate, angle_function, flatten, pauli_terms

# tdg is missing because TensorCircuit (1.10.0) stores it in 32 bits; its matrix is used instead
FIXED: Mapping[str, str] = {
    "ccx": "toffoli", "cswap": "fredkin", "cx": "cnot", "cy": "cy", "cz": "cz", "h": "h", "s": "s",
    "sdg": "sd", "swap": "swap", "t": "t", "x": "x", "y": "y", "z": "z",
}  # fmt: skip
ROTATIONS: Mapping[str, str] = {
    "cp": "cphase", "crx": "crx", "cry": "cry", "crz": "crz", "p": "phase", "rx": "rx",
    "rxx": "rxx", "ry": "ry", "ryy": "ryy", "rz": "rz", "rzz": "rzz", "u": "u",
}  # fmt: skip
ANGLE_NAMES = ("theta", "phi", "lbd")
LARGEST_UNITARY = 4  # qubits


class TensorCircuit(Competitor):
    """TensorCircuit-NG on jax; the first call includes the compilation."""

    key, name, library = "tensorcircuit", "TensorCircuit-NG on jax", "TensorCircuit-NG"
    rule, compiles = "autodiff, compiled", True
    modules = ("tensorcircuit", "jax")

    def prepare(self, problem: Problem) -> PreparedProblem:
        """Create a function in complex128, and leave the global settings unchanged."""
        import jax  # optional, and slow to import
        import tensorcircuit as tc

        steps = [_step(part, problem) for part in flatten(problem.circuit, _is_known)]

        def outputs(x: Any, w: Any) -> Any:
            circuit = tc.Circuit(problem.num_qubits)
            for step in steps:
                step(circuit, x, w)
            values = [_expectation(circuit, observable) for observable in problem.observables]
            return jax.numpy.stack(values)

        def loss(x: Any, w: Any) -> Any:
            values = jax.vmap(outputs, in_axes=(0, None))(x, w)
            return values.sum(-1).mean(), values

        function = jax.jit(jax.value_and_grad(loss, argnums=1, has_aux=True))
        compiled: dict[tuple[int, ...], Any] = {}

        def gradient(x: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            with jax.enable_x64(True):
                given = jax.numpy.asarray(x), jax.numpy.asarray(w)
                if x.shape not in compiled:  # switching the backend costs more than a gradient
                    with tc.runtime_backend("jax"), tc.runtime_dtype("complex128"):
                        compiled[x.shape] = function.lower(*given).compile()
                (_, values), by_weights = compiled[x.shape](*given)
                return np.asarray(values), np.asarray(by_weights)

        return PreparedProblem(gradient, note="compiled by the first call")


def _is_known(part: PlacedGate) -> bool:
    if not part.free and hasattr(part.gate, "__array__"):
        return len(part.qubits) <= LARGEST_UNITARY
    return part.name in ROTATIONS


def _step(part: PlacedGate, problem: Problem) -> Callable[[Any, Any, Any], object]:
    import jax.numpy as jnp

    qubits = part.qubits
    if part.name in FIXED:
        return lambda circuit, _x, _w: getattr(circuit, FIXED[part.name])(*qubits)
    if not part.free:
        matrix = part.gate.to_matrix()  # Qiskit: first qubit least significant
        return lambda circuit, _x, _w: circuit.unitary(*qubits[::-1], unitary=matrix)
    name = ROTATIONS[part.name]
    angles = [angle_function(value, problem, jnp) for value in part.gate.params]

    def step(circuit: Any, x: Any, w: Any) -> object:
        values = {key: angle(x, w) for key, angle in zip(ANGLE_NAMES, angles, strict=False)}
        return getattr(circuit, name)(*qubits, **values)

    return step


def _expectation(circuit: Any, observable: SparsePauliOp) -> Any:
    total = 0.0
    for letters, factor in pauli_terms(observable):
        places = {one: [q for q, own in letters.items() if own == one.upper()] for one in "xyz"}
        total = total + factor * (circuit.expectation_ps(**places).real if letters else 1)
    return total
