"""What hybridopt, PennyLane and qiskit-machine-learning can do with one circuit, tried out.

Prints a table. Every cell is the outcome of code that runs here, by the installed versions: a
`CircuitLayer`, a `TorchLayer` and an `EstimatorQNN` in a `TorchConnector` of the same circuit on
three qubits. "yes" stands beside what was measured, mostly the largest difference from a dense
matrix differentiated by torch. Where the defaults fail and a documented option helps, the cell
names the option, and what happens without.

"none found" means that no line of the library's installed sources, or no name of its objects,
matches the words of the search at the row. Nor did we find it in documentation and threads on
GitHub of PennyLane 0.45 and qiskit-machine-learning 0.9.

About 20 seconds on two cores. PennyLane is an extra: pip install ".[peers]"
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

Attempts = Mapping[str, Callable[[], str]]  # probes by the option that they take, "" for none
PRECISION = SHOTS**-0.5  # what Qiskit's estimators call it


@dataclass(frozen=True)
class Row:
    """A capability, and what is tried for it in each library, in order."""

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
    """One probe for layers of all libraries, by default as they come."""
    makes = (of_ours or {"": ours}, of_pennylane or {"": pennylane}, of_qnn or {"": qnn})
    tries = [{option: partial(probe, make) for option, make in m.items()} for m in makes]
    return Row(capability, *tries)


def derivatives() -> list[Row]:
    """Values, gradients, and what torch makes of them."""
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
        row("values and weight gradient as a dense matrix", probes.agreement),
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
    """Sampling, and its cost."""
    normal = StatevectorEstimator(default_precision=PRECISION, seed=np.random.default_rng(1))
    backend = BackendEstimatorV2(backend=AerSimulator(), options={"default_precision": PRECISION})
    options = {"default_precision": PRECISION, "observables": ("IZZ",)}
    return [
        row(
            f"gradient from {SHOTS} shots scatters as measurements do",
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
    """Between circuits and plain torch."""
    no_bridge, no_series, no_metric = (
        partial(probes.sources_with, pattern=pattern)
        for pattern in (
            "named_(parameters|modules|children)",  # every way through any network
            "(?i)fourier|surrogate",
            "(?i)metric_?tensor|natural.?grad|fisher",
        )
    )
    exact = partial(probes.agreement, measured=True)
    # 5 deviations: derivatives of two values, of 1 / sqrt(2 * 64**2) at most each
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
            "convolutions, LSTM, transformer layer into a circuit and back: change of a weight",
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
    """The first attempt that succeeds, and what became of those before it."""
    findings = []
    for option, probe in attempts.items():
        name = f"with {option}" if option else "default"
        try:
            measured = probe()
        except probes.Missed as missed:
            findings.append(f"{name}: {missed}")
        except Exception as error:  # noqa: BLE001  # whatever a library raises is the finding
            findings.append(f"{name}: {type(error).__name__}")
        else:
            taken = f"yes {name}" if option else "yes"
            return "; ".join([f"{taken} ({measured})", *findings])
    if len(attempts) == 1:
        findings = [findings[0].partition(": ")[2]]
    return findings[0] if findings == ["none found"] else f"no ({'; '.join(findings)})"


def main() -> None:
    if qml is None:
        sys.exit('PennyLane is missing. Install it: pip install ".[peers]"')
    heads = (
        "tried",
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
