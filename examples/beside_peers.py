"""Capabilities of hybridopt, PennyLane and qiskit-machine-learning, tested with one circuit.

The script prints a table. Every cell is the result of code that runs with the installed versions.
The layers are a `CircuitLayer`, a `TorchLayer`, and an `EstimatorQNN` in a `TorchConnector`, with
the same circuit on three qubits. A "yes" is followed by a measured value, usually the largest
difference from a dense matrix that torch differentiates. If the defaults fail and a documented
option helps, the cell contains the option, and the result of the defaults.

"none found" means that a search in the installed sources of the library, or in the names of its
objects, has no result. We did not find the capability in documentation and GitHub threads of
PennyLane 0.45 and qiskit-machine-learning 0.9 either.

The script takes about 20 seconds on two cores. PennyLane is optional: pip install ".[peers]"
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version

import beside_peers_probes as probes
import numpy as np
from beside_peers_layers import ours, pennylane, pennylane_measured, qml, qnn, shift
from beside_peers_probes import SHOTS, Make
from qiskit.primitives import BackendEstimatorV2, StatevectorEstimator
from qiskit_aer import AerSimulator
from qiskit_aer.primitives import EstimatorV2

from hybridopt import AerExecutor

Attempts = Mapping[str, Callable[[], str]]  # option: probe; "" for the defaults
PRECISION = SHOTS**-0.5  # `precision` of estimators in Qiskit


@dataclass(frozen=True)
class Row:
    """Capability, and the attempts to use it in each library, in order."""

    capability: str
    ours: Attempts
    pennylane: Attempts
    qnn: Attempts


def row(
    capability: str,
    probe: Callable[[Make], str],
    *,
    of_ours: Mapping[str, Make] | None = None,
    of_pennylane: Mapping[str, Make] | None = None,
    of_qnn: Mapping[str, Make] | None = None,
) -> Row:
    """Return a row with one probe for layers of all libraries."""
    makes = (of_ours or {"": ours}, of_pennylane or {"": pennylane}, of_qnn or {"": qnn})
    tries = [{option: partial(probe, make) for option, make in m.items()} for m in makes]
    return Row(capability, *tries)


def derivatives() -> list[Row]:
    """Return the rows on values, gradients and their use in torch."""
    inputs = {"": qnn, "input_gradients=True": partial(qnn, input_gradients=True)}
    expand = {"": shift, "broadcast_expand": partial(shift, expand=True)}
    twice = {"": shift, "max_diff=2": partial(shift, max_diff=2)}
    adjoint = {"gradient='adjoint'": partial(ours, gradient="adjoint")}
    node = "the QNode without TorchLayer"
    shifted = partial(probes.pennylane_functional, diff_method="parameter-shift")
    by_rule = row("per-sample gradients by torch.func, default rule", probes.functional)
    by_shift = row(
        "per-sample gradients by torch.func, parameter shift",
        probes.functional,
        of_pennylane={"": shift},
    )
    return [
        row("values and weight gradient agree with a dense matrix", probes.agreement),
        row("gradient reaches a layer before it, default rule", probes.layer_before, of_qnn=inputs),
        row(
            "the same by parameter shift, in a batch",
            probes.layer_before,
            of_pennylane=expand,
            of_qnn=inputs,
        ),
        row("Hessian by parameter shift", probes.hessian, of_pennylane=twice),
        row("Hessian by a rule for simulators", probes.hessian, of_ours=adjoint),
        replace(by_rule, pennylane={**by_rule.pennylane, node: probes.pennylane_functional}),
        replace(by_shift, pennylane={**by_shift.pennylane, node: shifted}),
        row("dtype of the network around it is kept", probes.dtypes),
        row("copy.deepcopy and pickle give the same outputs", probes.copies),
    ]


def shots() -> list[Row]:
    """Return the rows on sampling and its cost."""
    normal = StatevectorEstimator(default_precision=PRECISION, seed=np.random.default_rng(1))
    backend = BackendEstimatorV2(backend=AerSimulator(), options={"default_precision": PRECISION})
    options = {"default_precision": PRECISION, "observables": ("IZZ",)}
    return [
        row(
            f"gradient from {SHOTS} shots has the noise of measurements",
            probes.shot_noise,
            of_ours={"": partial(ours, executor=AerExecutor(shots=SHOTS, seed=1))},
            of_pennylane={"": partial(pennylane, shots=SHOTS)},
            of_qnn={
                "": partial(qnn, **options),
                "StatevectorEstimator": partial(qnn, estimator=normal, **options),
                "BackendEstimatorV2": partial(qnn, estimator=backend, **options),
            },
        ),
        Row(
            f"cost of one gradient is counted (16 samples, 6 weights, {SHOTS} shots)",
            {"": probes.our_count},
            {"qml.Tracker": probes.pennylane_count},
            {"": probes.qnn_count},
        ),
    ]


def conversions() -> list[Row]:
    """Return the rows on conversions between circuits and plain torch."""
    no_bridge, no_series, no_metric = (
        partial(probes.sources_with, pattern=pattern)
        for pattern in (
            "named_(parameters|modules|children)",  # every way to traverse a network
            "(?i)fourier|surrogate",
            "(?i)metric_?tensor|natural.?grad|fisher",
        )
    )
    exact = partial(probes.agreement, measured=True)
    # 5 standard deviations of two derivatives, each at most 1 / sqrt(2 * 64**2)
    sampled = partial(exact, batch=1, tolerance=5 / 64)
    options = {"run_options": {"shots": 64**2, "seed_simulator": 1}}
    aer = {"measured": True, "estimator": EstimatorV2(options=options)}
    return [
        Row(
            "trained circuit back as a torch module, the same function",
            {"to_classical": probes.our_series},
            {"qml.fourier": probes.pennylane_series},
            {"": partial(no_series, "qiskit_machine_learning")},
        ),
        Row(
            "convolutions, LSTM, transformer layer to a circuit and back: change of a weight",
            {"to_quantum, to_classical": probes.there_and_back},
            {"": partial(no_bridge, "pennylane")},
            {"": partial(no_bridge, "qiskit_machine_learning")},
        ),
        Row(
            "metric tensor, for the natural gradient",
            {"": partial(no_metric, "hybridopt")},
            {"qml.adjoint_metric_tensor": probes.pennylane_metric},
            {"QFI": probes.qnn_metric},
        ),
        Row(
            "a measurement in the middle of the circuit",
            {"": partial(exact, partial(ours, measured=True))},
            {"": partial(exact, partial(pennylane, pennylane_measured))},
            {
                "": partial(exact, partial(qnn, measured=True)),
                "Aer's EstimatorV2, sampled": partial(sampled, partial(qnn, **aer)),
            },
        ),
    ]


def tried(attempts: Attempts) -> str:
    """Return the first successful attempt, and the results of earlier ones."""
    findings = []
    for option, probe in attempts.items():
        name = f"with {option}" if option else "default"
        try:
            measured = probe()
        except probes.Missed as missed:
            findings.append(f"{name}: {missed}")
        except Exception as error:  # noqa: BLE001  # any error of a library is a result
            findings.append(f"{name}: {type(error).__name__}")
        else:
            taken = f"yes {name}" if option else "yes"
            return "; ".join([f"{taken} ({measured})", *findings])
    if len(attempts) == 1:
        findings = [findings[0].partition(": ")[2]]
    return findings[0] if findings == ["none found"] else f"no ({'; '.join(findings)})"


def main() -> None:
    if qml is None:
        sys.exit('PennyLane is not installed. Run: pip install ".[peers]"')
    heads = (
        "capability",
        "hybridopt",
        f"PennyLane {version('pennylane')}, TorchLayer",
        f"qiskit-machine-learning {version('qiskit-machine-learning')}, EstimatorQNN",
    )
    print(f"| {' | '.join(heads)} |\n|---|---|---|---|")
    for one in (*derivatives(), *shots(), *conversions()):
        cells = (tried(attempts) for attempts in (one.ours, one.pennylane, one.qnn))
        print(f"| {' | '.join((one.capability, *cells))} |", flush=True)


if __name__ == "__main__":
    main()
