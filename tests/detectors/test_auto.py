from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats

from detectors._level_drift import follow_level
from detectors._outbreak_filter import Course, limit_of, p_value_of, prepare, score_of, upper_of
from detectors._recurring_days import recurring_factors
from detectors._robust_season import Terms, fit_baseline
from detectors.auto import Auto
from detectors.contract import Grain, Panel, Reason
from tests.detectors.contract_checks import check_contract

if TYPE_CHECKING:
    from detectors.contract import FloatArray

WEEKLY = Course(
    shares=(0.4, 0.4, 0.2),
    persistence=(0.4, 0.4),
    sizes=(1.5, 3.0, 5.0, 8.0, 12.0),
    scores=(-1.01, -0.47, 0.01, 0.52, 1.12, 2.31, 3.87, 5.46),
)


@pytest.mark.parametrize(
    ("detector", "grain", "period", "dated", "history"),
    [
        (Auto(), "week", 52, False, 130),
        (Auto(history=60), "week", 52, False, 80),
        (Auto(history=30), "day", 365, False, 60),
        (Auto(history=20), "month", 12, False, 40),
        (Auto(history=90), "rolling7", None, True, 110),
    ],
)
def test_contract(
    detector: Auto, grain: Grain, period: int | None, history: int, *, dated: bool
) -> None:
    check_contract(
        detector, grain=grain, period=period, dated=dated, history=history, rtol=1e-6, atol=1e-9
    )


def test_contract_with_a_population() -> None:
    check_contract(
        Auto(history=60),
        grain="week",
        period=52,
        history=80,
        population=True,
        rtol=1e-6,
        atol=1e-9,
    )


def test_the_score_is_the_formula_summed_by_hand() -> None:
    course = WEEKLY._replace(shares=(0.5, 0.3, 0.2), persistence=(0.6, 0.4))
    counts, mean, phi = [7.0, 4.0, 9.0, 8.0], 5.0, 1.7
    spread = np.sqrt(phi * mean)

    def mass(count: float, extra: float) -> float:
        middle, variance = mean + extra, phi * (mean + extra)
        return float(stats.nbinom.pmf(count, middle**2 / (variance - middle), middle / variance))

    def ratio(begin: int, end: int) -> float:
        ratios = []
        for size in course.sizes:
            terms = [
                mass(counts[step], size * spread * share) / mass(counts[step], 0)
                for step, share in zip(range(begin, end), course.shares, strict=False)
            ]
            ratios.append(float(np.prod(terms)))
        return float(np.mean(ratios))

    survival = [1.0, 0.6, 0.24]
    ends = [0.4, 0.6, 1.0]
    now = sum(survival[age] * ratio(3 - age, 4) for age in range(3))
    ended = sum(survival[n - 1] * ends[n - 1] * ratio(3 - n, 3) for n in (1, 2, 3))
    state = prepare(
        np.array(counts)[:, None, None], np.full((4, 1, 1), mean), np.full((1, 1), phi), course
    )
    score = score_of(np.array([[counts[-1]]]), state)
    assert score[0, 0] == pytest.approx(np.log(now) - np.log1p(0.2 * ended), rel=1e-9)


@pytest.mark.parametrize("mean", [0.05, 1.0, 40.0, 1e6, 1e9])
@pytest.mark.parametrize("phi", [1.0, 1.5, 6.0])
def test_upper_is_where_the_score_reaches_the_limit(mean: float, phi: float) -> None:
    past = np.full((4, 1, 1), mean)
    past[2] += 2 * np.sqrt(phi * mean)
    state = prepare(past, np.full((4, 1, 1), mean), np.full((1, 1), phi), WEEKLY)
    limit = limit_of(0.001, WEEKLY)
    upper = upper_of(limit, state)
    assert upper[0, 0] > 0
    assert score_of(upper, state)[0, 0] == pytest.approx(limit, abs=1e-3)


def test_p_values_and_limits_are_each_others_inverse() -> None:
    for alpha in (0.3, 0.05, 0.01, 1e-4, 1e-7):
        assert p_value_of(np.array(limit_of(alpha, WEEKLY)), WEEKLY) == pytest.approx(
            alpha, rel=1e-9
        )
    scores = np.linspace(-3, 40, 400)
    assert (np.diff(p_value_of(scores, WEEKLY)) <= 0).all()


def null_panel(mean: FloatArray, phi: float, series: int, seed: int) -> Panel:
    rng = np.random.default_rng(seed)
    counts = rng.negative_binomial(mean / (phi - 1), 1 / phi, (series, mean.size))
    return Panel(counts.astype(np.float64), grain="week", period=52)


@pytest.mark.parametrize("phi", [1.1, 3.0])
@pytest.mark.parametrize("level", [0.5, 10.0, 1000.0])
def test_p_values_hold_without_outbreaks(level: float, phi: float) -> None:
    time = np.arange(420)
    mean = level * np.exp(0.4 * np.cos(2 * np.pi * time / 52) + 0.001 * time)
    verdicts = Auto().judge(null_panel(mean, phi, 60, seed=20), slice(360, None))
    share = [(verdicts.p_value <= alpha).mean() for alpha in (0.05, 0.01)]
    # 3,600 judged points: standard errors of 0.0036 and 0.0017. The curve is one for all means; the
    # few values that small counts can take bring most of the difference.
    assert 0.025 < share[0] < 0.12
    assert 0.005 < share[1] < 0.025


def test_two_steps_that_are_none_alone_are_an_alarm_together() -> None:
    time = np.arange(300)
    panel = null_panel(np.full(300, 20.0), 1.2, 1, seed=3)
    counts = panel.counts.copy()
    counts[:, -6:] = 20.0
    counts[:, -1] = 33.0
    alone = Auto(alpha=0.01).judge(Panel(counts.copy(), grain="week"), slice(-1, None))
    counts[:, -2] = 33.0
    together = Auto(alpha=0.01).judge(Panel(counts, grain="week"), slice(-1, None))
    assert time.size == counts.shape[1]
    assert not alone.alarm.any()
    assert together.alarm.all()
    assert together.upper < alone.upper


def test_the_step_after_an_outbreak_is_not_held_against() -> None:
    counts = np.tile([18.0, 22.0, 20.0, 19.0, 21.0], 60)[None, :].copy()
    counts[:, -3:] = 90.0, 70.0, 21.0
    verdicts = Auto().judge(Panel(counts, grain="week"), slice(-3, None))
    assert verdicts.alarm[0].tolist() == [True, True, False]


def test_outbreaks_of_the_past_do_not_raise_the_baseline() -> None:
    rng = np.random.default_rng(11)
    clean = rng.poisson(10.0, (40, 400)).astype(np.float64)
    marred = clean.copy()
    for begin in range(40, 360, 40):
        marred[:, begin : begin + 2] += 60.0
    one, other = (Auto().judge(Panel(c, grain="week"), slice(-1, None)) for c in (clean, marred))
    np.testing.assert_allclose(other.expected, one.expected, rtol=0.1)
    np.testing.assert_allclose(other.upper, one.upper, rtol=0.2)


def test_the_baseline_knows_season_trend_and_weekday() -> None:
    back = np.arange(900, 7, -1)
    factor = np.array([1.0, 1.3, 0.8, 1.1, 1.0, 0.5, 0.6])

    def mean(steps: FloatArray) -> FloatArray:
        season = 0.5 * np.cos(2 * np.pi * (steps - 40) / 365)
        weekday: FloatArray = factor[steps.astype(int) % 7]
        return 200 * np.exp(season - 0.0004 * steps) * weekday

    counts = np.random.default_rng(4).poisson(mean(back.astype(np.float64)), (30, back.size))
    fitted = fit_baseline(counts.astype(np.float64), 7, 7, Terms(365, 1, trend=True, weekdays=True))
    expected = mean(np.arange(7, -1, -1, dtype=np.float64))
    np.testing.assert_allclose(fitted.means.mean(axis=1), expected, rtol=0.02)
    assert fitted.dispersion.mean() == pytest.approx(1.02, abs=0.06)


def test_short_history_and_zeros_say_so() -> None:
    counts = np.zeros((2, 60))
    counts[1, :50] = np.nan
    verdicts = Auto().judge(Panel(counts, grain="week"), slice(-1, None))
    assert verdicts.reason[:, 0].tolist() == [Reason.all_zero, Reason.insufficient_history]
    counts[0, -1] = 4.0
    assert Auto().judge(Panel(counts, grain="week"), slice(-1, None)).alarm[0, 0]


def season(steps: FloatArray, level: float, amplitude: float) -> FloatArray:
    return level * np.exp(amplitude * np.cos(2 * np.pi * steps / 52))


@pytest.mark.parametrize(("history", "largest"), [(20, 0.035), (60, 0.02), (150, 0.015)])
def test_a_short_history_does_not_take_the_season_for_outbreaks(
    history: int, largest: float
) -> None:
    panel = null_panel(season(np.arange(300.0), 10.0, 0.7), 1.5, 60, seed=6)
    verdicts = Auto(history=history).judge(panel, slice(-52, None))
    assert (verdicts.p_value <= 0.01).mean() < largest


def test_the_season_is_known_from_little_more_than_a_year() -> None:
    mean = season(np.arange(96.0), 100.0, 0.7)
    verdicts = Auto().judge(null_panel(mean, 1.2, 30, seed=8), slice(70, None))
    np.testing.assert_allclose(verdicts.expected.mean(axis=0), mean[70:], rtol=0.15)


def test_what_a_short_history_leaves_open_is_in_the_threshold() -> None:
    panel = null_panel(np.full(400, 20.0), 1.3, 30, seed=9)
    short, long = (Auto(history=steps).judge(panel, slice(-1, None)) for steps in (15, 380))
    assert short.upper.mean() > long.upper.mean() + 4.0


def test_means_are_proportional_to_the_population() -> None:
    rng = np.random.default_rng(12)
    people = np.repeat([1e5, 1e5, 4e5, 4e5], 52)[None, :]
    counts = rng.poisson(20 * people / 1e5, (20, 208)).astype(np.float64)
    people = np.repeat(people, 20, axis=0)
    with_people = Panel(counts, grain="week", population=people)
    verdicts = Auto().judge(with_people, slice(104, 112))
    np.testing.assert_allclose(verdicts.expected.mean(axis=0), 80.0, rtol=0.1)
    assert Auto().judge(Panel(counts, grain="week"), slice(104, 106)).alarm.mean() > 0.9
    assert verdicts.alarm.mean() < 0.05
    # The unit is of no account, nor is a value that is as the one before.
    gaps = 1000.0 * people
    gaps[:, [30, 80, 107]] = np.nan
    other = Auto().judge(Panel(counts, grain="week", population=gaps), slice(104, 112))
    np.testing.assert_allclose(other.expected, verdicts.expected, rtol=1e-6)


def test_counts_and_population_can_grow_together() -> None:
    rng = np.random.default_rng(13)
    people = np.linspace(1e5, 9e5, 160)[None, :]
    counts = rng.poisson(1e-4 * people).astype(np.float64)
    unit = np.full_like(people, 5.0)
    plain = Auto().judge(Panel(counts, grain="week"), slice(-1, None))
    same = Auto().judge(Panel(counts, grain="week", population=unit), slice(-1, None))
    unknown = Auto().judge(Panel(counts, grain="week", population=unit * np.nan), slice(-1, None))
    for one in (same, unknown):
        np.testing.assert_allclose(one.upper, plain.upper, rtol=1e-9)


def test_a_level_is_followed_where_levels_last_and_not_where_they_do_not() -> None:
    rng = np.random.default_rng(14)
    step = rng.normal(size=(40, 500))
    drift = np.zeros_like(step)
    for now in range(1, 500):
        drift[:, now] = 0.97 * drift[:, now - 1] + 0.1 * step[:, now]
    flat, one, phi = np.full(drift.shape, 30.0), np.ones(drift.shape), np.full(40, 1.0)
    moving = rng.poisson(30 * np.exp(drift)).astype(np.float64)
    followed, factor = follow_level(moving, flat, one, phi, 4, 0.7)
    truth = 30 * np.exp(drift)
    assert ((followed - truth) ** 2).mean() < 0.5 * ((flat - truth) ** 2).mean()
    assert np.corrcoef(factor, np.exp(0.97**4 * drift[:, -1]))[0, 1] > 0.8
    _, still = follow_level(rng.poisson(flat).astype(np.float64), flat, one, phi, 4, 0.7)
    assert np.abs(still - 1).mean() < 0.01


def test_the_level_does_not_follow_the_outbreak_that_is_to_be_found() -> None:
    counts = null_panel(np.full(300, 20.0), 1.2, 10, seed=15).counts.copy()
    before = Auto().judge(Panel(counts.copy(), grain="week"), slice(-1, None))
    counts[:, -3:] += 60.0
    after = Auto().judge(Panel(counts, grain="week"), slice(-1, None))
    np.testing.assert_allclose(after.expected, before.expected, rtol=1e-6)
    assert after.alarm.all()


def test_a_date_of_every_year_is_expected_and_a_single_outbreak_is_not() -> None:
    rng = np.random.default_rng(16)
    counts = rng.poisson(50.0, (20, 3 * 364 + 200)).astype(np.float64)
    counts[:, 100::364] *= 2
    counts[:, 300 + 364] *= 2
    at = np.array([100 + 3 * 364])
    verdicts = Auto().judge(Panel(counts.copy(), grain="day", period=364), at)
    assert (verdicts.expected > 75).mean() > 0.9
    assert verdicts.alarm.mean() < 0.2
    counts[:, 101 + 3 * 364] *= 2
    other = Auto().judge(Panel(counts, grain="day", period=364), at + 1)
    assert (other.expected < 65).all()
    assert other.alarm.all()


def test_factors_of_dates_are_those_nearest_to_one() -> None:
    y = np.full((3, 30), 100.0)
    y[0, [9, 19, 29]] = 180.0, 150.0, 199.0
    y[1, [9, 19, 29]] = 300.0, 100.0, 300.0
    y[2, [9, 19, 29]] = 30.0, 0.0, 0.0
    back = np.broadcast_to(np.array([1, 11, 21, 31])[None, :, None], (1, 4, 3))
    factors = recurring_factors(y, np.full(y.shape, 100.0), np.ones(y.shape), np.ones(3), back)
    np.testing.assert_allclose(factors, [[151 / 101, 1.0, 31 / 101]])
