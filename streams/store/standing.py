"""What a judge reads before it changes alerts: those that stand, and what their verdicts say."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from psycopg.rows import class_row

from schemas.alerts import Alert, Figures
from streams.alerts.combining import Found
from streams.alerts.detecting import Former
from streams.alerts.worsening import FORGOTTEN_AFTER

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import date

    from psycopg import AsyncConnection

    from schemas.alerts import Severity
    from schemas.counts import Grain

__all__ = [
    "Key",
    "Look",
    "Relative",
    "find",
    "new_ids",
    "read_exceedances",
    "read_families",
    "read_formers",
    "read_heads",
    "read_noted",
    "read_open",
]


class Key(NamedTuple):
    """A rule in a region."""

    rule: str
    region: str


class Relative(NamedTuple):
    """An alert that was merged into another one, directly or by way of others."""

    head: int
    alert: Alert
    severity: Severity
    """As it was opened."""
    grain: Grain
    """Of its own rule when it was opened."""


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
    complete_to: date
    """Latest period that is over: one that still fills up is not quiet."""
    announced: date | None = None
    """The period that was announced last, if figures of this rule were."""


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


async def read_heads(connection: AsyncConnection, keys: Mapping[Key, str]) -> list[Alert]:
    """Return the open alerts into which alerts of rules and regions were merged.

    Parameters
    ----------
    keys
        Signal of each rule and region.
    """
    wanted = sorted(keys)
    async with connection.cursor(row_factory=class_row(Alert)) as cursor:
        await cursor.execute(
            _HEADS,
            (
                [key.rule for key in wanted],
                [key.region for key in wanted],
                [keys[key] for key in wanted],
            ),
        )
        return await cursor.fetchall()


async def read_families(
    connection: AsyncConnection, heads: Collection[int]
) -> dict[int, list[Relative]]:
    """Return each alert itself, first, and all that were merged into it, by their ids."""
    cursor = await connection.execute(_FAMILIES, (sorted(heads),))
    found = await cursor.fetchall()
    alerts = {}
    async with connection.cursor(row_factory=class_row(Alert)) as rows:
        await rows.execute(
            "SELECT * FROM alerts WHERE alert_id = ANY(%s)", (sorted({row[1] for row in found}),)
        )
        alerts = {alert.alert_id: alert for alert in await rows.fetchall()}
    families: dict[int, list[Relative]] = defaultdict(list)
    for head, alert_id, severity, grain in found:
        families[head].append(Relative(head, alerts[alert_id], severity, grain))
    return families


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
        "SELECT rule, region, v.period, v.observed, v.expected, v.upper, v.score, v.p_value, "
        "v.reason = 'incomplete' FROM unnest(%s::text[], %s::text[], %s::date[], %s::date[]) "
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


async def find(connection: AsyncConnection, looks: Sequence[Look]) -> list[Found]:
    """Return what the verdicts say about alerts, in the order of the looks."""
    cursor = await connection.execute(
        _FIND,
        (
            [look.key.rule for look in looks],
            [look.key.region for look in looks],
            [look.since for look in looks],
            [look.alert_id for look in looks],
            [look.reported for look in looks],
            [look.ended_after for look in looks],
            [look.complete_to for look in looks],
            [look.announced for look in looks],
            FORGOTTEN_AFTER,
        ),
    )
    return [
        Found(
            exceedances,
            first,
            peak,
            _figures(numbers[3:10]) if exceedances else None,
            quiet,
            quiet_since,
            _figures(numbers[10:]) if numbers[11] is not None else None,
            announced,
            recent,
            *numbers[:3],
        )
        for (
            exceedances,
            first,
            peak,
            quiet,
            quiet_since,
            announced,
            recent,
            *numbers,
        ) in await cursor.fetchall()
    ]


async def new_ids(connection: AsyncConnection, count: int) -> list[int]:
    """Return ids for alerts to open."""
    cursor = await connection.execute(
        "SELECT nextval(pg_get_serial_sequence('alerts', 'alert_id')) FROM generate_series(1, %s)",
        (count,),
    )
    return sorted(row[0] for row in await cursor.fetchall())


def _figures(numbers: Iterable[Any]) -> Figures:
    period, observed, expected, upper, score, p_value, incomplete = numbers
    return Figures(
        period=period,
        observed=observed,
        expected=expected,
        upper=upper,
        score=score,
        p_value=p_value,
        incomplete=incomplete,
    )


_HEADS = """
WITH RECURSIVE chain AS (
    SELECT a.alert_id, a.merged_into
    FROM unnest(%s::text[], %s::text[], %s::text[]) AS k(rule, region, signal)
    JOIN alerts a USING (signal, region, rule)
    WHERE a.status = 'merged'
    UNION
    SELECT h.alert_id, h.merged_into FROM chain c JOIN alerts h ON h.alert_id = c.merged_into
)
SELECT a.* FROM chain JOIN alerts a USING (alert_id)
WHERE a.status NOT IN ('discarded', 'closed', 'merged')
ORDER BY a.alert_id
"""

# Merging raises the severity of the alert that remains: each one's own is that of its first event.
_FAMILIES = """
WITH RECURSIVE family AS (
    SELECT a.alert_id AS head, a.alert_id, 0 AS depth
    FROM alerts a WHERE a.alert_id = ANY(%s)
    UNION ALL
    SELECT f.head, m.alert_id, f.depth + 1
    FROM family f JOIN alerts m ON m.merged_into = f.alert_id AND m.status = 'merged'
)
SELECT f.head, f.alert_id, e.change ->> 'severity', e.change ->> 'grain'
FROM family f JOIN alert_events e ON e.alert_id = f.alert_id AND e.seq = 1
ORDER BY f.head, least(f.depth, 1), f.alert_id
"""

# What was merged lives on in the alert at the end of the chain. Its days count for a day's rule to
# the end of the week that a week's alert knew of. The highest count is by day; a peak of another
# rule's numbers tells nothing of the alert's own, and corrections may have lowered it since.
_FORMERS = """
WITH RECURSIVE chain AS (
    SELECT a.rule, a.region, a.alert_id, a.own_first_period AS first_period,
           a.own_last_period AS last_period,
           greatest(a.own_last_period, a.judged_to) AS covered_to, a.status, a.merged_into,
           o.change ->> 'grain' AS own_grain,
           CASE WHEN a.leading_rule IS NULL THEN a.peak / CASE a.grain WHEN 'day' THEN 1 ELSE 7 END
                ELSE 'infinity' END AS high
    FROM unnest(%s::text[], %s::text[], %s::text[]) AS k(rule, region, signal)
    JOIN alerts a USING (signal, region, rule)
    JOIN alert_events o ON o.alert_id = a.alert_id AND o.seq = 1
    WHERE a.status IN ('discarded', 'closed', 'merged')
    UNION ALL
    SELECT c.rule, c.region, c.alert_id, c.first_period, c.last_period,
           greatest(c.covered_to,
                    greatest(h.own_last_period, h.judged_to)
                    + CASE e.change ->> 'grain' WHEN 'week' THEN 6 ELSE 0 END),
           h.status, h.merged_into, c.own_grain,
           greatest(c.high, h.peak / CASE h.grain WHEN 'day' THEN 1 ELSE 7 END)
    FROM chain c JOIN alerts h ON h.alert_id = c.merged_into
    JOIN alert_events e ON e.alert_id = h.alert_id AND e.seq = 1
)
SELECT c.rule, c.region, c.alert_id, c.first_period, c.last_period, c.covered_to,
       c.status NOT IN ('discarded', 'closed'), least(c.high, v.high)
FROM chain c
CROSS JOIN LATERAL (
    SELECT max(observed) / CASE c.own_grain WHEN 'day' THEN 1 ELSE 7 END AS high FROM verdicts
    WHERE rule = c.rule AND region = c.region
      AND period BETWEEN c.first_period AND c.last_period
) v
WHERE c.merged_into IS NULL ORDER BY c.alert_id
"""

# An alert that was reopened leaves the periods of later ones to them.
_FIND = """
SELECT x.exceedances, x.first_period, x.peak, q.quiet, q.quiet_since,
       s.observed, r.observed, q.observed, q.expected, q.begun,
       x.last_period, l.observed, l.expected, l.upper, l.score, l.p_value,
       l.reason = 'incomplete',
       n.period, n.observed, n.expected, n.upper, n.score, n.p_value,
       n.reason = 'incomplete'
FROM ROWS FROM (unnest(%s::text[], %s::text[], %s::date[], %s::bigint[], %s::date[], %s::int[],
                      %s::date[], %s::date[]))
    WITH ORDINALITY AS k(rule, region, since, alert_id, reported, ended_after, complete_to,
                         announced, place)
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
            AND f.alert_id > later.alert_id AND v.period >= f.own_first_period
            AND (v.period <= f.own_last_period
                 OR f.status NOT IN ('discarded', 'closed', 'merged'))))
) x
LEFT JOIN verdicts l ON l.rule = k.rule AND l.region = k.region AND l.period = x.last_period
LEFT JOIN verdicts n ON n.rule = k.rule AND n.region = k.region AND n.period = k.reported
LEFT JOIN verdicts s ON s.rule = k.rule AND s.region = k.region AND s.period = k.announced
CROSS JOIN LATERAL (
    SELECT max(v.observed) AS observed FROM verdicts v
    WHERE v.rule = k.rule AND v.region = k.region
      AND v.period < x.last_period AND v.period >= x.last_period - %s::interval
) r
CROSS JOIN LATERAL (
    SELECT count(*)::int AS quiet, min(y.period) AS quiet_since, avg(y.observed) AS observed,
           avg(y.expected) AS expected, avg(coalesce(b.expected, f.expected)) AS begun
    FROM (
        SELECT v.period, v.observed, v.expected FROM verdicts v
        WHERE v.rule = k.rule AND v.region = k.region AND v.period > x.last_period
          AND v.period <= k.complete_to
          AND v.observed IS NOT NULL
          AND v.reason NOT IN ('insufficient_history', 'missing_observation')
        ORDER BY v.period LIMIT k.ended_after
    ) y
    -- The same day of the week in the seven days up to the first exceedance.
    LEFT JOIN verdicts b ON b.rule = k.rule AND b.region = k.region
        AND b.period = x.first_period - mod(mod(x.first_period - y.period, 7) + 7, 7)
    LEFT JOIN verdicts f ON f.rule = k.rule AND f.region = k.region
        AND f.period = x.first_period
) q
ORDER BY k.place
"""
