from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats

from detectors._outbreak_filter import Course, limit_of, p_value_of, prepare, score_of, upper_of
from detectors._robust_season import Terms, fit_baseline
from detectors.auto import Auto
from detectors.contract import Grain, Panel, Reason
from tests.detectors.contract_checks import check_contract

if TYPE_CHECKING:
    from detectors.contract import FloatArray

WEEKLY = Course(
    shares=(0.4, 0.3, 0.2, 0.1),
    persistence=(0.7, 0.5, 0.3),
    sizes=(1.5, 3.0, 5.0, 8.0, 12.0),
    scores=(-0.57, -0.04, 0.43, 1.03, 1.50, 2.64, 4.18, 5.75),
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
    assert score[0, 0] == pytest.approx(np.log(now) - np.log1p(0.1 * ended), rel=1e-9)


@pytest.mark.parametrize("mean", [0.05, 1.0, 40.0, 1e6, 1e9])
@pytest.mark.parametrize("phi", [1.0, 1.5, 6.0])
def test_upper_is_where_the_score_reaches_the_limit(mean: float, phi: float) -> None:
    past = np.full((5, 1, 1), mean)
    past[3] += 2 * np.sqrt(phi * mean)
    state = prepare(past, np.full((5, 1, 1), mean), np.full((1, 1), phi), WEEKLY)
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
