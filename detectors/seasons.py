"""Stepping back years on a panel's time axis.

On integer time a year is exactly `period` steps, as in the reference software. On dated panels it
is a calendar year: the same day of the year (28 February for the 29th), or the step that begins
nearest to it.

Examples
--------
>>> import numpy as np
>>> from detectors.contract import Panel
>>> weeks = Panel(np.ones((1, 120)), grain="week", period=52)
>>> years_back(weeks, np.array([110, 60]), 2)
array([[58,  8],
       [ 6, -1]])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from detectors._calendar import STEP_DAYS

if TYPE_CHECKING:
    from detectors.contract import Grain, Panel, Positions

__all__ = ["longest_year", "steps_per_year", "year_length", "years_back"]

_STEPS: Final[dict[Grain, int]] = {"day": 365, "rolling7": 365, "week": 52, "month": 12}
_LONGEST: Final[dict[Grain, int]] = {"day": 366, "rolling7": 366, "week": 53, "month": 12}
# From 1901 to 2099 every fourth year is a leap year.
_YEAR_DAYS: Final = 365.25


def steps_per_year(panel: Panel) -> int:
    """Return the length of the season in steps: `period`, or what is usual for the grain.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> steps_per_year(Panel(np.ones((1, 3)), grain="month"))
    12
    """
    return _STEPS[panel.grain] if panel.period is None else panel.period


def year_length(panel: Panel) -> float:
    """Return the mean length of a year in steps, for waves; exactly `period` where it is given.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> year_length(Panel(np.ones((1, 3)))), year_length(Panel(np.ones((1, 3)), period=364))
    (365.25, 364.0)
    """
    if panel.period is not None:
        return float(panel.period)
    return 12.0 if panel.grain == "month" else _YEAR_DAYS / STEP_DAYS[panel.grain]


def longest_year(grain: Grain) -> int:
    """Return the most steps that a year can have; for `Detector.lookback`.

    Examples
    --------
    >>> longest_year("week")
    53
    """
    return _LONGEST[grain]


def years_back(panel: Panel, index: Positions, years: int) -> Positions:
    """Return the positions of the same season 1, 2, ..., `years` years before the judged ones.

    Returns
    -------
    ndarray
        Shape `[years, judged]`; -1 where a position lies before the panel.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> first = np.datetime64("2024-02-01")
    >>> months = (first.astype("datetime64[M]") + np.arange(25)).astype("datetime64[D]")
    >>> years_back(Panel(np.ones((1, 25)), dates=months, grain="month"), np.array([24]), 3)
    array([[12],
           [ 0],
           [-1]])
    """
    back = np.arange(1, years + 1)[:, None]
    if panel.dates is None or panel.grain == "month":
        found = index[None, :] - back * steps_per_year(panel)
    else:
        found = _by_calendar(panel, index, back)
    return np.where(found < 0, -1, found).astype(np.intp)


def _by_calendar(panel: Panel, index: Positions, back: Positions) -> Positions:
    assert panel.dates is not None  # noqa: S101 - the caller has looked
    dates = panel.dates[index]
    months = dates.astype("datetime64[M]")
    day = (dates - months).astype(np.int64)
    earlier = months[None, :] - 12 * back
    length = ((earlier + 1).astype("datetime64[D]") - earlier.astype("datetime64[D]")).astype(
        np.int64
    )
    target = earlier.astype("datetime64[D]") + np.minimum(day[None, :], length - 1)
    step = STEP_DAYS[panel.grain]
    days = (target - panel.dates[0]).astype(np.int64)
    steps: Positions = np.floor_divide(days + step // 2, step).astype(np.intp)
    return steps
