"""The loop that judges what changed.

Ingest writes a row to `pending_judgements` with every count that it changes, in the same
transaction. A judge takes rows with SKIP LOCKED, judges, and deletes them together with writing
verdicts and alerts: a judge that dies leaves the rows to the next one, and a change is never
forgotten. Any number of workers may judge. A judge reads counts after it took the rows, so it sees
at least the change that each row announced; verdicts that saw older data never replace newer ones.

What an import or a repair changed waits in `pending_spans`, one row per series, and is judged in
portions of about a second when no live change waits: the latest days first, each portion in one
transaction with its rows. A judge that dies repeats one portion.

A rule in a region that raises an error is set aside in `judging_quarantine`, and retried with a
growing delay; everything else is judged in the same transaction.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from datetime import date, timedelta
from typing import TYPE_CHECKING

import psycopg
from psycopg_pool import PoolClosed

from streams.judging.one_look import judge_work
from streams.judging.spans import Span, add_span
from streams.judging.work import plan_history, plan_work
from streams.portions import next_portion
from streams.store.held_updates import release_updates
from streams.store.judging_runs import HISTORY, WHOLE
from streams.store.limits import hold_briefly
from streams.store.pending import pend_days, take_changes, take_spans
from streams.store.quarantine import read_quarantined, retry_all
from streams.store.verdicts import begin_look

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from datetime import datetime

    from psycopg_pool import AsyncConnectionPool

    from streams.config import Configuration

__all__ = ["JudgingLoop", "judge_history", "judge_pending"]

log = logging.getLogger(__name__)

_AFTER_FAILURE_SECONDS = 10.0
#: Rest after judging, in parts of the time that it took.
_REST = 4
#: Most rows taken at once; the rest waits for the next look or another worker.
_TAKEN_AT_ONCE = 20_000
#: Series of the first portion of history after a start: some detectors take a second for one.
_FIRST_PORTION = 1


class JudgingLoop:
    """Judges soon after each commit, at most once in every interval.

    Parameters
    ----------
    changed
        Called when alerts have changed.
    rest
        Called with the seconds for which to leave the processors to the commits; it may return
        sooner when there are none.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool,
        configuration: Configuration,
        interval: float,
        *,
        changed: Callable[[], None] = lambda: None,
        rest: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._rest = rest
        self._pool = pool
        self._configuration = configuration
        self._interval = interval
        self._alerts_changed = changed
        self._changed = asyncio.Event()
        self._starting = True
        self._portion = _FIRST_PORTION
        #: Spans at the head of history that could not be judged alone.
        self._skip = 0
        self._history_rests: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """Tell that counts have changed."""
        self._changed.set()

    async def run(self) -> None:
        """Judge until the pool is closed; the database being away only delays."""
        try:
            while True:
                began = time.monotonic()
                taken = await self._judge_live()
                if taken is not None and taken >= _TAKEN_AT_ONCE:
                    continue
                # Under a flood the same series change again and again: judging leaves most of the
                # time to counting.
                rest = _REST * (time.monotonic() - began)
                if taken is None or not await self._judge_portion():
                    await self._pause(rest)
        except PoolClosed:
            return
        finally:
            if self._history_rests is not None:
                self._history_rests.cancel()

    async def _judge_live(self) -> int | None:
        """Return the rows taken; None after a failure."""
        try:
            async with self._pool.connection() as connection:
                if self._starting:
                    await retry_all(connection)
                await release_updates(connection)
            self._starting = False
            return await judge_pending(
                self._pool, self._configuration, changed=self._alerts_changed
            )
        except PoolClosed:
            raise
        except psycopg.OperationalError as error:
            log.warning("Judging waits for the database: %s", error)
        except Exception:
            # What is wrong with single series is dealt with below. This must not stop the counting
            # either; the series stay pending, which makes the worker unhealthy.
            log.exception("Judging failed; the changed series wait")
            await asyncio.sleep(_AFTER_FAILURE_SECONDS)
        return None

    async def _judge_portion(self) -> bool:
        """Judge some history unless it rests; return whether there may be more of it.

        Its rest ends with the commits in flight, and live changes are looked at meanwhile.
        """
        if self._history_rests is not None and not self._history_rests.done():
            return False
        began = time.monotonic()
        try:
            judged = await judge_history(
                self._pool,
                self._configuration,
                self._portion,
                skip=self._skip,
                changed=self._alerts_changed,
            )
        except PoolClosed:
            raise
        except Exception as error:
            if isinstance(error, psycopg.OperationalError):
                log.warning("Judging of history waits for the database: %s", error)
            else:
                log.exception("Judging of history failed; it waits, live changes go on")
                # Nothing that one span does may keep the others waiting.
                self._skip += self._portion == 1
            self._portion = 1
            self._history_rests = asyncio.ensure_future(asyncio.sleep(_AFTER_FAILURE_SECONDS))
            return False
        if not judged:
            self._skip = 0
            return False
        seconds = time.monotonic() - began
        self._portion = next_portion(judged, seconds)
        self._history_rests = asyncio.ensure_future(self._rest(_REST * seconds))
        await asyncio.wait([self._history_rests], timeout=self._interval)
        return True

    async def _pause(self, seconds: float) -> None:
        # Other workers' commits and a dead judge's leavings are found without being woken.
        self._changed.clear()
        await asyncio.sleep(self._interval)
        if seconds > self._interval:
            await self._rest(seconds - self._interval)
        try:
            await asyncio.wait_for(self._changed.wait(), timeout=self._interval)
        except TimeoutError:
            return


async def judge_pending(
    pool: AsyncConnectionPool,
    configuration: Configuration,
    *,
    changed: Callable[[], None] = lambda: None,
) -> int:
    """Judge the series that changed live, in one transaction.

    Where more waits than one look takes, days of which nobody is told at once
    (`alerts.announce_within_days`) are left to `judge_history`.

    Parameters
    ----------
    changed
        Called after it, when alerts have changed.

    Returns
    -------
    int
        Rows taken from `pending_judgements`.
    """
    async with pool.connection() as connection, connection.transaction():
        await hold_briefly(connection)
        days = await take_changes(connection, _TAKEN_AT_ONCE)
        taken = sum(one.rows for one in days)
        quarantined = await read_quarantined(connection)
        look = await begin_look(connection)
        old = []
        if taken >= _TAKEN_AT_ONCE:
            recent_from = _recent_from(configuration, look.as_of)
            old = [one for one in days if one.day < recent_from]
            days = [one for one in days if one.day >= recent_from]
            await pend_days(connection, old)
        spans = _spans((one.signal, one.region, Span(one.day, one.day)) for one in days)
        work = plan_work(spans, quarantined, configuration, look.as_of)
        if not any(work) and not old:
            return taken
        # Also where all was old: it tells that the queue moves on.
        alerts = await judge_work(
            connection, work, configuration, look=look, taken=taken, queue=WHOLE
        )
    if alerts:
        changed()
    return taken


async def judge_history(
    pool: AsyncConnectionPool,
    configuration: Configuration,
    most: int,
    *,
    skip: int = 0,
    changed: Callable[[], None] = lambda: None,
) -> int:
    """Judge a portion of what imports and repairs changed, in one transaction.

    Parameters
    ----------
    most
        Rows to take from `pending_spans`, one per series and span.
    skip
        Rows at its head to leave.
    changed
        Called after it, when alerts have changed.

    Returns
    -------
    int
        Rows taken.
    """
    async with pool.connection() as connection, connection.transaction():
        await hold_briefly(connection)
        found = await take_spans(connection, most, skip=skip)
        if not found:
            return 0
        quarantined = await read_quarantined(connection)
        look = await begin_look(connection)
        spans = _spans((one.signal, one.region, Span(one.first_day, one.last_day)) for one in found)
        work = plan_history(spans, quarantined, configuration, look.as_of)
        # Also where there is nothing to judge: it tells that history moves on.
        alerts = await judge_work(
            connection, work, configuration, look=look, taken=len(found), queue=HISTORY
        )
    if alerts:
        changed()
    return len(found)


def _spans(changed: Iterable[tuple[str, str, Span]]) -> dict[str, dict[str, Span]]:
    """Return the changed days by signal and region."""
    spans: dict[str, dict[str, Span]] = defaultdict(dict)
    for signal, region, span in changed:
        add_span(spans[signal], region, span)
    return spans


def _recent_from(configuration: Configuration, at: datetime) -> date:
    """Return the first day of what is announced at once."""
    within = configuration.surveillance.alerts.announce_within_days
    if within is None:
        return date.min
    return at.astimezone(configuration.surveillance.zone).date() - timedelta(days=within)
