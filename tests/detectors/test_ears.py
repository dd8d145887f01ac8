from __future__ import annotations

import math
from statistics import NormalDist, fmean, stdev
from typing import Any, Literal, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pydantic import ValidationError

from detectors import Detector, Ears, Panel, Reason, Verdicts
from detectors import ears as ears_module
from detectors.contract import FloatArray, Grain

FIELDS = ("expected", "upper", "score", "p_value", "alarm", "reason")
Method = Literal["C1", "C2", "C3"]

counts_arrays = arrays(
    np.float64,
    array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24),
    elements=st.one_of(
        st.integers(0, 6).map(float),
        st.just(np.nan),
        st.just(0.1),
        st.floats(1e-3, 1e15),
    ),
)
detectors = st.builds(
    Ears,
    method=st.sampled_from(get_args(Method)),
    baseline=st.integers(3, 9),
    lag=st.none() | st.integers(0, 4),
    alpha=st.none() | st.floats(1e-6, 0.5),
    min_sigma=st.sampled_from([0.0, 0.5, 2.0]),
    c3_rule=st.sampled_from(["surveillance", "published"]),
)


def one(series: list[float], **parameters: Any) -> dict[str, Any]:
    """Judge the last count of one series."""
    verdicts = Ears(**parameters).judge(
        Panel(np.array([series], dtype=np.float64)), slice(-1, None)
    )
    return {name: getattr(verdicts, name)[0, 0] for name in FIELDS}


def assert_same(left: Verdicts, right: Verdicts) -> None:
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(left, name), getattr(right, name), err_msg=name)


def take(verdicts: Verdicts, columns: Any) -> Verdicts:
    values = {name: getattr(verdicts, name)[:, columns] for name in FIELDS}
    return Verdicts(index=verdicts.index[columns], **values)


class Plain:
    """EARS once more, one point at a time, straight from the formulas of its docstring."""

    def __init__(self, detector: Ears, series: list[float]) -> None:
        self.detector, self.series = detector, series
        self.z = -NormalDist().inv_cdf(detector.effective_alpha)

    def moments(self, t: int) -> tuple[float, float] | None:
        end = t - self.detector.effective_lag
        window = [self.series[i] for i in range(max(0, end - self.detector.baseline), max(0, end))]
        window = [count for count in window if not math.isnan(count)]
        if len(window) < max(3, self.detector.baseline // 2 + 1):
            return None
        sd = 0.0 if max(window) == min(window) else stdev(window)
        return (window[0] if sd == 0 else fmean(window)), max(sd, self.detector.min_sigma)

    def excess(self, t: int) -> float:
        moments, count = self.moments(t), self.series[t] if t >= 0 else math.nan
        if moments is None or math.isnan(count) or count <= moments[0]:
            return 0.0
        return max(0.0, (count - moments[0]) / moments[1] - 1) if moments[1] else math.inf

    def upper(self, t: int) -> float | None:
        moments = self.moments(t)
        if moments is None:
            return None
        mean, sd = moments
        if self.detector.method != "C3":
            return mean + self.z * sd
        if self.moments(t - 1) is None or self.moments(t - 2) is None:
            return None
        room = self.z - self.excess(t - 1) - self.excess(t - 2)
        if self.detector.c3_rule == "published":
            return 0.0 if room < 0 else mean + sd * (room + 1)
        start = mean if math.isnan(self.series[t]) else self.series[t]
        return 0.0 if room == -math.inf else max(0.0, start + sd * room)


@given(counts_arrays, detectors)
def test_equals_the_formulas_applied_point_by_point(counts: FloatArray, detector: Ears) -> None:
    verdicts = detector.judge(Panel(counts))
    for row, series in enumerate(counts.tolist()):
        plain = Plain(detector, series)
        for t, count in enumerate(series):
            upper = plain.upper(t)
            if upper is None:
                assert np.isnan(verdicts.upper[row, t])
                assert not verdicts.alarm[row, t]
                continue
            # A sum of squares keeps half of the digits of counts that hardly differ.
            scale = max(plain.moments(t) or (0.0,)) + (0.0 if math.isnan(count) else count)
            assert verdicts.upper[row, t] == pytest.approx(upper, rel=1e-9, abs=1e-7 * scale)
            if abs(count - upper) > 1e-6 * scale:
                assert verdicts.alarm[row, t] == (count > upper)


@given(counts_arrays, detectors)
def test_every_point_has_a_defined_verdict(counts: FloatArray, detector: Ears) -> None:
    verdicts = detector.judge(Panel(counts))
    judged = verdicts.reason < Reason.insufficient_history
    for name in ("expected", "upper", "score", "p_value"):
        assert np.isfinite(getattr(verdicts, name)[judged]).all()
    assert np.isnan(verdicts.p_value[~judged]).all()
    assert not verdicts.alarm[~judged].any()
    assert (verdicts.reason[np.isnan(counts)] == Reason.missing_observation).all()
    assert ((verdicts.p_value[judged] >= 0) & (verdicts.p_value[judged] <= 1)).all()
    assert np.array_equal(verdicts.alarm, counts > verdicts.upper)


@given(counts_arrays, detectors, st.data())
def test_the_future_is_never_looked_at(
    counts: FloatArray, detector: Ears, data: st.DataObject
) -> None:
    now = data.draw(st.integers(0, counts.shape[1] - 1))
    changed = counts.copy()
    changed[:, now + 1 :] = data.draw(st.sampled_from([0.0, 77.0, np.nan]))
    past = np.arange(now + 1)
    assert_same(
        take(detector.judge(Panel(counts)), past), take(detector.judge(Panel(changed)), past)
    )


@given(counts_arrays, detectors, st.data())
def test_judging_some_positions_equals_those_columns_of_the_full_run(
    counts: FloatArray, detector: Ears, data: st.DataObject
) -> None:
    positions = st.lists(st.integers(0, counts.shape[1] - 1), min_size=1, max_size=6)
    at = np.array(data.draw(positions), dtype=np.intp)
    some = detector.judge(Panel(counts), at)
    assert np.array_equal(some.index, at)
    assert_same(some, take(detector.judge(Panel(counts)), at))


@given(counts_arrays, detectors)
def test_the_lookback_is_all_that_is_needed(counts: FloatArray, detector: Ears) -> None:
    cut = counts[:, -detector.lookback("day") - 1 :]
    latest = slice(-1, None)
    assert_same(detector.judge(Panel(cut), latest), detector.judge(Panel(counts), latest))


@given(counts_arrays, detectors, st.randoms(use_true_random=False))
def test_series_do_not_touch_each_other(counts: FloatArray, detector: Ears, random: Any) -> None:
    order = list(range(counts.shape[0]))
    random.shuffle(order)
    shuffled = detector.judge(Panel(counts[order]))
    assert_same(shuffled, detector.judge(Panel(counts)).rows(order))  # type: ignore[arg-type]


@pytest.mark.parametrize("method", get_args(Method))
def test_blocks_do_not_change_the_verdicts(method: Method, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(20261122)
    counts = rng.poisson(3, (37, 50)).astype(np.float64)
    counts[rng.random(counts.shape) < 0.05] = np.nan
    whole = Ears(method=method).judge(Panel(counts))
    monkeypatch.setattr(ears_module, "_BLOCK", 5 * 61)
    assert_same(Ears(method=method).judge(Panel(counts)), whole)


@pytest.mark.parametrize("at", [slice(0, 0), np.array([], dtype=np.intp)])
def test_nothing_to_judge(at: Any) -> None:
    assert Ears().judge(Panel(np.ones((3, 9))), at).alarm.shape == (3, 0)


@pytest.mark.parametrize("shape", [(0, 9), (4, 0)])
def test_empty_panels(shape: tuple[int, int]) -> None:
    assert Ears(method="C3").judge(Panel(np.ones(shape))).upper.shape == shape


def test_c1_by_hand() -> None:
    verdict = one([3, 5, 4, 4, 6, 3, 5, 12], method="C1")
    sd = stdev([3, 5, 4, 4, 6, 3, 5])
    assert verdict["expected"] == pytest.approx(30 / 7)
    assert verdict["score"] == pytest.approx((12 - 30 / 7) / sd)
    assert verdict["p_value"] == pytest.approx(1 - NormalDist().cdf((12 - 30 / 7) / sd), abs=1e-12)
    assert verdict["reason"] == Reason.ok


@pytest.mark.parametrize("method", ["C1", "C2"])
def test_the_p_value_is_below_alpha_exactly_at_alarms(method: Method) -> None:
    rng = np.random.default_rng(1)
    verdicts = Ears(method=method, alpha=0.05).judge(
        Panel(rng.poisson(20, (50, 60)).astype(np.float64))
    )
    judged = verdicts.reason == Reason.ok
    assert verdicts.alarm.any()
    assert np.array_equal(verdicts.alarm[judged], verdicts.p_value[judged] < 0.05)


def test_the_published_c3_alarms_on_the_judged_count_and_the_default_a_step_later() -> None:
    calm = [2.0, 3, 4, 3, 2, 3, 4, 3, 2, 3, 4]
    assert one([*calm, 30], method="C3", c3_rule="published")["alarm"]
    assert not one([*calm, 30], method="C3")["alarm"]
    assert one([*calm, 30, 1], method="C3")["alarm"]
    assert not one([*calm, 30, 0], method="C3")["alarm"]


@pytest.mark.parametrize(
    ("parameters", "known", "reason"),
    [
        ({"baseline": 7}, 3, Reason.insufficient_history),
        ({"baseline": 7}, 4, Reason.ok),
        ({"baseline": 14}, 7, Reason.insufficient_history),
        ({"baseline": 14}, 8, Reason.ok),
        ({"baseline": 3}, 2, Reason.insufficient_history),
        ({"baseline": 3}, 3, Reason.ok),
    ],
)
@pytest.mark.parametrize("gap", ["before the panel", "missing"])
def test_how_much_history_suffices(
    parameters: dict[str, int], known: int, reason: Reason, gap: str
) -> None:
    missing = [] if gap == "before the panel" else [np.nan] * (parameters["baseline"] - known)
    history = [1.0, 2.0, 3.0, 2.0, 1.0, 3.0, 2.0, 1.0][:known]
    verdict = one([*missing, *history, 3.0], **parameters)
    assert verdict["reason"] == reason
    assert np.isnan(verdict["expected"]) == (reason is Reason.insufficient_history)


def test_missing_counts_are_left_out_of_the_baseline() -> None:
    verdict = one([1, np.nan, 2, 3, np.nan, 4, 5, 9])
    assert verdict["expected"] == 3
    assert verdict["upper"] == pytest.approx(3 - NormalDist().inv_cdf(0.001) * math.sqrt(2.5))


def test_a_missing_observation_is_no_alarm_but_has_a_threshold() -> None:
    verdict = one([1, 2, 3, 2, 1, 2, 3, np.nan])
    assert verdict["reason"] == Reason.missing_observation
    assert not verdict["alarm"]
    assert np.isfinite(verdict["upper"])
    assert np.isnan(verdict["p_value"])


@pytest.mark.parametrize(
    ("level", "reason"), [(0.0, Reason.all_zero), (4.0, Reason.constant_baseline)]
)
@pytest.mark.parametrize(
    "parameters",
    [{"method": "C1"}, {"method": "C2"}, {"method": "C3", "c3_rule": "published"}],
)
def test_constant_baselines(level: float, reason: Reason, parameters: dict[str, str]) -> None:
    same = one([level] * 14, **parameters)
    above = one([level] * 13 + [level + 1], **parameters)
    far_above = one([level] * 13 + [level + 20], **parameters)
    assert (same["reason"], above["reason"]) == (reason, reason)
    assert same["upper"] == level
    assert not same["alarm"]
    assert above["alarm"]
    assert same["p_value"] == pytest.approx(0.5)
    assert far_above["p_value"] < above["p_value"]


def test_the_default_c3_remembers_an_excess_over_a_constant_baseline() -> None:
    assert not one([4.0] * 13 + [9.0], method="C3")["alarm"]
    assert one([4.0] * 13 + [9.0, 4.0], method="C3")["alarm"]


def test_equal_fractions_are_constant() -> None:
    verdict = one([0.1] * 8)
    assert verdict["expected"] == 0.1
    assert verdict["reason"] == Reason.constant_baseline
    assert not verdict["alarm"]


def test_min_sigma_takes_the_place_of_a_spread_of_zero() -> None:
    quiet, loud = (one([0.0] * 7 + [count], min_sigma=0.5) for count in (1.0, 2.0))
    assert quiet["upper"] == pytest.approx(-0.5 * NormalDist().inv_cdf(0.001))
    assert (quiet["alarm"], loud["alarm"]) == (False, True)
    assert quiet["reason"] == Reason.ok


def test_huge_and_tiny_counts() -> None:
    huge = one([1e100, 0, 1e100, 0, 1e100, 0, 1e100, 1e100])
    tiny = one([1e-200, 0, 1e-200, 0, 1e-200, 0, 1e-200, 1e100])
    for verdict in (huge, tiny):
        assert all(np.isfinite(verdict[name]) for name in FIELDS)
    assert (huge["alarm"], tiny["alarm"]) == (False, True)


def test_large_counts_keep_their_small_spread() -> None:
    base = 1e9
    verdict = one([base + d for d in (0, 2, 1, 1, 3, 0, 2)] + [base + 100])
    assert verdict["score"] == pytest.approx((100 - 9 / 7) / stdev([0, 2, 1, 1, 3, 0, 2]), rel=1e-6)


@pytest.mark.parametrize("grain", get_args(Grain))
@pytest.mark.parametrize(
    ("parameters", "steps"),
    [({"method": "C1"}, 7), ({"method": "C2", "baseline": 14}, 16), ({"method": "C3"}, 11)],
)
def test_lookback(grain: Grain, parameters: dict[str, Any], steps: int) -> None:
    assert Ears(**parameters).lookback(grain) == steps


def test_explicit_lag_and_alpha_win_over_the_defaults() -> None:
    assert [Ears(method=m).effective_lag for m in get_args(Method)] == [0, 2, 2]
    assert [Ears(method=m).effective_alpha for m in get_args(Method)] == [0.001, 0.001, 0.025]
    given_ones = Ears(method="C3", lag=0, alpha=0.2)
    assert (given_ones.effective_lag, given_ones.effective_alpha) == (0, 0.2)


def test_ears_is_a_detector_and_immutable() -> None:
    detector: Detector = Ears()
    assert isinstance(detector, Detector)
    with pytest.raises(ValidationError, match="frozen"):
        Ears().baseline = 9  # type: ignore[misc]


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "C4"},
        {"baseline": 2},
        {"lag": -1},
        {"alpha": 0.0},
        {"alpha": 1.0},
        {"min_sigma": -0.5},
        {"min_sigma": float("inf")},
        {"min_sigma": float("nan")},
        {"c3_rule": "mine"},
        {"sigma": 1},
    ],
)
def test_wrong_parameters_are_refused_by_name(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Ears.model_validate(wrong)


def test_outliers_of_the_baseline_are_left_out_by_hampel_s_rule() -> None:
    rng = np.random.default_rng(11)
    counts = rng.poisson(20.0, (3, 160)).astype(np.float64)
    counts[:, 60:75] *= 5
    counts[1, 40:50] = np.nan
    at = np.arange(100, 160)
    verdicts = Ears(method="C2", baseline=84, lag=7, outliers=4).judge(Panel(counts), at)
    for row in range(3):
        for place, step in enumerate(at):
            past = counts[row, step - 91 : step - 7]
            past = past[~np.isnan(past)]
            middle = np.median(past)
            spread = 1.4826 * np.median(np.abs(past - middle))
            kept = past[past <= middle + 4 * max(spread, np.sqrt(middle))]
            assert kept.size < past.size - 5 or step > 150
            np.testing.assert_allclose(verdicts.expected[row, place], kept.mean())
            np.testing.assert_allclose(
                verdicts.upper[row, place], kept.mean() + 3.0902 * kept.std(ddof=1), rtol=1e-4
            )


def test_outliers_left_out_do_not_make_a_history_insufficient() -> None:
    counts = np.full((1, 11), np.nan)
    counts[0, 6:] = 3.0, 50, 4, 5, 6
    given = Ears(method="C2", baseline=7, lag=0, outliers=4).judge(Panel(counts), np.array([10]))
    assert given.reason[0, 0] == Reason.ok
    np.testing.assert_allclose(given.expected, 4.0)
