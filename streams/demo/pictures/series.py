"""What is drawn: one region's series and the names of its weeks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import numpy.typing as npt

__all__ = ["CountySeries", "period_labels", "period_name", "refuse_none", "step_name"]

_WEEK = 7
#: Written out because strftime speaks the locale's language.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, kw_only=True)
class CountySeries:
    """One region's judged series; all arrays have the shape (periods,).

    Parameters
    ----------
    name_zh, name_en
        Names of the region.
    periods
        First days of the weeks, or days; ascending.
    observed, expected, upper
        Counts, baseline and alarm threshold; NaN where there is none.
    alarms
        True where the threshold is exceeded.
    """

    name_zh: str
    name_en: str
    periods: Sequence[date]
    observed: npt.NDArray[np.float64]
    expected: npt.NDArray[np.float64]
    upper: npt.NDArray[np.float64]
    alarms: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        for name in ("observed", "expected", "upper", "alarms"):
            if (shape := getattr(self, name).shape) != (len(self.periods),):
                raise ValueError(
                    f"{self.name_en}: {name} has the shape {shape}, but there are "
                    f"{len(self.periods)} periods; give one value per period"
                )

    @property
    def first_alarm(self) -> int | None:
        """Index of the first period in alarm."""
        return int(np.argmax(self.alarms)) if self.alarms.any() else None


def refuse_none(series: Sequence[CountySeries]) -> None:
    """Raise ValueError if there is nothing to draw."""
    if not series:
        raise ValueError("there is nothing to draw; give at least one series")


def _is_weekly(periods: Sequence[date]) -> bool:
    return len(periods) < 2 or (periods[1] - periods[0]).days >= _WEEK  # noqa: PLR2004 - a pair


def step_name(periods: Sequence[date]) -> str:
    """Tell what a period is: a week or a day."""
    return "week" if _is_weekly(periods) else "day"


def period_name(periods: Sequence[date], index: int) -> str:
    """Name a period, as 2009-W32 or 2009-08-03."""
    year, week, _ = periods[index].isocalendar()
    return f"{year}-W{week:02d}" if _is_weekly(periods) else periods[index].isoformat()


def period_labels(periods: Sequence[date], *, at_most: int) -> tuple[list[int], list[str]]:
    """Choose which periods are labelled, and how.

    Month and year stand under the first label of theirs.

    Returns
    -------
    (positions, labels)
        Of at most `at_most` evenly spaced periods.
    """
    step = max(1, -(-len(periods) // at_most))
    ticks = range(0, len(periods), step)
    labels = []
    month_before, year_before = "", 0
    for tick in ticks:
        # A week belongs to the month and year of its Thursday (ISO 8601).
        day = periods[tick] + timedelta(3) if _is_weekly(periods) else periods[tick]
        label = f"W{day.isocalendar().week:02d}" if _is_weekly(periods) else str(day.day)
        month = _MONTHS[day.month - 1]
        if month != month_before:
            label += f"\n{month}"
        if day.year != year_before:
            label += f" {day.year}"
        labels.append(label)
        month_before, year_before = month, day.year
    return list(ticks), labels
