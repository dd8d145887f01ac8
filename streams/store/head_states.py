"""Whether the stored state of open alerts is that of all alerts which were merged into them."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from psycopg import AsyncConnection
from psycopg.rows import class_row

from schemas.alerts import Alert, Ended, Resumed, Revised
from streams.alerts.combining import combine
from streams.alerts.detecting import Judgement, follow_up
from streams.alerts.members import Standing, read_members
from streams.store.checks import Checked

if TYPE_CHECKING:
    from datetime import datetime

    from streams.alerts.combining import Member
    from streams.config import Configuration

__all__ = ["StateDifference", "check_heads", "differing_states"]


class StateDifference(NamedTuple):
    """An open alert whose row does not agree with its members' verdicts."""

    alert_id: int
    stored: str
    members: str


def check_heads(database: str, configuration: Configuration) -> Checked:
    """Return the outcome of `differing_states` as one of the checks of ``fenghuo db check``."""

    async def compare() -> tuple[int, list[StateDifference]]:
        async with await AsyncConnection.connect(database, autocommit=True) as connection:
            cursor = await connection.execute(_OPEN)
            open_alerts = (await cursor.fetchone() or (0,))[0]
            return open_alerts, await differing_states(connection, configuration)

    began = time.monotonic()
    examined, wrong = asyncio.run(compare())
    example = None
    if wrong:
        first = wrong[0]
        example = (
            f"alert {first.alert_id} is stored as {first.stored}; its members: {first.members}"
        )
    return Checked(
        "heads of alerts",
        "open alerts have the state of all that was merged into them",
        examined,
        "open alerts",
        len(wrong),
        example,
        round(time.monotonic() - began, 2),
    )


async def differing_states(
    connection: AsyncConnection, configuration: Configuration
) -> list[StateDifference]:
    """Return the open alerts whose state, severity or numbers differ from their members'.

    Alerts with a change that waits for a judge, that is set aside, or that is held back
    (`alerts.update_seconds`) are left out: they are expected to differ. Alerts whose rule or region
    is not configured any more have ended.

    Notes
    -----
    Verdicts and alerts change in the same transactions, so one snapshot is enough: no lock is
    taken that a worker waits for.
    """
    rules = configuration.surveillance.rules
    if not rules:
        return []
    name, rule = next(iter(rules.items()))
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        at = await _snapshot_time(connection)
        async with connection.cursor(row_factory=class_row(Alert)) as cursor:
            await cursor.execute(_SETTLED)
            alerts = await cursor.fetchall()
        standing = {alert.alert_id: Standing(alert) for alert in alerts}
        members, _ = await read_members(
            connection,
            standing,
            {},
            rules,
            configuration.regions,
            # A day of grace: a period that is over at midnight is judged a little later.
            today=at.astimezone(configuration.surveillance.zone).date() - timedelta(days=1),
        )
    found = []
    judgement = Judgement(name, rule, configuration.version, at)
    for alert in alerts:
        difference = _difference(judgement, alert, members[alert.alert_id])
        if difference is not None:
            found.append(difference)
    return found


async def _snapshot_time(connection: AsyncConnection) -> datetime:
    cursor = await connection.execute("SELECT transaction_timestamp()")
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - it gives one row
    at: datetime = row[0]
    return at


def _difference(
    judgement: Judgement, alert: Alert, members: list[Member]
) -> StateDifference | None:
    changes = follow_up(judgement, alert, members)
    if not changes:
        return None
    combined = combine(members)
    if any(isinstance(change, Ended | Resumed | Revised) for change in changes):
        state = "no exceedance"
        if combined.exceeds:
            state = f"quiet since {combined.quiet_since}" if combined.quiet_since else "exceeding"
        return StateDifference(alert.alert_id, _state(alert), state)
    leading = combined.leading
    number = f"{combined.severity}, {leading.rule if leading else None}"
    latest = leading.found.latest if leading else None
    shown = f"{alert.severity}, {alert.numbers_rule}, {alert.observed:g} in {alert.last_period}"
    now = f"{number}, {latest.observed:g} in {latest.period}" if latest else number
    return StateDifference(alert.alert_id, shown, now)


def _state(alert: Alert) -> str:
    if alert.exceedances == 0:
        return "no exceedance"
    return f"quiet since {alert.quiet_since}" if alert.quiet_since else "exceeding"


_OPEN = """
SELECT count(*) FROM alerts a
WHERE a.status NOT IN ('discarded', 'closed', 'merged')
"""

_SETTLED = """
WITH RECURSIVE family AS (
    SELECT a.alert_id AS head, a.alert_id, a.signal, a.region
    FROM alerts a
    WHERE a.status NOT IN ('discarded', 'closed', 'merged')
    UNION ALL
    SELECT f.head, m.alert_id, m.signal, m.region
    FROM family f JOIN alerts m ON m.merged_into = f.alert_id AND m.status = 'merged'
), unsettled AS (
    SELECT f.head FROM family f JOIN held_updates h USING (alert_id)
    UNION
    SELECT f.head
    FROM family f
    JOIN region_ancestors r ON r.ancestor = f.region
    JOIN (
        SELECT signal, region FROM pending_judgements
        UNION
        SELECT signal, region FROM pending_spans
        UNION
        SELECT signal, region FROM judging_quarantine
    ) p ON p.signal = f.signal AND p.region = r.region
)
SELECT a.* FROM alerts a
WHERE a.status NOT IN ('discarded', 'closed', 'merged')
  AND a.alert_id IN (SELECT f.head FROM family f)
  AND a.alert_id NOT IN (SELECT u.head FROM unsettled u)
ORDER BY a.alert_id
"""
