"""Costs of the readouts, and the choice of the cheaper one."""

from __future__ import annotations

import pytest

from hybridopt import AerExecutor
from hybridopt.bridges.mesh.decomposition import MeshShape
from hybridopt.bridges.mesh.readout import MeshReader
from hybridopt.bridges.mesh.readout_selection import Pass, choose, cost, reason
from hybridopt.gradients import Spsa, create

SHIFT = MeshReader(MeshShape(2, 3), AerExecutor(), create("parameter-shift"))


@pytest.mark.parametrize(
    ("task", "process", "data"),
    [
        (Pass(5), 39, 65),
        (Pass(2), 39, 26),
        (Pass(2, input_grad=True), 39, 29),
        (Pass(2, trains=False), 3, 2),
        (Pass(2, trains=False, known=True), 0, 2),
        (Pass(2, groups=3), 117, 78),
        (Pass(0), 39, 0),
    ],
)
def test_costs_and_choice(task, process, data):
    assert cost(SHIFT, "process", task).settings == process
    assert cost(SHIFT, "data", task).settings == data
    assert choose(SHIFT, "auto", task) == ("data" if data < process else "process")
    assert choose(SHIFT, "reference", task) == "reference"


def test_cost_depends_on_the_rule():
    task = Pass(2)
    adjoint, spsa = (
        MeshReader(MeshShape(2, 3), AerExecutor(), rule) for rule in (create("adjoint"), Spsa())
    )
    assert cost(adjoint, "process", task).settings == 3
    assert cost(spsa, "data", task).settings == 6
    assert cost(SHIFT, "reference", task).settings == 2 * (1 + 4 * 6)


def test_reason_names_the_choice_and_the_costs():
    text = reason(SHIFT, "auto", Pass(5))
    assert text.startswith("readout process: the 3 columns")
    assert "fewer settings; process takes 39 settings forward and backward, data takes 65" in text
    assert "option" in reason(SHIFT, "data", Pass(5))
    assert "cached" in reason(SHIFT, "process", Pass(5, trains=False, known=True))
