"""`auto` while an outbreak lasts, and after one."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors._lasting_outbreaks import counts_to_keep
from detectors._log_linear import Problems, Terms
from detectors._outbreak_filter import Course, exceeded_before, limit_of, prepare, score_of
from detectors._recurring_days import recurring_factors
from detectors.auto import Auto
from detectors.contract import Panel, Reason, Verdicts
from detectors.evaluation.tables import real_series
from detectors.farrington_flexible import FarringtonFlexible

QUIET = np.tile([11.0, 5, 7, 9, 8, 12, 6, 10, 7, 9, 8, 4], 25)
COURSES = (
    Course((0.4, 0.4, 0.2), (0.4, 0.4), (1.5, 3.0, 5.0), (-1, -0.4, 0, 0.5, 1, 2.3, 3.9, 5.4)),
    Course((0.6, 0.4), (0.4,), (1.5, 3.0), (-1.5, -0.8, -0.3, 0.2, 0.8, 2.2, 3.9, 5.6)),
    Course((1.0,), (), (1.5, 3.0), (-2.7, -1.9, -1.2, -0.5, 0.3, 1.8, 3.8, 5.9)),
)


def judged(latest: list[float], history: np.ndarray = QUIET) -> Verdicts:
    counts = np.concatenate([history, latest])[None, :]
    return Auto().judge(Panel(counts, grain="week", period=52), slice(history.size, None))


@pytest.mark.parametrize(
    "latest",
    [[60.0] * 20, [60.0, 55, 50, 45, 40, 35, 30, 25, 22], [60.0, 60, 60, 60, 9, 60, 60]],
    ids=["sustained", "declining", "with a quiet week"],
)
def test_every_week_far_above_the_baseline_is_in_alarm(latest: list[float]) -> None:
    verdicts = judged(latest)
    high = np.array(latest) > 20
    np.testing.assert_array_equal(verdicts.alarm[0], high)
    assert (verdicts.p_value[0, high] < 1e-3).all()
    assert verdicts.onset[0].tolist() == [True] + [False] * (high.size - 1)
    assert set(verdicts.reason[0, high][1:].tolist()) == {Reason.continuing}


@pytest.mark.parametrize("weeks", [1, 2, 3, 4, 5])
def test_an_outbreak_soon_after_a_spike_is_found(weeks: int) -> None:
    alone, after = (judged([peak, *[8.0] * (weeks - 1), 30.0]) for peak in (8.0, 300.0))
    assert alone.alarm[0, -1]
    assert after.alarm[0, -1]
    assert after.p_value[0, -1] < 1e-4
    assert after.upper[0, -1] <= 1.1 * alone.upper[0, -1]
    assert after.onset[0, -1] == (weeks > 2)


def test_the_threshold_after_a_spike_is_that_of_the_baseline() -> None:
    verdicts = judged([900.0] + [8.0] * 12)
    assert (verdicts.upper[0] < 3 * verdicts.expected[0]).all()


def test_the_pandemic_of_2009_in_taiwan_is_in_alarm_throughout() -> None:
    # National visits for influenza-like illness; weeks 34 to 50 of 2009 as farrington_flexible has.
    nation = real_series().sum(axis=0)[None, :]
    verdicts = Auto().judge(Panel(nation, grain="week", period=52), slice(104, None))
    weeks = slice(33, 50)
    assert verdicts.alarm[0, weeks].all()
    assert (verdicts.reason[0, 34:50] == Reason.continuing).all()
    assert not verdicts.alarm[0, 50:56].any()
    # Lunar New Year brings 53,000 visits in place of 13,000.
    assert (verdicts.upper < 3 * verdicts.expected).all()


def lasting(
    level: float,
    onset: int,
    length: int,
    *,
    factor: float = 3.0,
    season: float = 0.0,
    seed: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Weeks `factor` times as high for `length` weeks from `onset` on; with their usual means."""
    week = np.arange(onset + length + 60)
    usual = level * (1 + season * np.cos(2 * np.pi * (week - 2) / 52))
    mean = usual.copy()
    mean[onset : onset + length] *= factor
    counts = np.random.default_rng(seed).poisson(mean).astype(np.float64)
    return counts[None, :], usual


def longest_silence(alarm: np.ndarray) -> int:
    return max((len(part) for part in "".join("01"[int(a)] for a in alarm).split("1")), default=0)


@settings(max_examples=20, deadline=None)
@given(
    level=st.floats(50, 1000),
    onset=st.integers(130, 250),
    length=st.integers(1, 52),
    factor=st.floats(3, 8),
    season=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 1000),
)
def test_a_plateau_of_up_to_a_year_has_no_silence(
    level: float, onset: int, length: int, factor: float, season: float, seed: int
) -> None:
    counts, _ = lasting(level, onset, length, factor=factor, season=season, seed=seed)
    at = slice(onset, onset + length)
    alarm = Auto().judge(Panel(counts, grain="week", period=52), at).alarm[0]
    assert longest_silence(alarm) <= 1


@pytest.mark.parametrize(("level", "season"), [(30, 0.0), (300, 0.0), (300, 0.8)])
def test_an_outbreak_in_the_year_after_a_long_one_is_found_as_if_it_had_not_been(
    level: float, season: float
) -> None:
    counts, usual = lasting(level, 100, 50, season=season)
    rng = np.random.default_rng(8)
    counts[0, 202:208] = rng.poisson(2.5 * usual[202:208])
    without = counts.copy()
    without[0, 100:150] = rng.poisson(usual[100:150])
    panels = [Panel(each, grain="week", period=52) for each in (counts, without)]
    after, never = (Auto().judge(panel, slice(190, 208)) for panel in panels)
    assert after.alarm[0, 12:].all()
    assert (after.upper[0] < 1.3 * never.upper[0]).all()
    np.testing.assert_array_equal(after.alarm, never.alarm)


@pytest.mark.parametrize("level", [20, 200])
def test_days_of_an_outbreak_of_months_stay_in_alarm(level: float) -> None:
    day = np.arange(900)
    usual = level * (1 + 0.6 * np.cos(2 * np.pi * (day - 15) / 365.25))
    usual *= np.array([1.3, 1.1, 1, 1, 1, 0.8, 0.5])[day % 7]
    mean = np.where(day >= 800, 3 * usual, usual)
    counts = np.random.default_rng(3).poisson(mean).astype(np.float64)[None, :]
    dates = np.datetime64("2021-01-04") + day
    alarm = Auto().judge(Panel(counts, dates=dates), slice(800, None)).alarm[0]
    assert alarm.mean() > 0.9
    assert longest_silence(alarm) <= 2


def test_what_lasts_for_more_than_a_year_is_a_new_level() -> None:
    rng = np.random.default_rng(1)
    counts = rng.poisson(10.0, (6, 420)).astype(np.float64)
    counts[:, 300:] = rng.poisson(40.0, (6, 120))
    verdicts = Auto().judge(Panel(counts, grain="week", period=52), slice(300, None))
    assert max(map(longest_silence, verdicts.alarm[:, :52])) <= 1
    assert verdicts.alarm[:, :52].mean() > 0.99
    assert verdicts.alarm[:, 64:].mean() < 0.05
    np.testing.assert_allclose(verdicts.expected[:, 70:].mean(), 40.0, rtol=0.1)
    # The old level is no part of the new history: the spread is that of 40 a week.
    assert np.median(verdicts.upper[:, 70:]) < 66


def test_an_outbreak_within_a_new_level_is_found() -> None:
    rng = np.random.default_rng(2)
    counts = rng.poisson(10.0, (3, 330)).astype(np.float64)
    counts[:, 150:] = rng.poisson(40.0, (3, 180))
    counts[:, 300:] = rng.poisson(120.0, (3, 30))
    verdicts = Auto().judge(Panel(counts, grain="week", period=52), slice(300, None))
    assert max(map(longest_silence, verdicts.alarm)) <= 1
    assert verdicts.alarm.mean() > 0.85


@pytest.mark.parametrize(("level", "phi"), [(3, 1.5), (6, 2.0), (30, 3.0)])
def test_a_source_that_joins_after_years_of_zeros_has_no_more_alarms(
    level: float, phi: float
) -> None:
    # In the quiet season its counts are like the zeros: the year of counts is no outbreak.
    week = np.arange(364)
    usual = level * (1 + 0.7 * np.cos(2 * np.pi * (week - 2) / 52))
    rng = np.random.default_rng(5)
    counts = rng.negative_binomial(usual / (phi - 1), 1 / phi, (40, 364)).astype(np.float64)
    zeros, missing = (np.where(week < 228, before, counts) for before in (0.0, np.nan))
    at = slice(312, None)
    joined, begun = (
        Auto().judge(Panel(each, grain="week", period=52), at) for each in (zeros, missing)
    )
    assert joined.alarm.mean() < 0.03
    # The expected counts are those of a series that simply begins.
    far = np.abs(np.log(joined.expected / begun.expected)) > np.log(2)
    assert far.mean() < 0.05


def test_strong_seasons_and_noise_lose_no_counts() -> None:
    rng = np.random.default_rng(4)
    week = np.arange(300)
    peak = np.exp(1.2 * np.cos(2 * np.pi * week / 52.18))
    strength = np.repeat(rng.uniform(0.7, 1.5, (30, 6)), 52, axis=1)[:, :300]
    counts = rng.poisson(20 * (1 + (peak - 1) * strength).clip(0.3)).astype(np.float64)
    counts[:10] = rng.poisson(np.array([0.5, 5.0] * 5)[:, None], (10, 300))
    terms = Terms(52.18, 2, trend=True, weekdays=False, block=2)
    kept = counts_to_keep(Problems.of(counts, 3, terms, None), 3, terms)
    assert kept[:10].all()
    assert kept.mean() > 0.99


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    steps=st.lists(
        st.tuples(st.integers(1, 120), st.sampled_from([0.0, 0.3, 20, 900])), max_size=8
    ),
    gap=st.floats(0, 0.6),
)
def test_any_history_is_gone_through(seed: int, steps: list[tuple[int, float]], gap: float) -> None:
    rng = np.random.default_rng(seed)
    mean = np.concatenate([np.full(60, 5.0), *(np.full(n, level) for n, level in steps)])
    counts = rng.poisson(mean).astype(np.float64)[None, :]
    counts[rng.random(counts.shape) < gap] = np.nan
    terms = Terms(52.18, 2, trend=True, weekdays=False, block=2)
    kept = counts_to_keep(Problems.of(counts, 3, terms, None), 3, terms)
    known = ~np.isnan(counts)
    # What is left is a year of blocks at least, in each of which one count of two is known.
    assert (kept & known).sum() >= min(known.sum(), 27)


@settings(max_examples=60, deadline=None)
@given(
    course=st.sampled_from(COURSES),
    mean=st.floats(0.1, 1e4),
    phi=st.floats(1.0, 8.0),
    before=st.lists(st.one_of(st.just(np.nan), st.floats(0, 1e6)), min_size=3, max_size=3),
    count=st.floats(0, 1e6),
)
def test_no_past_makes_a_count_less_unusual_than_it_is_alone(
    course: Course, mean: float, phi: float, before: list[float], count: float
) -> None:
    past = np.array([*before[: course.steps], count])[:, None, None]
    single = course._replace(shares=course.shares[:1], persistence=())
    dispersion = np.full((1, 1), phi)
    found = [
        score_of(each[-1], prepare(each, np.full(each.shape, mean), dispersion, one))[0, 0]
        for each, one in ((past, course), (past[-2:], single))
    ]
    assert found[0] >= found[1] - 1e-9 * abs(found[1])


def test_an_outbreak_continues_over_one_quiet_step_only() -> None:
    course = COURSES[0]
    means, phi = np.full((4, 1, 1), 10.0), np.ones((1, 1))
    limit = limit_of(0.01, course)
    for past, found in (([10, 10, 40], True), ([10, 40, 10], True), ([40, 10, 10], False)):
        counts = np.array([*past, 40.0])[:, None, None]
        assert exceeded_before(counts, means, phi, course, limit)[0, 0] == found


def test_onset_is_the_first_alarm_of_a_run_whatever_the_order_of_the_positions() -> None:
    verdicts = Verdicts.blank(2, np.array([7, 3, 4, 9, 8]))
    verdicts.reason[:] = Reason.ok
    verdicts.alarm[0] = [True, True, True, False, True]
    verdicts.alarm[1] = [False, True, False, True, True]
    verdicts.reason[1, 1] = Reason.continuing
    assert verdicts.onset.astype(int).tolist() == [[1, 1, 0, 0, 0], [0, 0, 0, 0, 1]]
    assert Verdicts.blank(3, np.array([], dtype=np.intp)).onset.shape == (3, 0)


def test_a_population_told_once_a_year_is_carried_on_by_the_same_rule() -> None:
    rng = np.random.default_rng(29)
    counts = rng.poisson(30.0, (1, 320)).astype(np.float64)
    yearly = np.full((1, 320), np.nan)
    yearly[:, ::52] = 1e5
    at = slice(300, None)
    for detector in (Auto(), FarringtonFlexible(population_offset=True)):
        sparse, full = (
            detector.judge(Panel(counts, grain="week", period=52, population=people), at)
            for people in (yearly, np.full((1, 320), 1e5))
        )
        assert (sparse.reason == full.reason).all()
        assert (sparse.reason < Reason.insufficient_history).all()
        np.testing.assert_allclose(sparse.upper, full.upper, rtol=1e-9)


def test_memory_does_not_grow_with_the_days_that_are_judged() -> None:
    counts = np.random.default_rng(28).poisson(5.0, (1, 2000)).astype(np.float64)
    tracemalloc.start()
    try:
        Auto(history=800).judge(Panel(counts), slice(1400, None))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 48 * 2**20


def test_an_outbreak_of_one_january_is_no_yearly_date() -> None:
    # Three years: the date of the judged day was an outbreak's peak in one of them only.
    y = np.full((1, 30), 49.0)
    y[0, [9, 19, 29]] = 60.0, 300.0, 62.0
    back = np.broadcast_to(np.array([1, 11, 21])[None, :, None], (1, 3, 1))
    mean, known, phi = np.full(y.shape, 45.0), np.ones(y.shape), np.full(1, 2.5)
    assert recurring_factors(y, mean, known, phi, back)[0, 0] == 1.0
    y[0, [9, 29]] = 90.0, 88.0
    assert recurring_factors(y, mean, known, phi, back)[0, 0] > 1.5
