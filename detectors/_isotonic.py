"""Isotonic fits that grow by one count at a time, for many charts at once.

The non-decreasing maximum-likelihood fit to Poisson counts is made of blocks of pooled neighbours
with rising means. A new count begins a block, and blocks are pooled from the top of the stack
while the one below is not smaller; each count joins a block once, so the work grows as the length.

Examples
--------
>>> import numpy as np
>>> chart = PooledBlocks(1, 4)
>>> for count in (1.0, 5.0, 3.0):
...     chart.push(np.array([count]))
>>> chart.levels()  # fitted 1, 4, 4
array([2])
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray

__all__ = ["AppendedRatio", "PooledBlocks"]

# Any scale will do for terms to be taken relative to; means below this one would overflow.
_LEAST_SCALE = 1e-3
_NEAR = 0.5
_SMALLEST = 1e-300


class PooledBlocks:
    """Stacks of pooled blocks, one for each of `charts` series of at most `length` counts."""

    def __init__(self, charts: int, length: int) -> None:
        self.sums = np.zeros((charts, length))
        self.sizes = np.zeros((charts, length))
        self.depth = np.zeros(charts, dtype=np.intp)
        self.observed = np.zeros(charts)
        self.least = np.full(charts, np.inf)
        self.most = np.zeros(charts)

    def push(self, counts: FloatArray) -> None:
        """Append one count to each chart; missing ones are left out."""
        rows = np.flatnonzero(~np.isnan(counts))
        total = counts[rows]
        self.observed[rows] += 1.0
        self.least[rows] = np.minimum(self.least[rows], total)
        self.most[rows] = np.maximum(self.most[rows], total)
        size, depth = np.ones(rows.size), self.depth[rows]
        active = np.arange(rows.size)
        while active.size:
            active = active[depth[active] > 0]
            below = rows[active], depth[active] - 1
            pooled = self.sums[below] / self.sizes[below] >= total[active] / size[active]
            active = active[pooled]
            below = rows[active], depth[active] - 1
            total[active] += self.sums[below]
            size[active] += self.sizes[below]
            self.sums[below] = self.sizes[below] = 0.0
            depth[active] -= 1
        self.sums[rows, depth], self.sizes[rows, depth] = total, size
        self.depth[rows] = depth + 1

    def restart(self, charts: NDArray[np.bool_]) -> None:
        """Empty some charts."""
        self.sums[charts] = self.sizes[charts] = 0.0
        self.depth[charts] = 0
        self.observed[charts] = self.most[charts] = 0.0
        self.least[charts] = np.inf

    def levels(self) -> NDArray[np.intp]:
        """Return the number of blocks of each chart."""
        return self.depth.copy()


class AppendedRatio:
    """log of the likelihood ratio of a chart to which one more count u is appended.

    With B(j) and n(j) the sum and the number of counts in the blocks from j on, the last block of
    the fit begins at the j that maximises (B(j) + u) / (n(j) + 1), j past the last block included
    (the min-max formula); the blocks before it stay. All terms are taken relative to the mean c of
    the chart (or 0.001), B log(B / (n c)) - B + n c >= 0, so that large counts do not cancel.
    """

    def __init__(self, chart: PooledBlocks) -> None:
        levels = max(1, int(chart.depth.max(initial=0)))
        sums, sizes = chart.sums[:, :levels], chart.sizes[:, :levels]
        none = np.zeros((sums.shape[0], 1))
        self.after_sum = np.hstack([np.cumsum(sums[:, ::-1], axis=1)[:, ::-1], none])
        self.after_size = np.hstack([np.cumsum(sizes[:, ::-1], axis=1)[:, ::-1], none])
        self.total, self.number = self.after_sum[:, 0], self.after_size[:, 0]
        mean = self.total / np.maximum(self.number, 1.0)
        self.mean = mean
        self.scale = np.maximum(mean, _LEAST_SCALE)
        terms = sizes * _excess(sums / np.maximum(sizes, 1.0) / self.scale[:, None])
        self.before = np.hstack([none, np.cumsum(terms, axis=1)])

    def log_ratio(self, count: FloatArray, rows: NDArray[np.intp]) -> FloatArray:
        """Return the log ratio of the charts `rows`, each with its count appended."""
        means = self.after_sum[rows]
        means += count[:, None]
        means /= self.after_size[rows] + 1.0
        last = np.argmax(means, axis=1)
        scale, number = self.scale[rows], self.number[rows]
        size = self.after_size[rows, last] + 1.0
        level = means[np.arange(rows.size), last]
        ratio: FloatArray = self.before[rows, last] + size * _excess(level / scale)
        ratio -= (number + 1.0) * _excess((self.total[rows] + count) / (number + 1.0) / scale)
        return np.maximum(ratio * scale, 0.0)

    def least_above(self, limit: float) -> FloatArray:
        """Return the least whole count whose log ratio is above `limit`; charts not empty."""
        charts = self.total.size
        everything = np.arange(charts)
        high = np.zeros(charts)
        low = np.full(charts, -1.0)
        active = everything[self.number > 0]
        active = active[self.log_ratio(high[active], active) <= limit]
        while active.size:
            low[active] = high[active]
            high[active] = 2.0 * high[active] + np.ceil(self.mean[active]) + 1.0
            active = active[self.log_ratio(high[active], active) <= limit]
        active = everything[high - low > 1.0]
        while active.size:
            middle = np.floor(low[active] + (high[active] - low[active]) / 2.0)
            above = self.log_ratio(middle, active) > limit
            high[active[above]] = middle[above]
            low[active[~above]] = middle[~above]
            width = high[active] - low[active]
            active = active[(width > 1.0) & (width > 1e-14 * high[active])]
        return high


def _excess(ratio: FloatArray) -> FloatArray:
    """Return q log q - q + 1, accurately near q = 1; 1 at q = 0."""
    change = ratio - 1.0
    # log1p is -inf at ratios below the rounding of 1, and log loses digits close to 1.
    log = np.where(
        ratio < _NEAR, np.log(np.maximum(ratio, _SMALLEST)), np.log1p(np.maximum(change, -_NEAR))
    )
    value: FloatArray = ratio * log - change
    return value
