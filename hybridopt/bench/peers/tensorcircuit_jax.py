"""TensorCircuit-NG on jax: compiled as a whole, samples by vmap, gradient by jax."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from qiskit.quantum_info import SparsePauliOp

from hybridopt.bench.expressions import angle_function
from hybridopt.bench.flattening import Part, flatten
from hybridopt.bench.peers.competitor import DOUBLE, EXACT, Prepared, missing
from hybridopt.bench.problem import Problem

# without tdg, which it holds in 32 bits (1.10.0): a matrix stands in for it
FIXED: Mapping[str, str] = {
    "ccx": "toffoli",
    "cswap": "fredkin",
    "cx": "cnot",
    "cy": "cy",
    "cz": "cz",
    "h": "h",
    "s": "s",
    "sdg": "sd",
    "swap": "swap",
    "t": "t",
    "x": "x",
    "y": "y",
    "z": "z",
}
ROTATIONS: Mapping[str, str] = {
    "cp": "cphase",
    "crx": "crx",
    "cry": "cry",
    "crz": "crz",
    "p": "phase",
    "rx": "rx",
    "rxx": "rxx",
    "ry": "ry",
    "ryy": "ryy",
    "rz": "rz",
    "rzz": "rzz",
}
LARGEST_UNITARY = 4  # qubits


@dataclass(frozen=True)
class TensorCircuit:
    """Its first call compiles, which the column of first calls shows."""

    key: str = "tensorcircuit"
    name: str = "TensorCircuit-NG on jax"
    library: str = "TensorCircuit-NG"
    rule: str = "autodiff, compiled"
    kind: str = EXACT
    packages: tuple[str, ...] = ("tensorcircuit-ng", "jax")
    exact: bool = True
    compiles: bool = True
    samples: bool = False
    tolerance: float = DOUBLE
    one_by_one: bool = False

    def unavailable(self) -> str | None:
        """Without TensorCircuit-NG or jax."""
        return missing(("tensorcircuit", "jax"), "peers-all")

    def prepare(self, problem: Problem) -> Prepared:
        """A compiled function in complex128; the libraries' global settings stay as they were."""
        import jax  # noqa: PLC0415  # an extra, and slow to import
        import tensorcircuit as tc  # noqa: PLC0415

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
                if x.shape not in compiled:  # to switch the library costs more than a gradient
                    with tc.runtime_backend("jax"), tc.runtime_dtype("complex128"):
                        compiled[x.shape] = function.lower(*given).compile()
                (_, values), by_weights = compiled[x.shape](*given)
                return np.asarray(values), np.asarray(by_weights)

        return Prepared(gradient, note="compiled by the first call")


def _is_known(part: Part) -> bool:
    if not part.free and hasattr(part.gate, "__array__"):
        return len(part.qubits) <= LARGEST_UNITARY
    return part.name in ROTATIONS or part.name == "u"


def _step(part: Part, problem: Problem) -> Callable[[Any, Any, Any], object]:
    qubits = part.qubits
    if part.name in FIXED:
        return lambda circuit, _x, _w: getattr(circuit, FIXED[part.name])(*qubits)
    if not part.free:
        matrix = part.gate.to_matrix()  # its first qubit is the least significant, theirs the most
        return lambda circuit, _x, _w: circuit.unitary(*qubits[::-1], unitary=matrix)
    angles = [
        angle_function(value, problem.inputs, problem.weights, _jax_functions())
        for value in part.gate.params
    ]
    if part.name == "u":
        return lambda circuit, x, w: circuit.u(
            *qubits, theta=angles[0](x, w), phi=angles[1](x, w), lbd=angles[2](x, w)
        )
    name = ROTATIONS[part.name]
    return lambda circuit, x, w: getattr(circuit, name)(*qubits, theta=angles[0](x, w))


def _jax_functions() -> dict[str, object]:
    import jax.numpy as jnp  # noqa: PLC0415

    names = {"Abs": "abs", "conjugate": "conj"}
    plain = ("abs", "arccos", "arcsin", "arctan", "cos", "exp", "log", "sign", "sin", "sqrt", "tan")
    inverse = {"acos": "arccos", "asin": "arcsin", "atan": "arctan"}
    known = {**dict(zip(plain, plain, strict=True)), **names, **inverse}
    return {"pi": math.pi, **{name: getattr(jnp, theirs) for name, theirs in known.items()}}


def _expectation(circuit: Any, observable: SparsePauliOp) -> Any:
    total = 0.0
    letters = zip(observable.paulis.to_labels(), observable.coeffs.real.tolist(), strict=True)
    for label, coefficient in letters:
        places: dict[str, list[int]] = {"X": [], "Y": [], "Z": []}
        for qubit, letter in enumerate(label[::-1]):
            if letter != "I":
                places[letter].append(qubit)
        if not any(places.values()):
            total = total + coefficient
            continue
        value = circuit.expectation_ps(x=places["X"], y=places["Y"], z=places["Z"])
        total = total + coefficient * value.real
    return total
