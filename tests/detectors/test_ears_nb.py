from __future__ import annotations

from statistics import NormalDist, fmean, variance
from typing import Any, Literal, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import nbinom, norm, poisson

from detectors import Ears, Panel, Reason, Verdicts
from detectors.ears_nb import EarsNb
from tests.detectors.contract_checks import check_contract

Method = Literal["C1", "C2", "C3"]


def last(series: list[float], **parameters: Any) -> Verdicts:
    panel = Panel(np.array([series], dtype=np.float64))
    return EarsNb.model_validate(parameters).judge(panel, slice(-1, None))


def law(window: list[float]) -> Any:
    """The distribution of the docstring."""
    mean, spread = fmean(window), variance(window)
    if mean == 0:
        return poisson(0.5 / len(window))
    if spread <= mean * (1 + 1e-12):
        return poisson(mean)
    size = mean**2 / (spread - mean)
    return nbinom(size, size / (size + mean))


@given(st.lists(st.integers(0, 60), min_size=8, max_size=8), st.floats(1e-5, 0.4))
def test_c1_by_the_formulas(series: list[int], alpha: float) -> None:
    counts = [float(count) for count in series]
    verdicts = last(counts, alpha=alpha)
    model, upper = law(counts[:7]), verdicts.upper[0, 0]
    assert upper == np.floor(upper)
    assert model.sf(upper) <= alpha * (1 + 1e-9)
    assert model.sf(upper - 1) > alpha * (1 - 1e-9)
    assert verdicts.p_value[0, 0] == pytest.approx(model.sf(counts[7] - 1), rel=1e-6, abs=1e-290)
    assert verdicts.alarm[0, 0] == (verdicts.p_value[0, 0] <= alpha)
    assert verdicts.expected[0, 0] == pytest.approx(fmean(counts[:7]))


@given(st.lists(st.integers(0, 30), min_size=12, max_size=12), st.floats(1e-3, 0.3))
def test_c3_by_the_formulas(series: list[int], alpha: float) -> None:
    counts = [float(count) for count in series]
    verdicts = last(counts, method="C3", alpha=alpha)
    former = today = 0.0
    for back in (2, 1, 0):
        t = 11 - back
        tail = law(counts[t - 9 : t - 2]).sf(counts[t] - 1)
        today = max(0.0, float(norm.isf(max(tail, 1e-300))) - 1)
        former += today
    assert verdicts.score[0, 0] == pytest.approx(former, rel=1e-6, abs=1e-6)
    z = -NormalDist().inv_cdf(alpha)
    if abs(former - z) > 1e-6:
        assert verdicts.alarm[0, 0] == (former > z and counts[11] > 0)


def test_c2_leaves_out_the_last_two_days() -> None:
    calm = [3.0, 1.0, 2.0, 4.0, 2.0, 1.0, 2.0]
    one, other = last([*calm, 2, 2, 9], method="C2"), last([*calm, 50, 80, 9], method="C2")
    assert one.upper[0, 0] == other.upper[0, 0]
    assert one.upper[0, 0] != last([*calm, 50, 80, 9], method="C1").upper[0, 0]


def test_an_infinite_size_is_reached_without_a_break() -> None:
    # Variance just above and just below the mean.
    close = [3.0, 5.0, 4.0, 0.0, 5.0, 4.0, 2.0]
    assert variance(close) == pytest.approx(fmean(close), rel=0.1)
    law_of_close = last([*close, 11.0]).p_value[0, 0]
    assert law_of_close == pytest.approx(poisson.sf(10, fmean(close)), rel=0.3)


def test_a_quiet_week_does_not_make_the_next_case_an_alarm() -> None:
    quiet = [0.0] * 7
    assert Ears().judge(Panel(np.array([[*quiet, 1.0]]))).alarm[0, -1]
    for count, alarm in ((1.0, False), (2.0, False), (3.0, True)):
        verdicts = last([*quiet, count])
        assert verdicts.reason[0, 0] == Reason.all_zero
        assert verdicts.alarm[0, 0] == alarm
        assert verdicts.p_value[0, 0] == pytest.approx(poisson.sf(count - 1, 1 / 14))


def test_fewer_false_alarms_than_normal_limits_on_small_counts() -> None:
    rng = np.random.default_rng(9)
    panel = Panel(rng.negative_binomial(1, 0.4, (200, 200)).astype(np.float64))
    negative_binomial = EarsNb(method="C2").judge(panel).alarm.mean()
    normal = Ears(method="C2").judge(panel).alarm.mean()
    assert 0.0005 < negative_binomial < normal / 2


def test_constant_counts_are_poisson() -> None:
    verdicts = last([6.0] * 8)
    assert verdicts.reason[0, 0] == Reason.ok
    assert verdicts.upper[0, 0] == poisson.isf(0.001, 6)


@pytest.mark.parametrize(("known", "reason"), [(3, 10), (4, 0)])
def test_missing_counts_are_left_out(known: int, reason: int) -> None:
    history = [1.0, 5.0, 2.0, 6.0][:known]
    verdicts = last([np.nan] * (7 - known) + history + [4.0])
    assert verdicts.reason[0, 0] == reason
    if reason == 0:
        assert verdicts.p_value[0, 0] == pytest.approx(law(history).sf(3))


def test_explicit_lag_and_alpha_win_over_the_defaults() -> None:
    assert [EarsNb(method=m).effective_lag for m in get_args(Method)] == [0, 2, 2]
    assert [EarsNb(method=m).effective_alpha for m in get_args(Method)] == [0.001, 0.001, 0.025]
    assert EarsNb(method="C3", lag=0, alpha=0.2).effective_alpha == 0.2


@pytest.mark.parametrize("method", get_args(Method))
@pytest.mark.parametrize("parameters", [{}, {"baseline": 28, "lag": 4, "alpha": 0.3}])
def test_keeps_the_contract(method: Method, parameters: dict[str, Any]) -> None:
    detector = EarsNb.model_validate({"method": method, **parameters})
    check_contract(detector, seeds=2)
    check_contract(detector, grain="week", dated=True, largest=1e100)


@pytest.mark.parametrize(
    "wrong", [{"method": "C4"}, {"baseline": 2}, {"lag": -1}, {"alpha": 1.0}, {"min_sigma": 1}]
)
def test_wrong_parameters_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        EarsNb.model_validate(wrong)
