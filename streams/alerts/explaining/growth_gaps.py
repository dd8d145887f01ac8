"""Which of the two weeks of growth are not whole.

After a week of an outage, or a region's first days, the next whole week looks like growth.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from streams.alerts.explaining.slots import LATEST_WEEK, WEEK_BEFORE
from streams.judging.periods import periods_between
from streams.store.panels import read_known_periods

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg import AsyncConnection

    from schemas.alerts import Alert
    from streams.alerts.explaining.assembling import Readings
    from streams.judging.periods import EpiWeek

__all__ = ["read_growth_gaps"]

_GROWTH = (LATEST_WEEK, WEEK_BEFORE)


async def read_growth_gaps(
    connection: AsyncConnection,
    alerts: Sequence[Alert],
    readings: Sequence[Readings],
    epi_week: EpiWeek,
) -> None:
    """Fill in `Readings.with_missing_days`; `read_counts` comes before.

    Four statements at most for each signal, over the days of all its alerts.
    """
    by_signal: defaultdict[str, list[int]] = defaultdict(list)
    for number, alert in enumerate(alerts):
        by_signal[alert.signal].append(number)
    for signal, numbers in by_signal.items():
        first = min(readings[number].slots[WEEK_BEFORE].first for number in numbers)
        last = max(readings[number].slots[LATEST_WEEK].last for number in numbers)
        regions = sorted({alerts[number].region for number in numbers})
        known = await read_known_periods(
            connection,
            signal=signal,
            regions=regions,
            base="day",
            first=first,
            last=last,
            extent=readings[numbers[0]].extent,
            epi_week=epi_week,
        )
        column = {day: i for i, day in enumerate(periods_between(first, last, "day"))}
        row = {region: i for i, region in enumerate(regions)}
        for number in numbers:
            reading = readings[number]
            days = known[row[alerts[number].region]]
            reading.with_missing_days = frozenset(
                slot
                for slot in _GROWTH
                # An import of the week stands for all its days.
                if not (reading.slots[slot].weekly and reading.imported.get(slot))
                and not all(days[column[day]] for day in reading.slots[slot].days)
            )
