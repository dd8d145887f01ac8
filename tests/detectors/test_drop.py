from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import nbinom, norm, poisson

from detectors.contract import Detector, FloatArray, Grain, Panel, Reason, Verdicts
from detectors.drop import Drop
from tests.detectors.contract_checks import check_contract

LAST = slice(-1, None)


def weekly(*counts: float) -> Panel:
    return Panel(np.array([counts], dtype=np.float64), grain="week")


def judge_counts(counts: FloatArray, **parameters: Any) -> Verdicts:
    return Drop(**parameters).judge(Panel(counts, grain="week"), LAST)


@pytest.mark.parametrize("direction", ["down", "both"])
@pytest.mark.parametrize("grain", get_args(Grain))
def test_keeps_the_contract(direction: str, grain: Grain) -> None:
    detector = Drop.model_validate({"direction": direction, "guard": 1, "alpha": 0.05})
    check_contract(detector, grain=grain, dated=True, alarm_above_upper=False)
    check_contract(detector, grain=grain, largest=1e100, alarm_above_upper=False)


def test_by_hand() -> None:
    # Median 21.5, absolute deviations .5 .5 2.5 2.5 3.5 3.5 3.5 68.5: their median is 3.
    past = [25.0, 18, 22, 90, 21, 24, 19, 18]
    variance = (1.4826 * 3) ** 2
    assert variance < 21.5
    verdicts = Drop().judge(weekly(*past, 8), LAST)
    assert verdicts.expected[0, 0] == 21.5
    p_value = poisson.cdf(8, 21.5)
    assert verdicts.p_value[0, 0] == pytest.approx(p_value)
    assert verdicts.score[0, 0] == pytest.approx(norm.isf(p_value))
    assert verdicts.alarm[0, 0] == (p_value < 0.001)
    upper = verdicts.upper[0, 0]
    assert poisson.sf(upper, 21.5) <= 0.001 < poisson.sf(upper - 1, 21.5)


def test_a_wide_spread_makes_it_negative_binomial() -> None:
    past = [10.0, 20, 30, 40, 50, 60, 70, 80, 90]
    variance = (1.4826 * 20) ** 2
    size = 50**2 / (variance - 50)
    verdicts = Drop(baseline=9).judge(weekly(*past, 5), LAST)
    want = nbinom.cdf(5, size, size / (size + 50))
    assert verdicts.p_value[0, 0] == pytest.approx(want)


@pytest.mark.parametrize("alpha", [0.2, 0.01, 1e-6])
def test_the_lower_limit_parts_drops_from_other_counts(alpha: float) -> None:
    rng = np.random.default_rng(1)
    past = rng.negative_binomial(5, 0.1, (300, 8)).astype(np.float64)
    counts = np.hstack([past, rng.integers(0, 60, (300, 1)).astype(np.float64)])
    detector = Drop(alpha=alpha, share=1)
    panel = Panel(counts, grain="week")
    verdicts, lower = detector.judge(panel, LAST), detector.lower(panel, LAST)
    np.testing.assert_array_equal(verdicts.alarm, counts[:, -1:] < lower)
    few = counts[:, -1:] <= verdicts.expected
    np.testing.assert_array_equal(verdicts.alarm[few], verdicts.p_value[few] < alpha)
    assert 0 < verdicts.alarm.mean() < 1


def test_a_drop_must_go_below_the_share() -> None:
    past = [1000.0] * 8
    assert Drop(share=1).judge(weekly(*past, 800), LAST).alarm[0, 0]
    assert not Drop(share=0.5).judge(weekly(*past, 501), LAST).alarm[0, 0]
    assert Drop(share=0.5).judge(weekly(*past, 500), LAST).alarm[0, 0]


def test_a_sunday_is_compared_with_sundays() -> None:
    daily = np.resize([100.0, 100, 100, 100, 100, 100, 10], 70)
    assert Drop().judge(Panel(daily[None])).alarm.sum() == 0
    daily[-2] = 10
    verdicts = Drop().judge(Panel(daily[None]), slice(-2, None))
    np.testing.assert_array_equal(verdicts.alarm, [[True, False]])
    np.testing.assert_array_equal(verdicts.expected, [[100, 10]])


def test_silence_is_seen_once_seven_are_expected() -> None:
    silent = judge_counts(np.array([[6.0] * 8 + [0], [7.0] * 8 + [0]]))
    np.testing.assert_array_equal(silent.alarm[:, 0], [False, True])


def test_past_outbreaks_and_silences_do_not_move_the_baseline() -> None:
    calm = judge_counts(np.array([[20.0, 21, 19, 20, 22, 18, 20, 20, 3]]))
    rough = judge_counts(np.array([[20.0, 900, 0, 20, 22, 0, 700, 20, 3]]))
    assert calm.expected[0, 0] == rough.expected[0, 0] == 20
    assert calm.alarm[0, 0]


def test_high_counts_are_alarms_only_if_asked_for() -> None:
    counts = np.array([[20.0] * 8 + [60], [20.0] * 8 + [1]])
    np.testing.assert_array_equal(judge_counts(counts).alarm[:, 0], [False, True])
    both = judge_counts(counts, direction="both")
    np.testing.assert_array_equal(both.alarm[:, 0], [True, True])
    assert both.p_value[1, 0] == pytest.approx(2 * poisson.cdf(1, 20))
    assert (both.score > 3).all()


def test_missing_is_not_silent() -> None:
    verdicts = Drop().judge(weekly(*[50.0] * 8, math.nan), LAST)
    assert (verdicts.alarm[0, 0], verdicts.reason[0, 0]) == (False, Reason.missing_observation)
    assert verdicts.expected[0, 0] == 50


def test_what_holds_no_cases_cannot_drop() -> None:
    for past, reason in (([0.0] * 8, Reason.all_zero), ([0.0] * 6 + [3, 4], Reason.ok)):
        verdicts = Drop(alpha=0.9, share=1).judge(weekly(*past, 0), LAST)
        assert (verdicts.alarm[0, 0], verdicts.reason[0, 0]) == (False, reason)


def test_guard_leaves_out_the_latest() -> None:
    counts = weekly(*[50.0] * 8, 9, 9, 9)
    assert Drop(guard=2).judge(counts, LAST).expected[0, 0] == 50
    assert Drop(baseline=3).judge(counts, LAST).expected[0, 0] == 9


def test_is_a_detector() -> None:
    detector: Detector = Drop()
    assert (detector.lookback("day"), detector.lookback("month")) == (56, 8)


@pytest.mark.parametrize("wrong", [{"alpha": 1}, {"share": 0}, {"direction": "up"}, {"k": 1}])
def test_wrong_parameters_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Drop.model_validate(wrong)
