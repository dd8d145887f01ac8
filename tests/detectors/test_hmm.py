"""The hidden Markov model: recursions against all paths, recovery, and the contract."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import nbinom

from detectors._hidden_markov import filter_states, fit_two_states, likelihood_ratio
from detectors._seasonal_terms import Column
from detectors.contract import FloatArray, Grain, Panel, Reason
from detectors.hmm import NbHmm
from tests.detectors.contract_checks import check_contract


def simulate(
    rng: np.random.Generator, series: int, steps: int, mean: FloatArray, factor: float
) -> tuple[FloatArray, FloatArray]:
    """Counts and states of a model with p_01 = 0.03, p_10 = 0.15 and psi = 0.05."""
    state = np.zeros((series, steps))
    for t in range(1, steps):
        change = rng.random(series) < np.where(state[:, t - 1] == 1, 0.15, 0.03)
        state[:, t] = np.abs(state[:, t - 1] - change)
    mu = mean * factor**state
    return rng.negative_binomial(20, 20 / (20 + mu)).astype(np.float64), state


def test_the_recursions_equal_the_sum_over_all_paths() -> None:
    rng = np.random.default_rng(2)
    steps, points = 7, 5
    log_ratio = rng.normal(0, 2, (steps, points))
    enter, leave = rng.uniform(0.05, 0.5, points), rng.uniform(0.05, 0.5, points)
    found = filter_states(log_ratio, enter, leave)
    for point in range(points):
        a, b = float(enter[point]), float(leave[point])
        move = {(0, 0): 1 - a, (0, 1): a, (1, 0): b, (1, 1): 1 - b}
        total, after = 0.0, 0.0
        smoothed, changes = np.zeros(steps), {(0, 1): 0.0, (1, 0): 0.0}
        for path in itertools.product((0, 1), repeat=steps):
            weight = a / (a + b) if path[0] else b / (a + b)
            for t in range(steps):
                weight *= math.exp(path[t] * log_ratio[t, point])
                weight *= move[path[t - 1], path[t]] if t else 1.0
            total += weight
            smoothed += weight * np.array(path)
            after += weight * move[path[-1], 1]
            for pair in itertools.pairwise(path):
                if pair in changes:
                    changes[pair] += weight
        np.testing.assert_allclose(found.epidemic[:, point], smoothed / total, rtol=1e-10)
        assert found.next_epidemic[point] == pytest.approx(after / total)
        assert found.entered[point] == pytest.approx(changes[0, 1] / total)
        assert found.left[point] == pytest.approx(changes[1, 0] / total)


def test_the_likelihood_ratio_is_that_of_the_two_distributions() -> None:
    mean, delta, size = (
        np.array([0.3, 8.0, 500.0]),
        np.array([0.4, 1.1, 0.7]),
        np.array([1.0, 9, 30]),
    )
    slope, offset = likelihood_ratio(mean, delta, size)
    for y in (0, 3, 700):
        expected = nbinom.logpmf(y, size, size / (size + mean * np.exp(delta))) - nbinom.logpmf(
            y, size, size / (size + mean)
        )
        np.testing.assert_allclose(slope * y - offset, expected, rtol=1e-9, atol=1e-9)


def test_the_parameters_of_simulated_series_are_recovered() -> None:
    rng = np.random.default_rng(3)
    counts, state = simulate(rng, 60, 300, np.full(300, 20.0), 2.5)
    level = Column(np.ones(300), 1.0, 2.0)
    model = fit_two_states(counts, np.ones(counts.shape, dtype=bool), [level], 60)
    assert np.median(np.exp(model.beta[:, 0])) == pytest.approx(20, rel=0.03)
    assert np.median(np.exp(model.beta[:, 1])) == pytest.approx(2.5, rel=0.05)
    assert 0.035 < np.median(1 / model.size) < 0.065
    assert state.mean() > 0.1


def test_the_filter_tells_the_states_apart() -> None:
    rng = np.random.default_rng(4)
    counts, state = simulate(rng, 400, 121, np.full(121, 20.0), 3.0)
    verdicts = NbHmm(harmonics=0, window=100, threshold=0.5).judge(
        Panel(counts, grain="week"), slice(-1, None)
    )
    epidemic = state[:, -1] == 1
    assert verdicts.alarm[:, 0][epidemic].mean() > 0.9
    assert verdicts.alarm[:, 0][~epidemic].mean() < 0.06
    # The probability is meant as one: of those near p, about a share of p is epidemic.
    probability = 1 / (1 + np.exp(-verdicts.score[:, 0]))
    assert probability.mean() == pytest.approx(epidemic.mean(), abs=0.04)
    # and the p-value is one given the endemic state
    p_value = verdicts.p_value[:, 0][~epidemic]
    assert 0.42 < p_value.mean() < 0.6
    assert (p_value < 0.05).mean() < 0.1


def test_a_season_is_not_an_epidemic_to_a_model_with_one() -> None:
    rng = np.random.default_rng(5)
    mean = 20 * np.exp(0.8 * np.cos(2 * np.pi * np.arange(157) / 52))
    counts = rng.negative_binomial(20, 20 / (20 + mean), (100, 157)).astype(np.float64)
    panel = Panel(counts, grain="week", period=52)
    with_season, without = (
        NbHmm(window=156, harmonics=h).judge(panel, slice(-1, None)) for h in (1, 0)
    )
    assert with_season.alarm.mean() < 0.05
    assert without.alarm.mean() > 0.5


def test_several_high_counts_together_raise_an_alarm_that_one_does_not() -> None:
    rng = np.random.default_rng(6)
    calm = rng.poisson(20, (200, 100)).astype(np.float64)
    detector = NbHmm(window=90, harmonics=0)
    once, thrice = calm.copy(), calm.copy()
    once[:, -1:] = 33
    thrice[:, -3:] = 33
    single, several = (
        detector.judge(Panel(c, grain="week"), slice(-1, None)) for c in (once, thrice)
    )
    assert several.alarm.mean() > single.alarm.mean() + 0.2
    assert (several.upper < single.upper).mean() > 0.9


def test_the_threshold_is_where_the_probability_passes_it() -> None:
    rng = np.random.default_rng(7)
    counts = rng.poisson(12, (30, 60)).astype(np.float64)
    detector = NbHmm(window=52, harmonics=0, threshold=0.7)
    upper = detector.judge(Panel(counts, grain="week"), slice(-1, None)).upper[:, 0]
    counts[:, -1] = upper
    score = detector.judge(Panel(counts, grain="week"), slice(-1, None)).score
    np.testing.assert_allclose(score, math.log(0.7 / 0.3), atol=1e-6)


def test_a_zero_is_never_an_alarm() -> None:
    counts = np.r_[np.full(40, 1.0), np.full(20, 2.0), 0.0][None]
    verdicts = NbHmm(window=60, harmonics=0, threshold=1e-9).judge(
        Panel(counts, grain="week"), slice(-1, None)
    )
    assert verdicts.upper[0, 0] == 0
    assert not verdicts.alarm[0, 0]


def test_all_zero_windows_are_judged_and_marked() -> None:
    verdicts = NbHmm(harmonics=0).judge(Panel(np.zeros((1, 60)), grain="week"), slice(-1, None))
    assert verdicts.reason[0, 0] == Reason.all_zero
    assert verdicts.upper[0, 0] > 0


@pytest.mark.parametrize(
    ("grain", "period", "dated", "parameters"),
    [
        ("month", 12, 0, {"window": 30, "iterations": 6}),
        ("week", None, 1, {"window": 24, "harmonics": 2, "iterations": 3}),
        ("day", 13, 0, {"window": 26, "threshold": 0.2, "iterations": 5}),
        ("day", None, 1, {"window": 30, "iterations": 2}),
    ],
)
def test_the_contract(
    grain: Grain, period: int | None, dated: int, parameters: dict[str, Any]
) -> None:
    check_contract(NbHmm(**parameters), grain=grain, period=period, dated=bool(dated), judged=9)


@pytest.mark.parametrize(
    "wrong", [{"window": 11}, {"threshold": 1.0}, {"iterations": 0}, {"refit": 4}]
)
def test_wrong_parameters_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        NbHmm.model_validate(wrong)
