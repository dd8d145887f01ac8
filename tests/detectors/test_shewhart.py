from __future__ import annotations

import math
from statistics import NormalDist, fmean, stdev
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import nbinom, poisson

from detectors.contract import Detector, Grain, Panel, Reason
from detectors.shewhart import Shewhart
from tests.detectors.contract_checks import assert_same, check_contract, take

DISTRIBUTIONS = ("poisson", "nb", "gaussian")
BASE = [0.0, 9, 2, 7, 1, 5, 3, 5]


def latest(series: list[float], **parameters: Any) -> dict[str, Any]:
    verdicts = Shewhart(**parameters).judge(Panel(np.array([series])), slice(-1, None))
    names = ("expected", "upper", "score", "p_value", "alarm", "reason")
    return {name: getattr(verdicts, name)[0, 0] for name in names}


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_keeps_the_contract(distribution: str) -> None:
    detector = Shewhart.model_validate({"distribution": distribution, "baseline": 9, "lag": 2})
    check_contract(detector, seeds=2)
    check_contract(detector, largest=1e100)


@pytest.mark.parametrize("grain", get_args(Grain))
def test_keeps_the_contract_on_every_time_axis(grain: Grain) -> None:
    check_contract(Shewhart(baseline=5), grain=grain, dated=True, population=True)


def test_poisson_by_hand() -> None:
    verdict = latest([*BASE, 12], baseline=8)
    assert verdict["expected"] == 4
    assert poisson.sf(verdict["upper"], 4) <= 0.00135 < poisson.sf(verdict["upper"] - 1, 4)
    assert verdict["p_value"] == pytest.approx(poisson.sf(11, 4))
    assert verdict["score"] == pytest.approx(NormalDist().inv_cdf(1 - poisson.sf(11, 4)))


def test_negative_binomial_by_hand() -> None:
    size = 16 / (stdev(BASE) ** 2 - 4)
    verdict = latest([*BASE, 12], baseline=8, distribution="nb")
    share = size / (size + 4)
    above = nbinom.sf([verdict["upper"], verdict["upper"] - 1], size, share)
    assert above[0] <= 0.00135 < above[1]
    assert verdict["p_value"] == pytest.approx(nbinom.sf(11, size, share))


def test_gaussian_by_hand() -> None:
    verdict = latest([*BASE, 12], baseline=8, distribution="gaussian", alpha=0.025)
    assert verdict["upper"] == pytest.approx(4 + 1.959964 * stdev(BASE), rel=1e-6)
    assert verdict["score"] == pytest.approx(8 / stdev(BASE))


def test_less_spread_than_poisson_is_poisson() -> None:
    calm = [4.0, 5, 4, 3, 4, 5, 3, 4, 9]
    assert latest(calm, baseline=8, distribution="nb") == latest(calm, baseline=8)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_p_values_below_alpha_are_the_alarms(distribution: str) -> None:
    counts = np.random.default_rng(1).negative_binomial(4, 0.3, (60, 60)).astype(np.float64)
    detector = Shewhart.model_validate({"distribution": distribution, "alpha": 0.05})
    verdicts = detector.judge(Panel(counts))
    judged = verdicts.reason == Reason.ok
    assert verdicts.alarm.any()
    np.testing.assert_array_equal(verdicts.alarm[judged], verdicts.p_value[judged] <= 0.05)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_with_a_start_all_earlier_counts_are_the_baseline(distribution: str) -> None:
    counts = np.random.default_rng(2).poisson(1e6, (5, 40)).astype(np.float64)
    counts[2, 10:14] = np.nan
    detector = Shewhart.model_validate({"distribution": distribution, "start": 3, "lag": 1})
    verdicts = detector.judge(Panel(counts))
    for time in (20, 39):
        rolling = detector.model_copy(update={"start": None, "baseline": time - 4})
        at = np.array([time])
        assert_same(take(verdicts, at), rolling.judge(Panel(counts), at), rtol=1e-9)
    assert (verdicts.reason[0, :7] == Reason.insufficient_history).all()
    assert (verdicts.reason[0, 7:] == Reason.ok).all()
    assert_same(detector.judge(Panel(counts), np.array([30, 8])), take(verdicts, [30, 8]))


def test_odd_baselines() -> None:
    nothing = latest([0.0] * 8 + [1], baseline=8)
    assert (nothing["reason"], nothing["expected"]) == (Reason.all_zero, 0)
    assert nothing["p_value"] == pytest.approx(-math.expm1(-1 / 8))
    flat = latest([9.0] * 8 + [15], baseline=8, distribution="gaussian")
    assert (flat["reason"], flat["score"]) == (Reason.constant_baseline, 2.0)
    gaps = latest([*BASE[:5], math.nan, math.nan, math.nan, 12], baseline=8)
    assert gaps["expected"] == pytest.approx(fmean(BASE[:5]))


def test_is_a_detector() -> None:
    detector: Detector = Shewhart()
    assert detector.lookback("day") == 28


@pytest.mark.parametrize("wrong", [{"alpha": 0}, {"baseline": 2}, {"distribution": "t"}])
def test_wrong_parameters_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Shewhart.model_validate(wrong)
