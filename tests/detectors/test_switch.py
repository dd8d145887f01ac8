from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from detectors.contract import Panel, Reason
from detectors.essence_ewma import EssenceEwma
from detectors.regression import Regression
from detectors.switch import Switch
from tests.detectors.contract_checks import FIELDS, check_contract

if TYPE_CHECKING:
    from detectors.contract import FloatArray


def mixed(times: int = 80) -> Panel:
    rng = np.random.default_rng(1)
    week = np.resize([1.6, 1.2, 1, 1, 1, 0.4, 0.3], times)
    return Panel(
        np.concatenate([rng.poisson(80 * week, (5, times)), rng.poisson(3.0, (5, times))]).astype(
            np.float64
        )
    )


@cache
def quantile(level: float, df: int) -> float:
    return float(stats.t.ppf(level, df))


def standard_error(sd: float, count: int, weight: float, *, small: bool) -> float:
    rest = 1 - weight
    shared = 2 * rest**3 * (1 - rest**count) / count
    error = sd * np.sqrt(weight / (2 - weight) + 1 / count - shared)
    if not small:
        return float(error)
    unit = weight / quantile(0.975, count - 1)
    error += (0.1289 - (0.2414 - 0.1826 * rest**4) * np.log(0.5)) * unit
    return float(max(error, (1 + 0.5 * rest**2) * unit))


@pytest.mark.parametrize("weight", [0.4, 0.9, 1.0])
@pytest.mark.parametrize("missing", [0.0, 0.1])
@pytest.mark.parametrize("small", [True, False])
def test_ewma_equals_its_formulas_point_by_point(
    weight: float, missing: float, *, small: bool
) -> None:
    counts = mixed(70).counts[3:7].copy()
    counts[0, 50] = 900
    counts[np.random.default_rng(2).random(counts.shape) < missing] = np.nan
    detector = EssenceEwma(smoothing=weight, sudden=None, small_counts=small)
    verdicts = detector.judge(Panel(counts))

    def of_baseline(row: int, t: int) -> tuple[float, float, int]:
        base = counts[row, max(t - 30, 0) : max(t - 2, 0)]
        base = base[~np.isnan(base)]
        if base.size < 11:
            return np.nan, np.inf, 0
        error = standard_error(base.std(ddof=1), base.size, weight, small=small)
        return base.mean(), error, base.size - 1

    compared = 0
    for row in range(counts.shape[0]):
        for t in range(30, 70):
            smoothed = np.nan
            for s in range(t - 30, t):
                count = counts[row, s]
                if np.isnan(count):
                    continue
                smoothed = count if np.isnan(smoothed) else smoothed + weight * (count - smoothed)
                mean, error, df = of_baseline(row, s)
                if df:
                    reach = quantile(0.99, df) * error
                    smoothed = min(max(smoothed, mean - reach), mean + reach)
            mean, error, df = of_baseline(row, t)
            limit = mean + quantile(0.99, df) * error
            upper = max(0.0, (limit - (1 - weight) * smoothed) / weight)
            assert verdicts.upper[row, t] == pytest.approx(upper, rel=1e-9, abs=1e-9)
            if np.isnan(counts[row, t]):
                continue
            score = (weight * counts[row, t] + (1 - weight) * smoothed - mean) / error
            assert verdicts.score[row, t] == pytest.approx(score, rel=1e-9, abs=1e-9)
            assert verdicts.p_value[row, t] == pytest.approx(stats.t.sf(score, df), rel=1e-9)
            compared += 1
    assert compared > 130


REFERENCE = json.loads(
    (Path(__file__).parents[1] / "reference" / "pynssp" / "charts.json").read_text("utf-8")
)["series"]


def of_nssp(name: str, call: str) -> tuple[Panel, dict[str, FloatArray]]:
    series = REFERENCE[name]
    counts = np.array([series["counts"]], dtype=np.float64)
    days = np.datetime64(series["first"], "D") + np.arange(counts.shape[1])
    numbers = {key: np.array(values, np.float64) for key, values in series[call].items()}
    return Panel(counts, dates=days), numbers


@pytest.mark.parametrize("name", REFERENCE)
@pytest.mark.parametrize(("call", "baseline"), [("alert_ewma_B27", 28), ("alert_ewma_B28", 29)])
def test_the_ewma_equals_that_of_nssp(name: str, call: str, baseline: int) -> None:
    panel, numbers = of_nssp(name, call)
    verdicts = EssenceEwma(baseline=baseline).judge(panel)
    judged = ~np.isnan(numbers["p_value"])
    np.testing.assert_array_equal(verdicts.reason[0] < Reason.insufficient_history, judged)
    for field, wanted in numbers.items():
        # The software rounds the quantiles of t to five decimals.
        np.testing.assert_allclose(getattr(verdicts, field)[0, judged], wanted[judged], atol=3e-6)
    for alpha in (0.01, 0.05):
        alarm = EssenceEwma(baseline=baseline, alpha=alpha).judge(panel).alarm[0]
        np.testing.assert_array_equal(alarm, numbers["p_value"] < alpha)


@pytest.mark.parametrize("name", REFERENCE)
def test_the_regression_equals_that_of_nssp(name: str) -> None:
    panel, numbers = of_nssp(name, "alert_regression")
    whole = slice(31, None)  # before, the software's own baselines still grow
    verdicts = Regression().judge(panel)
    fit = Regression().fit(panel, np.arange(400), slice(None))
    bounded = numbers["sigma"][whole] < 0.5875
    assert bounded.any() == (name == "sparse0.5")
    np.testing.assert_allclose(fit.adjusted_r2[0, whole], numbers["r2"][whole], atol=1e-9)
    for field in ("expected", "score", "p_value"):
        found, wanted = getattr(verdicts, field)[0, whole], numbers[field][whole]
        np.testing.assert_allclose(found[~bounded], wanted[~bounded], atol=1e-8)
        np.testing.assert_allclose(found[bounded], wanted[bounded], atol=5e-4, rtol=3e-3)


@pytest.mark.parametrize("name", REFERENCE)
@pytest.mark.parametrize("alpha", [0.01, 0.05])
def test_the_switch_is_red_and_yellow_where_that_of_nssp_is(name: str, alpha: float) -> None:
    panel, regression = of_nssp(name, "alert_regression")
    _, ewma = of_nssp(name, "alert_ewma_B28")
    wanted = np.where(regression["r2"] >= 0.6, regression["p_value"], ewma["p_value"])
    alarm = Switch(ewma_baseline=29, alpha=alpha).judge(panel).alarm[0]
    np.testing.assert_array_equal(alarm[31:], (wanted < alpha)[31:])


def test_sparse_counts_are_seldom_red() -> None:
    # Of 340 days NSSP has 6 red ones; without its constants for small counts they were 12.
    panel, _ = of_nssp("sparse0.5", "alert_ewma_B28")
    assert Switch(ewma_baseline=29).judge(panel, slice(60, None)).alarm.sum() == 6
    assert Switch().judge(panel, slice(60, None)).alarm.sum() == 4


def test_rates_are_judged_without_the_constants_for_small_counts() -> None:
    shares = np.resize([0.031, 0.029, 0.033, 0.030, 0.028, 0.032, 0.030, 0.031], 70)
    shares[-1] = 0.09
    for kind in (EssenceEwma, Regression, Switch):
        with_constants, without = (
            kind(small_counts=small).judge(Panel(shares[None]), slice(-1, None))
            for small in (True, False)
        )
        assert without.alarm.item()
        assert not with_constants.alarm.item()


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
        EssenceEwma.model_validate(parameters).judge(panel, slice(-1, None))
        for parameters in ({"sudden": None}, {"smoothing": 0.9, "sudden": None}, {})
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
