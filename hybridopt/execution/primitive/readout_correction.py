"""Correction of the readout errors of a sampler's device."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from weakref import WeakKeyDictionary

from hybridopt.circuits.fingerprint import digest
from hybridopt.circuits.instructions import NOT_GATES, qubits_of
from hybridopt.circuits.program import Program, template_of
from hybridopt.errors import UnsupportedError
from hybridopt.execution.noise import Noise
from hybridopt.execution.primitive.client import Client
from hybridopt.execution.primitive.isa_circuits import IsaCircuits
from hybridopt.execution.readout import Readout
from hybridopt.execution.readout.mitigation import ReadoutMitigation
from hybridopt.execution.readout_errors import (
    checked_mitigation,
    mitigation_of_device,
    mitigation_of_noise,
)

Kept = WeakKeyDictionary[Readout, dict[str, Readout]]


@dataclass
class ReadoutCorrection:
    """Readouts with inverse confusion matrices of the measured device qubits."""

    mitigation: ReadoutMitigation
    _kept: Kept = field(default_factory=WeakKeyDictionary)

    @classmethod
    def of(
        cls, client: Client, readout_mitigation: object, confusion: object
    ) -> ReadoutCorrection | None:
        """Return the correction that the user asked for; None without.

        Raises:
            ArgumentTypeError: If an argument has the wrong type.
            ArgumentError: If ``readout_mitigation`` is unknown or missing, or a matrix not valid.
            UnsupportedError: If the primitive is an estimator, or reports no readout errors.
        """
        device = client.device
        num_qubits = None if device is None else device.num_qubits
        given = checked_mitigation(readout_mitigation, confusion, num_qubits)
        if readout_mitigation is None:
            return None
        if not client.is_sampler:
            raise UnsupportedError(
                "`readout_mitigation` must be None for an estimator, which has its own (got "
                f"{readout_mitigation!r}). Set `options.resilience.measure_mitigation = True`."
            )
        if given is None and device is None:
            raise UnsupportedError(
                "`confusion` must be given for `readout_mitigation`, because "
                f"{client.name} has no device that reports readout errors (got None)."
            )
        if given is not None or device is None:
            assert given is not None
            return cls(given)
        if client.simulates_target:  # with the mean error, also if the device has properties
            return cls(mitigation_of_noise(Noise(None, device)))
        return cls(mitigation_of_device(device))

    @cached_property
    def fingerprint(self) -> str:
        """Digest in hex; equal for equal confusion matrices, in all processes."""
        return digest("confusion", list(self.mitigation.confusion.items()))

    def readout(self, program: Program, readout: Readout, circuits: IsaCircuits) -> Readout:
        """Return a readout with corrected errors of the qubits that the program is placed on.

        Raises:
            UnsupportedError: If each row of the program may be placed on other qubits.
        """
        if template_of(program) is None:
            raise UnsupportedError(
                "`readout_mitigation` must be None for circuits without free angles, such as those "
                "with amplitudes as inputs, because each row may be placed on other qubits. Give "
                "angles as inputs."
            )
        isa = circuits.of(program)
        known = self._kept.setdefault(readout, {})
        if isa.fingerprint not in known:
            places = getattr(program, "device_qubits", None) or isa.places
            busy = {
                qubit
                for item in isa.circuit.data
                if item.operation.name not in NOT_GATES
                for qubit in qubits_of(isa.circuit, item)
            }
            known[isa.fingerprint] = readout.mitigated(program, self.mitigation, (places, busy))
        return known[isa.fingerprint]

    def __getstate__(self) -> dict[str, object]:
        return {"mitigation": self.mitigation}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state, _kept=WeakKeyDictionary())
