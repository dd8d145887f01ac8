"""Totals over a few steps, of now and of the same season in former years.

Examples
--------
>>> import numpy as np
>>> counts = np.array([[1.0, 2.0, np.nan, 3.0]])
>>> now = current_total(counts, np.array([3]), steps=3, spacing=1)
>>> now.former, now.observed, now.total  # 2 of 3 steps are known: 5 cases are 7.5 in three steps
(array([[2.]]), array([[2.]]), array([[7.5]]))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from detectors._reference_values import gather, seasons_ago
from detectors.seasons import longest_year

if TYPE_CHECKING:
    from detectors.contract import FloatArray, Grain, Panel, Positions

__all__ = [
    "SPACING",
    "CurrentTotal",
    "current_total",
    "former_totals",
    "needed_for_limit",
    "totals_lookback",
]

#: Steps between two counts that share no day: rolling 7-day sums overlap.
SPACING: Final[dict[Grain, int]] = {"day": 1, "rolling7": 7, "week": 1, "month": 1}


class CurrentTotal(NamedTuple):
    """The steps up to and including the judged one, arrays of shape `[series, judged]`."""

    latest: FloatArray
    """The judged count; NaN if missing."""
    former: FloatArray
    """Sum of the observed counts before it."""
    observed: FloatArray
    """Number of observed steps; the judged one counts as observed even if it is missing."""
    total: FloatArray
    """Sum of all observed counts, scaled up to all steps; NaN if the judged count is missing."""


def current_total(
    counts: FloatArray, index: Positions, *, steps: int, spacing: int
) -> CurrentTotal:
    """Total of the `steps` counts that end with the judged one, `spacing` steps apart."""
    count = gather(counts, index)
    former, observed = np.zeros(count.shape), np.ones(count.shape)
    for back in range(1, steps):
        values = gather(counts, index - back * spacing)
        known = ~np.isnan(values)
        former += np.where(known, values, 0.0)
        observed += known
    return CurrentTotal(count, former, observed, (former + count) * (steps / observed))


def needed_for_limit(limit: FloatArray, now: CurrentTotal, steps: int) -> FloatArray:
    """Judged count at which the current total reaches `limit`, at least 0."""
    needed: FloatArray = np.maximum(limit * (now.observed / steps) - now.former, 0.0)
    return needed


def totals_lookback(grain: Grain, *, years: int, steps: int, windows: int) -> int:
    """Say how many steps before a judged one :func:`former_totals` may read.

    Examples
    --------
    >>> totals_lookback("week", years=5, steps=4, windows=1)
    272
    """
    reach = (windows + 1) * steps * SPACING[grain]
    return years * longest_year(grain) + reach - SPACING[grain]


def former_totals(
    panel: Panel, series: slice, index: Positions, *, years: int, steps: int, windows: int
) -> FloatArray:
    """Totals around the same season of former years.

    In each of the last `years` years these are 2 `windows` + 1 totals of `steps` counts that follow
    on each other, the middle one ending with the same season as the judged step. A total is NaN if
    half or more of its counts are missing, and is scaled up to `steps` counts otherwise. One that
    shares a step with the current total, or reaches past the judged step, is NaN.

    Returns
    -------
    ndarray
        Shape `[totals, series, judged]`.
    """
    spacing, counts = SPACING[panel.grain], panel.counts[series]
    shift = steps * spacing
    first_now = index - (shift - spacing)
    blocks = []
    for year in seasons_ago(panel, index, years, margin=windows * shift):
        for window in range(-windows, windows + 1):
            end = year + window * shift
            total, observed = _total(counts, end, steps, spacing)
            usable = (2 * observed > steps) & (end < first_now)
            blocks.append(np.where(usable, total * (steps / np.maximum(observed, 1.0)), np.nan))
    return np.array(blocks)


def _total(
    counts: FloatArray, end: Positions, steps: int, spacing: int
) -> tuple[FloatArray, FloatArray]:
    total = np.zeros((counts.shape[0], end.size))
    observed = np.zeros(total.shape)
    # A total that would end after the panel is not in the past either.
    end = np.where(end >= counts.shape[1], -1, end)
    for back in range(steps):
        values = gather(counts, end - back * spacing)
        known = ~np.isnan(values)
        total += np.where(known, values, 0.0)
        observed += known
    return total, observed
