"""What lies before a judged step, written relative to it.

Designs in which step k before the judged one has the same row whatever the step are shared by all
series and positions, and do not change when a panel is cut.

Examples
--------
>>> import numpy as np
>>> history(np.array([[1.0, 2.0, 3.0]]), np.array([2]), 2)
array([[1., 2.]])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from detectors.seasons import steps_per_year

if TYPE_CHECKING:
    from detectors.contract import FloatArray, Grain, Panel, Positions

__all__ = ["Column", "history", "wave_columns", "year_length"]

_YEAR_DAYS: Final = 365.2425
_STEP_DAYS: Final[dict[Grain, float]] = {"day": 1.0, "rolling7": 1.0, "week": 7.0}
_WEEK: Final = 7
# Fewer steps in a year cannot be days.
_DAILY_YEAR: Final = 300
# Prior standard deviations of the waves on the log scale; the h-th of the year has a part of it.
_SEASON_SD: Final = 1.0
_WEEKDAY_SD: Final = 0.7


class Column(NamedTuple):
    """One column of a design."""

    values: FloatArray
    judged: float
    """Its value in the judged step."""
    prior_sd: float


def history(counts: FloatArray, index: Positions, length: int, lag: int = 1) -> FloatArray:
    """Copy the `length` counts that end `lag` steps before each position, oldest first.

    Returns
    -------
    ndarray
        Shape `[series * judged, length]`, NaN before the panel; point `i * judged + j` belongs to
        series i and position `index[j]`.

    Examples
    --------
    >>> history(np.array([[1.0, 2.0, 3.0]]), np.array([1, 2]), 2)
    array([[nan,  1.],
           [ 1.,  2.]])
    """
    steps = index[:, None] - lag + np.arange(1 - length, 1)
    if counts.shape[1] == 0:
        return np.full((counts.shape[0] * index.size, length), np.nan)
    taken = counts[:, np.clip(steps, 0, None)]
    taken[:, steps < 0] = np.nan
    return np.ascontiguousarray(taken.reshape(-1, length))


def year_length(panel: Panel) -> float:
    """Return the length of the season in steps: on dated panels that of a calendar year.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> year_length(Panel(np.ones((1, 3)), grain="week"))
    52.0
    """
    if panel.dates is None or panel.grain == "month":
        return float(steps_per_year(panel))
    return _YEAR_DAYS / _STEP_DAYS[panel.grain]


def wave_columns(
    panel: Panel, lags: FloatArray, *, harmonics: int, day_of_week: bool
) -> list[Column]:
    """Return the waves of the year, and for daily panels the three that make up any week.

    Parameters
    ----------
    panel
        Its grain and time axis tell the length of the year.
    lags
        Steps before the judged one, shape `[steps]`.
    harmonics
        Pairs of waves in the year.
    day_of_week
        Whether to add the week to panels of days (with a year of 300 or more of them).

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> months = Panel(np.ones((1, 3)), grain="month")
    >>> cos, sin = wave_columns(months, np.array([6.0, 3.0]), harmonics=1, day_of_week=True)
    >>> cos.values.round(3), cos.judged
    (array([-1.,  0.]), 1.0)
    """
    year = year_length(panel)
    waves = [(h / year, _SEASON_SD / h) for h in range(1, harmonics + 1)]
    if day_of_week and panel.grain == "day" and year >= _DAILY_YEAR:
        waves += [(h / _WEEK, _WEEKDAY_SD) for h in range(1, _WEEK // 2 + 1)]
    columns = []
    for frequency, sd in waves:
        angle = 2.0 * np.pi * frequency * lags
        columns += [Column(np.cos(angle), 1.0, sd), Column(np.sin(angle), 0.0, sd)]
    return columns
