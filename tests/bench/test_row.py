from __future__ import annotations

from hybridopt.bench.peers import PEERS, PennyLane
from hybridopt.bench.peers.competitor import Hybridopt
from hybridopt.bench.problem import ladder
from hybridopt.bench.row import GOALS, TIMED, Row, evaluate

OURS, DEFAULT, LIGHTNING = (
    Hybridopt("parameter-shift"),
    PennyLane("default.qubit", "parameter-shift"),
    PennyLane("lightning.qubit", "parameter-shift"),
)


def row(competitor, seconds, problem=None) -> Row:
    made = Row.of(competitor, problem or ladder(4, 16, 16))
    made.seconds = list(seconds)
    made.status = TIMED
    return made


def test_ratios_are_taken_per_round_with_the_fastest_opponent():
    rows = [row(OURS, [1, 10, 1]), row(DEFAULT, [30, 200, 15]), row(LIGHTNING, [50, 50, 50])]
    (finding,) = evaluate(rows)
    assert finding.text.startswith("ladder:4-16-16: parameter-shift 15 times faster than PennyLane")
    assert finding.measured == 20  # the ratio of the medians is 30
    assert finding.opponent == "PennyLane default.qubit, parameter-shift"
    assert finding.reached


def test_a_goal_is_reached_at_its_factor():
    for theirs, reached in ((14.9, False), (15.0, True)):
        (finding,) = evaluate([row(OURS, [1.0]), row(DEFAULT, [theirs])])
        assert (finding.factor, finding.reached) == (15, reached)


def test_a_finding_needs_both_sides():
    other = row(Hybridopt("parameter-shift", precision="single"), [1.0])
    assert evaluate([row(DEFAULT, [1.0]), other]) == []
    assert evaluate([row(OURS, [1.0]), row(DEFAULT, [])]) == []
    elsewhere = ladder(4, 16, 8)
    assert evaluate([row(OURS, [1.0], elsewhere), row(DEFAULT, [9.0], elsewhere)]) == []


def test_a_goal_below_level_limits_how_much_slower_we_are():
    peer = next(one for one in PEERS if one.name == "MindQuantum, 1 thread")
    adjoint = Hybridopt("adjoint")
    for ours, reached in ((1.19, True), (1.21, False)):
        (finding,) = evaluate([row(adjoint, [ours]), row(peer, [1.0])])
        assert "adjoint at most 1.2 times slower than MindQuantum" in finding.text
        assert finding.reached == reached


def test_goals_name_existing_labels():
    labels = {Row.of(one, ladder(4, 16, 16)).label for one in (OURS, DEFAULT, LIGHTNING)}
    assert labels <= {"hybridopt, parameter-shift", *GOALS[0].against}
    assert any(goal.text.endswith("level with PennyLane's best exact rule") for goal in GOALS)
