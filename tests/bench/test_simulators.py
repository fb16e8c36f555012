from __future__ import annotations

import pytest

from hybridopt.bench import peers
from hybridopt.bench.measure import measure
from hybridopt.bench.problem import reuploading
from hybridopt.bench.row import NOT_RUN
from hybridopt.bench.simulators import FULL, MAIN, QUICK, SimulatorSettings, make_plan
from hybridopt.errors import (
    ArgumentError,
    DeviceError,
    MissingExtraError,
    ResourceError,
    UnknownNameError,
    UnsupportedError,
)
from hybridopt.execution import available_devices


def names(plan) -> list[str]:
    return [problem.name for problem, _ in plan.entries]


def test_default_suite(aer_calls):
    plan = make_plan(SimulatorSettings())
    found = names(plan)
    assert set(MAIN) <= set(found)
    assert {"reuploading:4-32-16", "ladder:4-16-16, 1024 shots"} <= set(found)
    sampled = dict(zip(found, plan.entries, strict=True))["ladder:4-16-16, 1024 shots"][1]
    assert [one.rule for one in sampled] == ["parameter-shift", "spsa"]
    (note,) = plan.notes
    assert "Gradient adjoint" in note
    assert {"ladder:14-28-4", "ladder:4-16-4096", "ladder:8-16-2, noise 0.01"} <= set(found)
    assert aer_calls == []


def test_all_combinations_are_planned():
    settings = SimulatorSettings(
        problems=("ladder:3-6", "reuploading:2-8"), batches=(1, 5), shots=(None, 10),
        gradients=("adjoint", "spsa"), methods=("statevector", "density_matrix"),
        precisions=("double", "single"),
    )  # fmt: skip
    plan = make_plan(settings)
    assert len(plan.entries) == 2 * 2 * 2
    assert [len(ours) for _, ours in plan.entries] == [6, 4] * 4  # adjoint: exact statevector only
    assert any("adjoint, method density_matrix" in note for note in plan.notes)


def test_peers_run_rules_of_the_same_kind():
    plan = make_plan(
        SimulatorSettings(problems=("ladder:3-6",), gradients=("adjoint",), peers=True)
    )
    ((_, competitors),) = plan.entries
    assert {one.kind for one in competitors} == {"adjoint"}
    assert "PennyLane default.qubit" in {one.name for one in competitors}
    only = make_plan(
        SimulatorSettings(problems=("ladder:3-6",), peer=("qiskit-sampler",), shots=(None, 9))
    )
    assert [len(members) for _, members in only.entries] == [3, 3]  # with shots: no adjoint


def test_observables_of_files_and_their_origin(tmp_path):
    z_chain = reuploading(10, 40)
    file = tmp_path / "mine,too.qasm"
    file.write_text(
        'OPENQASM 3.0;\ninclude "stdgates.inc";\ninput float x0;\ninput float w0;\n'
        "qubit[2] q;\nry(x0) q[0];\nrx(w0 * x0) q[1];\ncx q[0], q[1];\n"
    )
    plan = make_plan(SimulatorSettings(circuits=(str(file),), batches=(3,)))
    assert names(plan) == ["mine,too:2-1-3"]
    assert len(plan.entries[0][0].observables) == 2
    for text, shown in {
        "": "IZ, ZI (all qubits, as the file has neither observables nor measurements)",
        "bit b = measure q[1];\n": "ZI (from the measurements)",
        "// observable: XX + 0.5 * ZI\n": "XX + 0.5 * ZI (from the comments of the file)",
        "// observables: probabilities\n": "IZ, ZI (instead of probabilities)",
    }.items():
        other = tmp_path / "other.qasm"
        other.write_text(file.read_text() + text)
        ((problem, _),) = make_plan(SimulatorSettings(circuits=(str(other),))).entries
        assert problem.observables_text == shown
    assert z_chain.observables_text.endswith("IIZIIIIIII and 2 more")


def test_literal_angles_are_the_weights_of_a_file_without_weights(tmp_path):
    file = tmp_path / "old.qasm"
    file.write_text(
        'OPENQASM 2.0;\ninclude "qelib1.inc";\nqreg q[3];\ncreg c[3];\n'
        "rx(0.3) q[0];\ncu1(pi/4) q[0],q[2];\nmeasure q -> c;\n"
    )
    plan = make_plan(SimulatorSettings(circuits=(str(file),), batches=(3,)))
    assert names(plan) == ["old:3-2-3"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"gradients": ("adjiont",)}, UnknownNameError, "Unknown gradient 'adjiont'"),
        ({"devices": ("TPU",)}, UnknownNameError, "Unknown device 'TPU'"),
        ({"peer": ("penylane-default",)}, UnknownNameError, "Unknown peer"),
        ({"circuits": ("no_such_circuit",)}, UnknownNameError, "no_such_circuit"),
        ({"shots": (0,)}, ArgumentError, "`shots`"),
        ({"repetitions": 0}, ArgumentError, "`repetitions`"),
        ({"max_seconds": 0.0}, ArgumentError, "`max_seconds`"),
        ({"seed": -1}, ArgumentError, "`seed`"),
        ({"gradients": ("adjoint",), "shots": (10,)}, UnsupportedError,
         "Gradient adjoint"),
        ({"problems": ("ladder:3-6",), "gradients": ("adjoint",), "methods": ("density_matrix",)},
         UnsupportedError,
         "Gradient adjoint, method density_matrix"),
    ],
)  # fmt: skip
def test_refused_before_anything_runs(options, error, message, aer_calls):
    with pytest.raises(error, match=message):
        make_plan(SimulatorSettings(**options))
    assert aer_calls == []


def test_problems_beyond_the_memory_are_left_out_with_a_note():
    plan = make_plan(
        SimulatorSettings(problems=("ladder:3-6", "ladder:40-40"), methods=("density_matrix",))
    )
    assert names(plan) == ["ladder:3-6-16"]
    assert any("ladder:40-40-16" in note for note in plan.notes)
    with pytest.raises(ResourceError, match="Gradient spsa, method density_matrix"):
        make_plan(SimulatorSettings(problems=("ladder:40-40",), methods=("density_matrix",),
                                    gradients=("spsa",)))  # fmt: skip


@pytest.mark.skipif("GPU" in available_devices(), reason="this Aer has a GPU")
def test_a_missing_gpu_is_refused():
    with pytest.raises(DeviceError, match="GPU"):
        make_plan(SimulatorSettings(devices=("GPU",)))


def test_a_missing_peer_has_a_row_or_is_refused_if_named(monkeypatch):
    reason = "jax is not installed. Install it."
    monkeypatch.setattr(peers.TensorCircuit, "unavailable", lambda self: reason)
    plan = make_plan(SimulatorSettings(problems=("ladder:3-6",), peers=True))
    ((problem, members),) = plan.entries
    missing = [one for one in members if one.key == "tensorcircuit"]
    (row,) = measure(problem, missing, repetitions=1, max_seconds=1, seed=0)
    assert (row.status, row.reason) == (NOT_RUN, reason)
    with pytest.raises(MissingExtraError, match="`peer` 'TensorCircuit-NG on jax'"):
        make_plan(SimulatorSettings(peer=("tensorcircuit",)))


def test_noise_runs_in_libraries_that_support_it():
    settings = SimulatorSettings(problems=("ladder:3-6",), noises=(None, 0.1), peers=True)
    pure, noisy = ({one.name for one in members} for _, members in make_plan(settings).entries)
    assert noisy == {"hybridopt", "PennyLane default.mixed", "Aer EstimatorV2",
                     "EstimatorQNN on Aer EstimatorV2"}  # fmt: skip
    assert "PennyLane default.mixed" not in pure
    assert {"qulacs", "MindQuantum, 1 thread", "MindQuantum, 2 threads"} <= pure


def test_quick_is_shorter():
    quick, usual = SimulatorSettings(quick=True), SimulatorSettings()
    assert (quick.rounds, usual.rounds, quick.limit, usual.limit) == (3, 7, 1.5, 10.0)
    assert len(QUICK) < len(FULL)
    assert names(make_plan(quick))[1:] == [*QUICK, "ladder:4-16-16, noise 0.01"]
    assert SimulatorSettings(quick=True, repetitions=5, max_seconds=2.0).rounds == 5
