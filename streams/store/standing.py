"""What a judge reads before it changes alerts: those that stand, and what their verdicts say."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg.rows import class_row

from schemas.alerts import Alert, Figures
from streams.alerts.detecting import Former, Found

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import date

    from psycopg import AsyncConnection

__all__ = [
    "Key",
    "Look",
    "find",
    "new_ids",
    "read_exceedances",
    "read_formers",
    "read_noted",
    "read_open",
]


class Key(NamedTuple):
    """A rule in a region."""

    rule: str
    region: str


class Look(NamedTuple):
    """Which verdicts an alert's numbers come from."""

    key: Key
    since: date
    """First period of the alert."""
    alert_id: int | None
    """None for one that is not open yet."""
    reported: date
    """The period that the alert reported so far."""
    ended_after: int
    """Number of periods after the latest exceedance that matter."""


async def read_open(
    connection: AsyncConnection, series: Collection[tuple[str, str]]
) -> dict[tuple[str, str], list[Alert]]:
    """Return the open alerts of signals in regions, under whatever rule."""
    wanted = sorted(series)
    async with connection.cursor(row_factory=class_row(Alert)) as cursor:
        await cursor.execute(
            "SELECT a.* FROM alerts a JOIN unnest(%s::text[], %s::text[]) AS k(signal, region) "
            "USING (signal, region) WHERE a.status NOT IN ('discarded', 'closed', 'merged') "
            "ORDER BY a.alert_id",
            ([signal for signal, _ in wanted], [region for _, region in wanted]),
        )
        found: dict[tuple[str, str], list[Alert]] = defaultdict(list)
        for alert in await cursor.fetchall():
            found[alert.signal, alert.region].append(alert)
        return found


async def read_formers(
    connection: AsyncConnection, keys: Mapping[Key, str]
) -> dict[Key, list[Former]]:
    """Return the alerts that were closed, discarded or merged, by the order of their ids.

    Parameters
    ----------
    keys
        Signal of each rule and region.
    """
    wanted = sorted(keys)
    cursor = await connection.execute(
        _FORMERS,
        (
            [key.rule for key in wanted],
            [key.region for key in wanted],
            [keys[key] for key in wanted],
        ),
    )
    found: dict[Key, list[Former]] = defaultdict(list)
    for rule, region, *former in await cursor.fetchall():
        found[Key(rule, region)].append(Former(*former))
    return found


async def read_noted(connection: AsyncConnection, ids: Collection[int]) -> set[tuple[int, date]]:
    """Return the suppressed periods that are noted on alerts."""
    if not ids:
        return set()
    cursor = await connection.execute(
        "SELECT alert_id, (change -> 'figures' ->> 'period')::date FROM alert_events "
        "WHERE alert_id = ANY(%s) AND kind = 'suppressed'",
        (sorted(ids),),
    )
    return {(alert_id, period) for alert_id, period in await cursor.fetchall()}


async def read_exceedances(
    connection: AsyncConnection, ranges: Mapping[Key, tuple[date, date]]
) -> dict[Key, list[Figures]]:
    """Return the exceedances in ranges of periods, in order."""
    wanted = sorted(ranges)
    cursor = await connection.execute(
        "SELECT rule, region, v.period, v.observed, v.expected, v.upper, v.score, v.p_value "
        "FROM unnest(%s::text[], %s::text[], %s::date[], %s::date[]) "
        "AS k(rule, region, first, last) JOIN verdicts v USING (rule, region) "
        "WHERE v.alarm AND v.period BETWEEN k.first AND k.last ORDER BY 1, 2, 3",
        (
            [key.rule for key in wanted],
            [key.region for key in wanted],
            [ranges[key][0] for key in wanted],
            [ranges[key][1] for key in wanted],
        ),
    )
    found: dict[Key, list[Figures]] = defaultdict(list)
    for rule, region, *numbers in await cursor.fetchall():
        found[Key(rule, region)].append(_figures(numbers))
    return found


async def find(connection: AsyncConnection, looks: Sequence[Look]) -> dict[Key, Found]:
    """Return what the verdicts say about alerts."""
    cursor = await connection.execute(
        _FIND,
        (
            [look.key.rule for look in looks],
            [look.key.region for look in looks],
            [look.since for look in looks],
            [look.alert_id for look in looks],
            [look.reported for look in looks],
            [look.ended_after for look in looks],
        ),
    )
    return {
        Key(rule, region): Found(
            exceedances,
            first,
            peak,
            _figures(numbers[:6]) if exceedances else None,
            quiet,
            quiet_since,
            _figures(numbers[6:]) if numbers[7] is not None else None,
        )
        for rule, region, exceedances, first, peak, quiet, quiet_since, *numbers in (
            await cursor.fetchall()
        )
    }


async def new_ids(connection: AsyncConnection, count: int) -> list[int]:
    """Return ids for alerts to open."""
    cursor = await connection.execute(
        "SELECT nextval(pg_get_serial_sequence('alerts', 'alert_id')) FROM generate_series(1, %s)",
        (count,),
    )
    return sorted(row[0] for row in await cursor.fetchall())


def _figures(numbers: Iterable[Any]) -> Figures:
    period, observed, expected, upper, score, p_value = numbers
    return Figures(
        period=period,
        observed=observed,
        expected=expected,
        upper=upper,
        score=score,
        p_value=p_value,
    )


# What was merged lives on in the alert at the end of the chain. Its days count for a day's rule to
# the end of the week that a week's alert knew of.
_FORMERS = """
WITH RECURSIVE chain AS (
    SELECT a.rule, a.region, a.alert_id, a.first_period, a.last_period,
           greatest(a.last_period, a.judged_to) AS covered_to, a.status, a.merged_into
    FROM unnest(%s::text[], %s::text[], %s::text[]) AS k(rule, region, signal)
    JOIN alerts a USING (signal, region, rule)
    WHERE a.status IN ('discarded', 'closed', 'merged')
    UNION ALL
    SELECT c.rule, c.region, c.alert_id, c.first_period, c.last_period,
           greatest(c.covered_to,
                    greatest(h.last_period, h.judged_to)
                    + CASE h.grain WHEN 'week' THEN 6 ELSE 0 END),
           h.status, h.merged_into
    FROM chain c JOIN alerts h ON h.alert_id = c.merged_into
)
SELECT rule, region, alert_id, first_period, last_period, covered_to,
       status NOT IN ('discarded', 'closed')
FROM chain WHERE merged_into IS NULL ORDER BY alert_id
"""

# An alert that was reopened leaves the periods of later ones to them.
_FIND = """
SELECT k.rule, k.region, x.exceedances, x.first_period, x.peak, q.quiet, q.quiet_since,
       x.last_period, l.observed, l.expected, l.upper, l.score, l.p_value,
       n.period, n.observed, n.expected, n.upper, n.score, n.p_value
FROM unnest(%s::text[], %s::text[], %s::date[], %s::bigint[], %s::date[], %s::int[])
    AS k(rule, region, since, alert_id, reported, ended_after)
LEFT JOIN LATERAL (
    SELECT o.alert_id, o.signal FROM alerts o
    WHERE o.alert_id = k.alert_id AND EXISTS (
        SELECT FROM alerts f WHERE f.signal = o.signal AND f.region = o.region
          AND f.rule = o.rule AND f.alert_id > o.alert_id)
) later ON true
CROSS JOIN LATERAL (
    SELECT count(*)::int AS exceedances, min(v.period) AS first_period,
           max(v.period) AS last_period, max(v.observed) AS peak
    FROM verdicts v
    WHERE v.rule = k.rule AND v.region = k.region AND v.alarm AND v.period >= k.since
      AND (later.alert_id IS NULL OR NOT EXISTS (
          SELECT FROM alerts f
          WHERE f.signal = later.signal AND f.region = k.region AND f.rule = k.rule
            AND f.alert_id > later.alert_id AND v.period BETWEEN f.first_period AND f.last_period))
) x
LEFT JOIN verdicts l ON l.rule = k.rule AND l.region = k.region AND l.period = x.last_period
LEFT JOIN verdicts n ON n.rule = k.rule AND n.region = k.region AND n.period = k.reported
CROSS JOIN LATERAL (
    SELECT count(*)::int AS quiet, min(y.period) AS quiet_since FROM (
        SELECT v.period FROM verdicts v
        WHERE v.rule = k.rule AND v.region = k.region AND v.period > x.last_period
          AND v.observed IS NOT NULL
          AND v.reason NOT IN ('insufficient_history', 'missing_observation')
        ORDER BY v.period LIMIT k.ended_after
    ) y
) q
"""
