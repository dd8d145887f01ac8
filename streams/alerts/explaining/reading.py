"""Reading what explanations are made of: a few statements for all alerts at once.

The statements themselves are in `streams.alerts.explaining.queries`.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple

from schemas.alerts import Neighbour
from streams.alerts.explaining.assembling import Readings, Reports
from streams.alerts.explaining.figures import LEAST_FOR_COMPLETENESS, usual_from
from streams.alerts.explaining.neighbours import Surroundings
from streams.alerts.explaining.queries import (
    COUNTS,
    FACILITIES,
    KNOWN,
    NEIGHBOURS,
    REPORTS,
    SMALL_DAYS,
)
from streams.alerts.explaining.slots import PERIOD
from streams.store.facility_names import facility_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from psycopg import AsyncConnection

    from schemas.events import EventKind

__all__ = [
    "FacilityQuestion",
    "NeighbourQuestion",
    "read_counts",
    "read_facilities",
    "read_neighbours",
    "read_reports",
    "read_small_days",
    "roll_up",
    "roll_up_some",
]

#: Batches that are rolled up in one statement; bounds its memory.
_BATCHES = 50
#: Above so many regions the facilities are too many to be asked for each.
_MOST_REGIONS = 300
_SILENT_TOLD = 10


class FacilityQuestion(NamedTuple):
    """Which facilities are asked for, and over which slots."""

    alert: int
    signal: str
    kind: EventKind | None
    region: str
    leading: Sequence[str]
    slots: Sequence[int]


class NeighbourQuestion(NamedTuple):
    """Whose verdicts are asked for, the nearest region first."""

    alert: int
    rule: str
    period: date
    regions: Sequence[str]


async def roll_up(connection: AsyncConnection) -> int:
    """Bring the counts by facility up to date with the commits; return how many batches came in.

    A few batches in each transaction: the lock is not held for long.
    """
    batches = 0
    while True:
        async with connection.transaction():
            taken = await roll_up_some(connection)
        if not taken:
            return batches
        batches += taken


async def roll_up_some(connection: AsyncConnection) -> int:
    """Roll a bounded number of waiting batches up; return how many, 0 when none waits."""
    cursor = await connection.execute("SELECT roll_up_facilities(%s)", (_BATCHES,))
    row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def read_counts(
    connection: AsyncConnection, asked: Sequence[tuple[str, str]], readings: Sequence[Readings]
) -> None:
    """Fill in the counts by stratum and by counted region.

    Parameters
    ----------
    asked
        Signal and region of each alert.
    """
    signals, regions = zip(*asked, strict=True)
    values = {
        "alerts": list(range(len(asked))),
        "signals": list(signals),
        "regions": list(regions),
        **_slot_columns(enumerate(readings)),
    }
    for alert, number, region, stratum, value, imported in await _rows(connection, COUNTS, values):
        into = readings[alert]
        if imported is not None:
            into.imported[number] = frozenset(imported)
        elif region is not None:
            into.leaves[number][region] = value
        else:
            into.strata[number][stratum] = value


async def read_facilities(
    connection: AsyncConnection, asked: Sequence[FacilityQuestion], readings: Sequence[Readings]
) -> None:
    """Fill in the counts by facility in the leading regions, and which facilities are known."""
    pairs = [(one, region) for one in asked for region in one.leading]
    if not pairs:
        return
    values = {
        "alerts": [one.alert for one, _ in pairs],
        "signals": [one.signal for one, _ in pairs],
        "kinds": [one.kind for one, _ in pairs],
        "regions": [region for _, region in pairs],
        **_slot_columns(
            ((one.alert, readings[one.alert]) for one in asked if one.leading),
            {one.alert: {PERIOD, *one.slots} for one in asked},
        ),
    }
    counted = await _rows(connection, FACILITIES, values)
    known = await _rows(connection, KNOWN, values)
    seen: defaultdict[int, set[tuple[str, str]]] = defaultdict(set)
    for alert, _, _, source, facility, _ in counted:
        seen[alert].add((source, facility))
    for alert, source, facility in known:
        seen[alert].add((source, facility))
    names = {alert: facility_names(facilities) for alert, facilities in seen.items()}
    for alert, number, region, source, facility, value in counted:
        name = names[alert][source, facility]
        readings[alert].regions_of[name] = region
        of_slot = readings[alert].facilities[number]
        of_slot[name] = of_slot.get(name, 0.0) + value
    for alert, source, facility in known:
        readings[alert].known.add(names[alert][source, facility])


async def read_small_days(
    connection: AsyncConnection, asked: Sequence[FacilityQuestion], readings: Sequence[Readings]
) -> None:
    """Fill in which regions, the alert's and the leading ones, have a day of a small count."""
    pairs = [(one, region) for one in asked for region in {one.region, *one.leading}]
    values = {
        "alerts": [one.alert for one, _ in pairs],
        "signals": [one.signal for one, _ in pairs],
        "regions": [region for _, region in pairs],
        "weeks": [readings[one.alert].slots[PERIOD].first for one, _ in pairs],
    }
    for alert, region in await _rows(connection, SMALL_DAYS, values):
        readings[alert].with_small_day.add(region)


async def read_reports(
    connection: AsyncConnection, asked: Sequence[FacilityQuestion], readings: Sequence[Readings]
) -> None:
    """Fill in who usually reports and who did."""
    enough = [one for one in asked if one.kind and len(one.slots) >= LEAST_FOR_COMPLETENESS]
    if not enough:
        return
    values = {
        "alerts": [one.alert for one in enough],
        "kinds": [one.kind for one in enough],
        "regions": [one.region for one in enough],
        "usual": [usual_from(len(one.slots)) for one in enough],
        "most": _MOST_REGIONS,
        "told": _SILENT_TOLD,
        **_slot_columns(
            ((one.alert, readings[one.alert]) for one in enough),
            {one.alert: {PERIOD, *one.slots} for one in enough},
        ),
    }
    for alert, expected, received, facilities, silent, names in await _rows(
        connection, REPORTS, values
    ):
        readings[alert].reports = Reports(
            expected, received, facilities, silent, tuple(names or ())
        )


async def read_neighbours(
    connection: AsyncConnection, asked: Sequence[NeighbourQuestion]
) -> list[Surroundings]:
    """Return what the latest verdicts say of neighbouring regions in the same period."""
    wanted = [(one, rank, region) for one in asked for rank, region in enumerate(one.regions)]
    judged: defaultdict[int, list[Neighbour]] = defaultdict(list)
    unknown: defaultdict[int, int] = defaultdict(int)
    values = {
        "alerts": [one.alert for one, _, _ in wanted],
        "rules": [one.rule for one, _, _ in wanted],
        "periods": [one.period for one, _, _ in wanted],
        "ranks": [rank for _, rank, _ in wanted],
        "regions": [region for _, _, region in wanted],
    }
    found = await _rows(connection, NEIGHBOURS, values) if wanted else []
    for alert, region, observed, expected, upper, alarm, incomplete, could_be_judged in found:
        if could_be_judged:
            judged[alert].append(
                Neighbour(
                    region=region,
                    observed=observed,
                    expected=expected,
                    upper=upper,
                    alarm=alarm,
                    incomplete=incomplete,
                )
            )
        else:
            unknown[alert] += 1
    return [
        Surroundings(
            tuple(judged[one.alert]),
            len(one.regions) - len(judged[one.alert]) - unknown[one.alert],
            unknown[one.alert],
        )
        for one in asked
    ]


async def _rows(
    connection: AsyncConnection, query: LiteralString, values: dict[str, Any]
) -> list[tuple[Any, ...]]:
    cursor = await connection.execute(query, values)
    return await cursor.fetchall()


def _slot_columns(
    readings: Iterable[tuple[int, Readings]], only: dict[int, set[int]] | None = None
) -> dict[str, list[Any]]:
    """Write slots as columns, those of `only` where it is given."""
    slots = [
        (alert, slot)
        for alert, reading in readings
        for slot in reading.slots.values()
        if only is None or slot.number in only[alert]
    ]
    return {
        "slot_alerts": [alert for alert, _ in slots],
        "numbers": [slot.number for _, slot in slots],
        "firsts": [slot.first for _, slot in slots],
        "lasts": [slot.last for _, slot in slots],
        "weekly": [slot.weekly for _, slot in slots],
    }
