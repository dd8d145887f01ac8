"""Alerts: opened once, then kept in step with the verdicts; and looking them up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from schemas.alerts import Alert

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import psycopg
    from psycopg import AsyncConnection

    from schemas.config import Rule
    from streams.store.verdicts import JudgedSeries

__all__ = ["get_alert", "list_alerts", "open_and_update"]


async def open_and_update(
    connection: AsyncConnection,
    name: str,
    rule: Rule,
    judged: Sequence[JudgedSeries],
    *,
    as_of: datetime,
    config_version: str,
) -> None:
    """Open an alert where there is an exceedance and none is open; bring open ones up to date.

    The caller holds the lock of `streams.judging.loop` under which verdicts are written, so that no
    other judge's verdicts come in between.

    An exceedance that belongs to an alert already closed does not open another one. The numbers of
    an open alert are always those of its verdicts, so a late or corrected count changes them.
    """
    regions = sorted(series.region for series in judged)
    exceeded = sorted(
        (
            series.region,
            min(p for p, alarm in zip(series.periods, series.alarm, strict=True) if alarm),
        )
        for series in judged
        if series.alarm.any()
    )
    if exceeded:
        await connection.execute(
            _OPEN,
            {
                "rule": name,
                "signal": rule.signal,
                "grain": rule.grain,
                "severity": rule.severity,
                "detector": Jsonb(rule.detector),
                "version": config_version,
                "as_of": as_of,
                "regions": [region for region, _ in exceeded],
                "periods": [period for _, period in exceeded],
            },
        )
    await connection.execute(
        _UPDATE,
        {
            "rule": name,
            "signal": rule.signal,
            "detector": Jsonb(rule.detector),
            "version": config_version,
            "as_of": as_of,
            "regions": regions,
        },
    )


def list_alerts(connection: psycopg.Connection, *, limit: int = 100) -> list[Alert]:
    """Return alerts, newest first."""
    with connection.cursor(row_factory=class_row(Alert)) as cursor:
        return cursor.execute(
            "SELECT * FROM alerts ORDER BY opened_at DESC, alert_id DESC LIMIT %s", (limit,)
        ).fetchall()


def get_alert(connection: psycopg.Connection, alert_id: int) -> Alert | None:
    """Return one alert, or None without one of this id."""
    with connection.cursor(row_factory=class_row(Alert)) as cursor:
        return cursor.execute("SELECT * FROM alerts WHERE alert_id = %s", (alert_id,)).fetchone()


_OPEN = """
INSERT INTO alerts (severity, signal, region, rule, grain, first_period, last_period, exceedances,
                    observed, expected, upper, score, p_value, peak, detector, config_version,
                    as_of)
SELECT %(severity)s, %(signal)s, v.region, v.rule, %(grain)s, v.period, v.period, 1,
       v.observed, v.expected, v.upper, v.score, v.p_value, v.observed,
       %(detector)s, %(version)s, %(as_of)s
FROM unnest(%(regions)s::text[], %(periods)s::date[]) AS x(region, period)
JOIN verdicts v ON v.rule = %(rule)s AND v.region = x.region AND v.alarm AND v.period = (
    SELECT min(later.period) FROM verdicts later
    WHERE later.rule = %(rule)s AND later.region = x.region AND later.alarm
      AND later.period >= x.period
      AND later.period > coalesce((
          SELECT max(a.last_period) FROM alerts a
          WHERE a.signal = %(signal)s AND a.region = x.region AND a.rule = %(rule)s
            AND a.status IN ('discarded', 'closed')), '-infinity'))
ORDER BY v.region
ON CONFLICT (signal, region, rule) WHERE status NOT IN ('discarded', 'closed')
DO UPDATE SET first_period = least(alerts.first_period, EXCLUDED.first_period)
"""

# The latest exceedance gives the numbers; an alert whose exceedances are all gone keeps its last
# numbers, and `exceedances` is 0.
_UPDATE = """
UPDATE alerts a
SET first_period = coalesce(x.first_period, a.first_period),
    last_period = coalesce(x.last_period, a.last_period),
    exceedances = x.exceedances,
    peak = coalesce(x.peak, a.peak),
    observed = coalesce(v.observed, a.observed),
    expected = coalesce(v.expected, a.expected),
    upper = coalesce(v.upper, a.upper),
    score = coalesce(v.score, a.score),
    p_value = coalesce(v.p_value, a.p_value),
    detector = %(detector)s,
    config_version = %(version)s,
    as_of = greatest(a.as_of, %(as_of)s),
    updated_at = clock_timestamp()
FROM (
    SELECT o.alert_id, min(e.period) AS first_period, max(e.period) AS last_period,
           count(e.period) AS exceedances, max(e.observed) AS peak
    FROM alerts o
    LEFT JOIN verdicts e
        ON e.rule = o.rule AND e.region = o.region AND e.alarm AND e.period >= o.first_period
    WHERE o.signal = %(signal)s AND o.rule = %(rule)s AND o.region = ANY(%(regions)s)
      AND o.status NOT IN ('discarded', 'closed')
    GROUP BY 1
) x
LEFT JOIN LATERAL (
    SELECT e.* FROM verdicts e JOIN alerts o ON o.alert_id = x.alert_id
    WHERE e.rule = o.rule AND e.region = o.region AND e.period = x.last_period
) v ON true
WHERE a.alert_id = x.alert_id
"""
