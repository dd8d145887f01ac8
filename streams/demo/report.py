"""What the demo shows at its end: first alerts and pictures, read from the database."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from streams.demo import taiwan
from streams.demo.pictures import CountySeries, draw_counties, draw_timeline
from streams.epi_weeks import week_label

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

    from streams.config import Configuration

__all__ = ["draw", "first_alerts"]

#: Where the pictures begin: far enough back to show the season before.
_DRAWN_FROM: Final = date(2009, 3, 2)


def first_alerts(
    connection: psycopg.Connection, configuration: Configuration, *, rule: str
) -> list[dict[str, Any]]:
    """Return the first alert of each region under a rule, earliest first."""
    system = configuration.surveillance.epi_week
    rows = connection.execute(
        "SELECT DISTINCT ON (a.region) a.region, r.name_zh, r.name_en, a.first_period, v.observed, "
        "v.expected, v.upper FROM alerts a JOIN regions r ON r.code = a.region "
        "JOIN verdicts v ON v.rule = a.rule AND v.region = a.region AND v.period = a.first_period "
        "WHERE a.rule = %s ORDER BY a.region, a.first_period",
        (rule,),
    ).fetchall()
    names = ("region", "name_zh", "name_en", "week", "observed", "expected", "upper")
    alerts = [dict(zip(names, row, strict=True)) for row in rows]
    alerts.sort(key=lambda alert: (alert["week"], -alert["observed"]))
    return [alert | {"week": week_label(alert["week"], system)} for alert in alerts]


def draw(connection: psycopg.Connection, configuration: Configuration, output: Path) -> list[Path]:
    """Draw the largest counties and the timeline of all."""
    rule = "ili-county-week"
    method = configuration.detectors[rule].model_dump()["method"]  # type: ignore[attr-defined]
    series = _read_series(connection, rule)
    source = f"Data: {taiwan.ATTRIBUTION}"
    subtitle = (
        f"Weekly emergency visits for influenza-like illness, Taiwan 2009; EARS {method} judged "
        "each county's week against its own past weeks"
    )
    return [
        *draw_counties(
            series,
            output / "counties",
            title="The 2009 influenza pandemic in the six largest counties",
            subtitle=subtitle,
            unit="visits",
            source=source,
        ),
        *draw_timeline(
            [_judged(one) for one in series],
            output / "timeline",
            title="When each county raised its first alert",
            subtitle=subtitle,
            source=source,
        ),
    ]


def _judged(series: CountySeries) -> CountySeries:
    """Leave out the weeks before judging began, but for two that show where it begins."""
    first = max(int(np.argmax(np.isfinite(series.upper))) - 2, 0)
    return CountySeries(
        name_zh=series.name_zh,
        name_en=series.name_en,
        periods=series.periods[first:],
        observed=series.observed[first:],
        expected=series.expected[first:],
        upper=series.upper[first:],
        alarms=series.alarms[first:],
    )


def _read_series(connection: psycopg.Connection, rule: str) -> list[CountySeries]:
    rows = connection.execute(
        "SELECT r.name_zh, r.name_en, c.week, c.value::float8, v.expected, v.upper, "
        "coalesce(v.alarm, false) "
        "FROM (SELECT region, week, sum(value) AS value FROM level_counts_by_week "
        "WHERE signal = 'ili' AND level = 'county' AND week >= %s GROUP BY 1, 2) c "
        "JOIN regions r ON r.code = c.region "
        "LEFT JOIN verdicts v ON v.rule = %s AND v.region = c.region AND v.period = c.week "
        "ORDER BY r.code, c.week",
        (_DRAWN_FROM, rule),
    ).fetchall()
    by_region: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
    for zh, en, *values in rows:
        by_region.setdefault((zh, en), []).append(tuple(values))
    return [_series(zh, en, values) for (zh, en), values in by_region.items()]


def _series(zh: str, en: str, rows: list[tuple[Any, ...]]) -> CountySeries:
    weeks, observed, expected, upper, alarms = zip(*rows, strict=True)
    numbers = [np.array([np.nan if v is None else v for v in c]) for c in (expected, upper)]
    return CountySeries(
        name_zh=zh,
        name_en=en,
        periods=list(weeks),
        observed=np.array(observed, dtype=np.float64),
        expected=numbers[0],
        upper=numbers[1],
        alarms=np.array(alarms, dtype=np.bool_),
    )
