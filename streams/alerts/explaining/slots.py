"""Which days an explanation compares. Pure."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

from streams.judging.periods import epi_week_start

if TYPE_CHECKING:
    from schemas.counts import Grain
    from streams.judging.periods import EpiWeek
    from streams.store.panels import Extent

__all__ = ["BASELINE", "LATEST_WEEK", "PERIOD", "WEEK_BEFORE", "Slot", "covered", "slots_of"]

#: Numbers of the slots: the period itself, the same 1 to 8 weeks before, and two weeks for growth.
PERIOD = 0
BASELINE = range(1, 9)
LATEST_WEEK = 9
WEEK_BEFORE = 10


class Slot(NamedTuple):
    """Days whose counts are added up."""

    number: int
    first: date
    last: date
    #: An epi week of a weekly rule: weekly imports count for it.
    weekly: bool

    @property
    def days(self) -> list[date]:
        """All its days."""
        return [self.first + timedelta(days=i) for i in range((self.last - self.first).days + 1)]


def slots_of(
    period: date, grain: Grain, extent: Extent, as_of: date, epi_week: EpiWeek
) -> list[Slot]:
    """Return what is to be added up for a period.

    Parameters
    ----------
    extent
        Days with live counts.
    as_of
        The local day of looking, which is still filling up.
    """
    weekly = grain == "week"
    first = period - timedelta(days=6) if grain == "rolling7" else period
    last = period + timedelta(days=6) if weekly else period
    slots = [
        Slot(number, first - timedelta(weeks=number), last - timedelta(weeks=number), weekly)
        for number in (PERIOD, *BASELINE)
    ]
    until = min(last, as_of - timedelta(days=1), extent.last)
    for number, back in ((LATEST_WEEK, 0), (WEEK_BEFORE, 7)):
        end = until - timedelta(days=back)
        begin = end - timedelta(days=6)
        slots.append(Slot(number, begin, end, weekly and begin == epi_week_start(begin, epi_week)))
    return slots


def covered(slot: Slot, extent: Extent, imported: frozenset[date]) -> bool:
    """Tell whether counts reach over a slot, so that no count means no case.

    Parameters
    ----------
    imported
        The days of the slot with imported counts; its first one where they are of the week.
    """
    if slot.weekly:
        # As a panel has it: an import of any part stands for the week.
        return bool(imported) or extent.first <= slot.first <= extent.last
    return all(extent.first <= day <= extent.last or day in imported for day in slot.days)
