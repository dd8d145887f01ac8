"""The curve of an alert: what was judged, and before that what was counted."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from streams.judging.periods import periods_between
from streams.store.panels import read_extent, read_panel

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from schemas.alerts import Alert
    from schemas.counts import Grain
    from streams.config import Configuration

__all__ = ["SeriesPoint", "read_series", "window"]

#: Periods shown before an alert's first and after its last one.
_BEFORE: Final[dict[Grain, int]] = {"day": 56, "rolling7": 56, "week": 52}
_AFTER: Final[dict[Grain, int]] = {"day": 28, "rolling7": 28, "week": 8}


class SeriesPoint(NamedTuple):
    """One period of a rule in a region."""

    period: date
    observed: float | None
    """As it was judged; where it was not, as it is counted. None: not counted."""
    expected: float | None = None
    upper: float | None = None
    p_value: float | None = None
    alarm: bool = False
    reason: str | None = None
    """Why there is or is no alarm, as the detector says; None: not judged."""


def window(
    alert: Alert, *, before: int | None = None, after: int | None = None
) -> tuple[date, date]:
    """Return the first and the last period of an alert's curve."""
    step = timedelta(days=7 if alert.grain == "week" else 1)
    first = alert.first_period - step * (_BEFORE[alert.grain] if before is None else before)
    return first, alert.last_period + step * (_AFTER[alert.grain] if after is None else after)


async def read_series(
    connection: AsyncConnection,
    alert: Alert,
    configuration: Configuration,
    *,
    before: int | None = None,
    after: int | None = None,
) -> list[SeriesPoint]:
    """Return an alert's curve, the earliest period first; periods not counted yet are left out.

    Parameters
    ----------
    before, after
        Periods before the alert's first and after its last one.
    """
    first, last = window(alert, before=before, after=after)
    cursor = await connection.execute(
        "SELECT period, observed, expected, upper, p_value, alarm, reason FROM verdicts "
        "WHERE rule = %s AND region = %s AND period BETWEEN %s AND %s",
        (alert.numbers_rule, alert.region, first, last),
    )
    judged = {row[0]: SeriesPoint(*row) for row in await cursor.fetchall()}
    base: Grain = "week" if alert.grain == "week" else "day"
    extent = await read_extent(connection, alert.signal)
    if extent is None:
        return [judged[period] for period in sorted(judged)]
    counts = await read_panel(
        connection,
        signal=alert.signal,
        regions=[alert.region],
        grain=alert.grain,
        first=first,
        last=last,
        extent=extent,
        epi_week=configuration.surveillance.epi_week,
    )
    counted = zip(periods_between(first, last, base), counts[0], strict=True)
    points = [
        judged.get(period) or SeriesPoint(period, None if np.isnan(value) else float(value))
        for period, value in counted
    ]
    known = [point.observed is not None or point.reason is not None for point in points]
    if not any(known):
        return []
    return points[known.index(True) : len(known) - known[::-1].index(True)]
