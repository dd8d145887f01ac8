from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from pydantic import ValidationError

from detectors.contract import FloatArray, Panel, Reason
from detectors.regression import Regression
from tests.detectors.contract_checks import check_contract


def panel(seed: int, times: int, *, missing: float = 0.0, dated: bool = False) -> Panel:
    rng = np.random.default_rng(seed)
    mean = 30 * np.resize([1.4, 1.1, 1, 1, 1, 0.7, 0.5], times) * np.linspace(1, 1.5, times)
    counts = rng.poisson(mean, (6, times)).astype(np.float64)
    counts[rng.random(counts.shape) < missing] = np.nan
    days = np.datetime64("2025-01-01") + np.arange(times)
    return Panel(counts, dates=days if dated else None)


def absolute_design(detector: Regression, data: Panel, year: float) -> FloatArray:
    """Write the model with absolute time and weekdays, as a textbook would."""
    time = np.arange(data.counts.shape[1])
    columns: list[FloatArray] = [np.ones(time.size), time / 10.0]
    columns += [(time % 7 == day).astype(np.float64) for day in range(1, 7)]
    for k in range(1, detector.harmonics + 1):
        columns += [np.sin(2 * np.pi * k * time / year), np.cos(2 * np.pi * k * time / year)]
    if detector.holidays:
        assert data.dates is not None
        holidays = np.array(detector.holidays, dtype="datetime64[D]")
        columns.append(np.isin(data.dates, holidays).astype(np.float64))
    return np.stack(columns, axis=1)


@pytest.mark.parametrize(
    ("detector", "missing", "dated"),
    [
        (Regression(), 0.0, False),
        (Regression(), 0.1, False),
        (Regression(baseline=200, guard=0, harmonics=2, alpha=0.05), 0.0, True),
        (
            Regression(baseline=120, guard=7, holidays=(date(2025, 3, 3), date(2025, 5, 1))),
            0.05,
            True,
        ),
    ],
)
def test_predictions_equal_those_of_statsmodels(
    detector: Regression, missing: float, *, dated: bool
) -> None:
    data = panel(1, detector.lookback("day") + 25, missing=missing, dated=dated)
    verdicts = detector.judge(data)
    design = absolute_design(detector, data, 365.25)
    compared = 0
    for row, counts in enumerate(data.counts):
        for t in range(detector.lookback("day"), counts.size):
            if verdicts.reason[row, t] != Reason.ok:
                continue
            end = t - detector.guard
            base = np.arange(end - detector.baseline, end)
            base = base[~np.isnan(counts[base])]
            used = design[:, design[base].any(axis=0)]
            fit = sm.OLS(counts[base], used[base]).fit()
            frame = fit.get_prediction(used[t : t + 1]).summary_frame(alpha=2 * detector.alpha)
            wanted = frame.iloc[0]
            assert verdicts.expected[row, t] == pytest.approx(wanted["mean"], rel=1e-8)
            assert verdicts.upper[row, t] == pytest.approx(wanted["obs_ci_upper"], rel=1e-8)
            assert verdicts.alarm[row, t] == (verdicts.p_value[row, t] < detector.alpha)
            compared += 1
    assert compared > 100


def test_adjusted_r_squared_equals_that_of_statsmodels() -> None:
    data, detector = panel(2, 60, missing=0.05), Regression()
    fit = detector.fit(data, np.array([50]), slice(None))
    design = absolute_design(detector, data, 365.25)
    for row, counts in enumerate(data.counts):
        base = np.arange(20, 48)
        base = base[~np.isnan(counts[base])]
        wanted = sm.OLS(counts[base], design[base]).fit().rsquared_adj
        assert fit.adjusted_r2[row, 0] == pytest.approx(wanted, rel=1e-8)


@pytest.mark.parametrize(
    ("detector", "options"),
    [
        (Regression(), {"largest": 1e100, "seeds": 2}),
        (Regression(baseline=60, harmonics=2), {"period": 30}),
        (Regression(min_sigma=0.5), {"grain": "week", "dated": True}),
        (Regression(baseline=90, holidays=(date(2015, 4, 5), date(2015, 6, 4))), {"dated": True}),
    ],
)
def test_contract(detector: Regression, options: dict[str, Any]) -> None:
    check_contract(detector, **options)


def test_a_line_by_hand() -> None:
    # Y = 1, 2, 3, 2, 2 at s = 1 .. 5: slope 0.2, intercept 1.4, RSS 1.6, df 3; at s = 6 the
    # leverage is 1/5 + 9/10.
    data = Panel(np.array([[1.0, 2, 3, 2, 2, 5]]))
    verdicts = Regression(baseline=5, guard=0, day_of_week=False).judge(data, slice(-1, None))
    assert verdicts.expected[0, 0] == pytest.approx(2.6)
    assert verdicts.score[0, 0] == pytest.approx(2.4 / np.sqrt(1.6 / 3 * 2.1))


@pytest.mark.parametrize(("small", "alarms"), [(True, [0, 0, 1]), (False, [0, 1, 1])])
def test_a_perfect_fit_is_told_and_only_alarms_above_the_model(
    *, small: bool, alarms: list[int]
) -> None:
    counts = np.resize([9.0, 7, 7, 6, 8, 2, 1], 40)
    data = Panel(np.stack([counts + more * np.eye(40)[39] for more in (0, 1, 2)]))
    verdicts = Regression(small_counts=small).judge(data, slice(-1, None))
    assert (verdicts.reason == Reason.constant_baseline).all()
    assert verdicts.alarm[:, 0].tolist() == [bool(alarm) for alarm in alarms]


def test_one_case_more_than_expected_is_not_yellow() -> None:
    # 28 days without a case: the bound is 1.01 cases at the level of 0.05.
    counts = np.zeros((3, 40))
    counts[:, -1] = 1.0, 1.02, 2.0
    yellow = Regression(alpha=0.05).judge(Panel(counts), slice(-1, None))
    assert yellow.alarm[:, 0].tolist() == [False, True, True]
    assert yellow.upper[:, 0] == pytest.approx(1.01)


def test_the_guard_band_keeps_an_outbreak_out_of_its_baseline() -> None:
    counts = panel(3, 33).counts.copy()
    raised = counts.copy()
    raised[:, -3:-1] += 100
    latest = slice(-1, None)
    expected = Regression().judge(Panel(counts), latest).expected
    np.testing.assert_array_equal(Regression().judge(Panel(raised), latest).expected, expected)
    assert (Regression(guard=0).judge(Panel(raised), latest).expected > expected).all()


def test_a_holiday_without_a_forerunner_is_not_judged() -> None:
    data = panel(4, 60)
    lone = Regression(holidays=(59,)).judge(data, slice(-2, None)).reason
    second = Regression(holidays=(40, 59)).judge(data, slice(-2, None)).reason
    assert lone[0].tolist() == [Reason.ok, Reason.insufficient_history]
    assert second[0].tolist() == [Reason.ok, Reason.ok]


def test_a_weekday_that_the_baseline_lacks_is_not_judged() -> None:
    counts = panel(5, 50).counts.copy()
    counts[:, np.arange(50) % 7 == 49 % 7] = np.nan
    counts[:, 49] = 20
    reason = Regression().judge(Panel(counts), np.array([47, 49])).reason
    assert (reason == [Reason.ok, Reason.insufficient_history]).all()


def test_the_level_is_kept_on_normal_counts() -> None:
    counts = np.random.default_rng(6).normal(100, 5, (400, 60))
    alarm = Regression(alpha=0.05).judge(Panel(counts), slice(30, None)).alarm
    assert alarm.mean() == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize(
    "wrong", [{"baseline": 4}, {"guard": -1}, {"alpha": 0.0}, {"holidays": "x"}, {"season": 1}]
)
def test_wrong_parameters_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Regression.model_validate(wrong)


def test_holidays_are_read_from_json() -> None:
    detector = Regression.model_validate_json('{"holidays": ["2026-01-01", 7]}')
    assert detector.holidays == (date(2026, 1, 1), 7)
