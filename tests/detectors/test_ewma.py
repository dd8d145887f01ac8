from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import norm

from detectors.contract import Detector, Grain, Panel, Reason
from detectors.ewma import Ewma
from tests.detectors.contract_checks import assert_same, check_contract, take


@pytest.mark.parametrize("distribution", ["poisson", "gaussian"])
@pytest.mark.parametrize("day_of_week", [True, False])
def test_keeps_the_contract(distribution: str, *, day_of_week: bool) -> None:
    parameters = {"distribution": distribution, "day_of_week": day_of_week}
    detector = Ewma.model_validate({**parameters, "window": 5, "training": 23})
    check_contract(detector)
    check_contract(detector, largest=1e100)


@pytest.mark.parametrize("grain", get_args(Grain))
def test_keeps_the_contract_on_every_time_axis(grain: Grain) -> None:
    check_contract(Ewma(window=3, training=15), grain=grain, dated=True, population=True)


def test_a_poisson_chart_by_hand() -> None:
    panel = Panel(np.array([[3.0, 4, 5, 4, 4, 6, 9]]), grain="week")
    verdicts = Ewma(smoothing=0.5, limit=2, start=5).judge(panel, slice(5, None))
    z = [0.5 * 2, 0.5 * 5 + 0.5 * 1]
    v = [0.25 * 4, 0.25 * 4 + 0.25 * 1]
    np.testing.assert_allclose(verdicts.score[0], [z[0] / 1, z[1] / math.sqrt(v[1])])
    np.testing.assert_allclose(verdicts.upper[0], [4 + 2 * 2, 4 + 2 * (2 * math.sqrt(v[1]) - 0.5)])
    np.testing.assert_array_equal(verdicts.alarm[0], [False, True])
    np.testing.assert_allclose(verdicts.p_value, norm.sf(verdicts.score))


def test_the_gaussian_variance_is_that_of_the_training() -> None:
    train = [3.0, 7, 5, 2, 8]
    panel = Panel(np.array([[*train, 9]]), grain="week")
    verdicts = Ewma(distribution="gaussian", start=5).judge(panel, slice(-1, None))
    assert verdicts.score[0, 0] == pytest.approx(4 / np.std(train, ddof=1))


def test_with_all_weight_on_the_latest_count_there_is_no_memory() -> None:
    counts = np.random.default_rng(1).poisson(6, (9, 40)).astype(np.float64)
    one = Ewma(smoothing=1, start=20, day_of_week=False).judge(Panel(counts), slice(20, None))
    mean = counts[:, :20].mean(axis=1, keepdims=True)
    np.testing.assert_allclose(one.score, (counts[:, 20:] - mean) / np.sqrt(mean))


def test_days_of_the_week_are_told_apart() -> None:
    daily = np.resize([20.0, 20, 20, 20, 20, 2, 2], 77)
    panel = Panel(daily[None])
    weekly = Ewma(training=56).judge(panel, slice(-7, None))
    # Eight Saturdays of 2 and one day of the overall mean.
    mean = daily[:56].mean()
    np.testing.assert_allclose(weekly.expected[0, -2:], (8 * 2 + mean) / 9)
    np.testing.assert_allclose(weekly.expected[0, :5], (8 * 20 + mean) / 9)
    for other in (
        Ewma(day_of_week=False).judge(panel, slice(-7, None)),
        Ewma().judge(Panel(daily[None], grain="week"), slice(-7, None)),
    ):
        np.testing.assert_allclose(other.expected[0], mean)


def test_days_line_up_whatever_the_length_of_training_and_chart() -> None:
    daily = np.resize([20.0, 20, 20, 20, 20, 2, 60], 90)
    for window, training in ((3, 30), (10, 22), (8, 41)):
        detector = Ewma(window=window, training=training)
        verdicts = detector.judge(Panel(daily[None]), slice(-7, None))
        order = np.argsort(daily[-7:], kind="stable")
        assert np.argmin(verdicts.expected[0]) == order[0]
        assert np.argmax(verdicts.expected[0]) == order[-1]


@pytest.mark.parametrize("distribution", ["poisson", "gaussian"])
def test_alarms_are_scores_above_the_limit(distribution: str) -> None:
    counts = np.random.default_rng(2).poisson(9, (50, 90)).astype(np.float64)
    detector = Ewma.model_validate({"distribution": distribution, "alpha": 0.02})
    verdicts = detector.judge(Panel(counts))
    judged = verdicts.reason == Reason.ok
    assert verdicts.alarm.any()
    np.testing.assert_array_equal(verdicts.alarm[judged], verdicts.p_value[judged] < 0.02)


def test_the_false_alarm_rate_in_control_is_near_the_level() -> None:
    counts = np.random.default_rng(3).poisson(50, (4000, 300)).astype(np.float64)
    detector = Ewma(alpha=0.02, training=260, day_of_week=False)
    rate = detector.judge(Panel(counts), slice(-1, None)).alarm.mean()
    assert 0.01 < rate < 0.035


def test_a_window_is_a_chart_that_starts_so_much_earlier() -> None:
    counts = np.random.default_rng(4).poisson(5, (7, 60)).astype(np.float64)
    windowed = Ewma(window=6, training=20).judge(Panel(counts), np.array([50]))
    started = Ewma(start=20).judge(Panel(counts[:, 25:51].copy()), slice(-1, None))
    assert_same(windowed, started)
    detector, at = Ewma(start=20), np.array([59, 30, 30, 10])
    assert_same(detector.judge(Panel(counts), at), take(detector.judge(Panel(counts)), at))


def test_odd_trainings() -> None:
    nothing = Ewma(start=10).judge(Panel(np.zeros((1, 11)), grain="week"), slice(-1, None))
    assert (nothing.reason[0, 0], nothing.expected[0, 0]) == (Reason.all_zero, 0.1)
    flat = Ewma(start=10, distribution="gaussian", smoothing=1).judge(
        Panel(np.array([[9.0] * 10 + [15]]), grain="week"), slice(-1, None)
    )
    assert (flat.reason[0, 0], flat.score[0, 0]) == (Reason.constant_baseline, 2.0)


def test_is_a_detector() -> None:
    detector: Detector = Ewma(window=10, training=20)
    assert detector.lookback("day") == 29
    assert Ewma(limit=4).effective_limit == 4


@pytest.mark.parametrize("wrong", [{"smoothing": 0}, {"limit": 0}, {"window": 0}, {"L": 3}])
def test_wrong_parameters_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Ewma.model_validate(wrong)
