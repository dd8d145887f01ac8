"""Series numbers: counts carry a number in place of signal, region and stratum."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from psycopg import AsyncConnection

    from streams.ingest.intake import AcceptedEvent, Place

__all__ = ["SeriesNumbers"]


class SeriesNumbers:
    """Numbers of the series that a worker has met; the table `series` gives them out.

    Numbers are never taken back, so remembering them is safe, and handing them out in a
    transaction of its own keeps two workers from waiting for each other's batches.
    """

    def __init__(self) -> None:
        self._literals: dict[Place, str] = {}
        self._numbers: dict[tuple[str, str, str], int] = {}

    @property
    def literals(self) -> Mapping[Place, str]:
        """Numbers of the series of a place as an array literal; `know` comes first."""
        return self._literals

    async def know(self, connection: AsyncConnection, events: Iterable[AcceptedEvent]) -> None:
        """Fetch or make the numbers of all series that the events are counted in."""
        new = {event.place for event in events} - self._literals.keys()
        if not new:
            return
        wanted = {
            (signal, place.region, place.stratum) for place in new for signal in place.signals
        }
        missing = sorted(wanted - self._numbers.keys())
        if missing:
            await self._fetch(connection, missing)
        for place in new:
            numbers = (
                str(self._numbers[signal, place.region, place.stratum]) for signal in place.signals
            )
            self._literals[place] = "{" + ",".join(numbers) + "}"

    async def _fetch(
        self, connection: AsyncConnection, missing: list[tuple[str, str, str]]
    ) -> None:
        async with connection.transaction():
            # Looked for first: an insertion that finds its row uses up a number all the same.
            for query in (_FIND, _MAKE, _FIND):
                cursor = await connection.execute(
                    query, [list(column) for column in zip(*missing, strict=True)]
                )
                for signal, region, stratum, number in await cursor.fetchall():
                    self._numbers[signal, region, stratum] = number
                # What is still missing after it was made, another worker has made meanwhile.
                missing = [name for name in missing if name not in self._numbers]
                if not missing:
                    return


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
