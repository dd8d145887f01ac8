"""The loop that judges what changed.

Ingest writes a row to `pending_judgements` with every count that it changes, in the same
transaction. A judge takes rows with SKIP LOCKED, judges, and deletes them together with writing
verdicts and alerts: a judge that dies leaves the rows to the next one, and a change is never
forgotten. Any number of workers may judge. A judge reads counts after it took the rows, so it sees
at least the change that each row announced; verdicts that saw older data never replace newer ones.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import psycopg
from psycopg_pool import PoolClosed

from detectors.contract import Panel
from streams.alerts.raising import Judged, raise_alerts
from streams.judging.periods import period_of, periods_between, step_days
from streams.store.held_updates import release_updates
from streams.store.judging_runs import JudgingRun, note_judging
from streams.store.limits import HOLD_BRIEFLY, keep_alive
from streams.store.locks import JUDGING, TAKE
from streams.store.panels import read_extent, read_panel
from streams.store.verdicts import JudgedSeries, store_verdicts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from psycopg import AsyncConnection
    from psycopg_pool import AsyncConnectionPool

    from schemas.config import Rule
    from streams.config import Configuration
    from streams.store.panels import Extent

__all__ = ["JudgingLoop", "judge_pending"]

log = logging.getLogger(__name__)

_AFTER_FAILURE_SECONDS = 10.0
#: Rest after judging, in parts of the time that it took.
_REST = 4
#: Most rows taken at once; the rest waits for the next look or another worker.
_TAKEN_AT_ONCE = 20_000


class Span(NamedTuple):
    """First and last day on which a series changed."""

    first: date
    last: date

    def union(self, other: Span) -> Span:
        """Return the span that covers both."""
        return Span(min(self.first, other.first), max(self.last, other.last))


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
        while True:
            began = time.monotonic()
            try:
                async with self._pool.connection() as connection:
                    await release_updates(connection)
                more = await judge_pending(
                    self._pool, self._configuration, changed=self._alerts_changed
                )
            except PoolClosed:
                return
            except psycopg.OperationalError as error:
                log.warning("Judging waits for the database: %s", error)
                more = 0
            except Exception:
                # A detector's fault must not stop the counting. The series stay pending, which
                # `fenghuo status` shows, and are tried again.
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
        if not spans:
            return taken
        as_of = await _database_time(connection)
        rules = {
            name: rule
            for name, rule in configuration.surveillance.rules.items()
            if rule.signal in spans
        }
        extents = {
            signal: await read_extent(connection, signal)
            for signal in {rule.signal for rule in rules.values()}
        }
        runs: list[JudgingRun] = []
        judgements: list[Judged] = []
        for name, rule in rules.items():
            began = time.monotonic()
            found = await _judge_rule(
                connection,
                name,
                spans[rule.signal],
                extent=extents[rule.signal],
                configuration=configuration,
            )
            judgements.append(Judged(name, rule, found))
            periods = sum(len(series.periods) for series in found)
            runs.append(JudgingRun(name, periods, time.monotonic() - began))
        # The numbers of an alert come from all verdicts of its series, those included that another
        # judge is about to write: only one writes at a time.
        await connection.execute(HOLD_BRIEFLY)
        await connection.execute(TAKE, (JUDGING,))
        await note_judging(connection, runs, taken)
        version = configuration.version
        for name, _, judged in judgements:
            await store_verdicts(connection, name, judged, as_of=as_of, config_version=version)
        alerts = await raise_alerts(
            connection,
            judgements,
            configuration.surveillance.rules,
            as_of=as_of,
            config_version=version,
            update_every=timedelta(seconds=configuration.surveillance.alerts.update_seconds),
        )
    if alerts:
        changed()
    return taken


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


def _affected(
    rule: Rule, changed: Mapping[str, Span], configuration: Configuration
) -> dict[str, Span]:
    """Lift the changed series to the rule's level."""
    spans: dict[str, Span] = {}
    for code, span in changed.items():
        region = configuration.regions.parent_at(code, rule.level)
        if region is not None:
            known = spans.get(region.code)
            spans[region.code] = span if known is None else known.union(span)
    return spans


async def _judge_rule(
    connection: AsyncConnection,
    name: str,
    changed: Mapping[str, Span],
    *,
    extent: Extent | None,
    configuration: Configuration,
) -> list[JudgedSeries]:
    rule = configuration.surveillance.rules[name]
    spans = _affected(rule, changed, configuration)
    if extent is None:
        return []
    detector = configuration.detectors[name]
    system = configuration.surveillance.epi_week
    step = timedelta(days=step_days(rule.grain))
    lookback = detector.lookback(rule.grain)
    ranges = {
        region: reached
        for region, span in spans.items()
        if (reached := _judged_range(span, rule, lookback, extent, configuration)).first
        <= reached.last
    }
    if not ranges:
        return []
    first = min(span.first for span in ranges.values())
    last = max(span.last for span in ranges.values())
    regions = sorted(ranges)
    read_from = first - lookback * step
    counts = await read_panel(
        connection,
        signal=rule.signal,
        regions=regions,
        grain=rule.grain,
        first=read_from,
        last=last,
        extent=extent,
        epi_week=system,
    )
    periods = periods_between(read_from, last, rule.grain)
    panel = Panel(counts, dates=np.array(periods, dtype="datetime64[D]"), grain=rule.grain)
    judging = asyncio.to_thread(detector.judge, panel, slice(lookback, None))
    verdicts = await keep_alive(connection, judging)
    judged = periods[lookback:]
    return [
        JudgedSeries.select(
            region,
            periods=judged,
            judged=ranges[region],
            observed=counts[i, lookback:],
            verdicts=verdicts,
            row=i,
            min_cases=rule.min_cases,
        )
        for i, region in enumerate(regions)
    ]


def _judged_range(
    span: Span, rule: Rule, lookback: int, extent: Extent, configuration: Configuration
) -> Span:
    """Return the periods whose verdicts a change can alter, as far as data reach."""
    system = configuration.surveillance.epi_week
    reach = lookback * step_days(rule.grain) + (6 if rule.grain == "rolling7" else 0)
    # Imported history is baseline: alerts are about the time since events flow.
    first = period_of(max(span.first, extent.counted_from), rule.grain, system)
    last = period_of(min(span.last + timedelta(days=reach), extent.last), rule.grain, system)
    return Span(first, last)
