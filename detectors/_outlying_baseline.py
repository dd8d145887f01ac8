"""A rolling baseline that leaves out what stands far above it.

Examples
--------
>>> import numpy as np
>>> counts = np.array([[4.0, 6, 5, 90, 3, 7, 5, 6]])
>>> window = baseline_without_outliers(counts, np.array([7]), length=7, lag=0, limit=4.0)[1]
>>> window.mean, window.observed
(array([[5.]]), array([[7.]]))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from detectors._moments import median, moments
from detectors._windows import history
from detectors.rolling import RollingBaseline, values_at

if TYPE_CHECKING:
    from detectors.contract import FloatArray, Positions

__all__ = ["baseline_without_outliers"]

#: Judged positions whose windows are held at a time.
_AT_ONCE: Final = 32
#: The median absolute deviation of the normal distribution is 1 / 1.4826.
_TO_SIGMA: Final = 1.4826


def baseline_without_outliers(
    counts: FloatArray, positions: Positions, *, length: int, lag: int, limit: float
) -> tuple[FloatArray, RollingBaseline]:
    """Do as `detectors.rolling.judged_and_baseline` does, without outlying counts.

    Left out are counts above m + `limit` max(1.4826 MAD, sqrt(max(m, 1))), with m the median of the
    window and MAD its median absolute deviation (Hampel's identifier, with the spread of a Poisson
    count as the least). Less than half of a window can be. `observed` counts them all the same.
    """
    shape = (counts.shape[0], positions.size)
    mean, sd, observed = (np.empty(shape) for _ in range(3))
    for first in range(0, positions.size, _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        past = history(counts, positions[part], length, lag=lag + 1).T
        middle = median(past)
        spread = _TO_SIGMA * median(np.abs(past - middle))
        with np.errstate(invalid="ignore"):
            bound = middle + limit * np.maximum(spread, np.sqrt(np.maximum(middle, 1.0)))
            kept = np.where(past > bound, np.nan, past)
        found = moments(lambda kept=kept: kept, kept.shape[1:])  # type: ignore[misc]
        block = mean[:, part].shape
        mean[:, part] = found.mean.reshape(block)
        sd[:, part] = found.sd.reshape(block)
        observed[:, part] = (~np.isnan(past)).sum(axis=0).reshape(block)
    return values_at(counts, positions), RollingBaseline(mean, sd, observed)
