"""Recommendations from runs that are made up, so that it is known what is true."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hybridopt.compare import Study
from hybridopt.compare.results import Point, Run, failed
from hybridopt.errors import ArgumentError, ArgumentTypeError, UnknownNameError


def run(method, seed, metric, *, seconds=1.0, shots=0, reached_at=1.0):
    """A run that reaches its metric at a share of what it spends."""
    points = [
        Point(0, 0, 0, 0.0, 0, 0, None, 1.0, 0.1),
        Point(0, 1, 10, seconds * reached_at, 0, round(shots * reached_at), 0.5, 0.5, metric),
        Point(0, 2, 20, seconds, 0, shots, 0.4, 0.4, metric),
    ]
    return Run(
        method, seed, test_metric=metric, training_seconds=seconds, inference_seconds=0.01,
        steps=20, shots=shots, trainable=5, num_test=100, curve=tuple(points),
    )  # fmt: skip


def made_up(runs, methods, **options):
    seeds = tuple(sorted({one.seed for one in runs}))
    return Study(
        "toy", "classification", "accuracy", tuple(methods), methods[0], seeds, "2 epochs",
        {"trials": 1, "validation_fraction": 0.2, "step": 3.0}, tuple(runs), **options,
    )  # fmt: skip


NOISE = [0.01, -0.012, 0.004, -0.005, 0.002]


def clear():
    """b is better by 0.1 with a deviation of 0.01; c is as good as b, slower and with shots."""
    runs = []
    for seed, noise in enumerate(NOISE):
        runs += [
            run("a", seed, 0.80, seconds=1.0 + noise),
            run("b", seed, 0.90 + noise, seconds=2.0 + noise),
            run("c", seed, 0.90 - noise, seconds=20.0 - noise, shots=1000 + seed),
        ]
    return made_up(runs, ["a", "b", "c"])


def test_a_clear_difference_is_decided():
    runs = [one for one in clear().runs if one.method != "c"]
    found = made_up(runs, ["a", "b"]).recommend()
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
    assert "noise" in found.reason
    assert found.interval.low <= 0 <= found.interval.high
    assert "b trains fastest" in found.reason


def test_time_among_the_equally_good():
    found = clear().recommend("time")
    assert (found.method, found.decided) == ("b", True)  # a is faster, but not as good
    assert found.interval.high < 0
    assert "0.1 times" in found.reason


def test_time_to_a_target():
    assert clear().recommend("time", at_least=0.75).method == "a"
    assert clear().recommend("time", at_least=0.85).method == "b"
    none = clear().recommend("time", at_least=0.99)
    assert (none.method, none.decided) == (None, True)
    assert "no method reaches a test accuracy of 0.99 with every seed" in none.reason
    partly = clear().recommend("time", at_least=0.905)
    assert (partly.method, partly.decided) == (None, False)
    assert "which does with" in partly.reason


def test_time_within_noise_is_undecided():
    factors = [1.0, 2.0, 0.5, 1.5, 0.7]
    runs = [run("a", seed, 0.9, seconds=1.0) for seed in range(5)]
    runs += [run("b", seed, 0.9, seconds=factor) for seed, factor in enumerate(factors)]
    found = made_up(runs, ["a", "b"]).recommend("time", at_least=0.5)
    assert (found.method, found.decided) == (None, False)
    assert set(found.candidates) == {"a", "b"}


def test_the_cheapest_is_cheaper_than_all_and_not_only_than_the_next():
    runs = []
    for seed, factor in enumerate([0.3, 5.0, 1.0, 2.0, 9.0]):
        runs += [
            run("a", seed, 0.9, seconds=1.0 + 0.001 * seed),
            run("b", seed, 0.9, seconds=1.5),
            run("c", seed, 0.9, seconds=factor),  # slower in the mean, but not surely
        ]
    found = made_up(runs, ["a", "b", "c"]).recommend("time", at_least=0.5)
    assert (found.method, found.candidates) == (None, ("a", "c"))
    assert found.interval.high >= 0
    assert "as much as c" in found.reason


def test_shots_count_only_where_some_are_taken_and_the_classical_way_is_named():
    found = clear().recommend("shots", at_least=0.75)
    assert found.method == "c"
    assert "Without any shot, b has a mean test accuracy of 0.900" in found.reason
    assert (
        "takes 1,002 shots of training to do so; no other method that takes shots" in found.reason
    )
    slow = [run("a", seed, 0.9 + 0.001 * seed) for seed in range(3)]
    slow += [run("b", seed, 0.5, shots=10) for seed in range(3)]
    for target, words in ((None, "comes within noise of the best"), (0.85, "reaches")):
        none = made_up(slow, ["a", "b"]).recommend("shots", at_least=target)
        assert none.method is None
        assert f"no method that takes shots {words}" in none.reason  # a does, without any
    with pytest.raises(ArgumentError, match="No method of the study takes shots"):
        made_up([run("a", s, 0.8) for s in range(2)], ["a"]).recommend("shots")


def test_an_accuracy_that_nobody_has():
    found = clear().recommend(at_least=0.95)
    assert (found.method, found.decided) == (None, True)
    assert str(found).startswith("none: no method reaches a mean test accuracy of 0.95")


def test_failed_seeds_are_left_out_of_pairs():
    runs = list(clear().runs)
    runs = [one for one in runs if one.method != "c"]
    runs[0], runs[3] = failed("a", 0, "gone"), failed("b", 1, "gone")
    study = made_up(runs, ["a", "b"])
    assert study.difference("b", "a").count == 3
    found = study.recommend()
    assert found.method == "b"
    assert "4 seeds" in found.reason
    for name in "ab":
        assert f"Of {name}, 1 of 5 runs failed; it is judged by the others." in found.reason
    # what not every seed reaches is no promise
    assert study.recommend("time", at_least=0.85).method is None


def fragile():
    """The better of the two fails with three seeds of five."""
    runs = [run("steady", seed, 0.80 + noise) for seed, noise in enumerate(NOISE)]
    runs += [run("fragile", seed, 0.95, seconds=0.1) for seed in range(2)]
    return made_up(
        [*runs, *(failed("fragile", s, "gone") for s in (2, 3, 4))], ["steady", "fragile"]
    )


@pytest.mark.parametrize(
    "goal", [{}, {"at_least": 0.7}, {"goal": "time"}, {"goal": "time", "at_least": 0.7}]
)
def test_a_method_with_failed_runs_is_not_recommended_over_one_without(goal):
    found = fragile().recommend(**goal)
    assert (found.method, found.candidates[:1]) in {("steady", ("steady",)), ("steady", ())}
    assert (
        "Of fragile, 3 of 5 runs failed, so it is left aside (its others have a mean of 0.950)."
        in found.reason
    )
    assert fragile().ranked() == ["steady", "fragile"]


def test_a_mean_over_easier_seeds_is_no_lead():
    """c failed where all are bad; on the seeds it shares it is surely worse than a."""
    levels = [0.9, 0.9, 0.9, 0.3, 0.3, 0.3]
    runs = [run("a", seed, level + 0.001 * (seed % 2)) for seed, level in enumerate(levels)]
    runs += [run("c", seed, level - 0.05) for seed, level in enumerate(levels[:3])]
    runs += [failed("c", seed, "gone") for seed in (3, 4, 5)]
    assert made_up(runs, ["a", "c"]).recommend().method == "a"
    assert made_up(runs, ["a", "c"]).recommend("time").method == "a"
    runs[5] = failed("a", 5, "gone")  # now none is without failures
    for goal in ("accuracy", "time"):
        found = made_up(runs, ["a", "c"]).recommend(goal)
        assert (found.method, found.decided) == ("a", True)
        assert "Of c, 3 of 6 runs failed; it is judged by the others." in found.reason


def test_a_method_that_never_ends_is_named():
    runs = [run("a", s, 0.8) for s in range(2)] + [failed("b", s, "gone") for s in range(2)]
    assert made_up(runs, ["a", "b"]).recommend().reason.endswith("Of b, 2 of 2 runs failed.")


def test_a_target_that_is_not_kept_is_told():
    runs = []
    for seed in range(3):
        peak = run("a", seed, 0.95, reached_at=0.5)
        curve = (*peak.curve[:-1], replace(peak.curve[-1], test_metric=0.3))
        runs += [replace(peak, test_metric=0.3, curve=curve), run("b", seed, 0.8)]
    found = made_up(runs, ["a", "b"]).recommend("time", at_least=0.9)
    assert found.method == "a"
    assert "with 3 seeds it ends below, at a mean test accuracy of 0.300" in found.reason
    assert "does not stay" not in made_up(runs, ["a", "b"]).recommend("time", at_least=0.25).reason


def test_nothing_to_set_against_each_other_is_said():
    runs = [run("a", 0, 0.9), failed("a", 1, "x"), failed("b", 0, "x"), run("b", 1, 0.9)]
    found = made_up(runs, ["a", "b"]).recommend("time", at_least=0.5)
    assert found.method is None
    runs = [run("a", 0, 0.9), run("a", 1, 0.9, seconds=0), run("b", 0, 0.9, seconds=0)]
    runs.append(run("b", 1, 0.9))
    found = made_up(runs, ["a", "b"]).recommend("time", at_least=0.5)
    assert "noise: how they compare is unknown, as fewer than two seeds" in found.reason


def test_one_seed_in_common_decides_nothing():
    runs = [run("a", 0, 0.5), failed("a", 1, "gone"), run("a", 2, 0.5)]
    runs += [failed("b", 0, "gone"), run("b", 1, 0.9), run("b", 2, 0.9)]
    found = made_up(runs, ["a", "b"]).recommend()
    assert found.decided is False
    assert "unknown, as fewer than two seeds" in found.reason


def test_alone_or_with_nothing():
    assert made_up([run("a", s, 0.8) for s in range(2)], ["a"]).recommend().method == "a"
    nothing = made_up([failed("a", 0, "x"), failed("a", 1, "x")], ["a"])
    with pytest.raises(ArgumentError, match="No run of the study came to its end"):
        nothing.recommend()


@pytest.mark.wrong_types
@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"goal": "acuracy"}, UnknownNameError, "Did you mean 'accuracy'"),
        ({"goal": "time", "at_least": "0.9"}, ArgumentTypeError, "`at_least` must be a number"),
    ],
)
def test_what_is_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        clear().recommend(**arguments)
