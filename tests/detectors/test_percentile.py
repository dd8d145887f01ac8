from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from detectors import Panel, Reason, Verdicts
from detectors.percentile import FixedValue, MovingPercentile
from tests.detectors.contract_checks import check_contract


def last(series: Any, **parameters: Any) -> Verdicts:
    panel = Panel(np.array([series], dtype=np.float64), grain="week", period=52)
    return MovingPercentile.model_validate(parameters).judge(panel, slice(-1, None))


@given(
    st.lists(st.one_of(st.integers(0, 30).map(float), st.just(np.nan)), min_size=159, max_size=159),
    st.integers(0, 40),
    st.floats(0, 100),
)
def test_equals_numpys_percentile_of_the_windows(
    history: list[float], count: int, percentile: float
) -> None:
    counts = np.array([*history, float(count)])
    past = np.array([counts[-1 - 52 * y + s] for y in (1, 2, 3) for s in range(-2, 3)])
    past = past[~np.isnan(past)]
    verdicts = last(counts, percentile=percentile)
    if past.size < 8:
        assert verdicts.reason[0, 0] == Reason.insufficient_history
        return
    upper = np.percentile(past, percentile)
    assert verdicts.upper[0, 0] == pytest.approx(upper, abs=1e-9)
    assert verdicts.expected[0, 0] == pytest.approx(np.median(past))
    rank = (1 + (past >= count).sum()) / (1 + past.size)
    assert verdicts.p_value[0, 0] == pytest.approx(rank)
    if abs(count - upper) > 1e-9:
        assert verdicts.alarm[0, 0] == (count > upper)


def test_seven_days_of_daily_counts() -> None:
    days = np.arange("2022-01-01", "2026-02-01", dtype="datetime64[D]")
    counts = np.random.default_rng(1).poisson(4, days.size).astype(np.float64)
    past = []
    for year in (2025, 2024, 2023):
        end = int((np.datetime64(f"{year}-01-31") - days[0]).astype(int))
        past += [counts[end + 7 * s - 6 : end + 7 * s + 1].sum() for s in range(-2, 3)]
    panel = Panel(counts[None], dates=days)
    verdicts = MovingPercentile(percentile=90).judge(panel, slice(-1, None))
    upper = np.percentile(past, 90) - counts[-7:-1].sum()
    assert verdicts.upper[0, 0] == pytest.approx(max(upper, 0.0))
    assert verdicts.expected[0, 0] == pytest.approx(np.median(past) / 7)
    sums = np.convolve(counts, np.ones(7))[6 : days.size]
    rolling = MovingPercentile(percentile=90).judge(
        Panel(sums[None], dates=days[6:], grain="rolling7"), slice(-1, None)
    )
    assert rolling.upper[0, 0] == pytest.approx(np.percentile(past, 90))


def test_the_false_alarm_rate_is_what_the_percentile_says() -> None:
    counts = np.random.default_rng(2).poisson(400, (60, 260)).astype(np.float64)
    verdicts = MovingPercentile(percentile=80).judge(
        Panel(counts, grain="week", period=52), slice(160, None)
    )
    # The 0.8 quantile of 15 values is exceeded by 1 in 5, or a little more often.
    assert verdicts.alarm.mean() == pytest.approx(0.235, abs=0.03)
    assert (verdicts.p_value <= 0.25).mean() == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(
    ("level", "reason"), [(0.0, Reason.all_zero), (3.0, Reason.constant_baseline)]
)
def test_equal_values(level: float, reason: Reason) -> None:
    assert last([level] * 170).reason[0, 0] == reason
    assert not last([level] * 170).alarm[0, 0]
    assert last([level] * 169 + [level + 1]).alarm[0, 0]


@pytest.mark.parametrize(("years", "reason"), [(1, 10), (2, 0)])
def test_how_much_history_suffices(years: int, reason: int) -> None:
    assert last([1.0, 2.0] * (26 * years + 2)).reason[0, 0] == reason


@pytest.mark.parametrize(
    ("parameters", "axis"),
    [
        ({}, {"grain": "week", "period": 52, "seeds": 2}),
        ({"percentile": 100}, {"grain": "day", "dated": True}),
        ({"percentile": 0, "years_back": 2}, {"grain": "rolling7", "dated": True}),
        ({"years_back": 5}, {"grain": "month", "period": 12, "largest": 1e100}),
        ({"windows": 0, "steps": 3, "years_back": 5}, {"grain": "week", "dated": True}),
    ],
)
def test_keeps_the_contract(parameters: dict[str, Any], axis: dict[str, Any]) -> None:
    check_contract(MovingPercentile.model_validate(parameters), **axis)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=20), st.integers(1, 9), st.integers(1, 6))
def test_so_many_cases_are_an_alarm(series: list[int], cases: int, steps: int) -> None:
    verdicts = FixedValue(cases=cases, steps=steps).judge(
        Panel(np.array([series], dtype=np.float64))
    )
    for t, count in enumerate(series):
        total = sum(series[max(0, t - steps + 1) : t + 1])
        alarm = total >= cases and count > 0
        assert verdicts.alarm[0, t] == alarm
        assert verdicts.p_value[0, t] == (0 if alarm else 1)
        assert verdicts.score[0, t] == pytest.approx(total / cases)
        if total - count < cases:
            assert verdicts.upper[0, t] == pytest.approx(cases - (total - count))


def test_one_case_is_enough_and_needs_no_history() -> None:
    verdicts = FixedValue().judge(Panel(np.array([[1.0, 0.0, np.nan, 1.0, 0.5]])))
    assert verdicts.alarm[0].tolist() == [True, False, False, True, False]
    assert verdicts.reason[0].tolist() == [0, 0, Reason.missing_observation, 0, 0]
    assert verdicts.expected[0, 0] == 0


def test_rolling_sums_do_not_count_a_day_twice() -> None:
    days = np.zeros(30)
    days[20] = 1
    sums = np.convolve(days, np.ones(7))[6:30]
    verdicts = FixedValue(cases=2, steps=2).judge(Panel(sums[None], grain="rolling7"))
    assert not verdicts.alarm.any()


@pytest.mark.parametrize(
    ("parameters", "axis"),
    [
        ({}, {"seeds": 2}),
        ({"cases": 40, "steps": 7}, {"population": True, "largest": 1e100}),
        ({"cases": 0.5, "steps": 3}, {"grain": "rolling7", "dated": True}),
    ],
)
def test_the_fixed_value_keeps_the_contract(
    parameters: dict[str, Any], axis: dict[str, Any]
) -> None:
    check_contract(FixedValue.model_validate(parameters), **axis)


@pytest.mark.parametrize("wrong", [{"cases": 0}, {"steps": 0}, {"cases": 1e16}, {"years_back": 1}])
def test_wrong_parameters_of_the_fixed_value(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        FixedValue.model_validate(wrong)


@pytest.mark.parametrize("wrong", [{"percentile": 101}, {"years_back": 0}, {"cases": 1}])
def test_wrong_parameters_of_the_percentile(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        MovingPercentile.model_validate(wrong)
