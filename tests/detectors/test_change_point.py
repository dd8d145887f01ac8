"""Bayesian online change points: the recursion against all segmentations, and the contract."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import gammaincc, gammaln
from scipy.stats import nbinom

from detectors._run_lengths import RunLengths, neighbour_dispersion
from detectors.change_point import ChangePoint
from detectors.contract import Panel, Reason
from tests.detectors.contract_checks import check_contract

SHAPE, HAZARD = 1.5, 0.1


def log_marginal(counts: list[float], mean: float) -> float:
    """Log probability of the counts of one run: Poisson with the rate integrated out."""
    rate, total, n = SHAPE / mean, sum(counts), len(counts)
    return float(
        SHAPE * math.log(rate)
        - gammaln(SHAPE)
        + gammaln(SHAPE + total)
        - (SHAPE + total) * math.log(rate + n)
        - sum(gammaln(y + 1) for y in counts)
    )


def last_start(counts: list[float], mean: float) -> list[float]:
    """Posterior of the step at which the last run began, summed over all segmentations."""
    n = len(counts)
    weight = [0.0] * n
    for cuts in itertools.product((False, True), repeat=n - 1):
        starts = [0, *(i + 1 for i, cut in enumerate(cuts) if cut)]
        log = math.log(HAZARD) * (len(starts) - 1) + math.log(1 - HAZARD) * (n - len(starts))
        for start, end in zip(starts, [*starts[1:], n], strict=True):
            log += log_marginal(counts[start:end], mean)
        weight[starts[-1]] += math.exp(log)
    return [w / sum(weight) for w in weight]


def predictive(past: list[float], mean: float) -> list[tuple[float, float, float]]:
    """Weight, shape and rate of the current run, for each step at which it may have begun."""
    rate, n = SHAPE / mean, len(past)
    return [
        (weight, SHAPE + sum(past[start:]), rate + n - start)
        for start, weight in enumerate(last_start(past, mean))
    ]


SERIES = [
    [3.0, 4, 2, 5, 3, 4, 9, 11, 8],
    [0.0, 0, 0, 0, 0, 0, 0, 1, 7],
    [9.0, 1, 12, 0, 3, 3, 2, 4, 20],
]


@pytest.mark.parametrize("counts", SERIES)
def test_the_recursion_equals_the_sum_over_all_segmentations(counts: list[float]) -> None:
    runs = RunLengths(np.array([4.0]), np.ones(1), length=len(counts), hazard=HAZARD, shape=SHAPE)
    for n, count in enumerate(counts, start=1):
        runs.take(np.array([count]), np.array([True]))
        np.testing.assert_allclose(runs.weight[0, :n], last_start(counts[:n], 4.0), rtol=1e-10)


@pytest.mark.parametrize("counts", SERIES)
def test_the_verdict_by_direct_enumeration(counts: list[float]) -> None:
    past, today = counts[:-1], counts[-1]
    mean = (sum(past) + 0.5) / 8.5
    detector = ChangePoint(
        window=8,
        recent=3,
        hazard=HAZARD,
        prior_shape=SHAPE,
        overdispersion=1,
        alpha=0.05,
        threshold=0.5,
    )
    verdict = detector.judge(Panel(np.array([counts])), slice(-1, None))

    now = predictive(past, mean)
    assert verdict.expected[0, 0] == pytest.approx(sum(w * a / b for w, a, b in now))

    def tail(count: float) -> float:
        return float(sum(w * nbinom.sf(count - 1, a, b / (b + 1)) for w, a, b in now))

    assert verdict.p_value[0, 0] == pytest.approx(tail(today))
    assert verdict.upper[0, 0] == next(q for q in range(1000) if tail(q + 1) <= 0.05)
    rise = 0.0
    for start, (weight, shape, rate) in enumerate(predictive(counts, mean)):
        if start >= len(counts) - 3:
            before = sum(w * a / b for w, a, b in predictive(counts[:start], mean))
            rise += weight * gammaincc(shape, rate * before)
    assert verdict.score[0, 0] == pytest.approx(math.log(rise / (1 - rise)))
    assert verdict.alarm[0, 0] == (rise > 0.5)


def test_leaps_are_dated_and_forgotten() -> None:
    rng = np.random.default_rng(1)
    counts = rng.poisson(np.r_[np.full(60, 10.0), np.full(15, 25.0)], (100, 75)).astype(np.float64)
    alarm = (
        ChangePoint(window=40, recent=3, overdispersion=1)
        .judge(Panel(counts), np.arange(40, 75))
        .alarm
    )
    assert alarm[:, :20].mean() < 0.02
    assert alarm[:, 20:23].any(axis=1).mean() > 0.95
    assert alarm[:, 30:].mean() < 0.05


def test_falls_are_no_alarm() -> None:
    rng = np.random.default_rng(2)
    counts = rng.poisson(np.r_[np.full(60, 25.0), np.full(3, 8.0)], (300, 63)).astype(np.float64)
    assert ChangePoint(window=50).judge(Panel(counts), slice(-3, None)).alarm.mean() < 0.01


def test_overdispersed_noise_is_allowed_for() -> None:
    rng = np.random.default_rng(3)
    counts = rng.negative_binomial(5, 0.2, (400, 61)).astype(np.float64)  # variance 5 times mean
    phi = neighbour_dispersion(counts, np.ones(counts.shape, dtype=bool))
    assert phi.mean() == pytest.approx(5, rel=0.1)
    last = slice(-1, None)
    poisson, fitted = (
        ChangePoint(overdispersion=value).judge(Panel(counts), last) for value in (1, None)
    )
    assert poisson.alarm.mean() > 0.1
    assert fitted.alarm.mean() < 0.03
    assert fitted.upper.mean() > poisson.upper.mean()


def test_the_level_of_the_predictive_is_kept() -> None:
    rng = np.random.default_rng(4)
    counts = rng.poisson(30, (1500, 61)).astype(np.float64)
    detector = ChangePoint(alpha=0.05, overdispersion=1, hazard=1e-4)
    verdicts = detector.judge(Panel(counts), slice(-1, None))
    above = (counts[:, -1:] > verdicts.upper).mean()
    assert 0.03 < above < 0.06
    assert np.array_equal(counts[:, -1:] > verdicts.upper, verdicts.p_value <= 0.05)


def test_a_modest_rise_of_several_steps_is_an_alarm_though_no_count_is_above_upper() -> None:
    rng = np.random.default_rng(5)
    counts = rng.poisson(20, (300, 64)).astype(np.float64)
    counts[:, -4:] = 30
    verdicts = ChangePoint(recent=5, overdispersion=1).judge(Panel(counts), slice(-1, None))
    quiet = counts[:, -1:] <= verdicts.upper
    assert (verdicts.alarm & quiet).mean() > 0.3


def test_missing_counts_and_short_windows() -> None:
    counts = np.full((1, 30), 5.0)
    counts[0, 10:20] = np.nan
    counts[0, 29] = np.nan
    verdicts = ChangePoint(window=20).judge(Panel(counts))
    assert verdicts.reason[0, [7, 8, 15, 25, 29]].tolist() == [
        Reason.insufficient_history,
        Reason.ok,
        Reason.missing_observation,
        Reason.ok,
        Reason.missing_observation,
    ]
    assert verdicts.expected[0, 29] == pytest.approx(5, rel=0.05)


@pytest.mark.parametrize(
    "parameters",
    [
        {"window": 14},
        {"window": 12, "recent": 6, "overdispersion": 2.0, "hazard": 0.2},
        {"window": 9, "recent": 1, "prior_shape": 20.0, "threshold": 0.05},
    ],
)
def test_the_contract(parameters: dict[str, Any]) -> None:
    check_contract(ChangePoint(**parameters), alarm_above_upper=False, judged=9)


def test_counts_that_overflow_under_a_narrow_prior_are_judged() -> None:
    odd = ChangePoint(window=10, hazard=1e-9, prior_shape=1e-3, overdispersion=1e6, alpha=1e-8)
    check_contract(odd, alarm_above_upper=False, judged=9, largest=1e100)


@pytest.mark.parametrize(
    "wrong", [{"hazard": 0.0}, {"recent": 0}, {"overdispersion": 0.5}, {"threshold": 1.0}]
)
def test_wrong_parameters_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        ChangePoint.model_validate(wrong)


def test_recent_must_be_less_than_the_window() -> None:
    with pytest.raises(ValidationError, match="recent must be less than window"):
        ChangePoint(window=8, recent=8)
