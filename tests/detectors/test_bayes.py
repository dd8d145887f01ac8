from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import gamma, nbinom, poisson

from detectors import Panel, Reason
from detectors._negative_binomial import nb_quantile, nb_tail
from detectors.bayes import Bayes
from tests.detectors.contract_checks import check_contract
from tests.detectors.r_reference import FILES, judge_case, load_case

OWN = {"b": "years_back", "w": "half_window", "actY": "current_year", "alpha": "alpha"}


@pytest.mark.parametrize(("name", "series"), [("bayes1", 7), ("bayes3", 4)])
def test_agrees_with_r(name: str, series: int) -> None:
    found = alarms = 0
    for file in FILES:
        case = load_case(file, name)
        if case is None:
            continue
        found += 1
        detector = Bayes.model_validate({OWN[key]: value for key, value in case.control.items()})
        verdicts = judge_case(case, detector)
        np.testing.assert_array_equal(verdicts.upper[0], case.upper)
        np.testing.assert_array_equal(verdicts.alarm[0], case.alarm)
        alarms += int(case.alarm.sum())
    assert found == series
    assert alarms > 5


def test_the_predictive_distribution_is_the_mixture_it_claims_to_be() -> None:
    values = [3.0, 0.0, 2.0, 5.0, 1.0, 1.0]
    verdicts = Bayes().judge(Panel(np.array([[*values, 7.0]])), slice(-1, None))
    # P(X >= 7) by integrating the Poisson tail over the posterior.
    rate = np.linspace(1e-6, 20, 400_001)
    posterior = gamma.pdf(rate, 0.5 + sum(values), scale=1 / 6)
    tail = np.trapezoid(poisson.sf(6, rate) * posterior, rate)
    assert verdicts.p_value[0, 0] == pytest.approx(tail, rel=1e-8)
    assert verdicts.expected[0, 0] == pytest.approx(12.5 / 6)


@given(
    st.lists(st.integers(0, 400), min_size=6, max_size=6),
    st.integers(0, 3000),
    st.floats(1e-6, 0.6),
)
def test_limit_and_p_value_equal_scipys(values: list[int], count: int, alpha: float) -> None:
    verdicts = Bayes(alpha=alpha).judge(
        Panel(np.array([[*values, count]], dtype=np.float64)), slice(-1, None)
    )
    law = nbinom(0.5 + sum(values), 6 / 7)
    upper = verdicts.upper[0, 0]
    assert law.sf(upper) <= alpha * (1 + 1e-9)
    assert law.sf(upper - 1) > alpha * (1 - 1e-9)
    assert verdicts.p_value[0, 0] == pytest.approx(law.sf(count - 1), rel=1e-7, abs=1e-290)
    assert verdicts.alarm[0, 0] == (verdicts.p_value[0, 0] <= alpha)


@pytest.mark.parametrize("size", [0.1, 3.0, 1e4, 1e14, np.inf])
@pytest.mark.parametrize("mean", [1e-200, 1e-3, 2.5, 400.0, 1e6])
@pytest.mark.parametrize("alpha", [0.5, 0.05, 1e-4, 1e-9])
def test_quantiles_of_every_shape(mean: float, size: float, alpha: float) -> None:
    means, sizes = np.array([mean]), np.array([size])
    quantile = nb_quantile(means, sizes, alpha)
    assert quantile == np.floor(quantile)
    assert nb_tail(quantile + 1, means, sizes) <= alpha
    assert nb_tail(quantile, means, sizes) > alpha
    law = poisson(mean) if size > 1e13 else nbinom(size, size / (size + mean))
    assert nb_tail(quantile, means, sizes)[0] == pytest.approx(law.sf(quantile[0] - 1), rel=1e-6)


@pytest.mark.parametrize("size", [0.3, 50.0, 1e7, 1e9, np.inf])
def test_huge_means_join_on_to_the_exact_ones(size: float) -> None:
    means = np.array([0.999e8, 1.001e8])
    sizes = np.full(2, size)
    for alpha in (0.2, 1e-3):
        quantile = nb_quantile(means, sizes, alpha)
        assert quantile[1] / quantile[0] == pytest.approx(1.001 / 0.999, rel=1e-5)
        np.testing.assert_allclose(nb_tail(quantile + 1, means, sizes), alpha, rtol=2e-3)


@pytest.mark.parametrize(("mean", "size"), [(1e9, 0.5), (1e10, 0.05), (1e100, 0.02), (1e99, 1e-6)])
def test_small_counts_of_a_clumped_distribution_with_a_huge_mean(mean: float, size: float) -> None:
    tail = nb_tail(np.array([1.0]), np.array([mean]), np.array([size]))
    # P(X >= 1) = 1 - (r / (r + mu))^r; mu / (r + mu) is 1 to all digits.
    assert tail[0] == pytest.approx(-np.expm1(size * (np.log(size) - np.log(mean))), rel=1e-9)
    quantile = nb_quantile(np.array([mean]), np.array([size]), tail[0] * (1 + 1e-9))
    assert quantile[0] == 0


def test_zeros_are_judged_by_the_prior() -> None:
    counts = np.array([[0.0] * 6 + [1.0], [0.0] * 6 + [2.0]])
    verdicts = Bayes().judge(Panel(counts), slice(-1, None))
    law = nbinom(0.5, 6 / 7)
    assert verdicts.upper[:, 0].tolist() == [1, 1]
    np.testing.assert_allclose(verdicts.p_value[:, 0], [law.sf(0), law.sf(1)])
    assert verdicts.alarm[:, 0].tolist() == [False, True]
    assert (verdicts.reason == Reason.ok).all()


def test_missing_values_are_left_out() -> None:
    counts = np.array([[4.0, np.nan, 6.0, np.nan, 5.0, 5.0, 20.0]])
    verdicts = Bayes(alpha=0.01).judge(Panel(counts), slice(-1, None))
    law = nbinom(20.5, 4 / 5)
    assert verdicts.expected[0, 0] == pytest.approx(20.5 / 4)
    assert verdicts.upper[0, 0] == law.ppf(0.99)
    counts[0, 0] = np.nan
    assert Bayes().judge(Panel(counts)).reason[0, -1] == Reason.insufficient_history


def test_the_level_holds_for_poisson_counts() -> None:
    rng = np.random.default_rng(8)
    verdicts = Bayes(alpha=0.05).judge(Panel(rng.poisson(200, (400, 106)).astype(np.float64)))
    rate = verdicts.alarm[:, 6:].mean()
    assert rate == pytest.approx(0.05, abs=0.01)


@pytest.mark.parametrize(
    ("parameters", "axis"),
    [
        ({}, {"seeds": 2}),
        ({"years_back": 2, "half_window": 4, "current_year": False}, {"grain": "week"}),
        ({"years_back": 1, "alpha": 1e-5}, {"grain": "week", "dated": True}),
        ({"years_back": 3, "half_window": 0}, {"grain": "month", "period": 12}),
        ({"alpha": 1e-9, "half_window": 40}, {"largest": 1e100}),
    ],
)
def test_keeps_the_contract(parameters: dict[str, Any], axis: dict[str, Any]) -> None:
    check_contract(Bayes.model_validate(parameters), **axis)


@pytest.mark.parametrize(
    "wrong", [{"alpha": 0.0}, {"half_window": 0}, {"years_back": -1}, {"variant": 1}]
)
def test_wrong_parameters_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Bayes.model_validate(wrong)
