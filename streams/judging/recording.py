"""Writing verdicts and the changes of alerts; series that cannot be stored are left out."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from streams.alerts.raising import Judged, raise_alerts
from streams.judging.isolating import isolate
from streams.store.verdicts import store_verdicts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from psycopg import AsyncConnection

    from schemas.alerts import Alert
    from streams.config import Configuration
    from streams.store.verdicts import JudgedSeries, Look

__all__ = ["Recorded", "record_judged"]


class Recorded(NamedTuple):
    """What was written, and what was not."""

    alerts: list[Alert]
    failed: list[tuple[str, str, Exception]]
    """Rule, region and error."""


class _Part(NamedTuple):
    """Verdicts of one rule in one region."""

    name: str
    series: JudgedSeries


async def record_judged(
    connection: AsyncConnection,
    judged: Sequence[Judged],
    configuration: Configuration,
    *,
    look: Look,
) -> Recorded:
    """Write verdicts and change alerts, in savepoints of the caller's transaction.

    The rules of one signal and region share alerts. They are written together; where that fails,
    each of them alone.
    """

    async def write(groups: Iterable[Sequence[_Part]]) -> list[Alert]:
        parts = defaultdict(list)
        for group in groups:
            for part in group:
                parts[part.name].append(part.series)
        ordered = [Judged(one.name, one.rule, parts[one.name]) for one in judged]
        async with connection.transaction():
            return await _write(
                connection, [one for one in ordered if one.series], configuration, look
            )

    async def write_parts(parts: Sequence[_Part]) -> list[Alert]:
        return await write([parts])

    together: dict[tuple[str, str], list[_Part]] = defaultdict(list)
    for one in judged:
        for series in one.series:
            together[one.rule.signal, series.region].append(_Part(one.name, series))
    done = await isolate(list(together.values()), write)
    recorded = Recorded([alert for group in done.results for alert in group], [])
    for parts, _ in done.failed:
        alone = await isolate(parts, write_parts)
        recorded.alerts.extend(alert for group in alone.results for alert in group)
        recorded.failed.extend((part.name, part.series.region, err) for part, err in alone.failed)
    return recorded


async def _write(
    connection: AsyncConnection,
    judged: Sequence[Judged],
    configuration: Configuration,
    look: Look,
) -> list[Alert]:
    version = configuration.version
    for name, _, series in judged:
        await store_verdicts(connection, name, series, look=look, config_version=version)
    today = look.as_of.astimezone(configuration.surveillance.zone).date()
    within = configuration.surveillance.alerts.announce_within_days
    return await raise_alerts(
        connection,
        judged,
        configuration.surveillance.rules,
        configuration.regions,
        as_of=look.as_of,
        config_version=version,
        today=today,
        recent_from=None if within is None else today - timedelta(days=within),
        update_every=timedelta(seconds=configuration.surveillance.alerts.update_seconds),
        worsening=configuration.surveillance.alerts.worsening,
    )
