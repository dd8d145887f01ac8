"""Series numbers: counts carry a number in place of signal, region and stratum."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from psycopg import AsyncConnection

    from streams.ingest.intake import AcceptedEvent

__all__ = ["SeriesNumbers"]

_Content = tuple[tuple[str, ...], str, str]


class SeriesNumbers:
    """Numbers of the series that a worker has met; the table `series` gives them out.

    Numbers are never taken back, so remembering them is safe, and handing them out in a
    transaction of its own keeps two workers from waiting for each other's batches.
    """

    def __init__(self) -> None:
        self._literals: dict[_Content, str] = {}
        self._numbers: dict[tuple[str, str, str], int] = {}

    def literal(self, signals: tuple[str, ...], region: str, stratum: str) -> str:
        """Return the numbers of an event's series as an array literal; `know` comes first."""
        return self._literals[signals, region, stratum]

    async def know(self, connection: AsyncConnection, events: Iterable[AcceptedEvent]) -> None:
        """Fetch or make the numbers of all series that the events are counted in."""
        contents = {(event.signals, event.region, event.stratum) for event in events}
        new = contents - self._literals.keys()
        if not new:
            return
        wanted = {
            (signal, region, stratum) for signals, region, stratum in new for signal in signals
        }
        missing = sorted(wanted - self._numbers.keys())
        if missing:
            await self._fetch(connection, missing)
        for signals, region, stratum in new:
            numbers = (str(self._numbers[signal, region, stratum]) for signal in signals)
            self._literals[signals, region, stratum] = "{" + ",".join(numbers) + "}"

    async def _fetch(
        self, connection: AsyncConnection, missing: list[tuple[str, str, str]]
    ) -> None:
        columns = [list(column) for column in zip(*missing, strict=True)]
        async with connection.transaction():
            await connection.execute(
                "INSERT INTO series (signal, region, stratum) "
                "SELECT * FROM unnest(%s::text[], %s::text[], %s::text[]) ON CONFLICT DO NOTHING",
                columns,
            )
            cursor = await connection.execute(
                "SELECT s.signal, s.region, s.stratum, s.series_id FROM series s "
                "JOIN unnest(%s::text[], %s::text[], %s::text[]) AS w(signal, region, stratum) "
                "USING (signal, region, stratum)",
                columns,
            )
            for signal, region, stratum, number in await cursor.fetchall():
                self._numbers[signal, region, stratum] = number
