"""The events of all alerts: followed in their order, and the table of alerts made from them."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg.rows import class_row, dict_row
from pydantic import ValidationError

from schemas.alerts import Alert, AlertEvent
from streams.alerts.lifecycle import fold
from streams.store.alerts import hold_alerts, store_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import psycopg
    from psycopg import AsyncConnection

__all__ = [
    "Difference",
    "Followed",
    "ahead",
    "begin_following",
    "compare",
    "follow",
    "followed_to",
    "rebuild",
    "set_event_aside",
]

_AT_ONCE = 1000


class Followed(NamedTuple):
    """An event with its place in the order of all events."""

    event_id: int
    event: AlertEvent


class Difference(NamedTuple):
    """An alert whose row is not what its events lead to."""

    alert_id: int
    fields: tuple[str, ...]


async def begin_following(
    connection: AsyncConnection, follower: str, *, from_now: bool = False
) -> None:
    """Make a follower known; once it is, this changes nothing.

    Parameters
    ----------
    from_now
        Begin with the next event, not with the first there ever was.
    """
    await connection.execute(
        "INSERT INTO alert_followers (follower, event_id) SELECT %s, coalesce(max(event_id), 0) "
        "FROM alert_events WHERE %s ON CONFLICT DO NOTHING",
        (follower, from_now),
    )


async def ahead(
    connection: AsyncConnection, follower: str, kinds: Collection[str], *, limit: int
) -> tuple[int, bool] | None:
    """Return the last of the next events of a follower, and whether some are of certain kinds.

    None without any. Locks nothing.
    """
    cursor = await connection.execute(
        "SELECT max(e.event_id), bool_or(e.kind = ANY(%s)) FROM ("
        "SELECT event_id, kind FROM alert_events WHERE event_id > coalesce("
        "(SELECT event_id FROM alert_followers WHERE follower = %s), 0) "
        "ORDER BY event_id LIMIT %s) e",
        (sorted(kinds), follower, limit),
    )
    row = await cursor.fetchone()
    return None if row is None or row[0] is None else (row[0], row[1])


async def follow(
    connection: AsyncConnection,
    follower: str,
    *,
    limit: int = 500,
    until: int | None = None,
) -> list[Followed]:
    """Return the events after the last one that a follower has dealt with, in order.

    The follower's place is locked until the transaction ends: a second process that follows under
    the same name meanwhile gets nothing. Nothing is skipped: numbers become visible in their order
    (`streams.store.alerts.hold_alerts`).

    Parameters
    ----------
    until
        The last event to return; None: there is no such limit.
    """
    cursor = await connection.execute(
        "SELECT event_id FROM alert_followers WHERE follower = %s FOR UPDATE SKIP LOCKED",
        (follower,),
    )
    place = await cursor.fetchone()
    if place is None:
        return []
    after = place[0]
    while True:
        async with connection.cursor(row_factory=dict_row) as events:
            await events.execute(
                "SELECT event_id, alert_id, seq, at, actor, change FROM alert_events "
                "WHERE event_id > %s AND event_id <= coalesce(%s, event_id) "
                "ORDER BY event_id LIMIT %s",
                (after, until, limit),
            )
            rows = await events.fetchall()
        readable = [one for row in rows if (one := await _read(connection, follower, row))]
        if readable or not rows:
            return readable
        after = rows[-1]["event_id"]
        await followed_to(connection, follower, after)


async def _read(connection: AsyncConnection, follower: str, row: dict[str, Any]) -> Followed | None:
    """Return the event of a row; one that is no event is set aside, so that the rest goes on."""
    fields = {name: value for name, value in row.items() if name != "event_id"}
    try:
        return Followed(row["event_id"], AlertEvent.model_validate(fields))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        reason = f"not an event: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        await connection.execute(_SET_ASIDE, {**_place(row), "who": follower, "reason": reason})
        return None


def _place(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("event_id", "alert_id", "seq")}


async def set_event_aside(
    connection: AsyncConnection, follower: str, one: Followed, reason: str
) -> None:
    """Note an event that a follower could not deal with, and passes."""
    event = one.event
    await connection.execute(
        _SET_ASIDE,
        {
            "who": follower,
            "event_id": one.event_id,
            "alert_id": event.alert_id,
            "seq": event.seq,
            "reason": reason,
        },
    )


async def followed_to(connection: AsyncConnection, follower: str, event_id: int) -> None:
    """Note how far a follower has come, in the transaction of `follow`."""
    await connection.execute(
        "UPDATE alert_followers SET event_id = %s WHERE follower = %s", (event_id, follower)
    )


def rebuild(connection: psycopg.Connection, *, check_only: bool) -> tuple[int, list[Difference]]:
    """Make the alerts anew from their events.

    Parameters
    ----------
    check_only
        Compare, and leave the table as it is.

    Returns
    -------
    tuple
        Number of alerts, and those that differ from what the table held.
    """
    alerts = 0
    differences: list[Difference] = []
    with connection.transaction():
        hold_alerts(connection)
        wanted: list[Alert] = []
        for alert_id, fields, folded in compare(connection):
            alerts += folded is not None
            if fields:
                differences.append(Difference(alert_id, fields))
                wanted += [folded] if folded else []
        if not check_only:
            # First away with all wrong ones: two of them may exchange what only one can be.
            connection.execute(
                "DELETE FROM alerts WHERE alert_id = ANY(%s)", ([d.alert_id for d in differences],)
            )
            for first in range(0, len(wanted), _AT_ONCE):
                connection.execute(*store_rows(wanted[first : first + _AT_ONCE]))
    return alerts, differences


def compare(
    connection: psycopg.Connection,
) -> Iterator[tuple[int, tuple[str, ...], Alert | None]]:
    """Yield each alert's id, the fields in which its row differs, and the alert of its events.

    The transaction is one of a single snapshot, or holds the lock of `hold_alerts`.
    """
    for alert_id, folded, live in _folded(connection):
        yield alert_id, _differing(folded, live), folded


def _folded(
    connection: psycopg.Connection,
) -> Iterator[tuple[int, Alert | None, Alert | None]]:
    """Yield each alert's id, the alert as its events make it, and the row that stands for it."""
    with (
        connection.cursor("alert_events", row_factory=class_row(AlertEvent)) as events,
        connection.cursor("alert_rows", row_factory=class_row(Alert)) as rows,
    ):
        events.execute(
            "SELECT alert_id, seq, at, actor, change FROM alert_events ORDER BY alert_id, seq"
        )
        rows.execute("SELECT * FROM alerts ORDER BY alert_id")
        live = next(rows, None)
        for alert_id, history in groupby(events, key=lambda event: event.alert_id):
            while live is not None and live.alert_id < alert_id:
                yield live.alert_id, None, live
                live = next(rows, None)
            if live is not None and live.alert_id == alert_id:
                yield alert_id, fold(history), live
                live = next(rows, None)
            else:
                yield alert_id, fold(history), None
        while live is not None:
            yield live.alert_id, None, live
            live = next(rows, None)


def _differing(folded: Alert | None, live: Alert | None) -> tuple[str, ...]:
    if live is None:
        return ("no row",)
    if folded is None:
        return ("no history",)
    return tuple(
        name for name in Alert.model_fields if getattr(folded, name) != getattr(live, name)
    )


_SET_ASIDE = """
INSERT INTO set_aside (follower, event_id, alert_id, seq, reason)
VALUES (%(who)s, %(event_id)s, %(alert_id)s, %(seq)s, %(reason)s)
ON CONFLICT (follower, event_id) DO UPDATE SET reason = EXCLUDED.reason, at = EXCLUDED.at
"""
