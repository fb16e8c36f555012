"""Parameters of a circuit that a user names must be its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from hybridopt.errors import CircuitError


def check_parameters(
    circuit: QuantumCircuit, inputs: Sequence[Parameter], weights: Sequence[Parameter]
) -> None:
    """Refuse parameters that are not those of the circuit.

    Raises:
        CircuitError: Naming those that are given twice, missing, or left over.
    """
    given = [*inputs, *weights]
    names = [parameter.name for parameter in given]
    known = list(circuit.parameters)
    twice = sorted(p.name for p, count in Counter(given).items() if count > 1)
    if twice:
        raise CircuitError(
            f"Parameters given twice: {', '.join(twice)}. Each is either an input or a weight."
        )
    missing = sorted(p.name for p in set(given).difference(known))
    if missing:
        raise CircuitError(
            f"Parameters that the circuit does not have: {', '.join(missing)}. It has "
            f"{', '.join(p.name for p in known) or 'none'}. (Two parameters of the "
            "same name are different unless they are one object.)"
        )
    placed = set(given)
    unbound = [p.name for p in known if p not in placed]
    if unbound:
        raise CircuitError(
            f"Parameters of the circuit that are neither inputs nor weights: {', '.join(unbound)}. "
            f"Name them in one of the lists, or bind them. Given: {', '.join(names) or 'none'}."
        )
