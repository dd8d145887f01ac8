from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import nbinom, norm, poisson, t

from detectors import _farrington
from detectors._farrington import size_of
from detectors._farrington_baseline import Baseline, prepare
from detectors._farrington_fit import fit_levels
from detectors._farrington_reweighting import trend_p_value
from detectors._negative_binomial import nb_quantile, nb_tail
from detectors.contract import Detector, FloatArray, Panel, Reason
from detectors.farrington import Farrington
from detectors.farrington_flexible import FarringtonFlexible
from tests.detectors.contract_checks import assert_same, check_contract, odd_panel

LATEST = slice(-1, None)


def flexible(**parameters: Any) -> FarringtonFlexible:
    return FarringtonFlexible(
        **{"years_back": 3, "half_window": 1, "periods": 3, "exclude_recent": 4, **parameters}
    )


@pytest.mark.parametrize(
    "detector",
    [
        Farrington(years_back=3, half_window=2),
        Farrington(years_back=2, trend=False, reweight=False, power="none", min_cases=0),
        flexible(),
        flexible(threshold="nb_plugin", trend_alpha=0.05),
        flexible(threshold="muan", reweight_threshold=1.0, variance="published"),
        flexible(periods=1, power="sqrt", exclude_recent=0, min_cases=0),
    ],
    ids=lambda detector: f"{detector.type}-{detector.model_dump_json(exclude_defaults=True)}",
)
def test_the_contract(detector: Detector) -> None:
    check_contract(detector, grain="month", period=12, judged=6, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("detector", [Farrington(years_back=2), flexible(years_back=2)])
def test_the_contract_in_calendar_time(detector: Detector) -> None:
    check_contract(detector, grain="week", dated=True, judged=4, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("detector", [Farrington(years_back=3, half_window=2), flexible()])
def test_the_contract_with_a_population(detector: Farrington | FarringtonFlexible) -> None:
    detector = detector.model_copy(update={"population_offset": True})
    check_contract(
        detector, grain="month", period=12, judged=6, population=True, rtol=1e-7, atol=1e-9
    )


@pytest.mark.parametrize("threshold", ["delta", "nb_plugin"])
def test_chunks_and_blocks_do_not_change_the_verdicts(
    threshold: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = odd_panel(50, period=12, grain="month")
    whole = flexible(threshold=threshold).judge(panel)
    monkeypatch.setattr(_farrington, "_CHUNK", 7)
    assert_same(flexible(threshold=threshold).judge(panel), whole, rtol=1e-9, atol=1e-9)


def test_the_original_bound_by_hand() -> None:
    # Windows of 16s: phi is floored at 1, var(mu_0) = 16 / 14.
    counts = np.full((1, 120), 16.0)
    counts[0, -1] = 30
    verdict = Farrington(years_back=2).judge(Panel(counts, period=52, grain="week"), LATEST)
    deviation = 2 / 3 / 16 * np.sqrt(16 + 16 / 14)
    upper = 16 * (1 + norm.ppf(0.975) * deviation) ** 1.5
    assert verdict.expected[0, 0] == pytest.approx(16, rel=1e-6)
    assert verdict.upper[0, 0] == pytest.approx(upper, rel=1e-6)
    assert verdict.score[0, 0] == pytest.approx(14 / (upper - 16), rel=1e-5)
    z = (30 ** (2 / 3) - 16 ** (2 / 3)) / (16 ** (2 / 3) * deviation)
    assert verdict.p_value[0, 0] == pytest.approx(norm.sf(z), rel=1e-4)
    assert verdict.alarm[0, 0] == (upper < 30)


def test_too_few_recent_cases_raise_the_threshold_and_not_the_p_value() -> None:
    counts = np.zeros((3, 300))
    counts[:, ::9] = 1.0
    counts[:, -4:] = np.array([[0, 0, 0, 4], [0, 0, 1, 4], [0, 0, 0, 5]])
    verdicts = Farrington(trend=False).judge(Panel(counts, grain="week", period=52), LATEST)
    free = Farrington(trend=False, min_cases=0).judge(
        Panel(counts, grain="week", period=52), LATEST
    )
    assert verdicts.alarm[:, 0].tolist() == [False, True, True]
    assert free.alarm.all()
    assert verdicts.upper[0, 0] == 5
    assert np.array_equal(verdicts.upper[1:], free.upper[1:])
    assert np.array_equal(verdicts.p_value, free.p_value)


@pytest.mark.parametrize("model", [Farrington, FarringtonFlexible])
def test_alarms_are_where_the_p_value_is_below_the_level(
    model: type[Farrington | FarringtonFlexible],
) -> None:
    counts = np.random.default_rng(5).negative_binomial(3, 0.2, (60, 300)).astype(np.float64)
    verdicts = model(alpha=0.1, min_cases=0).judge(
        Panel(counts, grain="week", period=52), slice(-6, None)
    )
    level = 0.05 if model is Farrington else 0.1
    assert verdicts.alarm.any()
    assert np.array_equal(verdicts.alarm, verdicts.p_value < level)


def test_a_past_outbreak_is_weighed_down() -> None:
    rng = np.random.default_rng(6)
    counts = rng.poisson(10, (1, 300)).astype(np.float64)
    counts[0, 90:100] = 90.0
    panel = Panel(counts, grain="week", period=52)
    at = np.array([299])
    kept = FarringtonFlexible(reweight=False).judge(panel, at)
    weighed = FarringtonFlexible().judge(panel, at)
    assert weighed.upper[0, 0] < 0.8 * kept.upper[0, 0]


def test_an_all_zero_season_gives_an_alarm_for_an_outbreak() -> None:
    counts = np.zeros((1, 300))
    counts[0, 20::52] = 6.0  # another season
    counts[0, -1] = 9.0
    for threshold in ("delta", "nb_plugin", "muan"):
        verdicts = FarringtonFlexible(threshold=threshold).judge(
            Panel(counts, grain="week", period=52), LATEST
        )
        assert verdicts.alarm[0, 0]
        assert verdicts.expected[0, 0] < 1e-6
    zeros = Farrington().judge(Panel(np.zeros((1, 300)), grain="week", period=52), LATEST)
    assert zeros.reason[0, 0] == Reason.all_zero


def test_a_population_offset_scales_the_expectation() -> None:
    rng = np.random.default_rng(7)
    people = np.full((1, 300), 1e5)
    people[:, 200:] = 2e5
    counts = rng.poisson(people / 1e4).astype(np.float64)
    panel = Panel(counts, grain="week", period=52, population=people)
    with_offset = FarringtonFlexible(population_offset=True, trend=False).judge(panel, LATEST)
    without = FarringtonFlexible(trend=False).judge(panel, LATEST)
    assert with_offset.expected[0, 0] == pytest.approx(20, rel=0.2)
    assert without.expected[0, 0] < 16


def test_the_population_of_the_original_is_an_offset() -> None:
    # 16 in 1,000 people and 32 in 2,000: 24 are expected in 1,500.
    people = np.full((1, 120), 1000.0)
    people[:, 60:] = 2000.0
    people[:, -1] = 1500.0
    detector = Farrington(years_back=2, power="none", population_offset=True)
    panel = Panel(people * 0.016, grain="week", period=52, population=people)
    verdicts = detector.judge(panel, LATEST)
    assert verdicts.expected[0, 0] == pytest.approx(24)
    cases = 7 * 16 + 7 * 32
    assert verdicts.upper[0, 0] == pytest.approx(
        24 + norm.isf(0.025) * math.sqrt(24 + 24**2 / cases)
    )
    thousands = Panel(panel.counts, grain="week", period=52, population=people / 1000)
    assert_same(detector.judge(thousands, LATEST), verdicts, rtol=1e-9, atol=1e-9)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_the_level_fit_is_the_statsmodels_fit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    part = np.array([0, 0, 0, 1, 1, 2, 2, 2] * 4, dtype=np.intp)
    baseline = Baseline(np.arange(-40.0, -8.0), part)
    counts = rng.poisson(8.0, (2, 32)).astype(np.float64) + rng.integers(0, 2)
    counts[1, 4] = np.nan
    weight = rng.uniform(0.3, 2.0, counts.shape) * ~np.isnan(counts)
    fit = fit_levels(prepare(counts), baseline, np.array([True, True]), weight)
    for row in range(2):
        used = weight[row] > 0
        design = np.concatenate([baseline.levels, baseline.x[:, None]], axis=1)[used]
        reference = sm.GLM(
            counts[row][used],
            design,
            family=sm.families.Poisson(),
            var_weights=weight[row][used],
        ).fit(scale="X2")
        assert fit.log_level[row] == pytest.approx(reference.params[0], abs=1e-4)
        assert fit.slope[row] == pytest.approx(reference.params[-1], abs=1e-4)
        assert fit.dispersion[row] == pytest.approx(reference.scale, rel=1e-3)
        error = np.sqrt(fit.variance[row] * fit.dispersion[row])
        assert error == pytest.approx(reference.bse[0], rel=1e-3)
        t_value = abs(reference.params[-1] / reference.bse[-1])
        df = reference.df_resid
        assert trend_p_value(fit)[row] == pytest.approx(2 * t.sf(t_value, df), abs=1e-3)


@given(st.floats(1e-6, 1e7), st.floats(1.0, 50.0), st.sampled_from([0.2, 0.05, 0.005, 1e-6]))
def test_quantiles_are_those_of_scipy(mean: float, dispersion: float, alpha: float) -> None:
    dispersion = 1.0 if dispersion < 1.001 else dispersion
    one: FloatArray = np.array([mean])
    size = size_of(one, np.array([dispersion]))
    quantile = nb_quantile(one, size, alpha)
    law = poisson(mean) if dispersion == 1.0 else nbinom(mean / (dispersion - 1), 1 / dispersion)
    # scipy's ppf(1 - alpha) rounds the level: compare tails, by the definition of the quantile.
    assert law.sf(quantile[0]) <= alpha * (1 + 1e-7)
    assert quantile[0] == 0 or law.sf(quantile[0] - 1) > alpha * (1 - 1e-7)
    tail = nb_tail(quantile, one, size)[0]
    assert tail == pytest.approx(float(law.sf(quantile[0] - 1)), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(
    "wrong", [{"years_back": 0}, {"alpha": 1.0}, {"power": "cube"}, {"window": 3}, {"periods": 0}]
)
def test_wrong_parameters_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        FarringtonFlexible.model_validate(wrong)


@pytest.mark.parametrize("threshold", ["nb_plugin", "muan"])
def test_counts_near_1e100_have_a_threshold(threshold: str) -> None:
    panel = odd_panel(90, grain="month", dated=True, seed=6, largest=1e100)
    verdicts = FarringtonFlexible(threshold=threshold).judge(panel, LATEST)
    judged = verdicts.reason < Reason.insufficient_history
    assert judged.any()
    assert np.isfinite(verdicts.upper[judged]).all()
    assert verdicts.upper[judged].max() > 1e90
