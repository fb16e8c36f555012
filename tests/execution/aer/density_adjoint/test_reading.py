"""Translated circuits as transfer matrices: noise passes, and settings with a common circuit."""

from __future__ import annotations

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import ParameterVector
from qiskit.transpiler import TransformationPass

from hybridopt import AerExecutor, CircuitLayer
from hybridopt.errors import UnsupportedError
from tests.execution.aer.density_adjoint.noise_models import many_errors

W = ParameterVector("w", 1)


class Unchanged(TransformationPass):
    """Noise pass that may look at the whole circuit."""

    def run(self, dag):
        return dag


def test_passes_that_see_the_whole_circuit_are_refused_with_delays(aer_calls):
    model = many_errors()
    model._custom_noise_passes.append(Unchanged())
    model.add_basis_gates(["delay"])
    for delayed in (True, False):
        circuit = QuantumCircuit(2)
        circuit.ry(W[0], 0)
        if delayed:
            circuit.delay(10, 0)
        given = circuit, (), W, ["ZX"], AerExecutor(noise_model=model)
        if not delayed:
            CircuitLayer(*given, "adjoint")
            continue
        with pytest.raises(UnsupportedError, match="Unchanged"):
            CircuitLayer(*given, "adjoint")
        CircuitLayer(*given).explain(40)
    assert aer_calls == []
