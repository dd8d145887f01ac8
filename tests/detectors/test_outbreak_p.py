"""OutbreakP: agreement with R surveillance 1.20.3, with plain formulas, and the contract."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import chi2

from detectors._isotonic import AppendedRatio, PooledBlocks
from detectors.contract import FloatArray, Panel, Reason, Verdicts
from detectors.outbreak_p import OutbreakP, _chi_bar_tail, _level_weights
from tests.detectors.contract_checks import assert_same, check_contract, take

FILES = sorted((Path(__file__).parents[1] / "reference" / "r_surveillance").glob("*.json"))
# Series whose product of powers leaves the range of a double in R.
OVERFLOWING = {"rotaBB", "rods_taipei"}


def load(file: Path) -> dict[str, Any]:
    cases: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["cases"]
    return next(case for case in cases if case["case"] == "outbreakP")


def numbers(values: list[float | None]) -> FloatArray:
    return np.array([np.nan if value is None else value for value in values])


def judge(reference: dict[str, Any]) -> Verdicts:
    panel = Panel(np.array([reference["counts"]], dtype=np.float64))
    detector = OutbreakP(k=reference["control"]["k"], start=0)
    return detector.judge(panel, np.array(reference["index"]) - 1)


def isotonic(counts: list[float]) -> list[float]:
    """Fit by the min-max formula, straight from its definition."""
    n = len(counts)
    mean = {(a, b): sum(counts[a : b + 1]) / (b - a + 1) for a in range(n) for b in range(a, n)}
    return [max(min(mean[a, b] for b in range(i, n)) for a in range(i + 1)) for i in range(n)]


def log_ratio(counts: list[float]) -> float:
    mean = sum(counts) / len(counts)
    pairs = zip(counts, isotonic(counts), strict=True)
    return sum(count * math.log(fit / mean) for count, fit in pairs if count > 0)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_alarms_and_bounds_agree_with_the_reference(file: Path) -> None:
    reference = load(file)
    verdicts = judge(reference)
    upper, alarm = numbers(reference["upperbound"]), numbers(reference["alarm"])
    if file.stem in OVERFLOWING:
        # The statistic cannot be below 1, and here it is beyond what a double holds.
        assert verdicts.score.min() > 250
        assert verdicts.alarm.all()
        return
    assert not np.isnan(alarm).any()
    # The reference gives alarms without a case, too.
    cases = numbers(reference["observed"]) > 0
    assert np.array_equal(verdicts.alarm[0], alarm.astype(bool) & cases)
    defined = ~np.isnan(upper)
    np.testing.assert_allclose(verdicts.upper[0, defined], upper[defined], rtol=1e-6)
    assert (verdicts.upper[0, ~defined] == 0).all()


def test_the_reference_exercises_bounds_and_both_decisions() -> None:
    assert len(FILES) == 7
    ha = load(next(file for file in FILES if file.stem == "ha_berlin"))
    assert {0, 1} == set(ha["alarm"])
    assert np.isfinite(numbers(ha["upperbound"])).sum() == 42


def test_the_statistic_equals_the_plain_formula_and_the_bound_is_the_least_alarm() -> None:
    rng = np.random.default_rng(4)
    counts = np.round(rng.gamma(1.0, 3.0, (12, 14)))
    counts[:4] = rng.gamma(0.5, 2.0, (4, 14))  # fractions
    for detector, first in ((OutbreakP(start=0, k=5), 0), (OutbreakP(window=6, k=5), None)):
        verdicts = detector.judge(Panel(counts))
        for row, series in enumerate(counts.tolist()):
            for t in range(3, 14):
                past = series[first if first is not None else max(0, t - 6) : t]
                plain = log_ratio([*past, series[t]])
                assert verdicts.score[row, t] == pytest.approx(plain, abs=1e-9)
                bound = next(u for u in range(10**4) if log_ratio([*past, u]) > math.log(5))
                assert verdicts.upper[row, t] == bound
                assert verdicts.expected[row, t] == pytest.approx(sum(past) / len(past))
        assert verdicts.alarm.any()
        assert not verdicts.alarm.all()
        whole = counts[4:] == np.floor(counts[4:])
        reached = counts[4:] >= np.where(np.isnan(verdicts.upper[4:]), np.inf, verdicts.upper[4:])
        reached &= counts[4:] > 0
        assert np.array_equal(verdicts.alarm[4:][whole], reached[whole])


def test_by_hand() -> None:
    # Counts 1, 3, 2, 6: fitted 1, 2.5, 2.5, 6 against the mean 3.
    verdicts = OutbreakP(start=0).judge(Panel(np.array([[1.0, 3, 2, 6]])), slice(-1, None))
    ratio = (1 / 3) * (2.5 / 3) ** 5 * 2**6
    assert math.exp(verdicts.score[0, 0]) == pytest.approx(ratio)
    assert verdicts.expected[0, 0] == 2


def test_large_counts_that_hardly_vary_do_not_cancel() -> None:
    base = 1e14
    noise = np.array([0.0, 3, -2, 5, 4, 8]) * 1e7  # about one standard deviation each
    counts = base + noise
    fit = np.array([0.0, 0.5, 0.5, 4.5, 4.5, 8.0]) * 1e7
    # To second order the log ratio is half the variation that the fit explains.
    expected = float((((fit - noise.mean()) ** 2).sum()) / base / 2)
    score = OutbreakP(start=0).judge(Panel(counts[None])).score[0, -1]
    assert score == pytest.approx(expected, rel=1e-4)


def test_level_probabilities_are_stirling_numbers() -> None:
    np.testing.assert_allclose(
        _level_weights(4, 5)[4] * 24, [6, 11, 6, 1, 0], rtol=1e-14, atol=1e-300
    )


def test_the_tail_is_the_mixture_of_chi_squared() -> None:
    score, n = np.array([0.0, 0.3, 2.0, 40.0]), 5
    weights = np.array([24, 50, 35, 10, 1]) / 120
    mixture = weights[0] * (score <= 0)
    for df in range(1, 5):
        mixture = mixture + weights[df] * chi2.sf(2 * score, df)
    found = _chi_bar_tail(score, np.full(4, n), 6)
    np.testing.assert_allclose(found, mixture, rtol=1e-12)


def test_the_p_value_is_the_level_of_one_look() -> None:
    rng = np.random.default_rng(11)
    counts = rng.poisson(40, (4000, 21)).astype(np.float64)
    p_value = OutbreakP(window=20).judge(Panel(counts), slice(-1, None)).p_value
    for level in (0.01, 0.05, 0.2):
        error = math.sqrt(level * (1 - level) / 4000)
        assert abs(float((p_value <= level).mean()) - level) < 4 * error


def test_a_rise_is_found_and_a_fall_is_not() -> None:
    rng = np.random.default_rng(5)
    rise = rng.poisson(np.r_[np.full(30, 5.0), np.linspace(6, 30, 8)], (2000, 38))
    before, after = (
        OutbreakP(window=30).judge(Panel(rise.astype(np.float64)), np.array([29, 37])).alarm.T
    )
    assert after.mean() > 0.99
    assert before.mean() == pytest.approx(0.042, abs=0.02)  # as the docstring says for k = 100
    fall = rng.poisson(np.r_[np.full(30, 20.0), np.full(8, 2.0)], (200, 38))
    assert OutbreakP(window=30).judge(Panel(fall.astype(np.float64))).alarm[:, -1].mean() < 0.05


def test_pooling_one_by_one_equals_the_min_max_formula() -> None:
    rng = np.random.default_rng(8)
    counts = rng.poisson(2, (30, 15)).astype(np.float64)
    chart = PooledBlocks(30, 15)
    for step in range(15):
        chart.push(counts[:, step])
    for row, series in enumerate(counts.tolist()):
        used = chart.sizes[row] > 0
        means, sizes = (chart.sums / np.maximum(chart.sizes, 1))[row, used], chart.sizes[row, used]
        np.testing.assert_allclose(np.repeat(means, sizes.astype(int)), isotonic(series))
    assert AppendedRatio(chart).mean == pytest.approx(counts.mean(axis=1))


def test_missing_counts_are_left_out() -> None:
    gaps = np.array([[2.0, np.nan, 3, 1, np.nan, 9]])
    plain = np.array([[2.0, 3, 1, 9]])
    for detector in (OutbreakP(start=0), OutbreakP(window=5)):
        with_gaps = detector.judge(Panel(gaps), np.array([5]))
        assert_same(with_gaps, detector.judge(Panel(plain), np.array([3])))
    verdicts = OutbreakP(window=5).judge(Panel(np.array([[2.0, 3, 1, np.nan]])))
    assert verdicts.reason[0, 3] == Reason.missing_observation
    assert np.isfinite(verdicts.upper[0, 3])


def test_zeros_before_the_first_cases() -> None:
    verdicts = OutbreakP(start=0, k=100).judge(Panel(np.array([[0.0, 0, 0, 3, 4]])))
    assert verdicts.reason[0, 3] == Reason.all_zero
    assert verdicts.score[0, 3] == pytest.approx(3 * math.log(4))
    assert verdicts.upper[0, 3] == 4  # 4^3 < 100 < 4^4
    assert not verdicts.alarm[0, 3]
    assert verdicts.reason[0, [0, 4]].tolist() == [Reason.insufficient_history, Reason.ok]


def test_a_start_leaves_out_what_lies_before() -> None:
    counts = np.array([[90.0, 80, 2, 3, 2, 9, 9]])
    late = OutbreakP(start=2).judge(Panel(counts), np.arange(2, 7))
    fresh = OutbreakP(start=0).judge(Panel(counts[:, 2:].copy()))
    assert_same(late, fresh)
    everything = OutbreakP(start=2).judge(Panel(counts))
    assert_same(take(everything, slice(2, None)), late)
    assert (everything.reason[0, :3] == Reason.insufficient_history).all()


@pytest.mark.parametrize("window", [3, 12, 60])
def test_the_contract(window: int) -> None:
    check_contract(OutbreakP(window=window, k=20), alarm_above_upper=False)


@pytest.mark.parametrize("wrong", [{"k": 1.0}, {"window": 2}, {"start": -1}, {"ret": "cases"}])
def test_wrong_parameters_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        OutbreakP.model_validate(wrong)
