"""Judging what one look took from a queue, inside the transaction that took it."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from streams.alerts.raising import Judged
from streams.judging.judging import judge_rule
from streams.judging.recording import record_judged
from streams.judging.work import failure
from streams.store.judging_runs import JudgingRun, note_judging
from streams.store.locks import JUDGING, TAKE
from streams.store.panels import read_extent
from streams.store.quarantine import defer, quarantine, release

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg import AsyncConnection

    from streams.config import Configuration
    from streams.judging.work import Work
    from streams.store.quarantine import Failure
    from streams.store.verdicts import Look

__all__ = ["judge_work"]

log = logging.getLogger(__name__)


async def judge_work(
    connection: AsyncConnection,
    work: Work,
    configuration: Configuration,
    *,
    look: Look,
    taken: int,
    queue: str,
) -> bool:
    """Judge, write verdicts and alerts, and set aside what fails; return whether alerts changed.

    Parameters
    ----------
    look
        Begun after the rows were taken and before any count was read.
    taken
        Rows that were taken from the queue.
    queue
        Which queue that was, as `note_judging` has it.
    """
    judged = await _judge(connection, work, configuration)
    # The numbers of an alert come from all verdicts of its series, those included that another
    # judge is about to write: only one writes at a time.
    await connection.execute(TAKE, (JUDGING,))
    alerts, unstored = await record_judged(connection, judged.found, configuration, look=look)
    failed = [*work.failures, *judged.failed, *_failures(unstored, work, configuration)]
    await _set_aside(connection, work, failed)
    if judged.found or not failed:
        # After setting aside: health compares the times.
        await note_judging(connection, judged.runs, taken, queue=queue)
    return bool(alerts)


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
