"""Series numbers: counts carry a number in place of signal, region and stratum."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from psycopg.pq import TransactionStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from psycopg import AsyncConnection

    from streams.ingest.intake import AcceptedEvent, Place

__all__ = ["SeriesNumbers"]

_Name = tuple[str, str, str]


class _Memory(NamedTuple):
    literals: dict[Place, str]
    numbers: dict[_Name, int]


class SeriesNumbers:
    """Numbers of the series that a worker has met; the table `series` assigns them.

    Numbers are assigned in a transaction of their own, so that two workers do not wait for each
    other's batches. They are remembered only after that transaction has committed: a number whose
    transaction was rolled back names no series, and counts that carry it are invisible.

    Each connection has a memory of its own, which ends with it. A restored backup or a standby
    that took over may have given a number to another series, and no connection outlives that.
    """

    def __init__(self) -> None:
        self._memories: WeakKeyDictionary[AsyncConnection, _Memory] = WeakKeyDictionary()

    async def know(
        self, connection: AsyncConnection, events: Iterable[AcceptedEvent]
    ) -> Mapping[Place, str]:
        """Fetch or make the numbers of all series that the events are counted in.

        Parameters
        ----------
        connection
            Outside of a transaction: numbers are remembered once they are committed.

        Returns
        -------
        mapping
            Numbers of the series of each place as an array literal, for all places of the events.

        Raises
        ------
        RuntimeError
            New series are needed and the connection is inside a transaction.
        """
        # Kept by name: other commits may forget all numbers while this one waits.
        literals, known = self._memories.setdefault(connection, _Memory({}, {}))
        new = {event.place for event in events} - literals.keys()
        if not new:
            return literals
        wanted = {
            (signal, place.region, place.stratum) for place in new for signal in place.signals
        }
        missing = sorted(wanted - known.keys())
        if missing:
            known.update(await _fetch(connection, missing))
        for place in new:
            numbers = (str(known[signal, place.region, place.stratum]) for signal in place.signals)
            literals[place] = "{" + ",".join(numbers) + "}"
        return literals

    def forget(self) -> None:
        """Forget all numbers: the database is not the one that assigned them."""
        self._memories.clear()


async def _fetch(connection: AsyncConnection, missing: list[_Name]) -> dict[_Name, int]:
    """Return the numbers of series, which are committed when this returns."""
    if connection.info.transaction_status != TransactionStatus.IDLE:
        raise RuntimeError("Series numbers are assigned in a transaction of their own.")
    found: dict[_Name, int] = {}
    async with connection.transaction():
        # Looked for first: an insertion that finds its row uses up a number all the same.
        for query in (_FIND, _MAKE, _FIND):
            cursor = await connection.execute(
                query, [list(column) for column in zip(*missing, strict=True)]
            )
            for signal, region, stratum, number in await cursor.fetchall():
                found[signal, region, stratum] = number
            # What is still missing after it was made, another worker has made meanwhile.
            missing = [name for name in missing if name not in found]
            if not missing:
                break
    return found


_FIND = """
SELECT s.signal, s.region, s.stratum, s.series_id
FROM series s
JOIN unnest(%s::text[], %s::text[], %s::text[]) AS w(signal, region, stratum)
    USING (signal, region, stratum)
"""
_MAKE = """
INSERT INTO series (signal, region, stratum)
SELECT * FROM unnest(%s::text[], %s::text[], %s::text[])
ON CONFLICT DO NOTHING
RETURNING signal, region, stratum, series_id
"""
