"""Sources that come to report less often."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.auto import Auto
from detectors.contract import Panel, Reason
from detectors.cusum import Cusum
from detectors.drop import Drop
from detectors.ears import Ears
from detectors.evaluation.simulate_daily import simulate_daily
from detectors.farrington_flexible import FarringtonFlexible
from detectors.percentile import FixedValue
from detectors.reporting import judge_reports, reports_lookback
from detectors.switch import Switch
from tests.detectors.contract_checks import FIELDS

if TYPE_CHECKING:
    from detectors.contract import Detector, FloatArray

EARS = Ears(method="C2", baseline=56, alpha=0.01)
FIRST = np.datetime64("2022-01-03")
CHANGED = 400


def weekly_from(counts: FloatArray, change: int, every: int = 7) -> FloatArray:
    """Report each `every` days' cases on the last of them from day `change` on."""
    made = counts.copy()
    made[:, change:] = 0
    for day in range(change + every - 1, counts.shape[1], every):
        made[:, day] = counts[:, day - every + 1 : day + 1].sum(axis=1)
    return made


def poisson(mean: float, series: int = 4, days: int = 560, seed: int = 1) -> FloatArray:
    return np.random.default_rng(seed).poisson(mean, (series, days)).astype(np.float64)


def dated(counts: FloatArray) -> Panel:
    return Panel(counts, dates=FIRST + np.arange(counts.shape[1]))


@pytest.mark.parametrize(
    "detector", [Auto(history=365), EARS, Switch(), Ears(method="C1"), Cusum(training=200)]
)
@pytest.mark.parametrize("silent", [0.0, np.nan])
@pytest.mark.parametrize("every", [7, 14])
def test_a_source_that_turns_to_weekly_reports_alarms_once_at_most(
    detector: Detector, silent: float, every: int
) -> None:
    counts = weekly_from(poisson(30.0), CHANGED, every)
    counts[:, CHANGED:][counts[:, CHANGED:] == 0] = silent
    later = np.arange(CHANGED + 2 * every - 1, 560, every)
    plain = detector.judge(dated(counts), later)
    verdicts = judge_reports(detector, dated(counts), later)
    known = plain.reason < Reason.insufficient_history
    assert known.any() or np.isnan(silent)
    assert (verdicts.reason[known] == Reason.reporting_changed).all()
    # 22 or 11 sums of 4 series at a level of 0.01 at most.
    assert verdicts.alarm.sum() <= 3
    if isinstance(detector, Auto) and silent == 0:
        assert plain.alarm.mean() > 0.6


def test_the_first_silence_is_judged_as_ever() -> None:
    panel = dated(weekly_from(poisson(30.0), CHANGED))
    first = np.array([CHANGED + 6])
    verdicts, plain = judge_reports(EARS, panel, first), EARS.judge(panel, first)
    for field in FIELDS:
        np.testing.assert_array_equal(getattr(verdicts, field), getattr(plain, field))
    assert verdicts.alarm.all()


@settings(max_examples=60, deadline=None)
@given(
    mean=st.floats(8.0, 200.0),
    factor=st.floats(2.0, 6.0),
    week=st.integers(2, 22),
    every=st.sampled_from([3, 5, 7, 10]),
    detector=st.sampled_from([EARS, Switch(), Ears()]),
    seed=st.integers(0, 1000),
)
def test_an_outbreak_among_the_sums_is_an_alarm(
    mean: float, factor: float, week: int, every: int, detector: Detector, seed: int
) -> None:
    counts = weekly_from(poisson(mean, 1, seed=seed), CHANGED, every)
    day = min(CHANGED + week * every - 1, 559 - (559 - CHANGED + 1) % every)
    counts[0, day] = np.round(factor * every * mean)
    verdicts = judge_reports(detector, dated(counts), np.array([day]))
    assert verdicts.alarm.item()


def test_an_outbreak_that_lasts_stays_in_alarm() -> None:
    counts = weekly_from(poisson(30.0), CHANGED)
    days = np.arange(CHANGED + 41, CHANGED + 41 + 7 * 8, 7)
    counts[:, days] *= 2.5
    verdicts = judge_reports(Auto(history=365), dated(counts), days)
    assert verdicts.alarm.all()
    assert (verdicts.reason == Reason.reporting_changed).all()
    assert (verdicts.upper < 1.5 * verdicts.expected).all()


def test_what_the_new_pattern_hides_from_a_daily_method_is_found() -> None:
    # A week 1.2 times as high, after two months of weekly reports of 700.
    counts = weekly_from(poisson(100.0), CHANGED)
    day = np.array([CHANGED + 69])
    counts[:, day] = 860.0
    detector = Ears(method="C2", alpha=0.001)
    assert not detector.judge(dated(counts), day).alarm.any()
    assert judge_reports(detector, dated(counts), day).alarm.all()


def test_ordinary_series_have_the_verdicts_of_the_method() -> None:
    rng = np.random.default_rng(3)
    day = np.arange(900)
    season = np.exp(2.5 * np.cos(2 * np.pi * day / 365))
    closed = np.resize([1.5, 1.1, 1, 1, 1.1, 0, 0], 900)
    sparse = rng.negative_binomial(0.5, 0.25, (20, 900))
    counts = np.concatenate(
        [
            rng.poisson(mean * shape, (20, 900))
            for mean in (0.3, 1.0, 3.0, 30.0)
            for shape in (np.ones(900), closed, season)
        ]
        + [sparse]
    ).astype(np.float64)
    simulated = simulate_daily(series=32, seed=2, size=10)
    for panel, at in ((dated(counts), slice(300, None)), (simulated.panel, simulated.judged)):
        plain, verdicts = EARS.judge(panel, at), judge_reports(EARS, panel, at)
        same = verdicts.reason != Reason.reporting_changed
        assert same.mean() > 0.9999
        for field in FIELDS:
            np.testing.assert_array_equal(
                getattr(verdicts, field)[same], getattr(plain, field)[same]
            )


def test_outages_without_a_backlog_hide_no_outbreak() -> None:
    counts = poisson(20.0)
    for begin in (420, 430, 440):
        counts[:, begin : begin + 4] = 0
    counts[:, 444] = 60.0
    verdicts = judge_reports(EARS, dated(counts), np.array([434, 444]))
    assert verdicts.alarm[:, 1].all()
    assert not (verdicts.reason == Reason.reporting_changed).any()


def test_clusters_after_a_season_are_no_reports_of_several_days() -> None:
    # In winter 30 cases a day, in summer 0.2: silence is natural, and a cluster an alarm.
    rng = np.random.default_rng(4)
    level = np.where(np.arange(560) < 430, 30.0, 0.2)
    counts = rng.poisson(level, (20, 560)).astype(np.float64)
    counts[:, 520:545] = 0
    counts[:, [525, 534, 544]] = 25.0, 30.0, 40.0
    verdicts = judge_reports(EARS, dated(counts), np.array([525, 534, 544]))
    plain = EARS.judge(dated(counts), np.array([525, 534, 544]))
    np.testing.assert_array_equal(verdicts.alarm, plain.alarm)
    assert verdicts.alarm[:, 0].all()


def test_a_source_that_closes_at_weekends_is_no_outbreak_on_mondays() -> None:
    counts = poisson(20.0)
    monday = np.arange(CHANGED - CHANGED % 7 + 14, 560, 7)
    for day in monday:
        counts[:, day] += counts[:, day - 2 : day].sum(axis=1)
        counts[:, day - 2 : day] = 0
    detector = Auto(history=365)
    plain = detector.judge(dated(counts), monday[1:9])
    verdicts = judge_reports(detector, dated(counts), monday[1:9])
    assert plain.alarm.mean() > 0.5
    assert verdicts.alarm.mean() < 0.05
    assert (verdicts.reason == Reason.reporting_changed).mean() > 0.9


def test_nothing_but_the_steps_looked_back_to_matters() -> None:
    counts = weekly_from(poisson(12.0), CHANGED)
    at = np.arange(CHANGED + 13, 560)
    whole = judge_reports(EARS, dated(counts), at)
    assert (whole.reason == Reason.reporting_changed).any()
    for day in (CHANGED + 13, CHANGED + 48, 559):
        begin = day - reports_lookback(EARS, "day")
        cut = judge_reports(EARS, dated(counts[:, begin : day + 1]), slice(-1, None))
        changed = counts.copy()
        changed[:, day + 1 :] = 777.0
        unseen = judge_reports(EARS, dated(changed), np.array([day]))
        for field in FIELDS:
            wanted = getattr(whole, field)[:, day - at[0]]
            np.testing.assert_array_equal(getattr(cut, field)[:, 0], wanted)
            np.testing.assert_array_equal(getattr(unseen, field)[:, 0], wanted)


def test_what_is_not_about_an_excess_over_the_usual_is_left_alone() -> None:
    counts = weekly_from(poisson(30.0), CHANGED)
    for detector in (Drop(), FixedValue(cases=100)):
        plain, verdicts = detector.judge(dated(counts)), judge_reports(detector, dated(counts))
        np.testing.assert_array_equal(plain.alarm, verdicts.alarm)
        assert reports_lookback(detector, "day") == detector.lookback("day")
    weeks = Panel(counts, grain="week", period=52)
    assert not (judge_reports(EARS, weeks).reason == Reason.reporting_changed).any()
    young = FarringtonFlexible(years_back=2).judge(dated(counts), slice(CHANGED, None))
    unknown = young.reason >= Reason.insufficient_history
    found = judge_reports(FarringtonFlexible(years_back=2), dated(counts), slice(CHANGED, None))
    np.testing.assert_array_equal(found.reason[unknown], young.reason[unknown])
