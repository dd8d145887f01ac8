from __future__ import annotations

import numpy as np
import pytest

from detectors.rolling import rolling_baseline, values_at


@pytest.mark.parametrize("positions", [np.arange(12), np.array([11, 3, 3, -2])])
@pytest.mark.parametrize(("length", "lag"), [(3, 0), (5, 2), (20, 1)])
def test_moments_equal_numpy_on_each_window(
    positions: np.ndarray[tuple[int], np.dtype[np.intp]], length: int, lag: int
) -> None:
    rng = np.random.default_rng(7)
    counts = rng.poisson(30, (4, 12)).astype(np.float64)
    counts[rng.random(counts.shape) < 0.2] = np.nan
    moments = rolling_baseline(counts, positions, length=length, lag=lag)
    for column, t in enumerate(positions):
        for row in range(4):
            window = counts[row, max(0, t - lag - length) : max(0, t - lag)]
            window = window[~np.isnan(window)]
            assert moments.observed[row, column] == window.size
            if window.size:
                assert moments.mean[row, column] == pytest.approx(window.mean())
            else:
                assert np.isnan(moments.mean[row, column])
            if window.size > 1:
                assert moments.sd[row, column] == pytest.approx(window.std(ddof=1))
            else:
                assert np.isnan(moments.sd[row, column])


@pytest.mark.parametrize("value", [0.0, 0.1, 1 / 3, 7.0, 1e15 + 0.5, 1e100])
def test_a_constant_baseline_has_exactly_its_value_and_no_spread(value: float) -> None:
    moments = rolling_baseline(np.full((1, 30), value), np.arange(10, 30), length=7, lag=0)
    assert (moments.mean == value).all()
    assert (moments.sd == 0).all()


def test_the_counts_are_left_alone() -> None:
    counts = np.array([[1.0, np.nan, 3.0, 4.0]])
    before = counts.copy()
    rolling_baseline(counts, np.array([3]), length=3, lag=0)
    np.testing.assert_array_equal(counts, before)


def test_values_before_the_array_are_missing() -> None:
    np.testing.assert_array_equal(
        values_at(np.array([[5.0, 6.0]]), np.array([-3, -1, 1])), [[np.nan, np.nan, 6.0]]
    )
