"""The counts that make up an alert, as the API gives them. Pure."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from streams.alerts.small_cells import told_parts
from streams.web.api.models import CountView, FacilityCountView, HourCountView, LinesView

if TYPE_CHECKING:
    from streams.store.lines import Lines
    from streams.store.told_ages import ToldAges

__all__ = ["lines_view", "told_lines_view"]


def lines_view(alert_id: int, lines: Lines) -> LinesView:
    """Return exact counts."""
    return LinesView(
        alert_id=alert_id,
        first=lines.first,
        last=lines.last,
        facilities=[FacilityCountView(**cell._asdict()) for cell in lines.facilities],
        more_facilities=lines.more_facilities,
        ages=[CountView(**cell._asdict()) for cell in lines.ages],
        regions=[CountView(**cell._asdict()) for cell in lines.regions],
        hours=[HourCountView(hour=cell.hour, value=cell.value) for cell in lines.hours],
    )


def told_lines_view(alert_id: int, lines: Lines, ages: ToldAges, most: int) -> LinesView:
    """Return the counts of a week as viewers may see them, see `streams.alerts.small_cells`."""
    facilities: dict[tuple[str, str], float] = defaultdict(float)
    for cell in lines.facilities:
        facilities[cell.region, cell.facility] += cell.value
    told = list(told_parts(facilities, lambda one: one[0], lines.with_small_day).items())
    return LinesView(
        alert_id=alert_id,
        first=lines.first,
        last=lines.last,
        facilities=[
            FacilityCountView(facility=facility, region=region, day=None, value=value)
            for (region, facility), value in told[:most]
        ],
        more_facilities=max(0, len(told) - most),
        ages=[
            CountView(name=name, day=None, value=value)
            for name, value in sorted(ages.values.items())
        ],
        regions=[CountView(**cell._asdict()) for cell in lines.regions],
        hours=[],
    )
