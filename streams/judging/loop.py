"""The loop that judges what changed.

Ingest writes a row to `pending_judgements` with every count that it changes, in the same
transaction. A judge takes rows with SKIP LOCKED, judges, and deletes them together with writing
verdicts and alerts: a judge that dies leaves the rows to the next one, and a change is never
forgotten. Any number of workers may judge. A judge reads counts after it took the rows, so it sees
at least the change that each row announced; verdicts that saw older data never replace newer ones.

A rule in a region that raises an error is set aside in `judging_quarantine`, and retried with a
growing delay; everything else is judged in the same transaction.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import psycopg
from psycopg_pool import PoolClosed

from streams.alerts.raising import Judged
from streams.judging.judging import judge_rule
from streams.judging.recording import record_judged
from streams.judging.spans import Span
from streams.judging.work import failure, plan_work
from streams.store.held_updates import release_updates
from streams.store.judging_runs import JudgingRun, note_judging
from streams.store.locks import JUDGING, TAKE
from streams.store.panels import read_extent
from streams.store.quarantine import defer, quarantine, read_quarantined, release, retry_all

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from psycopg import AsyncConnection
    from psycopg_pool import AsyncConnectionPool

    from streams.config import Configuration
    from streams.judging.work import Work
    from streams.store.quarantine import Failure

__all__ = ["JudgingLoop", "judge_pending"]

log = logging.getLogger(__name__)

_AFTER_FAILURE_SECONDS = 10.0
#: Rest after judging, in parts of the time that it took.
_REST = 4
#: Most rows taken at once; the rest waits for the next look or another worker.
_TAKEN_AT_ONCE = 20_000


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

    def wake(self) -> None:
        """Tell that counts have changed."""
        self._changed.set()

    async def run(self) -> None:
        """Judge until the pool is closed; the database being away only delays."""
        starting = True
        while True:
            began = time.monotonic()
            try:
                async with self._pool.connection() as connection:
                    if starting:
                        await retry_all(connection)
                    await release_updates(connection)
                starting = False
                more = await judge_pending(
                    self._pool, self._configuration, changed=self._alerts_changed
                )
            except PoolClosed:
                return
            except psycopg.OperationalError as error:
                log.warning("Judging waits for the database: %s", error)
                more = 0
            except Exception:
                # What is wrong with single series is dealt with below. This must not stop the
                # counting either; the series stay pending, which makes the worker unhealthy.
                log.exception("Judging failed; the changed series wait")
                await asyncio.sleep(_AFTER_FAILURE_SECONDS)
                more = 0
            if more < _TAKEN_AT_ONCE:
                # Under a flood the same series change again and again: judging leaves most of the
                # time to counting.
                await self._pause(_REST * (time.monotonic() - began))

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
    """Judge the series that changed, in one transaction.

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
        taken, spans = await _take(connection)
        quarantined = await read_quarantined(connection)
        as_of = await _database_time(connection)
        work = plan_work(spans, quarantined, configuration, as_of)
        if not any(work):
            return taken
        judged = await _judge(connection, work, configuration)
        # The numbers of an alert come from all verdicts of its series, those included that another
        # judge is about to write: only one writes at a time.
        await connection.execute(TAKE, (JUDGING,))
        alerts, unstored = await record_judged(connection, judged.found, configuration, as_of=as_of)
        failed = [*work.failures, *judged.failed, *_failures(unstored, work, configuration)]
        await _set_aside(connection, work, failed)
        if judged.found or not failed:
            # After setting aside: health compares the times.
            await note_judging(connection, judged.runs, taken)
    if alerts:
        changed()
    return taken


class _RulesJudged(NamedTuple):
    found: list[Judged]
    failed: list[Failure]
    runs: list[JudgingRun]


async def _judge(
    connection: AsyncConnection, work: Work, configuration: Configuration
) -> _RulesJudged:
    rules = configuration.surveillance.rules
    extents = {
        signal: await read_extent(connection, signal)
        for signal in {rules[name].signal for name in work.spans}
    }
    judged = _RulesJudged([], [], [])
    for name, spans in work.spans.items():
        rule = rules[name]
        began = time.monotonic()
        series, failed = await judge_rule(
            connection, name, spans, extent=extents[rule.signal], configuration=configuration
        )
        if series:
            judged.found.append(Judged(name, rule, series))
        judged.failed.extend(_failures([(name, *one) for one in failed], work, configuration))
        periods = sum(len(one.periods) for one in series)
        judged.runs.append(JudgingRun(name, periods, time.monotonic() - began))
    return judged


def _failures(
    failed: Sequence[tuple[str, str, Exception]], work: Work, configuration: Configuration
) -> list[Failure]:
    """Describe what failed, given as rule, region and error, and write it to the log."""
    rules = configuration.surveillance.rules
    errors: dict[tuple[str, type[Exception]], list[tuple[str, Exception]]] = defaultdict(list)
    for rule, region, error in failed:
        errors[rule, type(error)].append((region, error))
    for (rule, _), affected in errors.items():
        region, error = affected[0]
        log.error(
            "Rule %s cannot be judged in %d region(s), among them %s. They are set aside and "
            "retried later; the other series go on.",
            rule,
            len(affected),
            region,
            exc_info=error,
        )
    return [
        failure(rules[rule].signal, rule, region, work.spans[rule][region], error)
        for rule, region, error in failed
    ]


async def _set_aside(connection: AsyncConnection, work: Work, failed: Sequence[Failure]) -> None:
    keys = {(one.signal, one.rule, one.region) for one in failed}
    judged = [one for one in work.retried if (one.signal, one.rule, one.region) not in keys]
    for unknown in work.failures:
        log.error("A change of signal %s is set aside: %s", unknown.signal, unknown.reason)
    for one in judged:
        log.info("Rule %s in region %s is no longer set aside", one.rule, one.region)
    await release(connection, judged)
    await quarantine(connection, failed)
    await defer(connection, work.deferred)


async def _database_time(connection: AsyncConnection) -> datetime:
    """Return the time before which everything that is read from now on was known.

    The database's clock is one for all judges, so that the later look wins.
    """
    cursor = await connection.execute("SELECT clock_timestamp()")
    row = await cursor.fetchone()
    assert row is not None  # noqa: S101 - a query without FROM gives one row
    as_of: datetime = row[0]
    return as_of


async def _take(
    connection: AsyncConnection,
) -> tuple[int, dict[str, dict[str, Span]]]:
    cursor = await connection.execute(
        "WITH taken AS (DELETE FROM pending_judgements WHERE pending_id IN ("
        "SELECT pending_id FROM pending_judgements ORDER BY pending_id LIMIT %s "
        "FOR UPDATE SKIP LOCKED) RETURNING signal, region, day) "
        "SELECT signal, region, min(day), max(day), count(*) FROM taken GROUP BY 1, 2",
        (_TAKEN_AT_ONCE,),
    )
    changed: dict[str, dict[str, Span]] = defaultdict(dict)
    taken = 0
    for signal, region, first, last, count in await cursor.fetchall():
        changed[signal][region] = Span(first, last)
        taken += count
    return taken, changed
