"""Bayesian outbreak detection: the fit against scipy, the predictive against simulation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.optimize import minimize
from scipy.special import gammaln
from scipy.stats import nbinom

from detectors._negative_binomial import mixture_quantile, mixture_tail, nb_tail
from detectors._negbin_regression import fit_negbin
from detectors.bayes_glm import Boda
from detectors.contract import FloatArray, Grain, Panel, Reason
from tests.detectors.contract_checks import check_contract

PRIOR = (math.log(0.05), 1.5)


def weekly(rng: np.random.Generator, series: int, weeks: int, level: float = 20.0) -> FloatArray:
    mean = level * np.exp(0.5 * np.cos(2 * np.pi * np.arange(weeks) / 52))
    size = 10.0
    return rng.negative_binomial(size, size / (size + mean), (series, weeks)).astype(np.float64)


def test_the_fit_is_the_mode_of_the_posterior() -> None:
    rng = np.random.default_rng(3)
    design = np.column_stack([np.ones(80), np.linspace(-1, 0, 80), np.cos(np.arange(80) / 8)])
    for level, size in ((0.4, 1.0), (6.0, 3.0), (300.0, 20.0)):
        mean = level * np.exp(design @ np.array([0.0, 0.5, 0.4]))
        y = rng.negative_binomial(size, size / (size + mean)).astype(np.float64)
        prior_mean, prior_sd = np.array([math.log(level), 0.0, 0.0]), np.array([2.0, 1.0, 1.0])

        def loss(
            parameters: FloatArray,
            y: FloatArray = y,
            prior_mean: FloatArray = prior_mean,
            prior_sd: FloatArray = prior_sd,
        ) -> float:
            beta, log_psi = parameters[:3], parameters[3]
            r, mu = math.exp(-log_psi), np.exp(design @ beta)
            terms = (
                gammaln(y + r) - gammaln(r) + r * np.log(r / (r + mu)) + y * np.log(mu / (r + mu))
            )
            prior = (((beta - prior_mean) / prior_sd) ** 2).sum() + (
                (log_psi - PRIOR[0]) / PRIOR[1]
            ) ** 2
            return float(prior / 2 - terms.sum())

        best = minimize(
            loss, np.r_[prior_mean, PRIOR[0]], method="Nelder-Mead",
            options={"xatol": 1e-8, "fatol": 1e-11, "maxiter": 8000, "maxfev": 8000},
        )  # fmt: skip
        fit = fit_negbin(
            y[None],
            np.ones((1, 80)),
            design,
            prior_mean=prior_mean[None],
            prior_sd=prior_sd,
            dispersion_prior=PRIOR,
        )
        np.testing.assert_allclose(fit.beta[0], best.x[:3], atol=2e-5)
        np.testing.assert_allclose(fit.log_dispersion[0], best.x[3], atol=2e-4)
        # The covariance inverts the second differences of the loss in beta.
        hessian, width = np.empty((3, 3)), 1e-3
        for i in range(3):
            for j in range(3):
                corners = [
                    a * b * loss(best.x + width * (a * np.eye(4)[i] + b * np.eye(4)[j]))
                    for a in (-1, 1)
                    for b in (-1, 1)
                ]
                hessian[i, j] = sum(corners) / (4 * width**2)
        np.testing.assert_allclose(fit.covariance[0], np.linalg.inv(hessian), rtol=1e-3, atol=1e-6)


def test_tails_and_quantiles_of_negative_binomials_agree_with_scipy() -> None:
    rng = np.random.default_rng(6)
    mean, size = rng.gamma(0.5, 40, 300) + 1e-3, np.exp(rng.normal(1, 2, 300))
    count = rng.poisson(mean * 1.5).astype(np.float64)
    chance = size / (size + mean)
    np.testing.assert_allclose(
        nb_tail(count, mean, size), nbinom.sf(count - 1, size, chance), rtol=1e-9, atol=1e-300
    )
    for alpha in (0.2, 0.01, 1e-6):
        found = mixture_quantile(alpha, mean[:, None], size[:, None], np.ones((300, 1)))
        assert (nbinom.sf(found, size, chance) <= alpha).all()
        assert (nbinom.sf(found[found > 0] - 1, size[found > 0], chance[found > 0]) > alpha).all()


def test_huge_counts_have_tails() -> None:
    mean, size = np.full((1, 1), 1e15), np.full((1, 1), 4.0)
    upper = mixture_quantile(0.01, mean, size, np.ones((1, 1)))
    # A gamma distribution of shape 4 has its 0.99 quantile at 10.0451 / 4 of its mean.
    assert upper[0] == pytest.approx(10.0451 / 4 * 1e15, rel=1e-4)
    assert mixture_tail(np.array([1e100]), mean, size, np.ones((1, 1)))[0] == 0


def test_the_predictive_agrees_with_the_exact_posterior() -> None:
    # A level only, over 12 counts: the exact posterior on a grid is the arbiter.
    y = np.array([3.0, 5, 2, 8, 4, 3, 6, 2, 9, 4, 5, 3])
    verdicts = Boda(harmonics=0, trend=False, alpha=0.05).judge(
        Panel(np.append(y, 11.0)[None], grain="month"), slice(-1, None)
    )
    log_mean, log_psi = np.meshgrid(np.linspace(0, 3, 301), np.linspace(-9, 2.9, 301))
    r, mu = np.exp(-log_psi)[..., None], np.exp(log_mean)[..., None]
    terms = gammaln(y + r) - gammaln(r) + r * np.log(r / (r + mu)) + y * np.log(mu / (r + mu))
    centre = math.log((y.sum() + 0.5) / 12.5)
    log_post = terms.sum(-1) - ((log_mean - centre) / 2) ** 2 / 2
    log_post -= ((log_psi - PRIOR[0]) / PRIOR[1]) ** 2 / 2
    weight = np.exp(log_post - log_post.max())
    weight /= weight.sum()
    exact = (weight * nbinom.sf(10, r, r / (r + mu))[..., 0]).sum()
    # Laplace's method takes the skewed posterior of log psi for a normal one.
    assert verdicts.p_value[0, 0] == pytest.approx(exact, rel=0.2)
    assert verdicts.p_value[0, 0] > nb_tail(np.array([11.0]), np.array([4.5]), np.array([100.0]))[0]
    assert verdicts.expected[0, 0] == pytest.approx((weight * mu[..., 0]).sum(), rel=0.02)


def test_the_level_is_kept_on_data_of_its_own_model() -> None:
    rng = np.random.default_rng(7)
    counts = weekly(rng, 1500, 157)
    verdicts = Boda(alpha=0.05).judge(Panel(counts, grain="week", period=52), slice(-1, None))
    assert 0.025 < verdicts.alarm.mean() < 0.065
    # Discrete p-values lie above the uniform distribution by half a step or so.
    assert 0.45 < verdicts.p_value.mean() < 0.58


def test_outbreaks_are_found_and_season_is_not_one() -> None:
    rng = np.random.default_rng(8)
    counts = weekly(rng, 300, 209)  # the judged week is a winter peak
    panel = Panel(counts, grain="week", period=52)
    calm = Boda().judge(panel, slice(-1, None))
    assert calm.alarm.mean() < 0.03
    assert calm.expected.mean() == pytest.approx(20 * math.exp(0.5), rel=0.05)
    counts[:, -1] += 60
    assert Boda().judge(Panel(counts, grain="week", period=52), slice(-1, None)).alarm.mean() > 0.95
    flat = Boda(harmonics=0, trend=False).judge(panel, slice(-1, None))
    assert flat.expected.mean() < 0.8 * calm.expected.mean()


def test_the_days_of_the_week_have_means_of_their_own() -> None:
    rng = np.random.default_rng(9)
    weekday = np.arange(365 * 1 + 2) % 7
    counts = rng.poisson(np.where(weekday < 5, 40.0, 8.0), (40, weekday.size)).astype(np.float64)
    dates = np.datetime64("2020-01-06") + np.arange(weekday.size)
    panel = Panel(counts, dates=dates)
    last = np.arange(weekday.size - 7, weekday.size)
    means = np.where(weekday[last] < 5, 40.0, 8.0)
    verdicts = Boda(years_back=1, trend=False).judge(panel, last)
    np.testing.assert_allclose(verdicts.expected.mean(axis=0), means, rtol=0.1)
    without = Boda(years_back=1, trend=False, day_of_week=False).judge(panel, last)
    assert np.ptp(without.expected.mean(axis=0)) < 5


def test_short_histories_have_wider_thresholds() -> None:
    rng = np.random.default_rng(10)
    counts = rng.poisson(10, (200, 157)).astype(np.float64)
    detector = Boda(harmonics=0, trend=False)
    long = detector.judge(Panel(counts, grain="week"), slice(-1, None))
    short = detector.judge(Panel(counts[:, -12:].copy(), grain="week"), slice(-1, None))
    assert short.upper.mean() > long.upper.mean() + 1
    assert (long.reason == Reason.ok).all()


def test_recent_steps_can_be_left_out() -> None:
    counts = np.full((1, 60), 10.0)
    counts[0, 55:] = 80
    with_recent, without = (
        Boda(exclude_recent=n, harmonics=0, trend=False).judge(
            Panel(counts, grain="week"), slice(-1, None)
        )
        for n in (0, 4)
    )
    assert without.expected[0, 0] == pytest.approx(10, rel=0.01)
    assert with_recent.expected[0, 0] > 13


@pytest.mark.parametrize(
    ("grain", "period", "dated", "parameters"),
    [
        ("month", None, True, {"years_back": 2, "exclude_recent": 2, "harmonics": 2}),
        ("week", 13, False, {"years_back": 1, "alpha": 0.1, "trend": False}),
        ("week", None, True, {"years_back": 1}),
    ],
)
def test_the_contract(
    grain: Grain, period: int | None, dated: Any, parameters: dict[str, Any]
) -> None:
    check_contract(
        Boda(**parameters), grain=grain, period=period, dated=dated, history=60, judged=9
    )


def test_the_contract_on_days() -> None:
    check_contract(Boda(years_back=1), dated=True, history=40, judged=9)


@pytest.mark.parametrize("wrong", [{"alpha": 0.0}, {"years_back": 0}, {"harmonics": 7}, {"w": 3}])
def test_wrong_parameters_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Boda.model_validate(wrong)
