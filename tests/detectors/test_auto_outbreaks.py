"""`auto` while an outbreak lasts, and after one."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def test_what_lasts_for_more_than_half_a_year_is_a_new_level() -> None:
    rng = np.random.default_rng(1)
    counts = rng.poisson(10.0, (20, 400)).astype(np.float64)
    counts[:, 320:] = rng.poisson(40.0, (20, 80))
    verdicts = Auto().judge(Panel(counts, grain="week", period=52), slice(320, None))
    assert verdicts.alarm[:, :20].all()
    assert verdicts.alarm[:, 45:].mean() < 0.05
    np.testing.assert_allclose(verdicts.expected[:, 60:].mean(), 40.0, rtol=0.1)


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
