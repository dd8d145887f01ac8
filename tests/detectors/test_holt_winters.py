from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats
from statsmodels.tsa.holtwinters import ExponentialSmoothing

from detectors.contract import FloatArray, Panel, Reason
from detectors.holt_winters import HoltWinters
from tests.detectors.contract_checks import check_contract


def counts(times: int = 75, level: float = 40.0) -> FloatArray:
    rng = np.random.default_rng(1)
    week = np.resize([1.4, 1.1, 1, 1, 1, 0.8, 0.6], times)
    return rng.poisson(level * week * np.linspace(1, 1.4, times), (4, times)).astype(np.float64)


def plain(detector: HoltWinters, window: FloatArray) -> tuple[float, list[float]]:
    """Run the docstring's recursion on one complete window: forecast and its errors."""
    a, b, g = detector.alpha_level, detector.beta, detector.gamma
    start, ahead = window[: detector.startup], detector.guard + 1
    level, half = start.mean(), (detector.startup + 1) // 2
    trend = (start[half:].mean() - start[:half].mean()) / (detector.startup / 2) if b else 0.0
    multiplies = detector.form == "multiplicative"
    days = np.array([start[day::7].mean() for day in range(7)])
    factors = list(days / level if multiplies else days - level)
    forecasts: dict[int, float] = {}
    errors: list[float] = []
    for s in range(detector.startup, window.size + 1):
        factor = factors[(s - 1 + ahead) % 7]
        base = level + ahead * trend
        forecasts[s - 1 + ahead] = max(0.0, base * factor if multiplies else base + factor)
        if s == window.size:
            break
        if s >= window.size - detector.errors:
            errors.append(window[s] - forecasts[s])
        former, factor = level, factors[s % 7]
        fresh = window[s] / factor if multiplies else window[s] - factor
        level = a * fresh + (1 - a) * (level + trend)
        trend = b * (level - former) + (1 - b) * trend
        news = window[s] / level if multiplies else window[s] - level
        factors[s % 7] = g * news + (1 - g) * factor
    return forecasts[window.size - 1 + ahead], errors


@pytest.mark.parametrize(
    "detector",
    [
        HoltWinters(),
        HoltWinters(form="additive"),
        HoltWinters(beta=0.1, guard=2, startup=21, window=60, errors=20),
        HoltWinters(form="additive", beta=0.2, gamma=0.4, alpha_level=0.1, guard=1),
    ],
)
def test_equals_the_recursion_written_out(detector: HoltWinters) -> None:
    data = counts()
    verdicts = detector.judge(Panel(data))
    for row in range(data.shape[0]):
        for t in range(detector.lookback("day"), data.shape[1]):
            window = data[row, t - detector.lookback("day") : t - detector.guard]
            expected, errors = plain(detector, window)
            rms = np.sqrt(np.mean(np.square(errors)))
            upper = expected + stats.t.ppf(0.99, len(errors)) * rms
            p_value = stats.t.sf((data[row, t] - expected) / rms, len(errors))
            assert verdicts.expected[row, t] == pytest.approx(expected, rel=1e-9)
            assert verdicts.upper[row, t] == pytest.approx(upper, rel=1e-9)
            assert verdicts.p_value[row, t] == pytest.approx(p_value, rel=1e-8)


@pytest.mark.parametrize(("beta", "gamma"), [(0.0, 0.15), (0.2, 0.3)])
def test_the_additive_form_equals_statsmodels(beta: float, gamma: float) -> None:
    detector = HoltWinters(form="additive", beta=beta, gamma=gamma)
    data = counts(57)
    verdicts = detector.judge(Panel(data), slice(-1, None))
    for row, series in enumerate(data):
        start, rest = series[:14], series[14:56]
        trend = (start[7:].mean() - start[:7].mean()) / 7 if beta else 0.0
        model = ExponentialSmoothing(
            rest,
            trend="add",
            seasonal="add",
            seasonal_periods=7,
            initialization_method="known",
            initial_level=start.mean(),
            initial_trend=trend,
            initial_seasonal=start.reshape(2, 7).mean(axis=0) - start.mean(),
        )
        # statsmodels smooths Y - (m + b) and not Y - m into the season: G there is G (1 - A) here.
        fit = model.fit(
            smoothing_level=0.4,
            smoothing_trend=beta,
            smoothing_seasonal=gamma * 0.6,
            optimized=False,
        )
        assert verdicts.expected[row, 0] == pytest.approx(fit.forecast(1)[0], rel=1e-9)
        rms = np.sqrt(np.mean((rest - fit.fittedvalues)[-28:] ** 2))
        score = (series[-1] - fit.forecast(1)[0]) / rms
        assert verdicts.score[row, 0] == pytest.approx(score, rel=1e-8)


def test_the_multiplicative_form_with_fixed_factors_equals_statsmodels() -> None:
    data = counts(57)
    verdicts = HoltWinters(gamma=0, beta=0.1).judge(Panel(data), slice(-1, None))
    for row, series in enumerate(data):
        start = series[:14]
        fit = ExponentialSmoothing(
            series[14:56],
            trend="add",
            seasonal="mul",
            seasonal_periods=7,
            initialization_method="known",
            initial_level=start.mean(),
            initial_trend=(start[7:].mean() - start[:7].mean()) / 7,
            initial_seasonal=start.reshape(2, 7).mean(axis=0) / start.mean(),
        ).fit(smoothing_level=0.4, smoothing_trend=0.1, smoothing_seasonal=0, optimized=False)
        assert verdicts.expected[row, 0] == pytest.approx(fit.forecast(1)[0], rel=1e-9)


@pytest.mark.parametrize(
    ("detector", "options"),
    [
        (HoltWinters(), {"largest": 1e100}),
        (HoltWinters(form="additive", beta=0.1, guard=2, min_sigma=0.5), {"dated": True}),
        (HoltWinters(beta=0.3, season=4, guard=1, startup=8), {"grain": "week"}),
    ],
)
def test_contract(detector: HoltWinters, options: dict[str, Any]) -> None:
    check_contract(detector, **options)


def test_a_missing_count_leaves_the_level() -> None:
    data = np.full((2, 57), 10.0)
    data[:, 50] = 40.0
    data[1, 50] = np.nan
    expected = HoltWinters().judge(Panel(data), slice(-1, None)).expected[:, 0]
    assert expected[0] > 10
    assert expected[1] == 10


def test_constant_counts_are_told() -> None:
    data = np.full((2, 60), 4.0)
    data[1, -1] = 5.0
    verdicts = HoltWinters().judge(Panel(data), slice(-1, None))
    assert (verdicts.reason == Reason.constant_baseline).all()
    assert verdicts.alarm[:, 0].tolist() == [False, True]


def test_the_level_is_kept_on_normal_counts() -> None:
    data = np.random.default_rng(6).normal(100, 5, (300, 70))
    alarm = HoltWinters(alpha=0.05).judge(Panel(data), slice(56, None)).alarm
    assert alarm.mean() == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"gamma": 1.1}, "gamma"),
        ({"window": 30}, "window must hold"),
        ({"startup": 6}, "startup must hold"),
        ({"season": 15}, "startup must hold"),
    ],
)
def test_wrong_parameters_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        HoltWinters.model_validate(wrong)
