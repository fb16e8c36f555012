"""Gates that are taken as they are where they have no free angle."""

from __future__ import annotations

from qiskit.circuit import Barrier, Delay, Instruction
from qiskit.circuit import library as lib

# By class: a gate made from a circuit may have any name, and Aer goes by names.
_CLASSES: dict[str, type[Instruction]] = {
    "barrier": Barrier,
    "ccx": lib.CCXGate,
    "ccz": lib.CCZGate,
    "cp": lib.CPhaseGate,
    "crx": lib.CRXGate,
    "cry": lib.CRYGate,
    "crz": lib.CRZGate,
    "cswap": lib.CSwapGate,
    "csx": lib.CSXGate,
    "cx": lib.CXGate,
    "cy": lib.CYGate,
    "cz": lib.CZGate,
    "delay": Delay,
    "diagonal": lib.DiagonalGate,
    "ecr": lib.ECRGate,
    "h": lib.HGate,
    "id": lib.IGate,
    "mcphase": lib.MCPhaseGate,
    "mcx": lib.MCXGate,
    "p": lib.PhaseGate,
    "pauli": lib.PauliGate,
    "r": lib.RGate,
    "rx": lib.RXGate,
    "rxx": lib.RXXGate,
    "ry": lib.RYGate,
    "ryy": lib.RYYGate,
    "rz": lib.RZGate,
    "rzx": lib.RZXGate,
    "rzz": lib.RZZGate,
    "s": lib.SGate,
    "sdg": lib.SdgGate,
    "swap": lib.SwapGate,
    "sx": lib.SXGate,
    "sxdg": lib.SXdgGate,
    "t": lib.TGate,
    "tdg": lib.TdgGate,
    "u": lib.UGate,
    "unitary": lib.UnitaryGate,
    "x": lib.XGate,
    "y": lib.YGate,
    "z": lib.ZGate,
}
KEPT_GATES = frozenset(_CLASSES)
_STANDARD = {name: gate.base_class for name, gate in lib.get_standard_gate_name_mapping().items()}


def is_kept(gate: Instruction) -> bool:
    """Whether a gate is one of `KEPT_GATES` and no namesake of it."""
    known = _CLASSES.get(gate.name)
    return known is not None and isinstance(gate, known)


def is_standard(gate: Instruction) -> bool:
    """Whether a gate is what Qiskit, and with it Aer, means by its name."""
    known = _STANDARD.get(gate.name)
    return is_kept(gate) or (known is not None and isinstance(gate, known))
