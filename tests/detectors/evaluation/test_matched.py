from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.evaluation import Truth, matched_fpr, measure, simulate_weekly
from detectors.evaluation.matched import (
    Interval,
    at_alarms,
    at_rates,
    difference,
    interval,
    prepare,
    ranks,
    resamples,
    verdict,
)
from detectors.evaluation.metrics import longest_silence

#: Two series with outbreaks in columns 2-4 and 3-4, one without.
OUTBREAK = np.array([[0, 0, 1, 0, 1], [0, 0, 0, 1, 1], [0, 0, 0, 0, 0]], dtype=bool)
TRUTH = Truth(OUTBREAK, np.array([2, 3, -1]))
P = np.array([[0.5, 0.9, 0.30, 0.8, 0.02], [0.6, 0.04, 0.01, 0.2, 0.03], [0.7, 0.05, 0.95, 0.4, 1]])
SAMPLE = np.ones((1, 3))


def test_figures_at_a_rate_by_hand() -> None:
    # Eleven steps are calm; sorted 0.01 0.04 0.05 0.4 ...: two of them may give an alarm.
    found = at_rates(prepare(ranks(P), TRUTH), SAMPLE, [2 / 11], first=1, early=2)
    values = {name: each[0, 0] for name, each in found.items()}
    # Alarms at 0.02, 0.03 (with cases), 0.01, 0.04 (without); threshold at 0.05.
    assert values["fpr"] == pytest.approx(2 / 11)
    assert values["pod"] == 1
    assert values["pod_first"] == 0
    assert values["pod_early"] == 0.5
    assert values["ppv"] == pytest.approx(2 / 4)
    assert values["f1"] == pytest.approx(2 * 2 / (4 + 4))
    # Found in the third and in the second step: half of them at the end of the second.
    assert values["half_time"] == 2
    assert values["mean_delay"] == pytest.approx((2 + 1) / 2)
    assert values["in_alarm"] == pytest.approx(2 / 4)
    assert values["silence"] == 0


def test_the_silence_of_an_outbreak_is_that_after_its_first_alarm() -> None:
    outbreak = np.array([[1, 1, 1, 1, 0, 1, 1, 0], [0, 1, 1, 1, 1, 0, 0, 0]], dtype=bool)
    truth = Truth(outbreak, np.array([0, 0]))
    alarm = np.array([[0, 1, 0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 1, 1, 0]], dtype=bool)
    # Three steps between two alarms, then one up to the last case; the second one is not found.
    assert longest_silence(alarm, truth).tolist() == pytest.approx([3, math.nan], nan_ok=True)
    found = at_alarms(alarm, truth, resamples(2, draws=3, seed=1))
    assert found["silence"][0, 0] == 3
    assert np.isnan(found["silence"][1:]).all()
    assert found["in_alarm"][0, 0] == pytest.approx(2 / 10)
    whole = measure(alarm, truth)
    assert whole.silence.value == 3
    assert whole.sensitivity.value == pytest.approx(2 / 10)


def test_a_missed_outbreak_is_later_than_all_and_counts_with_its_length() -> None:
    rank = ranks(np.where(OUTBREAK & (np.arange(3)[:, None] == 0), 1.0, P))
    found = at_rates(prepare(rank, TRUTH), SAMPLE, [2 / 11])
    assert found["pod"][0, 0] == 0.5
    assert found["mean_delay"][0, 0] == pytest.approx((3 + 1) / 2)
    assert found["half_time"][0, 0] == 2
    none = at_rates(prepare(np.full(P.shape, np.inf), TRUTH), SAMPLE, [0.5])
    assert none["half_time"][0, 0] == math.inf
    assert none["pod"][0, 0] == 0


def test_the_median_is_interpolated_within_its_step() -> None:
    outbreak = np.ones((4, 3), dtype=bool)
    outbreak[:, 0] = False
    truth = Truth(outbreak, np.ones(4, dtype=np.intp))
    alarm = np.zeros((4, 3), dtype=bool)
    alarm[:1, 1] = True
    alarm[1:3, 2] = True
    # One of four is found in the first step, two in the second: half at 1 + 1/2.
    assert at_alarms(alarm, truth, np.ones((1, 4)))["half_time"][0, 0] == 1.5


def test_ties_of_p_values_go_by_score_then_by_lot() -> None:
    p = np.array([[0.0, 0.0, 0.5, np.nan]])
    assert ranks(p, np.array([[1.0, 3.0, 9.0, np.nan]])).tolist() == [[1, 0, 2, math.inf]]
    many = np.zeros((1, 1000))
    assert sorted(ranks(many)[0]) == list(range(1000))
    assert (ranks(many, seed=1) != ranks(many, seed=2)).any()


@given(st.integers(0, 2**32), st.floats(0.01, 0.9))
def test_without_draws_it_agrees_with_the_measures(seed: int, rate: float) -> None:
    made = simulate_weekly(series=20, seed=seed)
    p = np.random.default_rng(seed).random(made.truth.outbreak.shape)
    matched = matched_fpr(p, made.truth, rate)
    whole = measure(matched.alarm, made.truth)
    found = at_rates(prepare(ranks(p), made.truth), np.ones((1, 20)), [rate])
    for name in ("fpr", "pod", "pod_first", "f1", "ppv", "silence"):
        assert found[name][0, 0] == pytest.approx(getattr(whole, name).value, nan_ok=True), name
    assert found["in_alarm"][0, 0] == pytest.approx(whole.sensitivity.value, nan_ok=True)
    same = at_alarms(matched.alarm, made.truth, np.ones((1, 20)))
    for name, values in found.items():
        assert same[name][0, 0] == pytest.approx(values[0, 0], nan_ok=True), name


@given(st.integers(0, 2**32))
def test_a_draw_is_the_same_as_the_series_put_together(seed: int) -> None:
    made = simulate_weekly(series=8, seed=seed)
    rank = ranks(np.random.default_rng(seed).random(made.truth.outbreak.shape))
    weights = resamples(8, draws=1, seed=seed)
    rows = np.repeat(np.arange(8), weights[1].astype(int))
    truth = Truth(made.truth.outbreak[rows], made.truth.start[rows])
    drawn = at_rates(prepare(rank, made.truth), weights, [0.1])
    again = at_rates(prepare(rank[rows], truth), np.ones((1, 8)), [0.1])
    # Figures of the sample alone are not drawn.
    del again["silence"]
    for name, values in again.items():
        # Copies of a series are tied, so that the rate may be missed by the steps that are.
        if drawn["fpr"][1, 0] == values[0, 0]:
            assert drawn[name][1, 0] == pytest.approx(values[0, 0], nan_ok=True), name
    assert drawn["fpr"][1, 0] <= 0.1


def test_a_paired_difference_is_sharper_than_its_parts() -> None:
    rng = np.random.default_rng(3)
    series, judged = 400, 30
    outbreak = np.zeros((series, judged), dtype=bool)
    outbreak[:, 25] = True
    truth = Truth(outbreak, np.full(series, 25))
    hard = rng.random((series, 1)) < 0.5
    p = rng.random((series, judged))
    p[:, 25:26] = np.where(hard, 0.9, 1e-6)
    # The better one finds 30 more of the hard ones, everything else being the same.
    better = p.copy()
    better[np.flatnonzero(hard)[:30], 25] = 1e-6
    weights = resamples(series, draws=300, seed=1)
    ours, theirs = (at_rates(prepare(ranks(each), truth), weights, [0.05]) for each in (better, p))
    (apart,) = interval(difference(ours["pod"], theirs["pod"]))
    assert apart.value == pytest.approx(30 / 400)
    assert verdict(apart, "pod") == "won"
    (own,) = interval(theirs["pod"])
    assert apart.high - apart.low < 0.75 * (own.high - own.low)
    (none,) = interval(difference(theirs["pod"], theirs["pod"]))
    assert none == Interval(0, 0, 0)
    assert verdict(none, "pod") == "open"


def test_the_interval_of_a_share_is_about_the_normal_one() -> None:
    rng = np.random.default_rng(4)
    outbreak = np.zeros((500, 3), dtype=bool)
    outbreak[:, 2] = True
    truth = Truth(outbreak, np.full(500, 2))
    alarm = np.zeros((500, 3), dtype=bool)
    alarm[:, 2] = rng.random(500) < 0.3
    weights = resamples(500, draws=1000, seed=1)
    (found,) = interval(at_alarms(alarm, truth, weights)["pod"])
    half = 1.96 * math.sqrt(found.value * (1 - found.value) / 500)
    assert found.high - found.value == pytest.approx(half, rel=0.15)
    assert found.value - found.low == pytest.approx(half, rel=0.15)


@pytest.mark.parametrize(
    ("figure", "low", "high", "expected"),
    [
        ("pod", 0.01, 0.1, "won"),
        ("pod", -0.1, -0.01, "lost"),
        ("pod", 0.0, 0.1, "open"),
        ("half_time", -math.inf, -0.2, "won"),
        ("mean_delay", 0.1, 0.2, "lost"),
        ("half_time", math.nan, math.nan, "open"),
    ],
)
def test_verdicts(figure: str, low: float, high: float, expected: str) -> None:
    assert verdict(Interval(0.0, low, high), figure) == expected


def test_shapes_are_checked() -> None:
    with pytest.raises(ValueError, match="shape"):
        prepare(np.zeros((2, 5)), TRUTH)
