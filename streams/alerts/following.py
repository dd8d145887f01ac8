"""What follows the commits and the alerts: counts by facility, explanations."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout

from schemas.alerts import OPEN_STATUSES, Explained
from streams.alerts.explaining import explain, roll_up, roll_up_some
from streams.alerts.explaining.neighbours import Surroundings, around
from streams.alerts.explaining.reading import NeighbourQuestion, read_neighbours
from streams.errors import describe
from streams.portions import next_portion
from streams.store.alert_history import ahead, begin_following, follow, followed_to, set_event_aside
from streams.store.alerts import append_many, read_alerts
from streams.store.explained_neighbours import (
    Kept,
    forget_neighbours,
    keep_neighbours,
    take_kept,
)
from streams.store.levels import roll_up_batches

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection
    from psycopg_pool import AsyncConnectionPool

    from schemas.alerts import Alert, Explanation
    from streams.config import Configuration

    _GiveUp = Callable[[int, str], Awaitable[None]]

__all__ = ["FOLLOWER", "explain_changed", "keep_rolling_up", "renew_explanations"]

log = logging.getLogger(__name__)

#: Name under which the progress is kept.
FOLLOWER: Final = "explaining"
#: Rest after a roll-up: at least, while nothing comes in, and at most while commits are under way,
#: in parts of the time that the roll-up took.
_LEAST_SECONDS = 0.5
_IDLE_SECONDS = 1.0
_REST = 9
#: Before an alert is explained again because of its neighbours: at first, and at most. With each
#: time the pause grows.
_FIRST_PAUSE: Final = timedelta(seconds=2)
_LONGEST_PAUSE: Final = timedelta(hours=6)
#: How long neighbours are watched after the latest explanation.
_KEEP: Final = timedelta(days=14)
#: Events in the first portion: how long one takes is not known yet.
_FIRST_PORTION = 16
_NEW_NUMBERS: Final = frozenset({"opened", "updated", "resumed", "worsened"})


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
            for step in (roll_up_some, roll_up_batches):
                async with pool.connection() as connection, connection.transaction():
                    taken += await step(connection)
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

    Portions of about a second, each in a transaction of its own: a nation-wide outbreak opens
    thousands of alerts at once. An alert that changed several times is explained once, as it is
    now.
    """
    explained = 0
    known: dict[int, int] = {}
    portion = _FIRST_PORTION
    while True:
        began = time.monotonic()
        try:
            done = await _explain_portion(pool, configuration, portion, known)
        except (PoolClosed, PoolTimeout):
            raise
        except psycopg.Error as error:
            if portion > 1:
                # Perhaps it took too long: the server has ended the session.
                portion = max(portion // 4, 1)
                log.warning("Explaining goes on with %d event(s) at once: %s", portion, error)
            elif isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
                raise
            else:
                await _pass_next(pool, describe(error))
            continue
        if done is None:
            return explained
        explained += done
        if done:
            portion = next_portion(portion, time.monotonic() - began)


async def _explain_portion(
    pool: AsyncConnectionPool, configuration: Configuration, portion: int, known: dict[int, int]
) -> int | None:
    """Explain what the next events changed; return how many alerts, None without any event.

    Parameters
    ----------
    portion
        Number of events.
    known
        By alert, the version that was explained in an earlier portion: events up to it are passed.
        This portion's are added.
    """
    async with pool.connection() as connection:
        next_events = await ahead(connection, FOLLOWER, _NEW_NUMBERS, limit=portion)
    if next_events is None:
        return None
    until, concerned = next_events
    if concerned:
        # Not in the transaction that explains: its lock would be held while that computes.
        async with pool.connection() as connection:
            await roll_up(connection)
    async with pool.connection() as connection, connection.transaction():
        await begin_following(connection, FOLLOWER)
        followed = await follow(connection, FOLLOWER, limit=portion, until=until)
        if not followed:
            return None
        changed = {
            event.alert_id
            for _, event in followed
            if event.change.kind in _NEW_NUMBERS and event.seq > known.get(event.alert_id, 0)
        }
        latest = {one.event.alert_id: one for one in followed}

        async def set_aside(alert_id: int, reason: str) -> None:
            await set_event_aside(connection, FOLLOWER, latest[alert_id], reason)

        explained = await _explain(connection, changed, configuration, set_aside)
        await followed_to(connection, FOLLOWER, followed[-1].event_id)
    known |= explained
    return len(explained)


async def _pass_next(pool: AsyncConnectionPool, reason: str) -> None:
    """Set the next event aside: the server ends each session in which it is dealt with."""
    async with pool.connection() as connection, connection.transaction():
        for one in await follow(connection, FOLLOWER, limit=1):
            log.error("Alert %s cannot be explained: %s", one.event.alert_id, reason)
            await set_event_aside(connection, FOLLOWER, one, reason)
            await followed_to(connection, FOLLOWER, one.event_id)


async def renew_explanations(pool: AsyncConnectionPool, configuration: Configuration) -> int:
    """Explain open alerts again whose neighbours are judged otherwise by now; return how many.

    A sentence says of neighbours what was known when it was made. Neighbours are often judged a
    moment after the alert: by then the sentence must say so.
    """
    renewed, after = 0, 0
    portion = _FIRST_PORTION
    while True:
        began = time.monotonic()
        async with pool.connection() as connection, connection.transaction():
            kept = await take_kept(connection, limit=portion, after=after)
            if not kept:
                await forget_neighbours(connection)
                return renewed
            after = kept[-1].alert_id
            found = await read_neighbours(
                connection,
                [
                    NeighbourQuestion(i, one.rule, one.period, one.regions)
                    for i, one in enumerate(kept)
                ],
            )
            changed = {
                one.alert_id for one, now in zip(kept, found, strict=True) if one.known != now.told
            }

            async def give_up(
                alert_id: int, _: str, connection: AsyncConnection = connection
            ) -> None:
                # The alert keeps its explanation until its numbers change.
                await forget_neighbours(connection, [alert_id])

            if changed:
                renewed += len(await _explain(connection, changed, configuration, give_up))
        portion = next_portion(portion, time.monotonic() - began)


async def _explain(
    connection: AsyncConnection,
    ids: Collection[int],
    configuration: Configuration,
    give_up: _GiveUp,
) -> dict[int, int]:
    """Explain those of some alerts that are open, and keep what is said of their neighbours.

    Returns
    -------
    dict
        The versions of the alerts that were looked at, by their ids.
    """
    cursor = await connection.execute("SELECT clock_timestamp()")
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - the query gives one row
    alerts = {
        alert.alert_id: alert
        for alert in await read_alerts(connection, ids)
        if alert.status in OPEN_STATUSES and alert.exceedances
    }
    if not alerts:
        return {}
    explanations = await _explain_each(
        connection, list(alerts.values()), give_up, configuration, row[0]
    )
    await keep_neighbours(
        connection,
        [
            Kept(
                alert_id,
                alerts[alert_id].signal,
                alerts[alert_id].numbers_rule,
                explanation.period,
                around(alerts[alert_id], configuration.regions),
                Surroundings.told_by(explanation),
            )
            for alert_id, explanation in explanations
        ],
        first_pause=_FIRST_PAUSE,
        longest_pause=_LONGEST_PAUSE,
        keep=_KEEP,
    )
    # Last, since it holds up everybody else who changes alerts.
    await append_many(
        connection,
        [(alert_id, Explained(explanation=explanation)) for alert_id, explanation in explanations],
    )
    return {alert_id: alert.version for alert_id, alert in alerts.items()}


async def _explain_each(
    connection: AsyncConnection,
    alerts: Sequence[Alert],
    give_up: _GiveUp,
    configuration: Configuration,
    now: datetime,
) -> list[tuple[int, Explanation]]:
    """Explain alerts, together where possible.

    Parameters
    ----------
    give_up
        Called with the id of an alert that cannot be explained, and the reason.
    """
    try:
        async with connection.transaction():
            explanations = await explain(connection, alerts, configuration, now)
    except (psycopg.OperationalError, psycopg.InterfaceError):
        raise
    except Exception as error:
        if connection.closed:
            raise  # the server has ended the session: nothing more can be done in it
        if len(alerts) == 1:
            alert_id = alerts[0].alert_id
            log.exception("Alert %s cannot be explained.", alert_id)
            await give_up(alert_id, describe(error))
            return []
        half = len(alerts) // 2
        return [
            *await _explain_each(connection, alerts[:half], give_up, configuration, now),
            *await _explain_each(connection, alerts[half:], give_up, configuration, now),
        ]
    return [
        (alert.alert_id, explanation)
        for alert, explanation in zip(alerts, explanations, strict=True)
    ]
