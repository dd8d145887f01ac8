"""How complete the data were that an alert was judged by."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from schemas.alerts import DataQuality
from streams.judging.periods import periods_between
from streams.store.panels import read_known_periods

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from numpy.typing import NDArray
    from psycopg import AsyncConnection

    from schemas.alerts import Alert
    from schemas.counts import Grain, ImportGrain
    from streams.config import Configuration
    from streams.store.panels import Extent

__all__ = ["assess", "read_quality"]

#: More of the past is not looked at, however far a method looks back.
_LONGEST: dict[ImportGrain, int] = {"day": 3 * 366, "week": 10 * 53}


async def read_quality(
    connection: AsyncConnection,
    alerts: Sequence[Alert],
    configuration: Configuration,
    extents: Mapping[str, Extent | None],
) -> list[DataQuality | None]:
    """Return what is known of each alert's baseline; None where its rule is not configured.

    Two statements for each rule, and one for each that has gaps.

    Parameters
    ----------
    extents
        Days with live counts, by signal.
    """
    found: list[DataQuality | None] = [None] * len(alerts)
    by_rule: dict[str, list[int]] = defaultdict(list)
    for number, alert in enumerate(alerts):
        if alert.numbers_rule in configuration.detectors and extents[alert.signal] is not None:
            by_rule[alert.numbers_rule].append(number)
    for rule, numbers in by_rule.items():
        grain = configuration.surveillance.rules[rule].grain
        base: ImportGrain = "week" if grain == "week" else "day"
        back = min(configuration.detectors[rule].lookback(grain), _LONGEST[base])
        spans = {number: _span(alerts[number].last_period, grain, back) for number in numbers}
        first = min(begin for begin, _ in spans.values())
        last = max(alerts[number].last_period for number in numbers)
        regions = sorted({alerts[number].region for number in numbers})
        extent = extents[alerts[numbers[0]].signal]
        assert extent is not None  # noqa: S101 - looked at above
        known = await read_known_periods(
            connection,
            signal=alerts[numbers[0]].signal,
            regions=regions,
            base=base,
            first=first,
            last=last,
            extent=extent,
            epi_week=configuration.surveillance.epi_week,
        )
        periods = periods_between(first, last, base)
        for number, (begin, own) in spans.items():
            since, until = periods.index(begin), periods.index(alerts[number].last_period) + 1
            row = known[regions.index(alerts[number].region), since:until]
            found[number] = assess(row, periods[since:until], own)
    return found


def _span(period: date, grain: Grain, back: int) -> tuple[date, int]:
    """Return the first day or week of the baseline, and how many make up the period itself."""
    if grain == "week":
        return period - timedelta(weeks=back), 1
    own = 7 if grain == "rolling7" else 1
    return period - timedelta(days=back + own - 1), own


def assess(known: NDArray[np.bool_], periods: Sequence[date], own: int) -> DataQuality:
    """Tell what is missing. Pure.

    Parameters
    ----------
    known
        Of which days or weeks a count is known: the baseline, then the period itself.
    periods
        Their dates.
    own
        How many of the last ones make up the period itself.

    Examples
    --------
    >>> from datetime import date, timedelta
    >>> days = [date(2025, 3, 1) + timedelta(days=i) for i in range(6)]
    >>> found = assess(np.array([False, False, True, False, True, True]), days, 1)
    >>> found.data_since, found.missing, found.baseline, found.period_missing
    (datetime.date(2025, 3, 3), 1, 5, 0)
    """
    before = known[:-own]
    begun = np.flatnonzero(known)
    start = int(begun[0]) if begun.size else len(periods) - 1
    return DataQuality(
        baseline=len(before),
        data_since=periods[start] if start else None,
        missing=int((~before[start:]).sum()),
        period_missing=int((~known[-own:]).sum()),
    )
