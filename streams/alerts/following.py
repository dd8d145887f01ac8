"""What follows the commits and the alerts: counts by facility, explanations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from schemas.alerts import OPEN_STATUSES, Explained
from streams.alerts.explaining import explain, roll_up_some
from streams.store.alert_history import begin_following, follow, followed_to
from streams.store.alerts import append_many, read_alerts

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool

    from streams.config import Configuration

__all__ = ["FOLLOWER", "explain_changed", "roll_up_waiting"]

#: Name under which the progress is kept.
FOLLOWER: Final = "explaining"
_AT_ONCE = 2000
_NEW_NUMBERS: Final = frozenset({"opened", "updated"})


async def roll_up_waiting(pool: AsyncConnectionPool) -> int:
    """Roll the facilities of new batches up, also while no alert asks for them; return how many.

    Otherwise the first alert after a quiet time would wait for all of them.
    """
    batches = 0
    while True:
        async with pool.connection() as connection, connection.transaction():
            taken = await roll_up_some(connection)
        batches += taken
        if not taken:
            return batches


async def explain_changed(pool: AsyncConnectionPool, configuration: Configuration) -> int:
    """Explain the open alerts whose numbers have changed; return how many.

    An alert that changed several times is explained once, as it is now.
    """
    explained = 0
    while True:
        async with pool.connection() as connection, connection.transaction():
            await begin_following(connection, FOLLOWER)
            followed = await follow(connection, FOLLOWER, limit=_AT_ONCE)
            if not followed:
                return explained
            changed = {e.alert_id for _, e in followed if e.change.kind in _NEW_NUMBERS}
            cursor = await connection.execute("SELECT clock_timestamp()")
            row = await cursor.fetchone()
            assert row is not None  # noqa: S101 - the query gives one row
            alerts = [
                alert
                for alert in await read_alerts(connection, changed)
                if alert.status in OPEN_STATUSES and alert.exceedances
            ]
            explanations = await explain(connection, alerts, configuration, row[0])
            # Last, since it holds up everybody else who changes alerts.
            await append_many(
                connection,
                [
                    (alert.alert_id, Explained(explanation=explanation))
                    for alert, explanation in zip(alerts, explanations, strict=True)
                ],
            )
            await followed_to(connection, FOLLOWER, followed[-1].event_id)
        explained += len(alerts)
