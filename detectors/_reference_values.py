"""Reference values: the counts of the same season in former years, and of the last few steps.

Examples
--------
>>> import numpy as np
>>> from detectors.contract import Panel
>>> panel = Panel(np.arange(30.0)[None], grain="month", period=12)
>>> positions = reference_positions(panel, np.array([29]), years=1, half_window=1, current=True)
>>> positions.ravel(), reference_moments(panel.counts, positions).mean
(array([16, 17, 18, 28]), array([[19.75]]))
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detectors._calendar import dates_at
from detectors._moments import Moments, moments
from detectors.contract import Panel
from detectors.seasons import years_back

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Positions

__all__ = [
    "enough",
    "gather",
    "reference_moments",
    "reference_positions",
    "seasons_ago",
]


def seasons_ago(panel: Panel, index: Positions, years: int, *, margin: int) -> Positions:
    """Find the same season 1, 2, ..., `years` years ago, up to `margin` steps before the panel.

    `years_back` stops at the panel's beginning; windows around a step just before it still reach
    into the panel.

    Returns
    -------
    ndarray
        Shape `[years, judged]`; at most -`margin` - 1 where it is farther out than that.
    """
    dates = panel.dates
    if dates is not None and dates.size and margin:
        early = dates_at(panel, np.arange(-margin, 0))
        dates = None if early is None else np.concatenate([early, dates])
    length = panel.counts.shape[1] + margin
    wider = Panel(np.empty((0, length)), dates=dates, grain=panel.grain, period=panel.period)
    found: Positions = years_back(wider, index + margin, years) - margin
    return found


def reference_positions(
    panel: Panel, index: Positions, *, years: int, half_window: int, current: bool
) -> Positions:
    """Positions of the reference values of each judged one.

    These are the 2 w + 1 steps around the same season of each of the last `years` years, and with
    `current` the w steps before the judged one, w being `half_window`.

    Returns
    -------
    ndarray
        Shape `[values, judged]`; -1 where there is none: before the panel, or not in the past.
    """
    parts = [
        (year[None, :] + np.arange(-half_window, half_window + 1)[:, None])
        for year in seasons_ago(panel, index, years, margin=half_window)
    ]
    if current:
        parts.append(index[None, :] + np.arange(-half_window, 0)[:, None])
    positions = np.concatenate([np.empty((0, index.size), dtype=np.intp), *parts])
    return np.where((positions < 0) | (positions >= index), -1, positions).astype(np.intp)


def gather(counts: FloatArray, positions: Positions) -> FloatArray:
    """Take counts at one row of positions, shape `[series, judged]`; NaN at negative positions."""
    if counts.shape[1] == 0:
        return np.full((counts.shape[0], positions.size), np.nan)
    values: FloatArray = counts[:, np.maximum(positions, 0)]
    values[:, positions < 0] = np.nan
    return values


def reference_moments(counts: FloatArray, positions: Positions) -> Moments:
    """Moments of the counts at `positions` `[values, judged]`, missing ones left out."""
    shape = (counts.shape[0], positions.shape[1])
    return moments(lambda: (gather(counts, row) for row in positions), shape)


def enough(observed: FloatArray, wanted: int) -> NDArray[np.bool_]:
    """Whether more than half of the wanted values are there, and at least 3 (or all if fewer)."""
    needed = min(wanted, max(3, wanted // 2 + 1))
    sufficient: NDArray[np.bool_] = observed >= needed
    return sufficient
