from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from detectors.contract import Panel, Reason
from detectors.essence_ewma import EssenceEwma
from detectors.regression import Regression
from detectors.switch import Switch
from tests.detectors.contract_checks import FIELDS, check_contract


def mixed(times: int = 80) -> Panel:
    rng = np.random.default_rng(1)
    week = np.resize([1.6, 1.2, 1, 1, 1, 0.4, 0.3], times)
    return Panel(
        np.concatenate([rng.poisson(80 * week, (5, times)), rng.poisson(3.0, (5, times))]).astype(
            np.float64
        )
    )


@pytest.mark.parametrize("weight", [0.4, 0.9, 1.0])
@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_ewma_equals_its_formulas_point_by_point(weight: float, missing: float) -> None:
    counts = mixed(50).counts.copy()
    counts[np.random.default_rng(2).random(counts.shape) < missing] = np.nan
    detector = EssenceEwma(smoothing=weight)
    verdicts = detector.judge(Panel(counts))
    compared = 0
    for row in range(counts.shape[0]):
        for t in range(30, 50):
            base = counts[row, t - 30 : t - 2]
            base = base[~np.isnan(base)]
            mean, sd = base.mean(), base.std(ddof=1)
            smoothed = mean
            for count in counts[row, t - 30 : t]:
                if not np.isnan(count):
                    smoothed = weight * count + (1 - weight) * smoothed
            spread = sd * np.sqrt(weight / (2 - weight))
            limit = mean + stats.t.ppf(0.99, base.size - 1) * spread
            upper = max(0.0, (limit - (1 - weight) * smoothed) / weight)
            assert verdicts.upper[row, t] == pytest.approx(upper, rel=1e-9, abs=1e-9)
            if np.isnan(counts[row, t]):
                continue
            score = (weight * counts[row, t] + (1 - weight) * smoothed - mean) / spread
            p_value = stats.t.sf(score, base.size - 1)
            assert verdicts.score[row, t] == pytest.approx(score, rel=1e-9, abs=1e-9)
            assert verdicts.p_value[row, t] == pytest.approx(p_value, rel=1e-9)
            compared += 1
    assert compared > 150


@pytest.mark.parametrize(
    ("detector", "options"),
    [
        (EssenceEwma(), {"largest": 1e100, "seeds": 2}),
        (EssenceEwma(sudden=0.9, min_sigma=0.5), {"grain": "week", "dated": True}),
        (Switch(), {"seeds": 2}),
        (Switch(sudden=0.9, holidays=(100,), min_r_squared=0.2), {"period": 30}),
    ],
)
def test_contract(detector: Switch | EssenceEwma, options: dict[str, Any]) -> None:
    check_contract(detector, **options)


def test_the_second_chart_sees_sudden_outbreaks() -> None:
    calm = np.resize([3.0, 5, 4, 2, 6], 31)
    calm[-2:] = 1.0, 10.0
    panel = Panel(calm[None])
    slow, fast, both = (
        EssenceEwma(**parameters).judge(panel, slice(-1, None))
        for parameters in ({}, {"smoothing": 0.9}, {"sudden": 0.9})
    )
    assert fast.p_value < slow.p_value
    assert both.p_value == fast.p_value
    assert both.upper == min(slow.upper, fast.upper)
    assert (slow.alarm.item(), both.alarm.item()) == (False, True)


def test_each_point_has_the_verdict_of_the_chart_that_fits() -> None:
    panel, at = mixed(), np.arange(40, 80)
    verdicts, regression, ewma = (
        detector.judge(panel, at) for detector in (Switch(), Regression(), EssenceEwma())
    )
    uses = Switch().uses_regression(panel, at)
    assert uses[:5].all()
    assert not uses[5:].any()
    for name in FIELDS:
        wanted = np.where(uses, getattr(regression, name), getattr(ewma, name))
        np.testing.assert_array_equal(getattr(verdicts, name), wanted)


def test_the_threshold_of_fit_decides() -> None:
    panel, at = mixed(), np.arange(40, 80)
    fit = Regression().fit(panel, at, slice(None)).adjusted_r2
    for least in (0.2, 0.6, 0.97):
        uses = Switch(min_r_squared=least).uses_regression(panel, at)
        np.testing.assert_array_equal(uses, fit >= least)
    assert 0 < Switch(min_r_squared=0.97).uses_regression(panel, at).sum() < 200


def test_what_the_regression_cannot_judge_the_ewma_does() -> None:
    panel = mixed()
    verdicts = Switch(holidays=(79,)).judge(panel, slice(-1, None))
    ewma = EssenceEwma().judge(panel, slice(-1, None))
    assert (verdicts.reason == Reason.ok).all()
    np.testing.assert_array_equal(verdicts.p_value, ewma.p_value)


@pytest.mark.parametrize("wrong", [{"smoothing": 0.0}, {"min_r_squared": 1.1}, {"baseline": 2}])
def test_wrong_parameters_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Switch.model_validate(wrong)
