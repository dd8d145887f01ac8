from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats
from statsmodels.tsa.seasonal import STL

from detectors._seasonal_trend import decompose
from detectors.contract import FloatArray, Panel, Reason
from detectors.stl import Stl
from tests.detectors.contract_checks import check_contract

WEEK = np.array([12.0, 4, 0, -1, -2, -5, -8])


def smooth(times: int, seed: int = 1) -> FloatArray:
    time = np.arange(times)
    noise = np.random.default_rng(seed).normal(0, 1, times)
    series: FloatArray = 60 + 8 * np.sin(time / 40) + np.resize(WEEK, times) + noise
    return series


@pytest.mark.parametrize("outliers", [False, True])
def test_trend_and_season_are_near_those_of_statsmodels(*, outliers: bool) -> None:
    series = smooth(84)
    if outliers:
        series[[20, 41, 42, 60]] += 60
    parts = decompose(series, season=7, span=13, poisson_floor=False)
    theirs = STL(series, period=7, seasonal=999, trend=23, robust=True).fit()
    cycle = np.array([theirs.seasonal[day::7].mean() for day in range(7)])
    inner = slice(10, -10)
    assert np.abs(parts.season - cycle).max() < 0.8
    assert np.abs(parts.trend - theirs.trend)[inner].max() < 0.8
    # What both should have found.
    truth = 60 + 8 * np.sin(np.arange(84) / 40)
    assert np.abs(parts.trend - truth).max() < 1.5
    assert np.abs(parts.season - WEEK + WEEK.mean()).max() < 1.0


def test_the_scale_is_that_of_the_noise_but_for_what_the_fit_spent() -> None:
    windows = np.stack([smooth(84, seed) for seed in range(60)], axis=1)
    scale = decompose(windows, season=7, span=13, poisson_floor=False).scale
    assert scale.mean() == pytest.approx(0.87, abs=0.05)


def test_outliers_get_no_weight() -> None:
    series = smooth(84)
    series[[20, 41, 42, 60]] += 60
    weights = decompose(series, season=7, span=13).weights
    assert (weights[[20, 41, 42, 60]] == 0).all()
    assert np.delete(weights, [20, 41, 42, 60]).min() > 0.2


def test_a_line_with_a_season_is_taken_apart() -> None:
    line = 30 + 0.5 * np.arange(56, dtype=np.float64)
    series: FloatArray = line + np.resize(WEEK - WEEK.mean(), 56)
    series[[5, 30]] = np.nan
    parts = decompose(series, season=7, span=21)
    # By turns, a line in unequally known phases is found in the limit.
    np.testing.assert_allclose(parts.trend, line, atol=0.05)
    np.testing.assert_allclose(parts.season, WEEK - WEEK.mean(), atol=0.05)
    assert parts.weights[[5, 30]].tolist() == [0.0, 0.0]


def test_threshold_and_p_value_by_their_formulas() -> None:
    counts = np.stack([smooth(60, seed) for seed in range(5)])
    detector = Stl(poisson_floor=False, alpha=0.05)
    verdicts = detector.judge(Panel(counts), slice(-1, None))
    parts = decompose(counts[:, 1:57].T.copy(), season=7, span=21, poisson_floor=False)
    expected = parts.trend[-1] + parts.season[(56 + 2) % 7]
    np.testing.assert_allclose(verdicts.expected[:, 0], expected, rtol=1e-12)
    # Of the hat matrix of one local-line smoother, straight from weighted least squares.
    place = np.arange(56)
    rows = []
    for i in range(56):
        kernel = np.clip(1 - (np.abs(place - i) / 22) ** 3, 0, None) ** 3
        design = np.stack([np.ones(56), place - i], axis=1)
        rows.append((np.linalg.pinv(design * np.sqrt(kernel)[:, None]) * np.sqrt(kernel))[0])
    smoother = np.stack(rows)
    free = 56 - 6 - np.trace(smoother)
    sigma = parts.scale * np.sqrt(56 / free)
    widen = np.sqrt(1 + (smoother[-1] ** 2).sum() + 7 / 56)
    upper = expected + stats.t.ppf(0.95, 0.37 * free) * sigma * widen
    np.testing.assert_allclose(verdicts.upper[:, 0], upper, rtol=1e-9)
    score = (counts[:, -1] - expected) / sigma / widen
    np.testing.assert_allclose(verdicts.score[:, 0], score, rtol=1e-7)
    np.testing.assert_allclose(verdicts.p_value[:, 0], stats.t.sf(score, 0.37 * free), rtol=1e-6)


@pytest.mark.parametrize(
    ("detector", "options"),
    [
        (Stl(), {"largest": 1e100}),
        (Stl(poisson_floor=False, season=1, window=30, span=8), {"grain": "week", "dated": True}),
        (Stl(season=3, window=20, span=40, guard=0, min_sigma=1), {"grain": "month"}),
    ],
)
def test_contract(detector: Stl, options: dict[str, Any]) -> None:
    check_contract(detector, **options)


def test_an_old_outbreak_does_not_move_the_threshold_much() -> None:
    calm = np.random.default_rng(3).poisson(30, (20, 59)).astype(np.float64)
    struck = calm.copy()
    struck[:, 25:29] += 200
    latest = slice(-1, None)
    before, after = (Stl().judge(Panel(data), latest).upper for data in (calm, struck))
    assert np.abs(after - before).max() < 6


def test_constant_and_zero_windows_are_told_and_have_a_poisson_floor() -> None:
    data = np.stack([np.zeros(60), np.full(60, 9.0)])
    verdicts = Stl().judge(Panel(data), slice(-1, None))
    assert verdicts.reason[:, 0].tolist() == [Reason.all_zero, Reason.constant_baseline]
    assert verdicts.expected[:, 0].tolist() == [0.0, 9.0]
    np.testing.assert_allclose(
        np.diff(verdicts.upper[:, 0]), 9 + 5 / 6 * (verdicts.upper[1, 0] - 9)
    )
    bare = Stl(poisson_floor=False).judge(Panel(data + np.eye(60)[59]), slice(-1, None))
    assert bare.alarm.all()


def test_the_level_is_roughly_kept() -> None:
    mean = 20 * np.resize([1.3, 1.1, 1, 1, 1, 0.9, 0.7], 90)
    counts = np.random.default_rng(6).poisson(mean, (60, 90)).astype(np.float64)
    alarm = Stl(alpha=0.05).judge(Panel(counts), slice(60, None)).alarm
    assert 0.02 < alarm.mean() < 0.07


@pytest.mark.parametrize(
    ("wrong", "message"), [({"window": 20}, "three seasons"), ({"span": 2}, "span")]
)
def test_wrong_parameters_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Stl.model_validate(wrong)
