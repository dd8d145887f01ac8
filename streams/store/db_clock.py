"""The machine's clock compared with the database's, by which everything is ordered."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from streams.errors import StoreError

if TYPE_CHECKING:
    from datetime import date

    import psycopg
    from psycopg import AsyncConnection

__all__ = [
    "LONGEST_SKEW",
    "ClockSkewError",
    "check_skew",
    "clock_skew",
    "clock_skew_of",
    "describe",
    "local_day",
]

#: Seconds beyond which a worker does not run: it would refuse live events as from the future, and
#: the refusals would blame the sources.
LONGEST_SKEW: Final = 60.0
#: Seconds that are worth a warning.
_NOTABLE: Final = 5.0
_NOW: Final = "SELECT extract(epoch FROM clock_timestamp())::float8"


class ClockSkewError(StoreError):
    """The clocks of this machine and of the database are too far apart."""


def clock_skew(connection: psycopg.Connection) -> float:
    """Return by how many seconds this machine's clock is ahead of the database's.

    What the journey of the question may account for is left out: 0 unless there is a difference.
    """
    sent = time.time()
    row = connection.execute(_NOW).fetchone()
    return _skew(sent, row[0] if row else sent, time.time())


async def clock_skew_of(connection: AsyncConnection) -> float:
    """Do the same on a connection of the event loop."""
    sent = time.time()
    row = await (await connection.execute(_NOW)).fetchone()
    return _skew(sent, row[0] if row else sent, time.time())


def check_skew(seconds: float) -> None:
    """Refuse a skew with which events would be judged by the wrong time.

    Raises
    ------
    ClockSkewError
        It is longer than `LONGEST_SKEW`.
    """
    if abs(seconds) > LONGEST_SKEW:
        raise ClockSkewError(
            f"{describe(seconds)} Live events would be refused as from the future or as too old. "
            "Set the clocks (NTP), then start again."
        )


def local_day(connection: psycopg.Connection, zone: str) -> date:
    """Return the day that it is in a time zone, by the database's clock."""
    row = connection.execute("SELECT (clock_timestamp() AT TIME ZONE %s)::date", (zone,)).fetchone()
    assert row is not None  # noqa: S101 - a query without FROM gives one row
    day: date = row[0]
    return day


def describe(seconds: float) -> str | None:
    """Say in a sentence how far the clocks are apart; None: not notably.

    Examples
    --------
    >>> describe(-3600.2)
    "This machine's clock is 3,600 s behind the database's."
    >>> describe(2.0)
    """
    if abs(seconds) <= _NOTABLE:
        return None
    side = "ahead of" if seconds > 0 else "behind"
    return f"This machine's clock is {abs(seconds):,.0f} s {side} the database's."


def _skew(sent: float, there: float, received: float) -> float:
    """Return the least difference that the three times allow.

    Examples
    --------
    >>> _skew(100.0, 100.5, 101.0)
    0.0
    >>> _skew(100.0, 90.0, 101.0)
    10.0
    >>> _skew(100.0, 120.0, 101.0)
    -19.0
    """
    if sent <= there <= received:
        return 0.0
    return sent - there if there < sent else received - there
