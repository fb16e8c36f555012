"""Circuits as QPY, and circuit layers as JSON that refers to them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from qiskit import QuantumCircuit, qpy
from qiskit.circuit import Instruction
from qiskit.quantum_info import SparsePauliOp
from qiskit.transpiler import PassManager
from qiskit.transpiler.passes import HighLevelSynthesis

from hybridopt.bridges import QuantumNetwork, WeightNetwork
from hybridopt.errors import CheckpointError, ConversionError
from hybridopt.execution import Executor, Expectations, Probabilities, Readout
from hybridopt.nn import CircuitLayer
from hybridopt.qiskit_ml.interpreted_layer import InterpretedLayer
from hybridopt.storage.json_codec import named_from_plain, named_to_plain

KNOWN_LAYERS = (CircuitLayer, InterpretedLayer)
MOST_PARAMETERS = (1 << 16) - 1  # of one gate: QPY counts them with 16 bits, and does not say so


def circuits_of(quantum: QuantumNetwork) -> Mapping[str, QuantumCircuit]:
    """The circuits of a quantum network as executed; diagonals too wide for QPY as gates."""
    if isinstance(quantum, WeightNetwork) and 1 << quantum.num_qubits > MOST_PARAMETERS:
        circuit = quantum.circuit(synthesis="gates")
        return {} if circuit is None else {"": circuit}
    return quantum.circuits()


def circuit_to_bytes(circuit: QuantumCircuit, *, verify: bool = False) -> bytes:
    """A circuit as QPY; `ConversionError` if it has no form, or (``verify``) one that differs."""
    raw, refused = io.BytesIO(), f"The circuit {circuit.name!r} cannot be stored"
    widest = max((len(item.operation.params) for item in circuit.data), default=0)
    if widest > MOST_PARAMETERS:
        raise ConversionError(
            f"A gate with {widest:,} parameters cannot be stored, as QPY counts to "
            f"{MOST_PARAMETERS:,}. Take it apart: `circuit.decompose()`."
        )
    try:
        qpy.dump(circuit, raw)
    except Exception as error:  # whatever Qiskit raises, the circuit is the user's own
        raise ConversionError(
            f"{refused}: Qiskit cannot write it as QPY ({type(error).__name__}: {error}). Write it "
            "in gates of Qiskit's library, with metadata of plain values."
        ) from error
    if verify and _gist(circuit_from_bytes(raw.getvalue())) != _gist(circuit):
        raise ConversionError(
            f"{refused}: Qiskit writes another circuit as QPY. Write it in gates of Qiskit's own."
        )
    return raw.getvalue()


def in_gates(circuit: QuantumCircuit) -> QuantumCircuit:
    """The same with operations that QPY has no form of, such as Cliffords, as gates."""
    if all(isinstance(item.operation, Instruction) for item in circuit.data):
        return circuit
    return PassManager([HighLevelSynthesis()]).run(circuit)


def circuit_from_bytes(content: bytes) -> QuantumCircuit:
    """The circuit again; `CheckpointError` if this version of Qiskit cannot read it."""
    try:
        (circuit,) = qpy.load(io.BytesIO(content))
    except Exception as error:
        raise CheckpointError(
            f"This version of Qiskit cannot read the stored circuit ({type(error).__name__}). "
            "Update qiskit."
        ) from error
    assert isinstance(circuit, QuantumCircuit)
    return circuit


def layer_to_plain(layer: CircuitLayer) -> dict[str, Any]:
    """All of a circuit layer but its circuit, its executor and its tensors."""
    stored: dict[str, Any] = {
        "class": type(layer).__name__ if type(layer) in KNOWN_LAYERS else None,
        "inputs": [parameter.name for parameter in layer.input_parameters],
        "weights": [parameter.name for parameter in layer.weight_parameters],
        "readout": _readout_to_plain(layer.readout),
        "gradient": named_to_plain("gradient rule", layer.gradient),
    }
    if type(layer) is InterpretedLayer:
        index = layer.outcome_index.cpu()
        stored["index"] = index.masked_fill(index == layer.out_features, -1).tolist()
        stored["output_shape"] = list(layer.output_shape)
    return stored


def layer_from_plain(
    stored: dict[str, Any], circuit: QuantumCircuit, executor: Executor
) -> CircuitLayer:
    """The layer again, with weights of zero until its tensors are put in."""
    by_name = {parameter.name: parameter for parameter in circuit.parameters}
    inputs, weights = ([by_name[n] for n in stored[key]] for key in ("inputs", "weights"))
    readout = _readout_from_plain(stored["readout"])
    rule, initial = named_from_plain("gradient rule", stored["gradient"]), [0.0] * len(weights)
    if stored["class"] == "InterpretedLayer":
        assert isinstance(readout, Probabilities)
        assert readout.qubits is not None
        index, shape = np.array(stored["index"], dtype=np.int64), tuple(stored["output_shape"])
        return InterpretedLayer(
            circuit, inputs, weights, readout.qubits, index, shape, executor, rule, initial
        )
    return CircuitLayer(circuit, inputs, weights, readout, executor, rule, initial)


def _gist(circuit: QuantumCircuit) -> tuple[int, dict[str, int], set[str]]:
    """Number of qubits, counts of gates, and names of parameters."""
    names = {parameter.name for parameter in circuit.parameters}
    return circuit.num_qubits, dict(circuit.count_ops()), names


def _readout_to_plain(readout: Readout) -> dict[str, Any]:
    if isinstance(readout, Probabilities):
        qubits = None if readout.qubits is None else list(readout.qubits)
        return {"qubits": qubits, "given": [list(pair) for pair in readout.given]}
    return {
        "observables": [
            [[label, complex(c).real, complex(c).imag] for label, c in observable.to_list()]
            for observable in readout.observables
        ]
    }


def _readout_from_plain(stored: dict[str, Any]) -> Readout:
    if "observables" in stored:
        terms = ([(s, complex(re, im)) for s, re, im in sum_] for sum_ in stored["observables"])
        return Expectations(tuple(SparsePauliOp.from_list(sum_) for sum_ in terms))
    qubits = None if stored["qubits"] is None else tuple(stored["qubits"])
    return Probabilities(qubits, tuple((q, value) for q, value in stored["given"]))
