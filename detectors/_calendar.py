"""Days, dates and holidays of the steps on a panel's time axis, also before the panel begins."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from detectors.contract import Grain, Panel, Positions

__all__ = ["STEP_DAYS", "Holidays", "dates_at", "holiday_flags"]

Holidays: TypeAlias = tuple[int | date, ...]
"""Dates (for dated panels) and positions (for integer time)."""

#: Days from one step to the next, for grains that have as many at all times.
STEP_DAYS: Final[dict[Grain, int]] = {"day": 1, "rolling7": 1, "week": 7}
# Days that a step reaches back from, and on from, its date.
_REACH: Final[dict[Grain, tuple[int, int]]] = {"day": (0, 0), "rolling7": (6, 0), "week": (0, 6)}


def dates_at(panel: Panel, positions: Positions) -> NDArray[np.datetime64] | None:
    """Return the dates of positions, those before the panel too; None on integer time.

    Examples
    --------
    >>> from detectors.contract import Panel
    >>> days = Panel(np.ones((1, 1)), dates=np.array(["2026-03-01"], dtype="datetime64[D]"))
    >>> dates_at(days, np.array([-1]))
    array(['2026-02-28'], dtype='datetime64[D]')
    """
    if panel.dates is None:
        return None
    if panel.grain == "month":
        months = panel.dates[0].astype("datetime64[M]") + positions
        return np.asarray(months.astype("datetime64[D]"))
    return np.asarray(panel.dates[0] + positions * STEP_DAYS[panel.grain])


def holiday_flags(
    panel: Panel, holidays: Iterable[int | date], positions: Positions
) -> NDArray[np.bool_]:
    """Tell which steps hold a holiday; positions before the panel are allowed.

    Dates are ignored on integer time and positions on dated panels. Months hold none.

    Examples
    --------
    >>> from detectors.contract import Panel
    >>> days = np.arange("2026-01-01", "2026-01-04", dtype="datetime64[D]")
    >>> holiday_flags(Panel(np.ones((1, 3)), dates=days), [date(2026, 1, 2)], np.arange(3))
    array([False,  True, False])
    """
    flags = np.zeros(positions.shape, dtype=np.bool_)
    if panel.grain == "month":
        return flags
    dates = dates_at(panel, positions)
    if dates is None:
        wanted = [day for day in holidays if isinstance(day, int)]
        return np.isin(positions, np.array(wanted, dtype=np.int64))
    given = np.array([day for day in holidays if isinstance(day, date)], dtype="datetime64[D]")
    before, after = _REACH[panel.grain]
    for shift in range(-before, after + 1):
        flags |= np.isin(dates + shift, given)
    return flags
