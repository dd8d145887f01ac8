from __future__ import annotations

from statistics import NormalDist, fmean, stdev
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydantic import ValidationError

from detectors import Panel, Reason, Verdicts
from detectors.historical_limits import HistoricalLimits
from tests.detectors.contract_checks import check_contract

if TYPE_CHECKING:
    from detectors.contract import FloatArray


def weekly(seed: int, years: int = 7) -> FloatArray:
    return np.random.default_rng(seed).poisson(12, 52 * years).astype(np.float64)


def totals(counts: FloatArray, t: int, steps: int = 4) -> list[float]:
    """The 15 totals, from the definition."""
    ends = [t - 52 * year + steps * shift for year in range(1, 6) for shift in (-1, 0, 1)]
    return [float(counts[end - steps + 1 : end + 1].sum()) for end in ends]


def last(series: Any, **parameters: Any) -> Verdicts:
    panel = Panel(np.array([series], dtype=np.float64), grain="week", period=52)
    return HistoricalLimits.model_validate(parameters).judge(panel, slice(-1, None))


def test_fifteen_totals_by_hand() -> None:
    counts = weekly(1)
    past = totals(counts, counts.size - 1)
    assert len(past) == 15
    now = float(counts[-4:].sum())
    verdicts = last(counts)
    limit = fmean(past) + 2 * stdev(past)
    score = (now - fmean(past)) / stdev(past)
    assert verdicts.expected[0, 0] == pytest.approx(fmean(past) / 4)
    assert verdicts.upper[0, 0] == pytest.approx(limit - float(counts[-4:-1].sum()))
    assert verdicts.score[0, 0] == pytest.approx(score)
    assert verdicts.p_value[0, 0] == pytest.approx(1 - NormalDist().cdf(score))


def test_the_alarm_is_the_papers() -> None:
    rng = np.random.default_rng(5)
    counts = rng.poisson(12, (20, 400)).astype(np.float64)
    counts[:, 300:] += rng.poisson(3, (20, 100))
    panel = Panel(counts, grain="week", period=52)
    index = np.arange(280, 400)
    verdicts = HistoricalLimits().judge(panel, index)
    for row, series in enumerate(counts):
        for column, t in enumerate(index):
            past = totals(series, int(t))
            above = series[t - 3 : t + 1].sum() > fmean(past) + 2 * stdev(past)
            assert verdicts.alarm[row, column] == (above and series[t] > 0)
    assert 50 < verdicts.alarm.sum() < 2000
    # A total may hit the limit exactly; there rounding decides between the two.
    apart = np.abs(verdicts.score - 2) > 1e-9
    alarm = (verdicts.p_value < 1 - NormalDist().cdf(2)) & (counts[:, index] > 0)
    np.testing.assert_array_equal(verdicts.alarm[apart], alarm[apart])
    assert apart.mean() > 0.99


def test_a_total_above_the_limit_by_itself_makes_any_case_an_alarm() -> None:
    counts = weekly(2)
    counts[-4:] = 60, 60, 60, 1
    assert last(counts).upper[0, 0] == 0
    assert last(counts).alarm[0, 0]
    counts[-1] = 0
    assert not last(counts).alarm[0, 0]
    assert last(counts).score[0, 0] > 2


def test_missing_counts_are_scaled_up_or_left_out() -> None:
    counts = weekly(3)
    t = counts.size - 1
    whole = totals(counts, t)
    holes = counts.copy()
    # One of four counts of the first total is missing, and two of four of the second.
    ends = [t - 52 - 4, t - 52]
    holes[ends[0]] = np.nan
    holes[ends[1] - 1 : ends[1] + 1] = np.nan
    scaled = (whole[0] - counts[ends[0]]) * 4 / 3
    past = [scaled, *whole[2:]]
    assert last(holes).expected[0, 0] == pytest.approx(fmean(past) / 4)
    holes = counts.copy()
    holes[-3] = np.nan
    verdicts = last(holes)
    limit = fmean(whole) + 2 * stdev(whole)
    # Three of four weeks are known: they may reach three quarters of the limit.
    assert verdicts.upper[0, 0] == pytest.approx(limit * 3 / 4 - counts[-4] - counts[-2])


@pytest.mark.parametrize(("years", "reason"), [(2, 10), (3, 0), (5, 0)])
def test_how_much_history_suffices(years: int, reason: int) -> None:
    verdicts = last(weekly(4)[-52 * years - 8 :])
    assert verdicts.reason[0, 0] == reason


@pytest.mark.parametrize(
    ("level", "reason"), [(0.0, Reason.all_zero), (3.0, Reason.constant_baseline)]
)
def test_no_spread(level: float, reason: Reason) -> None:
    same, above = [level] * 300, [level] * 299 + [level + 1]
    assert last(same).reason[0, 0] == last(above).reason[0, 0] == reason
    assert last(same).upper[0, 0] == level
    assert (last(same).alarm[0, 0], last(above).alarm[0, 0]) == (False, True)


def test_the_steps_are_four_weeks_for_every_grain() -> None:
    days = np.arange("2019-01-01", "2026-03-02", dtype="datetime64[D]")
    counts = np.random.default_rng(6).poisson(9, days.size).astype(np.float64)
    daily = HistoricalLimits().judge(Panel(counts[None], dates=days), slice(-1, None))
    sums = np.convolve(counts, np.ones(7))[6 : days.size]
    rolling = HistoricalLimits().judge(
        Panel(sums[None], dates=days[6:], grain="rolling7"), slice(-1, None)
    )
    assert rolling.score[0, 0] == pytest.approx(daily.score[0, 0])
    assert rolling.expected[0, 0] == pytest.approx(7 * daily.expected[0, 0])


@pytest.mark.parametrize(
    ("parameters", "axis"),
    [
        ({}, {"grain": "week", "period": 52, "seeds": 2}),
        ({"years_back": 2}, {"grain": "day", "dated": True}),
        ({"years_back": 2}, {"grain": "rolling7", "dated": True}),
        ({}, {"grain": "month", "period": 12, "largest": 1e100}),
        ({"windows": 3, "steps": 6, "limit": 3}, {"grain": "week", "dated": True}),
        ({"windows": 4, "steps": 3}, {"grain": "month", "dated": True}),
    ],
)
def test_keeps_the_contract(parameters: dict[str, Any], axis: dict[str, Any]) -> None:
    check_contract(HistoricalLimits.model_validate(parameters), **axis)


@pytest.mark.parametrize(
    "wrong", [{"limit": 0.0}, {"years_back": 0}, {"steps": 0}, {"windows": -1}, {"sd": 2}]
)
def test_wrong_parameters_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        HistoricalLimits.model_validate(wrong)
