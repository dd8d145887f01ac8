"""What follows the commits and the alerts: counts by facility, explanations."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout

from schemas.alerts import OPEN_STATUSES, Explained
from streams.alerts.explaining import explain, roll_up_some
from streams.errors import describe
from streams.store.alert_history import begin_following, follow, followed_to, set_event_aside
from streams.store.alerts import append_many, read_alerts
from streams.store.levels import roll_up_batches

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection
    from psycopg_pool import AsyncConnectionPool

    from schemas.alerts import Alert, Explanation
    from streams.config import Configuration
    from streams.store.alert_history import Followed

__all__ = ["FOLLOWER", "explain_changed", "keep_rolling_up"]

log = logging.getLogger(__name__)

#: Name under which the progress is kept.
FOLLOWER: Final = "explaining"
_AT_ONCE = 2000
#: Rest after a roll-up: at least, while nothing comes in, and at most while commits are under way,
#: in parts of the time that the roll-up took.
_LEAST_SECONDS = 0.5
_IDLE_SECONDS = 1.0
_REST = 9
_NEW_NUMBERS: Final = frozenset({"opened", "updated", "resumed"})


async def keep_rolling_up(
    pool: AsyncConnectionPool, rest: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> None:
    """Roll new batches up, by facility and by level, until the pool is closed.

    Facilities also while no alert asks: otherwise the first alert after a quiet time would wait for
    all of them.

    Parameters
    ----------
    rest
        Called with the seconds for which to leave the processors to the commits; it may return
        sooner when there are none.
    """
    while True:
        began = time.monotonic()
        taken = 0
        try:
            # Two transactions: an explanation need not wait for the levels, nor levels for it.
            for roll_up in (roll_up_some, roll_up_batches):
                async with pool.connection() as connection, connection.transaction():
                    taken += await roll_up(connection)
        except PoolClosed:
            return
        except (psycopg.Error, PoolTimeout) as error:
            log.warning("Sums by facility and by level wait for the next try: %s", error)
        took = time.monotonic() - began
        await asyncio.sleep(_LEAST_SECONDS if taken else _IDLE_SECONDS)
        if taken:
            await rest(_REST * took)


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
            if alerts:
                latest = {one.event.alert_id: one for one in followed}
                explanations = await _explain_each(
                    connection, alerts, latest, configuration, row[0]
                )
                # Last, since it holds up everybody else who changes alerts.
                await append_many(
                    connection,
                    [
                        (alert_id, Explained(explanation=explanation))
                        for alert_id, explanation in explanations
                    ],
                )
            await followed_to(connection, FOLLOWER, followed[-1].event_id)
        explained += len(alerts)


async def _explain_each(
    connection: AsyncConnection,
    alerts: Sequence[Alert],
    latest: Mapping[int, Followed],
    configuration: Configuration,
    now: datetime,
) -> list[tuple[int, Explanation]]:
    """Explain alerts, together where possible; one that cannot be explained is set aside.

    Parameters
    ----------
    latest
        The latest event of each alert.
    """
    try:
        async with connection.transaction():
            explanations = await explain(connection, alerts, configuration, now)
    except (psycopg.OperationalError, psycopg.InterfaceError):
        raise
    except Exception as error:
        if len(alerts) == 1:
            alert_id = alerts[0].alert_id
            log.exception("Alert %s cannot be explained.", alert_id)
            await set_event_aside(connection, FOLLOWER, latest[alert_id], describe(error))
            return []
        half = len(alerts) // 2
        return [
            *await _explain_each(connection, alerts[:half], latest, configuration, now),
            *await _explain_each(connection, alerts[half:], latest, configuration, now),
        ]
    return [
        (alert.alert_id, explanation)
        for alert, explanation in zip(alerts, explanations, strict=True)
    ]
