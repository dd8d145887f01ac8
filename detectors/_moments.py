"""Mean and standard deviation of values that come one array after the other.

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

__all__ = ["Moments", "moments"]

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
