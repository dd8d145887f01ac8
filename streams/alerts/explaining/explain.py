"""Explaining alerts: what to ask for, in which order."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from streams.alerts.explaining.assembling import (
    Readings,
    assemble,
    facility_slots,
    leading_regions,
)
from streams.alerts.explaining.growth_gaps import read_growth_gaps
from streams.alerts.explaining.neighbours import around
from streams.alerts.explaining.quality import read_quality
from streams.alerts.explaining.reading import (
    FacilityQuestion,
    NeighbourQuestion,
    read_counts,
    read_facilities,
    read_neighbours,
    read_reports,
    read_small_days,
    roll_up,
    roll_up_some,
)
from streams.alerts.explaining.slots import PERIOD, slots_of
from streams.store.limits import keep_alive
from streams.store.panels import Extent, read_extent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection

    from schemas.alerts import Alert, Explanation
    from streams.config import Configuration

__all__ = ["explain", "roll_up", "roll_up_some"]


async def explain(
    connection: AsyncConnection,
    alerts: Sequence[Alert],
    configuration: Configuration,
    as_of: datetime,
) -> list[Explanation]:
    """Explain the latest numbers of alerts.

    The number of statements does not depend on the number of alerts, only on that of their signals
    and rules. Counts by facility are as far as they were rolled up (`roll_up`).

    Parameters
    ----------
    as_of
        The database's time before anything was read: what was known then is in the numbers. Days
        that were not over then do not count for growth.

    Returns
    -------
    list of Explanation
        One for each alert, in their order.
    """
    if not alerts:
        return []
    extents = {
        signal: await read_extent(connection, signal) for signal in {a.signal for a in alerts}
    }
    readings = _prepare(alerts, configuration, as_of, extents)
    quality = await read_quality(connection, alerts, configuration, extents)
    for reading, one in zip(readings, quality, strict=True):
        reading.quality = one
    await read_counts(connection, [(alert.signal, alert.region) for alert in alerts], readings)
    await read_growth_gaps(connection, alerts, readings, configuration.surveillance.epi_week)
    facilities = [
        _facility_question(number, alert, reading, configuration)
        for number, (alert, reading) in enumerate(zip(alerts, readings, strict=True))
    ]
    await read_facilities(connection, facilities, readings)
    await read_reports(connection, facilities, readings)
    # Only counts of epi weeks are told.
    weekly = [one for one in facilities if alerts[one.alert].grain == "week"]
    await read_small_days(connection, weekly, readings)
    neighbours = [
        NeighbourQuestion(
            number,
            alert.numbers_rule,
            alert.last_period,
            around(alert, configuration.regions),
        )
        for number, alert in enumerate(alerts)
    ]
    found = await read_neighbours(connection, neighbours)
    for reading, surroundings in zip(readings, found, strict=True):
        reading.surroundings = surroundings
    # It computes for long: the transaction stays alive, and other tasks go on.
    return await keep_alive(
        connection, asyncio.to_thread(_assemble, alerts, readings, configuration, as_of)
    )


def _assemble(
    alerts: Sequence[Alert],
    readings: Sequence[Readings],
    configuration: Configuration,
    as_of: datetime,
) -> list[Explanation]:
    return [
        assemble(alert, reading, configuration.regions, as_of)
        for alert, reading in zip(alerts, readings, strict=True)
    ]


def _prepare(
    alerts: Sequence[Alert],
    configuration: Configuration,
    as_of: datetime,
    extents: Mapping[str, Extent | None],
) -> list[Readings]:
    surveillance = configuration.surveillance
    today = as_of.astimezone(surveillance.zone).date()
    readings = []
    for alert in alerts:
        # Without live counts any more, nothing is covered but what was imported.
        extent = extents[alert.signal] or Extent(today, today, today)
        slots = slots_of(alert.last_period, alert.grain, extent, today, surveillance.epi_week)
        readings.append(Readings({slot.number: slot for slot in slots}, extent))
    return readings


def _facility_question(
    number: int, alert: Alert, reading: Readings, configuration: Configuration
) -> FacilityQuestion:
    signal = configuration.surveillance.signals.get(alert.signal)
    # What was imported takes the place of live counts: facilities do not add up to it.
    live = not reading.imported.get(PERIOD)
    return FacilityQuestion(
        number,
        alert.signal,
        signal.of if signal else None,
        alert.region,
        leading_regions(reading) if live else [],
        facility_slots(reading) if live else [],
    )
