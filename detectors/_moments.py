"""Sums, means, standard deviations and medians over the first axis, missing values left out.

Examples
--------
>>> import numpy as np
>>> columns = [np.array([1.0, 2.0]), np.array([np.nan, 4.0]), np.array([3.0, 6.0])]
>>> found = moments(lambda: columns, (2,))
>>> found.mean, found.sd.round(3), found.observed
(array([2., 4.]), array([1.414, 2.   ]), array([2., 3.]))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from detectors.contract import FloatArray

__all__ = ["Moments", "median", "moments", "sum_in_order"]

# The mean of equal fractions can differ from them by rounding, which would pass for variation.
_ROUNDING = 1e-12


class Moments(NamedTuple):
    """Moments of the values, arrays of the shape of one of them."""

    total: FloatArray
    """Sum of the observed values; 0 if there are none."""
    mean: FloatArray
    """NaN if none is observed."""
    sd: FloatArray
    """Standard deviation with divisor n - 1, exactly 0 if constant; NaN for fewer than two."""
    observed: FloatArray
    """Number n of observed (not missing) values."""


def moments(columns: Callable[[], Iterable[FloatArray]], shape: tuple[int, ...]) -> Moments:
    """Moments of the arrays that `columns` gives, element by element; NaN are left out.

    Two passes, in a fixed order, as in `detectors.rolling`: large counts keep their small spread,
    and a result does not depend on what else is asked for. `columns` is called twice; seven arrays
    are alive at a time.

    Examples
    --------
    >>> moments(lambda: [np.array([1.0]), np.array([3.0])], (1,)).mean
    array([2.])
    """
    total, remainder, squares = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    observed = np.zeros(shape)
    for values in columns():
        known = ~np.isnan(values)
        observed += known
        total += np.where(known, values, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / observed
        for values in columns():
            deviation = values - mean
            deviation[np.isnan(deviation)] = 0.0
            remainder += deviation
            squares += deviation * deviation
        mean += remainder / observed
        sd = np.sqrt(squares / np.where(observed > 1, observed - 1, np.nan))
    sd[sd <= _ROUNDING * np.abs(mean)] = 0.0
    return Moments(total, mean, sd, observed)


def median(values: FloatArray) -> FloatArray:
    """Median over the first axis without the missing values; NaN if all are missing.

    Examples
    --------
    >>> median(np.array([[1.0, np.nan], [9.0, np.nan], [2.0, np.nan]]))
    array([ 2., nan])
    """
    ordered = np.sort(values, axis=0)
    known = (~np.isnan(values)).sum(axis=0)
    low = np.take_along_axis(ordered, np.maximum(known - 1, 0)[None] // 2, axis=0)[0]
    high = np.take_along_axis(ordered, np.minimum(known // 2, values.shape[0] - 1)[None], axis=0)[0]
    return np.asarray(low + (high - low) / 2)


def sum_in_order(parts: FloatArray) -> FloatArray:
    """Sum over the first axis in a fixed order, so that rounding does not depend on the shape.

    Examples
    --------
    >>> sum_in_order(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([4., 6.])
    """
    total = np.zeros(parts.shape[1:])
    for part in parts:
        total += part
    return total
