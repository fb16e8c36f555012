"""QPY files are read as Qiskit reads them, and declare no more than they have."""

from __future__ import annotations

import io
import struct

import pytest
from qiskit import QuantumCircuit, QuantumRegister, qpy
from qiskit.circuit import Parameter
from qiskit.circuit.library import QFTGate, RXGate, UnitaryGate, real_amplitudes

import hybridopt as ho
from hybridopt.circuits import qpy_file
from hybridopt.circuits.qpy_file import read_qpy
from hybridopt.errors import CircuitError


def nested():
    inner = QuantumCircuit(2, name="inner")
    inner.rx(Parameter("a"), 0)
    inner.cx(0, 1)
    middle = QuantumCircuit(3, name="middle")
    middle.append(inner.to_gate(), [0, 2])
    outer = QuantumCircuit(QuantumRegister(3, "q"), QuantumRegister(1, "r"), metadata={"k": [1]})
    outer.append(middle.to_gate().control(1), [0, 1, 2, 3])
    outer.append(UnitaryGate([[0, 1], [1, 0]]), [1])
    outer.append(QFTGate(3), [0, 1, 2])
    with outer.box():
        outer.append(inner.to_gate(), [0, 1])
    outer.global_phase = Parameter("b")
    return outer


def written(circuit, version=None) -> bytes:
    raw = io.BytesIO()
    qpy.dump(circuit, raw, version=version)
    return raw.getvalue()


@pytest.mark.parametrize("version", range(qpy_file.OLDEST, qpy.QPY_VERSION + 1))
def test_circuits_of_all_versions_are_read(version):
    circuits = [real_amplitudes(3).decompose(), QuantumCircuit(1)]
    circuits += [nested()] if version >= 15 else []  # boxes
    for circuit in circuits:
        assert read_qpy(written(circuit, version)) == circuit


def headers(content: bytes, num_qubits: int, num_clbits: int) -> list[int]:
    """Return the places of these numbers in the headers of circuits."""
    pair, places = struct.pack("!II", num_qubits, num_clbits), []
    place = content.find(pair)
    while place >= 0:
        places.append(place)
        place = content.find(pair, place + 1)
    return places


@pytest.mark.parametrize("count", [10_001, 30_000_000, 2**32 - 1])
@pytest.mark.parametrize("size", [2, 3, 4])
def test_declared_qubits_are_limited_at_every_depth(size, count):
    content = written(nested())
    places = headers(content, size, 0)
    found = []
    for place in places:
        changed = content[:place] + struct.pack("!I", count) + content[place + 4 :]
        try:
            read_qpy(changed)
        except ValueError as error:  # some of the places are other numbers
            found.append(f"at most 2,048 qubits (got {count:,})" in str(error))
    assert any(found)


@pytest.mark.parametrize(
    ("place", "form", "value", "message"),
    [
        (6, "!B", 12, "version 12; 13 and newer"),
        (6, "!B", 99, "version 99; this Qiskit reads up to"),
        (10, "!Q", 2, "one circuit"),
        (10, "!Q", 1 << 60, "one circuit"),
        (19, "!c", b"s", "no circuit"),
        (20, "!Q", 1 << 60, "too early"),
    ],
)
def test_changed_heads_are_refused(place, form, value, message, tmp_path):
    content = written(nested())
    path = tmp_path / "circuit.qpy"
    changed = struct.pack(form, value)
    path.write_bytes(content[:place] + changed + content[place + len(changed) :])
    with pytest.raises(CircuitError, match=rf"circuit\.qpy .*{message}"):
        ho.load_circuit(path)


def test_truncated_files_are_refused():
    content = written(nested())
    for end in range(6, len(content) - 40, 7):
        with pytest.raises(ValueError, match=r"."):
            read_qpy(content[:end])


def test_counts_need_their_bytes():
    content = written(real_amplitudes(3))
    (place,) = headers(content, 3, 0)
    for offset in (16, 24):  # registers, instructions
        start = place + offset
        changed = content[:start] + struct.pack("!Q", 1 << 40) + content[start + 8 :]
        with pytest.raises(ValueError, match=r"no room|too early"):
            read_qpy(changed)


def test_parameters_of_annotated_operations_are_read():
    angle = Parameter("w")
    circuit = QuantumCircuit(3)
    circuit.append(RXGate(angle).control(2, annotated=True), range(3))
    assert list(read_qpy(written(circuit)).parameters) == [angle]
