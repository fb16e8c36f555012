"""Recommendations from artificial runs with a known answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hybridopt.errors import ArgumentError, ArgumentTypeError, UnknownNameError

from .conftest import failed, made_up, run, runs

NOISE = [0.01, -0.012, 0.004, -0.005, 0.002]


def clear(methods="abc"):
    """b is better by 0.1 with a deviation of 0.01; c is as good as b, slower and takes shots."""
    found = []
    for seed, noise in enumerate(NOISE):
        found += [
            run("a", seed, 0.80, seconds=1.0 + noise),
            run("b", seed, 0.90 + noise, seconds=2.0 + noise),
            run("c", seed, 0.90 - noise, seconds=20.0 - noise, shots=1000 + seed),
        ]
    return made_up([one for one in found if one.method in methods])


def test_a_clear_difference_is_decided():
    found = clear("ab").recommend()
    assert (found.method, found.decided) == ("b", True)
    # mean 0.0998, deviation 0.0084, t_4(0.975) = 2.776, over sqrt(5)
    assert found.interval.mean == pytest.approx(0.0998, abs=1e-9)
    assert "+0.100 [+0.089, +0.110]" in found.reason
    assert str(found).startswith("b: mean test accuracy 0.900")


def test_a_difference_within_noise_is_undecided():
    found = clear().recommend()
    assert (found.method, found.decided) == (None, False)
    assert set(found.candidates) == {"b", "c"}
    assert str(found).startswith("undecided: ")
    assert found.interval.low <= 0 <= found.interval.high
    assert "b trains fastest" in found.reason


def test_time_among_equally_good_methods():
    found = clear().recommend("time")
    assert (found.method, found.decided) == ("b", True)  # a is faster, but not as good
    assert found.interval.high < 0
    assert "the ratio to c is 0.1 " in found.reason


@pytest.mark.parametrize(
    ("goal", "target", "method", "decided", "words"),
    [
        ("time", 0.75, "a", True, "0.75"),
        ("time", 0.85, "b", True, "0.85"),
        ("time", 0.99, None, True, "0.99"),
        ("time", 0.905, None, False, "of 5 seeds"),  # some seeds reach it
        ("accuracy", 0.95, None, True, "0.95"),
        ("shots", 0.75, "c", True, "1,002 shots"),
    ],
)
def test_a_target_must_be_reached_with_every_seed(goal, target, method, decided, words):
    found = clear().recommend(goal, at_least=target)
    assert (found.method, found.decided) == (method, decided)
    assert words in found.reason
    assert ("b has a mean test accuracy of 0.900" in found.reason) == (goal == "shots")


def test_time_within_noise_is_undecided():
    slower = [run("b", s, 0.9, seconds=factor) for s, factor in enumerate([1, 2, 0.5, 1.5, 0.7])]
    found = made_up(runs("a", [0.9] * 5) + slower).recommend("time", at_least=0.5)
    assert (found.method, found.decided) == (None, False)
    assert set(found.candidates) == {"a", "b"}


def test_the_cheapest_is_compared_with_all_others():
    found = []
    for seed, factor in enumerate([0.3, 5.0, 1.0, 2.0, 9.0]):
        found += [
            run("a", seed, 0.9, seconds=1.0 + 0.001 * seed),
            run("b", seed, 0.9, seconds=1.5),
            run("c", seed, 0.9, seconds=factor),  # slower on average, but within noise
        ]
    found = made_up(found).recommend("time", at_least=0.5)
    assert (found.method, found.candidates) == (None, ("a", "c"))
    assert found.interval.high >= 0
    assert "ratio to c" in found.reason


@pytest.mark.parametrize("target", [None, 0.85])
def test_shots_are_compared_among_methods_with_shots(target):
    found = runs("a", [0.9, 0.901, 0.902]) + runs("b", [0.5] * 3, shots=10)
    none = made_up(found).recommend("shots", at_least=target)
    assert none.method is None  # only a is good enough, and it takes no shots
    with pytest.raises(ArgumentError, match="shots"):
        made_up(runs("a", [0.8] * 2)).recommend("shots")


def test_failed_seeds_are_left_out_of_pairs():
    found = list(clear("ab").runs)
    found[0], found[3] = *failed("a", 0), *failed("b", 1)
    study = made_up(found)
    assert study.difference("b", "a").count == 3
    found = study.recommend()
    assert found.method == "b"
    assert "4 seeds" in found.reason
    for name in "ab":
        assert f"1 of 5 runs of {name} failed" in found.reason
    assert study.recommend("time", at_least=0.85).method is None  # not reached with every seed


@pytest.mark.parametrize(
    "goal", [{}, {"at_least": 0.7}, {"goal": "time"}, {"goal": "time", "at_least": 0.7}]
)
def test_methods_without_failed_runs_come_first(goal):
    steady = runs("steady", [0.80 + noise for noise in NOISE])
    fragile = runs("fragile", [0.95] * 2, seconds=0.1) + failed("fragile", 2, 3, 4)
    study = made_up(steady + fragile)
    found = study.recommend(**goal)
    assert (found.method, found.candidates[:1]) in {("steady", ("steady",)), ("steady", ())}
    assert "3 of 5 runs of fragile failed" in found.reason
    assert "0.950" in found.reason
    assert study.ranked() == ["steady", "fragile"]


@pytest.mark.parametrize("goal", ["accuracy", "time"])
def test_a_mean_over_easier_seeds_is_not_a_lead(goal):
    """c failed where all are bad; on the shared seeds it is clearly worse than a."""
    levels = [0.9, 0.9, 0.9, 0.3, 0.3, 0.3]
    found = runs("a", [level + 0.001 * (seed % 2) for seed, level in enumerate(levels)])
    found += runs("c", [level - 0.05 for level in levels[:3]]) + failed("c", 3, 4, 5)
    assert made_up(found).recommend(goal).method == "a"
    (found[5],) = failed("a", 5)  # now each method has failed runs
    recommended = made_up(found).recommend(goal)
    assert (recommended.method, recommended.decided) == ("a", True)
    assert "3 of 6 runs of c failed" in recommended.reason


def test_a_method_without_finished_runs_is_named():
    study = made_up(runs("a", [0.8] * 2) + failed("b", 0, 1))
    assert study.recommend().reason.endswith("2 of 2 runs of b failed.")
    assert "over 2 seeds;" in study.recommend().reason
    assert "over 1 seed;" in made_up([run("a", 0, 0.8), *failed("a", 1)]).recommend().reason


def test_a_target_that_is_lost_again_is_reported():
    found = []
    for seed in range(3):
        peak = run("a", seed, 0.95, reached_at=0.5)
        curve = (*peak.curve[:-1], replace(peak.curve[-1], test_metric=0.3))
        found += [replace(peak, test_metric=0.3, curve=curve), run("b", seed, 0.8)]
    lost = made_up(found).recommend("time", at_least=0.9)
    assert lost.method == "a"
    assert "0.300" in lost.reason
    assert "0.300" not in made_up(found).recommend("time", at_least=0.25).reason


@pytest.mark.parametrize("goal", [{}, {"goal": "time", "at_least": 0.5}])
def test_fewer_than_two_shared_seeds_decide_nothing(goal):
    found = [run("a", 0, 0.5), *failed("a", 1), run("a", 2, 0.5)]
    found += [*failed("b", 0), run("b", 1, 0.9), run("b", 2, 0.9)]
    assert made_up(found).recommend(**goal).method is None
    # a ratio needs positive seconds
    found = [run("a", 0, 0.9), run("a", 1, 0.9, seconds=0), run("b", 0, 0.9, seconds=0)]
    found = made_up([*found, run("b", 1, 0.9)]).recommend("time", at_least=0.5)
    assert (found.method, found.interval) == (None, None)
    assert "fewer than two seeds" in found.reason


def test_one_method_or_no_finished_run():
    assert made_up(runs("a", [0.8] * 2)).recommend().method == "a"
    with pytest.raises(ArgumentError, match="failures"):
        made_up(failed("a", 0, 1)).recommend()


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"goal": "acuracy"}, UnknownNameError, "'acuracy'"),
        ({"goal": "time", "at_least": "0.9"}, ArgumentTypeError, "`at_least`"),
    ],
)
def test_invalid_goals(arguments, error, message):
    with pytest.raises(error, match=message):
        clear().recommend(**arguments)
