"""Naming series numbers that the table `series` lacks, from the stored events alone.

A number is named only if the configuration classifies every event that carries it, and can be
compared, as it was counted, and all agree on one name that no other number has.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from streams.ingest.intake import Intake

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import psycopg

    from streams.config import Configuration

__all__ = ["Orphan", "name_series"]

_Name = tuple[str, str, str]


class Orphan(NamedTuple):
    """A series number without a series."""

    number: int
    #: Signal, region and stratum; None where they cannot be told.
    name: _Name | None
    #: Why it has no name.
    problem: str | None


class _Record(NamedTuple):
    offset: int
    key: bytes | None
    value: bytes | None


def name_series(
    connection: psycopg.Connection, configuration: Configuration, *, apply: bool
) -> list[Orphan]:
    """Find the names of unknown series numbers.

    Parameters
    ----------
    connection
        In autocommit mode; the work is one transaction.
    apply
        Store the names and have their days judged again; else nothing is written.
    """
    with connection.transaction():
        # Nobody adds series meanwhile; counts go on.
        connection.execute("LOCK TABLE series IN SHARE ROW EXCLUSIVE MODE")
        numbers = [row[0] for row in connection.execute(_ORPHANS).fetchall()]
        if not numbers:
            return []
        votes = _votes(connection, configuration, numbers)
        taken = {row[1:]: row[0] for row in connection.execute(_SERIES).fetchall()}
        found = [_decide(number, votes, taken) for number in numbers]
        if apply:
            for orphan in found:
                if orphan.name:
                    connection.execute(_STORE, (orphan.number, *orphan.name))
                    connection.execute(_JUDGE, (*orphan.name[:2], orphan.number))
            connection.execute(_SEQUENCE)
    return found


def _decide(number: int, votes: dict[int, set[_Name]], taken: dict[_Name, int]) -> Orphan:
    names = votes[number]
    if not names:
        problem = "no stored event tells it under this configuration"
    elif len(names) > 1:
        problem = "its events tell several names: " + ", ".join(map(str, sorted(names)))
    else:
        (name,) = names
        other = taken.get(name)
        if other is None and sum(name in others for others in votes.values()) == 1:
            return Orphan(number, name, None)
        problem = f"{', '.join(name)} has another number" + (f", {other}" if other else " too")
    return Orphan(number, None, problem)


def _votes(
    connection: psycopg.Connection, configuration: Configuration, numbers: Collection[int]
) -> dict[int, set[_Name]]:
    """Return the names that events tell for each number."""
    known = {row[0]: row[1:] for row in connection.execute(_SERIES).fetchall()}
    intake = Intake(configuration)
    votes: dict[int, set[_Name]] = defaultdict(set)
    with connection.cursor("events_of_orphans") as cursor:
        cursor.execute(_EVENTS, (list(numbers),))
        for row in cursor:
            for number, name in _told(intake, known, row):
                votes[number].add(name)
    return votes


def _told(
    intake: Intake, known: dict[int, _Name], row: tuple[Any, ...]
) -> Iterator[tuple[int, _Name]]:
    """Yield number and name of the unknown series of an event that is classified as it was."""
    kind, region, stratum, series, payload, recorded_at = row
    reading = intake.read(kind, [_Record(0, None, payload.encode())], now=recorded_at)
    if not reading.accepted:
        return
    place = reading.accepted[0].place
    if (place.region, place.stratum, len(place.signals)) != (region, stratum, len(series)):
        return
    names = [(signal, region, stratum) for signal in place.signals]
    told = list(zip(series, names, strict=True))
    if all(known.get(number, name) == name for number, name in told):
        yield from ((number, name) for number, name in told if number not in known)


_ORPHANS: Final = """
SELECT n.series_id
FROM (SELECT series_id FROM hourly_counts
      UNION SELECT unnest(e.series) FROM events e) n
WHERE NOT EXISTS (SELECT FROM series s WHERE s.series_id = n.series_id)
ORDER BY 1
"""

_SERIES: Final = "SELECT series_id, signal, region, stratum FROM series"

_EVENTS: Final = """
SELECT e.kind, e.region, e.stratum, e.series, e.payload::text, e.recorded_at
FROM events e
WHERE e.series && %s::int[]
"""

_STORE: Final = """
INSERT INTO series (series_id, signal, region, stratum) OVERRIDING SYSTEM VALUE
VALUES (%s, %s, %s, %s)
"""

_JUDGE: Final = """
SELECT pend_spans(array_agg(%s::text), array_agg(%s::text), array_agg(d.day), array_agg(d.day))
FROM daily_counts d WHERE d.series_id = %s
"""

# A restored sequence may stand below numbers that counts carry.
_SEQUENCE: Final = """
SELECT setval(pg_get_serial_sequence('series', 'series_id'),
              greatest(max(n.number), nextval(pg_get_serial_sequence('series', 'series_id'))))
FROM (SELECT max(series_id) AS number FROM series
      UNION ALL SELECT max(series_id) FROM hourly_counts
      UNION ALL SELECT max(s) FROM event_heads h, unnest(h.series) AS s) n
"""
