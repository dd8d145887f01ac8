from __future__ import annotations

from math import exp, log
from statistics import NormalDist, fmean, stdev
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from detectors import Panel, Reason
from detectors import mem as mem_module
from detectors._seasonal_epidemic import epidemic_period, season_numbers
from detectors.mem import Mem
from tests.detectors.contract_checks import check_contract, odd_panel

if TYPE_CHECKING:
    from detectors.contract import FloatArray

Z = NormalDist().inv_cdf


def plain_period(season: list[float], delta: float) -> tuple[int, int]:
    """Start and length of the epidemic, straight from the definition."""
    total = sum(season)

    def best(r: int) -> tuple[float, int]:
        sums = [sum(season[k : k + r]) for k in range(len(season) - r + 1)]
        return max(sums), sums.index(max(sums))

    for r in range(1, len(season)):
        if 100 * (best(r + 1)[0] - best(r)[0]) / total < delta:
            return best(r)[1], r
    return 0, len(season)


def seasonal(seed: int, years: int, series: int = 1) -> FloatArray:
    rng = np.random.default_rng(seed)
    week = np.arange(52)
    rows = []
    for _ in range(series):
        peaks, sizes = rng.integers(14, 26, years), rng.uniform(100, 400, years)
        waves = [
            8 + s * np.exp(-(((week - p) / 3.5) ** 2)) for p, s in zip(peaks, sizes, strict=True)
        ]
        rows.append(rng.poisson(np.concatenate(waves)))
    return np.array(rows, dtype=np.float64)


def plain_thresholds(counts: list[float], years: int, highest: int) -> list[float]:
    """The four thresholds for the season after `years` past ones of 52 weeks."""
    before, during = [], []
    each = max(1, round(highest / years))
    for year in range(years):
        season = counts[52 * year : 52 * year + 52]
        start, length = plain_period(season, 2.8)
        before += sorted(season[:start])[-each:]
        during += [log(y) for y in sorted(season[start : start + length])[-each:] if y > 0]
    intensity = [exp(fmean(during) + Z(level) * stdev(during)) for level in (0.4, 0.9, 0.975)]
    return [fmean(before) + Z(0.95) * stdev(before), *intensity]


@given(
    st.lists(st.integers(0, 40).map(float), min_size=2, max_size=30).filter(any),
    st.sampled_from([1.0, 2.8, 4.0, 10.0]),
)
def test_the_epidemic_is_found_as_defined(season: list[float], delta: float) -> None:
    start, length = epidemic_period(np.array([season]), delta)
    assert (start[0], length[0]) == plain_period(season, delta)


def test_the_epidemic_of_a_small_season_by_hand() -> None:
    # MAP: 40, 65, 85, 88, 90, ...: of 100 cases the fourth week adds 3.
    season = np.array([[1.0, 1, 2, 20, 40, 25, 3, 3, 2, 2, 1]])
    assert [int(part[0]) for part in epidemic_period(season, 4.0)] == [3, 3]
    assert [int(part[0]) for part in epidemic_period(season, 2.8)] == [3, 5]


@pytest.mark.parametrize("years", [2, 5, 7])
def test_thresholds_equal_the_plain_ones(years: int) -> None:
    counts = seasonal(years, years + 1, series=6)
    panel = Panel(counts, grain="week", period=52)
    found = Mem(season_start=1).thresholds(panel, np.array([52 * years, 52 * years + 51]))
    for row, series in enumerate(counts.tolist()):
        plain = plain_thresholds(series, years, 30)
        for threshold, value in zip(found, plain, strict=True):
            assert threshold[row].tolist() == pytest.approx([value, value])


def test_blocks_do_not_change_the_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    panel = Panel(seasonal(8, 4, series=7), grain="week", period=52)
    whole = Mem(season_start=1).thresholds(panel)
    monkeypatch.setattr(mem_module, "BLOCK_FLOATS", 1)
    for one, other in zip(Mem(season_start=1).thresholds(panel), whole, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.isfinite(whole.high).any()


@pytest.mark.parametrize("alarm_at", ["epidemic", "medium", "high", "very_high"])
def test_alarms_above_the_chosen_threshold(alarm_at: Any) -> None:
    counts = seasonal(3, 7, series=5)
    panel = Panel(counts, grain="week", period=52)
    detector = Mem(season_start=1, alarm_at=alarm_at)
    index = np.arange(52 * 5, 52 * 7)
    verdicts = detector.judge(panel, index)
    upper = getattr(detector.thresholds(panel, index), alarm_at)
    np.testing.assert_allclose(verdicts.upper, upper)
    np.testing.assert_array_equal(verdicts.alarm, counts[:, index] > upper)
    assert verdicts.alarm.any()
    assert not verdicts.alarm.all()
    level = {"epidemic": 0.95, "medium": 0.4, "high": 0.9, "very_high": 0.975}[alarm_at]
    np.testing.assert_array_equal(verdicts.alarm, verdicts.p_value < 1 - level)


def test_the_epidemic_is_seen_at_its_start_and_not_before() -> None:
    counts = seasonal(11, 11, series=20)
    verdicts = Mem(season_start=1).judge(Panel(counts, grain="week", period=52))
    season = verdicts.alarm[:, 520:]
    assert season[:, :6].mean() < 0.05
    for row in range(20):
        start, length = epidemic_period(counts[row : row + 1, 520:], 2.8)
        inside = season[row, start[0] : start[0] + length[0]]
        assert inside.mean() > 0.8


def test_only_complete_past_seasons_count() -> None:
    counts = seasonal(4, 6)
    panel = Panel(counts, grain="week", period=52)
    detector = Mem(season_start=1, seasons=3)
    before = detector.thresholds(panel, np.array([52 * 5])).epidemic[0, 0]
    counts = counts.copy()
    counts[0, 52 * 5 : 52 * 6 - 1] *= 50  # the season that is judged
    counts[0, : 52 * 2] *= 50  # seasons too long ago
    panel = Panel(counts, grain="week", period=52)
    assert detector.thresholds(panel, np.array([52 * 6 - 1])).epidemic[0, 0] == before
    counts[0, 52 * 4] *= 50
    changed = detector.thresholds(Panel(counts, grain="week", period=52), np.array([52 * 5]))
    assert changed.epidemic[0, 0] != before


@pytest.mark.parametrize(
    ("first", "starts"),
    [
        ("2019-12-30", ["2020-09-28", "2021-10-04"]),  # ISO weeks begin on Monday
        ("2019-12-29", ["2020-09-27", "2021-10-03"]),  # epi weeks begin on Sunday
    ],
)
def test_seasons_begin_in_week_40(first: str, starts: list[str]) -> None:
    dates = np.datetime64(first, "D") + 7 * np.arange(110)
    panel = Panel(np.zeros((1, 110)), dates=dates, grain="week")
    numbers = season_numbers(panel, 0, 110, season_start=40)
    assert dates[1:][np.diff(numbers) == 1].astype(str).tolist() == starts
    assert numbers[0] == 2019


@pytest.mark.parametrize(
    ("period", "week", "begin"),
    [(52, 1, 0), (52, 40, 39), (12, 40, 9), (365, 40, 273), (12, 53, 11)],
)
def test_a_season_of_integer_time_begins_in_that_week_of_the_year(
    period: int, week: int, begin: int
) -> None:
    panel = Panel(np.ones((1, 3 * period)), period=period)
    numbers = season_numbers(panel, 0, 3 * period, season_start=week)
    assert np.flatnonzero(np.diff(numbers, prepend=-1)).tolist() == [
        begin + year * period for year in range(3)
    ]


def test_dated_and_integer_time_agree() -> None:
    counts = seasonal(5, 3)
    # Seasons of 52 weeks from the Monday of week 40: 2016/17 to 2018/19.
    dates = np.datetime64("2016-10-03", "D") + 7 * np.arange(156)
    dated = Mem().judge(Panel(counts, dates=dates, grain="week"), slice(-1, None))
    plain = Mem(season_start=1).judge(Panel(counts, grain="week", period=52), slice(-1, None))
    assert dated.upper[0, 0] == plain.upper[0, 0]
    assert np.isfinite(plain.upper[0, 0])


@pytest.mark.parametrize(("known", "reason"), [(38, 10), (39, 0)])
def test_how_much_of_a_season_suffices(known: int, reason: int) -> None:
    counts = seasonal(6, 3)
    rng = np.random.default_rng(1)
    counts[0, 52 + rng.choice(52, 52 - known, replace=False)] = np.nan
    verdicts = Mem(season_start=1).judge(Panel(counts, grain="week", period=52), slice(-1, None))
    assert verdicts.reason[0, 0] == reason


def test_too_few_seasons_and_seasons_without_cases() -> None:
    counts = seasonal(7, 4)
    counts[0, 52:104] = 0
    panel = Panel(counts, grain="week", period=52)
    index = np.array([52, 104, 156])
    verdicts = Mem(season_start=1).judge(panel, index)
    assert verdicts.reason[0].tolist() == [Reason.insufficient_history] * 2 + [Reason.ok]
    fewer = Mem(season_start=1, min_seasons=1).judge(panel, index)
    assert fewer.reason[0].tolist() == [Reason.ok] * 3


def test_no_spread_before_the_epidemic() -> None:
    season = [5.0] * 20 + [50.0, 200.0, 60.0] + [5.0] * 29
    panel = Panel(np.array([season * 4, ([0.0] * 20 + season[20:]) * 4]), grain="week", period=52)
    verdicts = Mem(season_start=1).judge(panel, np.array([160, 177]))
    assert verdicts.reason[:, 0].tolist() == [Reason.constant_baseline, Reason.all_zero]
    assert verdicts.upper[:, 0].tolist() == [5, 0]
    assert verdicts.alarm.tolist() == [[False, True], [False, True]]
    high = Mem(season_start=1, alarm_at="high", highest=3).judge(panel, np.array([160, 177]))
    assert high.reason[0, 0] == Reason.constant_baseline
    assert high.upper[0, 0] == pytest.approx(200)


@pytest.mark.parametrize(
    ("parameters", "axis"),
    [
        ({"seasons": 3}, {"grain": "week", "dated": True, "seeds": 2}),
        ({"seasons": 4, "alarm_at": "high"}, {"grain": "week", "dated": True, "largest": 1e100}),
        ({"seasons": 5, "min_seasons": 3, "highest": 12}, {"grain": "month", "dated": True}),
        ({"seasons": 2, "delta": 0.4, "season_start": 27}, {"grain": "day", "dated": True}),
    ],
)
def test_keeps_the_contract(parameters: dict[str, Any], axis: dict[str, Any]) -> None:
    check_contract(Mem.model_validate(parameters), judged=6, **axis)


def test_integer_time_may_be_cut_by_whole_years() -> None:
    whole = odd_panel(52 * 7 + 9, grain="week", period=52)
    detector = Mem(seasons=3, season_start=30)
    for years in (1, 2):
        part = Panel(whole.counts[:, 52 * years :].copy(), grain="week", period=52)
        one, other = (detector.judge(panel, slice(-5, None)) for panel in (whole, part))
        np.testing.assert_array_equal(one.upper, other.upper)
        np.testing.assert_array_equal(one.alarm, other.alarm)


@pytest.mark.parametrize(
    "wrong",
    [{"delta": 0}, {"seasons": 0}, {"season_start": 0}, {"level": 1.0}, {"alarm_at": "low"}],
)
def test_wrong_parameters_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Mem.model_validate(wrong)
