from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.evaluation import (
    Truth,
    compare,
    markdown,
    matched_fpr,
    measure,
    oracle,
    roc,
    simulate_daily,
    simulate_weekly,
)

OUTBREAK = np.array([[0, 0, 1, 0, 1, 0], [0, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0]], dtype=bool)
ALARM = np.array([[1, 0, 0, 1, 0, 0], [0, 0, 0, 1, 1, 1], [0, 1, 0, 0, 0, 0]], dtype=bool)
TRUTH = Truth(OUTBREAK, np.array([1, 1, -1]))


def test_measures_by_hand() -> None:
    found = measure(ALARM, TRUTH, first=2)
    # TP 2, FN 4, FP 4 (of 12 steps without cases), TN 8.
    expected = {
        "pod": 1.0,  # series 0: column 3 lies between start and last case
        "pod_first": 0.0,
        "missed": 0.0,
        "fpr": 4 / 12,
        "specificity": 8 / 12,
        "sensitivity": 2 / 6,
        "ppv": 2 / 6,
        "npv": 8 / 12,
        "f1": 4 / (4 + 4 + 4),
        "timeliness": (1 + 2 / 4) / 2,  # no alarm in a step with cases; third of four steps
        "delay": (2 + 2) / 2,
        "median_delay": 2.0,
    }
    for name, value in expected.items():
        assert getattr(found, name).value == pytest.approx(value), name
    assert found.series == 3


def test_the_error_is_that_of_a_ratio_with_series_as_units() -> None:
    fp, calm = np.array([2.0, 1.0, 1.0]), np.array([4.0, 2.0, 6.0])
    residual = fp - fp.sum() / calm.sum() * calm
    error = math.sqrt(3 / 2 * (residual**2).sum()) / calm.sum()
    assert measure(ALARM, TRUTH).fpr.error == pytest.approx(error)


def test_strata_are_averaged() -> None:
    found = measure(ALARM, TRUTH, strata=np.array([1, 2, 2]))
    assert found.fpr.value == pytest.approx((2 / 4 + 2 / 8) / 2)


def test_what_is_not_there_is_nan() -> None:
    calm = Truth(np.zeros((3, 4), dtype=bool), np.full(3, -1))
    found = measure(np.zeros((3, 4), dtype=bool), calm)
    assert all(math.isnan(getattr(found, name).value) for name in ("pod", "ppv", "median_delay"))
    assert found.fpr.value == 0
    assert found.fpr.high > 0
    with pytest.raises(ValueError, match="shape"):
        measure(np.zeros((2, 4), dtype=bool), calm)


def test_the_interval_covers_the_true_share_in_about_95_percent() -> None:
    rng = np.random.default_rng(5)
    outbreak = np.zeros((150, 20), dtype=bool)
    outbreak[:, 19] = True
    truth = Truth(outbreak, np.full(150, 19))
    covered = 0
    for _ in range(300):
        # Series differ in their rates, so that steps are not independent.
        rate = rng.beta(1, 9, (150, 1))
        fpr = measure(rng.random((150, 20)) < rate, truth).fpr
        covered += fpr.low <= 0.1 <= fpr.high
    assert 0.91 <= covered / 300 <= 0.985


@given(st.integers(0, 2**32), st.floats(0, 1))
def test_a_matched_rate_is_the_largest_not_above(seed: int, target: float) -> None:
    rng = np.random.default_rng(seed)
    outbreak = rng.random((6, 12)) < 0.2
    start = np.where(outbreak.any(axis=1), outbreak.argmax(axis=1), -1)
    truth = Truth(outbreak, start)
    p = np.round(rng.random(outbreak.shape), 1)
    p[rng.random(p.shape) < 0.1] = np.nan
    matched = matched_fpr(p, truth, target)
    calm = ~outbreak
    assert matched.fpr == pytest.approx(matched.alarm[calm].mean())
    assert matched.fpr <= target + 1e-8
    assert not matched.alarm[np.isnan(p)].any()
    left = p[calm & ~matched.alarm & ~np.isnan(p)]
    if left.size:
        assert (p[calm] <= left.min()).mean() > target - 1e-8


@given(st.integers(0, 2**32))
def test_curves_rise_and_agree_with_the_measures(seed: int) -> None:
    made = simulate_weekly(series=30, seed=seed)
    p, rates = oracle(made), np.array([0.0, 0.02, 0.1, 0.5, 1.0])
    curve = roc(p, made.truth, rates)
    for rising in (curve.fpr, curve.sensitivity, curve.pod, -curve.mean_delay):
        assert (np.diff(rising) >= 0).all()
    found = measure(matched_fpr(p, made.truth, 0.1).alarm, made.truth)
    assert curve.pod[2] == pytest.approx(found.pod.value)
    assert curve.sensitivity[2] == pytest.approx(found.sensitivity.value)
    assert curve.fpr[-1] == curve.pod[-1] == 1


@pytest.mark.parametrize(("rate", "pod"), [(0.0105, 0.56), (0.026, 0.68), (0.07, 0.83)])
def test_the_oracle_reaches_the_known_ceiling(rate: float, pod: float) -> None:
    made = simulate_weekly(series=4200, seed=20261122)
    found = measure(matched_fpr(oracle(made), made.truth, rate).alarm, made.truth)
    assert found.pod.value == pytest.approx(pod, abs=0.02)


def test_oracle_p_values_are_uniform_in_the_mean_on_every_signal() -> None:
    made = simulate_daily(series=80, seed=1, size=0)
    p = oracle(made)
    for signal in np.unique(made.scenario):
        p_open = p[made.scenario == signal]
        assert p_open[p_open < 1].mean() == pytest.approx(0.5, abs=0.03), signal


def test_ears_on_the_weekly_simulator_is_as_in_r() -> None:
    for row in compare("weekly", series=2100, seed=20261122, detectors=["ears"]):
        for name, figure in row.figures.items():
            assert figure.deviation is not None
            assert abs(figure.deviation) < 3.5, (row.method, name, figure)


def test_ears_on_the_daily_simulator_is_close_to_r() -> None:
    # The bank holidays of the reference are not known: within fixed bounds, not sampling error.
    for row in compare("daily", series=320, seed=20261122, detectors=["ears"], sizes=[2, 10]):
        for name, room in {
            "fpr": 0.02,
            "pod": 0.05,
            "sensitivity": 0.05,
            "timeliness": 0.07,
        }.items():
            figure = row.figures[name]
            assert figure.ours.value == pytest.approx(figure.reference, abs=room), (row, name)


def test_skipped_methods_are_named_with_the_reason() -> None:
    done: list[str] = []
    rows = compare(
        "weekly",
        series=42,
        seed=1,
        detectors=["EARS_C1", "eras"],
        on_done=lambda row: done.append(row.method),
    )
    assert done == ["EARS_C1", "eras"]
    assert rows[1].skipped is not None
    text = markdown(rows)
    assert "| EARS_C1 | 1-10 |" in text
    assert "Not run: eras" in text
