"""Alerts in the database: the history, and the table that is made from it.

Both are written in one transaction. `alert_events` is the truth; a row of `alerts` is what its
events lead to by `streams.alerts.lifecycle`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, LiteralString

from psycopg import sql
from psycopg.rows import class_row
from pydantic import TypeAdapter

from schemas.alerts import Alert, AlertEvent
from streams.alerts.journal import Journal
from streams.alerts.predictive_value import PredictiveValue, predictive_value
from streams.store.locks import ALERTS

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    import psycopg
    from psycopg import AsyncConnection

    from schemas.alerts import Change

_Statement = tuple[sql.SQL | sql.Composed, tuple[Any, ...]]

__all__ = [
    "append_many",
    "get_alert",
    "get_history",
    "hold_alerts",
    "hold_alerts_async",
    "list_alerts",
    "predictive_values",
    "read_alerts",
    "store_rows",
    "write",
    "write_async",
]


def list_alerts(
    connection: psycopg.Connection,
    *,
    limit: int = 100,
    only: Mapping[str, str] | None = None,
    open_only: bool = False,
) -> list[Alert]:
    """Return alerts, newest first.

    Parameters
    ----------
    only
        Values of columns: status, severity, signal, region (with all below it), rule or
        assigned_to.
    open_only
        Leave out those that are decided.
    """
    wanted = dict(only or {})
    unknown = wanted.keys() - _FILTERS
    if unknown:
        raise ValueError(f"Alerts are not selected by {', '.join(sorted(unknown))}")
    conditions = [
        sql.SQL(_OPEN if open_only else "true"),
        *(
            sql.SQL(_WITHIN if column == "region" else "{} = %s").format(sql.Identifier(column))
            for column in wanted
        ),
    ]
    query = sql.SQL(
        "SELECT * FROM alerts WHERE {} ORDER BY opened_at DESC, alert_id DESC LIMIT %s"
    ).format(sql.SQL(" AND ").join(conditions))
    with connection.cursor(row_factory=class_row(Alert)) as cursor:
        return cursor.execute(query, [*wanted.values(), limit]).fetchall()


def get_alert(connection: psycopg.Connection, alert_id: int) -> Alert | None:
    """Return one alert, or None without one of this id."""
    with connection.cursor(row_factory=class_row(Alert)) as cursor:
        return cursor.execute("SELECT * FROM alerts WHERE alert_id = %s", (alert_id,)).fetchone()


def predictive_values(connection: psycopg.Connection) -> dict[str, PredictiveValue]:
    """Return how often each rule's alerts turned out to be outbreaks.

    Rules of which no alert was decided are left out.
    """
    rows = connection.execute(
        "SELECT rule, count(*) FILTER (WHERE outcome = 'outbreak'), count(*) FROM alerts "
        "WHERE status IN ('closed', 'discarded') AND outcome IS NOT NULL GROUP BY 1"
    ).fetchall()
    return {rule: predictive_value(outbreaks, decided) for rule, outbreaks, decided in rows}


def get_history(connection: psycopg.Connection, alert_id: int) -> list[AlertEvent]:
    """Return an alert's events, the first one first."""
    with connection.cursor(row_factory=class_row(AlertEvent)) as cursor:
        return cursor.execute(
            "SELECT alert_id, seq, at, actor, change FROM alert_events "
            "WHERE alert_id = %s ORDER BY seq",
            (alert_id,),
        ).fetchall()


async def append_many(
    connection: AsyncConnection, changes: Sequence[tuple[int, Change]]
) -> list[Alert]:
    """Add events of the system to any number of alerts, in the caller's transaction.

    Ids that no alert has are left out.

    Returns
    -------
    list of Alert
        The alerts that changed, as they are now.

    Raises
    ------
    IllegalTransitionError
        When a change is not possible; `explained` always is.
    """
    at = await hold_alerts_async(connection)
    known = await read_alerts(connection, {alert_id for alert_id, _ in changes})
    journal = Journal(at, known)
    ids = {alert.alert_id for alert in known}
    for alert_id, change in changes:
        if alert_id in ids:
            journal.record(alert_id, change)
    await write_async(connection, journal)
    return journal.changed


async def read_alerts(connection: AsyncConnection, ids: Collection[int]) -> list[Alert]:
    """Return alerts by their ids."""
    async with connection.cursor(row_factory=class_row(Alert)) as cursor:
        await cursor.execute("SELECT * FROM alerts WHERE alert_id = ANY(%s)", (sorted(ids),))
        return await cursor.fetchall()


def hold_alerts(connection: psycopg.Connection) -> datetime:
    """Take the lock under which alerts are changed, until the transaction ends.

    Take it before reading the alerts that are to change. One writer at a time: so nobody decides on
    what has just changed, and the order of `event_id` is the order of commits, and of `at`.

    Returns
    -------
    datetime
        The database's time, for the events.
    """
    row = connection.execute(_HOLD, (ALERTS,)).fetchone()
    return _time(row)


async def hold_alerts_async(connection: AsyncConnection) -> datetime:
    """Do the same as `hold_alerts`."""
    cursor = await connection.execute(_HOLD, (ALERTS,))
    return _time(await cursor.fetchone())


def write(connection: psycopg.Connection, journal: Journal) -> None:
    """Write events and the alerts that they lead to; the caller holds the lock of `hold_alerts`."""
    for query, values in _statements(journal):
        connection.execute(query, values)


async def write_async(connection: AsyncConnection, journal: Journal) -> None:
    """Do the same as `write`."""
    for query, values in _statements(journal):
        await connection.execute(query, values)


def store_rows(alerts: Sequence[Alert]) -> _Statement:
    """Return the statement that writes rows of `alerts`, with its values."""
    return _WRITE_ALERTS, (_ROWS.dump_json(list(alerts)).decode(),)


def _statements(journal: Journal) -> list[_Statement]:
    if not journal.events:
        return []
    events = _EVENTS.dump_json(journal.events).decode()
    return [(_WRITE_EVENTS, (events,)), store_rows(journal.changed)]


def _time(row: tuple[Any, ...] | None) -> datetime:
    assert row is not None  # noqa: S101 - the query gives one row
    at: datetime = row[0]
    return at


# One document for all rows: their number makes no difference to the statement.
_EVENTS: Final = TypeAdapter(list[AlertEvent])
_ROWS: Final = TypeAdapter(list[Alert])

_OPEN: Final[LiteralString] = "status NOT IN ('discarded', 'closed', 'merged')"
# A region that the registry does not know any more is its own only ancestor.
_WITHIN: Final[LiteralString] = (
    "%s IN (SELECT {0} UNION ALL "
    "SELECT r.ancestor FROM region_ancestors r WHERE r.region = alerts.{0})"
)
_FILTERS: Final = frozenset({"status", "severity", "signal", "region", "rule", "assigned_to"})

# The clock is asked for when the lock is held, so that later events have a later time.
_HOLD = """
WITH held AS MATERIALIZED (
    SELECT hold_lock(%s)
)
SELECT clock_timestamp() FROM held
"""

_WRITE_EVENTS: Final = sql.SQL("""
INSERT INTO alert_events (alert_id, seq, at, actor, kind, change)
SELECT e.alert_id, e.seq, e.at, e.actor, e.change ->> 'kind', e.change
FROM ROWS FROM (jsonb_to_recordset(%s::jsonb)
    AS (alert_id bigint, seq int, at timestamptz, actor text, change jsonb))
    WITH ORDINALITY AS e(alert_id, seq, at, actor, change, place)
ORDER BY e.place
""")

_WRITE_ALERTS: Final = sql.SQL(
    "INSERT INTO alerts ({columns}) OVERRIDING SYSTEM VALUE "
    "SELECT {columns} FROM jsonb_populate_recordset(NULL::alerts, %s::jsonb) "
    "ON CONFLICT (alert_id) DO UPDATE SET {updates}"
).format(
    columns=sql.SQL(", ").join(map(sql.Identifier, Alert.model_fields)),
    updates=sql.SQL(", ").join(
        sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name))
        for name in Alert.model_fields
        if name != "alert_id"
    ),
)
