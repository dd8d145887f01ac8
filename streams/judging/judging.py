"""Judging one rule: its panel is read, its detector called, its verdicts taken apart by region."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from detectors.contract import Panel
from detectors.reporting import reports_lookback
from streams.judging.isolating import isolate
from streams.judging.lower_bounds import judge_panel
from streams.judging.periods import periods_between, step_days
from streams.judging.spans import judged_range
from streams.store.limits import keep_alive
from streams.store.panels import read_counts
from streams.store.verdicts import JudgedSeries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from psycopg import AsyncConnection

    from streams.config import Configuration
    from streams.judging.spans import Span
    from streams.store.panels import Extent

__all__ = ["RuleJudged", "judge_rule"]

log = logging.getLogger(__name__)


class RuleJudged(NamedTuple):
    """A rule's verdicts, and the regions that could not be judged."""

    series: list[JudgedSeries]
    failed: list[tuple[str, Exception]]


async def judge_rule(
    connection: AsyncConnection,
    name: str,
    spans: Mapping[str, Span],
    *,
    extent: Extent | None,
    configuration: Configuration,
) -> RuleJudged:
    """Judge a rule for regions of its level.

    A region that raises an error, be it in the database, the detector or its verdicts, does not
    keep the others from being judged.

    Parameters
    ----------
    spans
        The days that changed, by region.
    extent
        Of the signal's live counts; None: there are none, and nothing is judged.
    """
    if extent is None:
        return RuleJudged([], [])
    live = extent

    async def attempt(regions: Sequence[str]) -> list[JudgedSeries]:
        # A savepoint: counts that cannot be read must not end the transaction.
        async with connection.transaction():
            wanted = {region: spans[region] for region in regions}
            return await _judge(connection, name, wanted, live, configuration)

    found = await isolate(sorted(spans), attempt)
    return RuleJudged([series for group in found.results for series in group], found.failed)


async def _judge(
    connection: AsyncConnection,
    name: str,
    spans: Mapping[str, Span],
    extent: Extent,
    configuration: Configuration,
) -> list[JudgedSeries]:
    rule = configuration.surveillance.rules[name]
    detector = configuration.detectors[name]
    system = configuration.surveillance.epi_week
    lookback = reports_lookback(detector, rule.grain)
    ranges = {
        region: reached
        for region, span in spans.items()
        if (reached := judged_range(span, rule, lookback, extent, system)).first <= reached.last
    }
    if not ranges:
        return []
    first = min(span.first for span in ranges.values())
    last = max(span.last for span in ranges.values())
    regions = sorted(ranges)
    read_from = first - lookback * timedelta(days=step_days(rule.grain))
    counts, at_least = await read_counts(
        connection,
        signal=rule.signal,
        regions=regions,
        grain=rule.grain,
        first=read_from,
        last=last,
        extent=extent,
        epi_week=system,
    )
    _leave_out_negative(counts, name, regions)
    _leave_out_negative(at_least, name, regions)
    periods = periods_between(read_from, last, rule.grain)
    panel = Panel(counts, dates=np.array(periods, dtype="datetime64[D]"), grain=rule.grain)
    judged = periods[lookback:]
    spans_judged = [ranges[region] for region in regions]
    wanted = np.array(
        [[first <= period <= last for period in judged] for first, last in spans_judged]
    )
    judging = asyncio.to_thread(
        judge_panel,
        detector,
        panel,
        lookback,
        at_least=at_least,
        wanted=wanted,
        min_cases=rule.min_cases,
    )
    found = await keep_alive(connection, judging)
    return [
        JudgedSeries.select(
            region,
            periods=judged,
            kept=wanted[i],
            found=found,
            at_least=at_least[i, lookback:],
            row=i,
            min_cases=rule.min_cases,
        )
        for i, region in enumerate(regions)
    ]


def _leave_out_negative(counts: NDArray[np.float64], rule: str, regions: Sequence[str]) -> None:
    """Take negative counts as missing: one of them must not silence its series for years."""
    wrong: NDArray[np.bool_] = counts < 0
    if wrong.any():
        counts[wrong] = np.nan
        named = [region for i, region in enumerate(regions) if wrong[i].any()]
        log.warning(
            "Rule %s: negative counts are taken as missing in %s. Compare the counts with a "
            "recount of the events.",
            rule,
            ", ".join(named[:5]),
        )
