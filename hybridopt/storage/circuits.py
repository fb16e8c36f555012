"""Circuits as QPY, and circuit layers as JSON."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from qiskit import QuantumCircuit, qpy
from qiskit.circuit import Instruction
from qiskit.transpiler import PassManager
from qiskit.transpiler.passes import HighLevelSynthesis

from hybridopt.bridges import QuantumNetwork, WeightNetwork
from hybridopt.circuits.observable_lines import pauli_sum
from hybridopt.circuits.qpy_file import read_qpy
from hybridopt.errors import CheckpointError, ConversionError
from hybridopt.execution import Executor, Expectations, Probabilities, Readout
from hybridopt.nn import CircuitLayer
from hybridopt.qiskit_ml.conversion import InterpretedLayer
from hybridopt.storage.json_codec import named_from_plain, named_to_plain

KNOWN_LAYERS = (CircuitLayer, InterpretedLayer)
MOST_GATES = 1 << 17  # of a stored circuit; Qiskit writes these in two seconds
MOST_OBSERVABLES = 20_000  # of a layer, read in one second
MOST_PARAMETERS = (1 << 16) - 1  # per gate; QPY counts with 16 bits and does not check


def circuits_of(quantum: QuantumNetwork) -> Mapping[str, QuantumCircuit]:
    """Return the executed circuits of a quantum network, if they can be stored in seconds.

    Too wide diagonals become gates. `load` does not need the circuits, because bridges make them
    again from the weights.
    """
    if isinstance(quantum, WeightNetwork) and 1 << quantum.num_qubits > MOST_GATES:
        return {}
    if isinstance(quantum, WeightNetwork) and 1 << quantum.num_qubits > MOST_PARAMETERS:
        circuit = quantum.circuit(synthesis="gates")
        return {} if circuit is None else {"": circuit}
    return quantum.circuits()


def circuit_to_bytes(circuit: QuantumCircuit, *, verify: bool = False) -> bytes:
    """Return a circuit as QPY; ``verify`` compares the circuit that QPY holds."""
    raw = io.BytesIO()
    widest = max((len(item.operation.params) for item in circuit.data), default=0)
    if widest > MOST_PARAMETERS:
        raise ConversionError(
            f"A stored gate must have at most {MOST_PARAMETERS:,} parameters (got {widest:,} "
            f"parameters in {circuit.name!r}). Decompose it: `circuit.decompose()`."
        )
    try:
        qpy.dump(circuit, raw)
    except Exception as error:  # the circuit comes from the user: any error of Qiskit is possible
        raise ConversionError(
            f"Qiskit cannot write the circuit {circuit.name!r} as QPY ({type(error).__name__}: "
            f"{error}). Use gates of Qiskit and metadata of plain values."
        ) from error
    if verify and _summary(circuit_from_bytes(raw.getvalue())) != _summary(circuit):
        raise ConversionError(
            f"Qiskit writes another circuit than {circuit.name!r} as QPY. Use gates of Qiskit."
        )
    return raw.getvalue()


def in_gates(circuit: QuantumCircuit) -> QuantumCircuit:
    """Return the circuit with gates for operations without QPY form, such as Cliffords."""
    if all(isinstance(item.operation, Instruction) for item in circuit.data):
        return circuit
    return PassManager([HighLevelSynthesis()]).run(circuit)


def circuit_from_bytes(content: bytes) -> QuantumCircuit:
    """Return the circuit of QPY bytes."""
    try:
        return read_qpy(content)
    except ValueError as error:
        raise CheckpointError(
            f"The installed Qiskit cannot read the stored circuit ({error}). Update qiskit."
        ) from error


def layer_to_plain(layer: CircuitLayer) -> dict[str, Any]:
    """Return a circuit layer as JSON, without its circuit, executor and tensors."""
    stored: dict[str, Any] = {
        "class": type(layer).__name__ if type(layer) in KNOWN_LAYERS else None,
        "inputs": [parameter.name for parameter in layer.input_parameters],
        "weights": [parameter.name for parameter in layer.weight_parameters],
        "readout": _readout_to_plain(layer.readout),
        "gradient": named_to_plain("gradient rule", layer.gradient),
        "normalize": layer.normalize,
        "pad_with": layer.pad_with,
    }
    if type(layer) is InterpretedLayer:
        index = layer.outcome_index.cpu()
        stored["index"] = index.masked_fill(index == layer.out_features, -1).tolist()
        stored["output_shape"] = list(layer.output_shape)
    return stored


def layer_from_plain(
    stored: dict[str, Any], circuit: QuantumCircuit, executor: Executor
) -> CircuitLayer:
    """Return the layer with weights of zero."""
    by_name = {parameter.name: parameter for parameter in circuit.parameters}
    inputs, weights = ([by_name[n] for n in stored[key]] for key in ("inputs", "weights"))
    readout = _readout_from_plain(stored["readout"])
    rule, initial = named_from_plain("gradient rule", stored["gradient"]), [0.0] * len(weights)
    amplitudes = {name: stored[name] for name in ("normalize", "pad_with")}
    if stored["class"] == "InterpretedLayer":
        assert isinstance(readout, Probabilities)
        assert readout.qubits is not None
        index, shape = np.array(stored["index"], dtype=np.int64), tuple(stored["output_shape"])
        return InterpretedLayer(
            circuit, inputs, weights, readout.qubits, index, shape, executor, rule, initial,
            **amplitudes,
        )  # fmt: skip
    return CircuitLayer(circuit, inputs, weights, readout, executor, rule, initial, **amplitudes)


def _summary(circuit: QuantumCircuit) -> tuple[int, dict[str, int], set[str]]:
    """Return the number of qubits, the counts of gates and the names of parameters."""
    names = {parameter.name for parameter in circuit.parameters}
    return circuit.num_qubits, dict(circuit.count_ops()), names


def _readout_to_plain(readout: Readout) -> dict[str, Any]:
    if isinstance(readout, Expectations) and len(readout.observables) > MOST_OBSERVABLES:
        raise ConversionError(
            f"A saved layer must have at most {MOST_OBSERVABLES:,} observables (got "
            f"{len(readout.observables):,}). Divide it into several layers."
        )
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
        if len(stored["observables"]) > MOST_OBSERVABLES:
            raise CheckpointError(
                f"A layer in a file must have at most {MOST_OBSERVABLES:,} observables (got "
                f"{len(stored['observables']):,})."
            )
        terms = ([(s, complex(re, im)) for s, re, im in sum_] for sum_ in stored["observables"])
        return Expectations(tuple(pauli_sum(sum_) for sum_ in terms))
    qubits = None if stored["qubits"] is None else tuple(stored["qubits"])
    return Probabilities(qubits, tuple((q, value) for q, value in stored["given"]))
