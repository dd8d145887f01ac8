from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from pydantic import ValidationError
from scipy import stats

from detectors import rammie
from detectors._penalised_poisson import fit_penalised
from detectors.contract import FloatArray, Panel, Reason
from detectors.rammie import Rammie
from tests.detectors.contract_checks import check_contract


def counts(times: int, *, level: float = 20.0, seed: int = 1) -> FloatArray:
    time = np.arange(times)
    week = np.resize([1.4, 1.1, 1, 1, 1, 0.8, 0.6], times)
    mean = level * week * np.exp(0.3 * np.sin(2 * np.pi * time / 365) + 0.0005 * time)
    return np.random.default_rng(seed).poisson(mean, (5, times)).astype(np.float64)


@pytest.mark.parametrize("dated", [False, True])
def test_equals_the_glm_of_statsmodels_where_the_effects_are_free(*, dated: bool) -> None:
    data, window = counts(403), 400
    days = np.datetime64("2024-01-05") + np.arange(403)
    holidays = (date(2024, 3, 29), date(2024, 12, 25)) if dated else (84, 355)
    places = (84, 355)
    panel = Panel(data, dates=days if dated else None)
    detector = Rammie(window=window, recent=0, effect_sd=100, holidays=holidays)
    verdicts = detector.judge(panel, slice(-1, None))
    time = np.arange(403)
    if dated:
        month = days.astype("datetime64[M]").astype(int) % 12
    else:
        month = ((402 - time) % 365.25 // (365.25 / 12)).astype(int)
    design = np.stack(
        [np.ones(403), time / 400]
        + [(time % 7 == day) * 1.0 for day in range(1, 7)]
        + [(month == number) * 1.0 for number in range(1, 12)]
        + [np.isin(time, places) * 1.0],
        axis=1,
    )
    for row, series in enumerate(data):
        model = sm.GLM(series[:window], design[:window], family=sm.families.Poisson())
        fit = model.fit(scale="X2", tol=1e-12)
        prediction = fit.get_prediction(design[402:])
        assert verdicts.expected[row, 0] == pytest.approx(prediction.predicted_mean[0], rel=1e-3)
        phi, mean = max(fit.scale, 1.0), prediction.predicted_mean[0]
        log_variance = prediction.linpred.se[0] ** 2 / fit.scale * phi
        variance = phi * mean + mean**2 * log_variance
        score = (series[-1] - mean) / np.sqrt(variance)
        assert verdicts.score[row, 0] == pytest.approx(score, rel=2e-2, abs=5e-3)


def test_the_penalty_is_that_of_normal_effects() -> None:
    rng = np.random.default_rng(3)
    rows, precision = rng.normal(size=(60, 4)), np.array([0.1, 1.0, 4.0, 0.5])
    rows[:, 0] = 1.0
    values = rng.poisson(np.exp(1 + 0.3 * rows[:, 1]), (3, 60)).astype(np.float64)
    fit = fit_penalised(values, rows, rows[0], precision)
    for row, series in enumerate(values):
        # The gradient of the penalised log-likelihood vanishes; a is kept about the log mean.
        beta = np.linalg.lstsq(rows, np.log(fit.fitted[row] / series.mean()), rcond=None)[0]
        gradient = rows.T @ (series - fit.fitted[row]) - precision * beta
        np.testing.assert_allclose(gradient, 0, atol=1e-6)


@pytest.mark.parametrize(("mean", "variance"), [(0.2, 0.2), (3.0, 3.0), (3.0, 9.0), (200.0, 900.0)])
def test_tail_and_quantile_are_those_of_the_distribution(mean: float, variance: float) -> None:
    k = np.array([0.0, 1.0, 2.0, 5.0, 20.0, 260.0])
    m, v = np.full(6, mean), np.full(6, variance)
    if variance == mean:
        wanted = stats.poisson.sf(k - 1, mean)
    else:
        wanted = stats.nbinom.sf(k - 1, mean**2 / (variance - mean), mean / variance)
    np.testing.assert_allclose(rammie._tail(k, m, v), wanted, rtol=1e-8, atol=1e-14)
    for alpha in (0.2, 0.01, 1e-5):
        quantile = rammie._quantile(m, v, alpha)
        if quantile[0] > 0.01:
            np.testing.assert_allclose(rammie._tail(quantile, m, v), alpha, rtol=1e-6)


def test_alarms_are_where_the_p_value_is_below_alpha() -> None:
    verdicts = Rammie(window=80, alpha=0.05).judge(Panel(counts(160)), slice(90, None))
    assert verdicts.alarm.any()
    assert np.array_equal(verdicts.alarm, verdicts.p_value < 0.05)
    assert verdicts.alarm.mean() == pytest.approx(0.05, abs=0.04)


@pytest.mark.parametrize(
    ("detector", "options"),
    [
        (Rammie(window=60), {"judged": 9}),
        (
            Rammie(window=60, recent=0, trend=False, holidays=(date(2015, 4, 5),)),
            {"judged": 9, "dated": True, "largest": 1e100},
        ),
    ],
)
def test_contract(detector: Rammie, options: dict[str, Any]) -> None:
    check_contract(detector, rtol=1e-6, atol=1e-9, **options)


def test_the_reset_follows_recent_activity_and_history_does_not() -> None:
    data = counts(300)
    risen = data.copy()
    risen[:, 280:] *= 1.8
    latest = slice(-1, None)
    expected = {
        (name, recent): Rammie(window=290, recent=recent, trend=False)
        .judge(Panel(series), latest)
        .expected.mean()
        for name, series in (("calm", data), ("risen", risen))
        for recent in (0, 14)
    }
    assert expected["risen", 14] / expected["calm", 14] == pytest.approx(1.8, abs=0.15)
    assert expected["risen", 0] / expected["calm", 0] < 1.65


def test_no_cases_leave_a_threshold() -> None:
    data = np.zeros((2, 100))
    data[1, -1] = 3
    verdicts = Rammie(window=90).judge(Panel(data), slice(-1, None))
    assert (verdicts.reason == Reason.all_zero).all()
    assert verdicts.alarm[:, 0].tolist() == [False, True]


@pytest.mark.parametrize("wrong", [{"window": 5}, {"effect_sd": 0.0}, {"alpha": 0.0}])
def test_wrong_parameters_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Rammie.model_validate(wrong)
