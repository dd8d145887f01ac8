"""What time alone does to alerts: nobody reads them, or days without cases go by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import sql
from psycopg.rows import class_row

from schemas.alerts import OPEN_STATUSES, Alert, Ended, Escalated
from streams.alerts.detecting import Judgement, follow_up
from streams.alerts.journal import Journal
from streams.alerts.members import Standing, is_judged, read_members
from streams.alerts.recency import too_old_to_announce
from streams.store.alerts import hold_alerts_async, read_alerts, write_async
from streams.store.locks import JUDGING, TAKE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection
    from psycopg_pool import AsyncConnectionPool

    from schemas.config import Surveillance
    from streams.config import Configuration

__all__ = ["end_unjudged", "escalate_unread", "look_again", "overdue"]

#: Alerts in one transaction: the lock is held while they are computed.
_AT_ONCE: Final = 200


async def escalate_unread(pool: AsyncConnectionPool, surveillance: Surveillance) -> list[Alert]:
    """Escalate the alerts that nobody has looked at in time; return them."""
    async with pool.connection() as connection:
        found = overdue(*await _unread(connection), surveillance)
    ids = [alert.alert_id for alert, _ in found]
    escalated: list[Alert] = []
    for first in range(0, len(ids), _AT_ONCE):
        async with pool.connection() as connection, connection.transaction():
            at = await hold_alerts_async(connection)
            alerts = await read_alerts(connection, ids[first : first + _AT_ONCE])
            journal = Journal(at, alerts)
            unread = [alert for alert in alerts if _is_unread(alert)]
            for alert, minutes in overdue(at, unread, surveillance):
                journal.record(alert.alert_id, Escalated(after_minutes=minutes))
            await write_async(connection, journal)
            escalated += journal.changed
    return escalated


def overdue(
    now: datetime, alerts: Iterable[Alert], surveillance: Surveillance
) -> list[tuple[Alert, int]]:
    """Return the unread alerts whose time is over, with the minutes that they had."""
    found = []
    for alert in alerts:
        if too_old_to_announce(alert, surveillance) is not None:
            continue
        minutes = surveillance.escalated_after(alert.rule, alert.severity)
        if minutes is not None and (now - alert.unread_since).total_seconds() >= minutes * 60:
            found.append((alert, minutes))
    return found


async def look_again(pool: AsyncConnectionPool, surveillance: Surveillance) -> int:
    """Have open alerts judged for the days that went by without a count of theirs.

    Judging follows changes of counts: where nobody falls ill, nothing changes, and no verdict would
    tell that an alert's exceedances have ended.

    Returns
    -------
    int
        Number of alerts.
    """
    async with pool.connection() as connection:
        rules = surveillance.rules
        cursor = await connection.execute(
            _LOOK_AGAIN,
            (
                list(rules),
                [rule.signal for rule in rules.values()],
                [rule.grain for rule in rules.values()],
            ),
        )
        return cursor.rowcount


async def end_unjudged(pool: AsyncConnectionPool, configuration: Configuration) -> list[Alert]:
    """Propose to close open alerts that only rules or regions of the past keep open.

    Nobody judges an alert whose rule was removed, renamed or given another signal or level, or
    whose region has left the registry. Without an end it would take the next exceedance of what was
    merged into it as its own, and nobody would hear of that.

    Returns
    -------
    list of Alert
        The alerts that have ended, as they are now.
    """
    rules, regions = configuration.surveillance.rules, configuration.regions
    async with pool.connection() as connection:
        cursor = await connection.execute(_GOING_ON)
        concerned = {
            head
            for head, rule, signal, region in await cursor.fetchall()
            if not is_judged(rule, signal, region, rules, regions)
        }
    ids, ended = sorted(concerned) if rules else [], []
    for first in range(0, len(ids), _AT_ONCE):
        ended += await _end(pool, configuration, ids[first : first + _AT_ONCE])
    return ended


async def _end(
    pool: AsyncConnectionPool, configuration: Configuration, ids: Sequence[int]
) -> list[Alert]:
    rules, regions = configuration.surveillance.rules, configuration.regions
    async with pool.connection() as connection, connection.transaction():
        await connection.execute(TAKE, (JUDGING,))
        at = await hold_alerts_async(connection)
        alerts = [
            alert
            for alert in await read_alerts(connection, ids)
            if alert.status in OPEN_STATUSES and not alert.over
        ]
        today = at.astimezone(configuration.surveillance.zone).date()
        members, _ = await read_members(
            connection,
            {alert.alert_id: Standing(alert) for alert in alerts},
            {},
            rules,
            regions,
            today=today,
        )
        judgement = Judgement(*next(iter(rules.items())), configuration.version, at)
        journal = Journal(at, alerts)
        for alert in alerts:
            changes = follow_up(judgement, alert, members[alert.alert_id])
            # Others are found when the alert is judged.
            if any(isinstance(change, Ended) for change in changes):
                for change in changes:
                    journal.record(alert.alert_id, change)
        await write_async(connection, journal)
        return journal.changed


async def _unread(connection: AsyncConnection) -> tuple[datetime, list[Alert]]:
    """Return the database's time, and the alerts that nobody has looked at, unexplained.

    Explanations are most of an alert, and many alerts may be unread.
    """
    clock = await connection.execute("SELECT clock_timestamp()")
    row = await clock.fetchone()
    assert row is not None  # noqa: S101 - the query gives one row
    async with connection.cursor(row_factory=class_row(Alert)) as cursor:
        await cursor.execute(_UNREAD)
        return row[0], await cursor.fetchall()


def _is_unread(alert: Alert) -> bool:
    """Tell whether it is still as `_UNREAD` selects it."""
    return (
        alert.status in OPEN_STATUSES
        and alert.acknowledged_at is None
        and alert.escalated_at is None
        and alert.exceedances > 0
    )


# An alert whose exceedances corrections took back is nothing to be called out for.
_UNREAD = sql.SQL("""
SELECT {columns} FROM alerts
WHERE status NOT IN ('discarded', 'closed', 'merged') AND acknowledged_at IS NULL
  AND escalated_at IS NULL AND exceedances > 0
ORDER BY alert_id
""").format(
    columns=sql.SQL(", ").join(
        sql.Identifier(name) for name in Alert.model_fields if name != "explanation"
    )
)

_GOING_ON = """
WITH RECURSIVE family AS (
    SELECT a.alert_id AS head, a.alert_id, a.rule, a.signal, a.region
    FROM alerts a
    WHERE a.status NOT IN ('discarded', 'closed', 'merged')
      AND a.exceedances > 0 AND a.quiet_since IS NULL
    UNION ALL
    SELECT f.head, m.alert_id, m.rule, m.signal, m.region
    FROM family f JOIN alerts m ON m.merged_into = f.alert_id AND m.status = 'merged'
)
SELECT head, rule, signal, region FROM family
"""

# A verdict for the next period makes the row needless; an alert that has ended needs none. What was
# merged into an alert counts too: its rule has to be judged for the alert to end.
_LOOK_AGAIN = """
WITH RECURSIVE family AS (
    SELECT a.alert_id, a.signal, a.region, a.rule
    FROM alerts a
    WHERE a.status NOT IN ('discarded', 'closed', 'merged')
      AND a.exceedances > 0 AND a.quiet_since IS NULL
    UNION ALL
    SELECT m.alert_id, m.signal, m.region, m.rule
    FROM family f JOIN alerts m ON m.merged_into = f.alert_id AND m.status = 'merged'
)
INSERT INTO pending_judgements (signal, region, day)
SELECT a.signal, a.region, min(v.next)
FROM family a
JOIN unnest(%s::text[], %s::text[], %s::text[]) AS k(rule, signal, grain) USING (rule, signal)
CROSS JOIN LATERAL (
    SELECT max(period) + CASE k.grain WHEN 'week' THEN 7 ELSE 1 END AS next
    FROM verdicts WHERE rule = a.rule AND region = a.region
) v
JOIN (
    SELECT s.signal, max(c.day) AS last FROM series s JOIN LATERAL (
        SELECT max(day) AS day FROM daily_counts WHERE series_id = s.series_id
    ) c ON true
    GROUP BY 1
) extent ON extent.signal = a.signal AND v.next <= extent.last
GROUP BY 1, 2
"""
