"""The course of an alert's counts, and of former years in the same weeks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from streams.epi_weeks import parse_week, week_label
from streams.judging.periods import epi_week_start, step_days
from streams.store.curves import first_provisional, read_counts, read_curve
from streams.store.panels import read_extent
from streams.web.charts import Curve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from psycopg import AsyncConnection

    from schemas.alerts import Alert
    from schemas.counts import Grain
    from streams.config import Configuration
    from streams.judging.periods import EpiWeek
    from streams.store.curves import Point
    from streams.web.pages.reader import Reader

__all__ = ["Course", "FormerYears", "course_of", "read_course", "read_years", "shown_from"]

#: How much is shown before the latest period.
_SHOWN: Final[Mapping[Grain, timedelta]] = {
    "week": timedelta(weeks=52),
    "day": timedelta(days=119),
    "rolling7": timedelta(days=119),
}
_YEARS: Final = 6
_WEEKS_BEFORE, _WEEKS_AFTER = 8, 6
_LAST_WEEKS: Final = 4
#: From this share of the usual reports on, a period is as good as complete.
_COMPLETE: Final = 0.95


class Course(NamedTuple):
    """A region's counts by period, the earliest first."""

    points: Sequence[Point]
    grain: Grain
    provisional_from: date | None

    @property
    def curve(self) -> Curve:
        """The same for a chart."""
        return Curve(
            periods=[p.period for p in self.points],
            observed=[p.observed for p in self.points],
            expected=[p.expected for p in self.points],
            upper=[p.upper for p in self.points],
            alarm=[p.alarm for p in self.points],
            grain=self.grain,
            provisional_from=self.provisional_from,
        )

    def table(self, reader: Reader) -> list[dict[str, Any]]:
        """Return the same for a table, the latest first."""
        since = self.provisional_from
        return [
            {
                "label": reader.period(p.period, self.grain),
                "observed": reader.number(p.observed, incomplete=p.incomplete),
                "expected": reader.number(p.expected),
                "upper": reader.number(p.upper),
                "alarm": p.alarm,
                "provisional": since is not None and p.period >= since,
            }
            for p in reversed(self.points)
        ]

    def provisional_text(self, reader: Reader) -> str:
        """Tell from when on data are still coming in; empty where none are."""
        if self.provisional_from is None:
            return ""
        when = reader.period(self.provisional_from, self.grain)
        return reader.t("alert.provisional_note", when=when)


class FormerYears(NamedTuple):
    """The weeks around an alert's, in several years."""

    weeks: Sequence[int]
    """Numbers of the weeks."""
    week: int
    """Number of the alert's week."""
    counts: Mapping[int, Sequence[float | None]]
    """By year; years without any count are left out."""

    def table(self, reader: Reader) -> list[dict[str, str]]:
        """Return the alert's week and the weeks up to it, the latest year first."""
        here = self.weeks.index(self.week)
        rows = []
        for year in sorted(self.counts, reverse=True):
            counts = self.counts[year]
            four = [one for one in counts[here - _LAST_WEEKS + 1 : here + 1] if one is not None]
            rows.append(
                {
                    "name": str(year),
                    "week": reader.number(counts[here]),
                    "four": reader.number(sum(four) if len(four) == _LAST_WEEKS else None),
                }
            )
        return rows


async def read_course(
    connection: AsyncConnection, alert: Alert, configuration: Configuration
) -> Course:
    """Read the counts around an alert with what its rule made of them."""
    reports = alert.explanation
    late = None
    if reports is not None and (reports.completeness or 1.0) < _COMPLETE:
        late = reports.period
    return await course_of(
        connection,
        configuration,
        signal=alert.signal,
        region=alert.region,
        rule=alert.numbers_rule,
        grain=alert.grain,
        first=shown_from(alert.last_period, alert.grain),
        incomplete=late,
    )


def shown_from(period: date, grain: Grain) -> date:
    """Return the first period that is shown with a latest one."""
    return period - _SHOWN[grain]


async def course_of(
    connection: AsyncConnection,
    configuration: Configuration,
    *,
    signal: str,
    region: str,
    rule: str | None,
    grain: Grain,
    first: date,
    incomplete: date | None = None,
) -> Course:
    """Read counts, judged where a rule has judged them, from a first period on.

    Parameters
    ----------
    incomplete
        A period of which reports are missing: if nothing follows it, it is provisional.
    """
    surveillance = configuration.surveillance
    points: list[Point] = []
    if rule is not None:
        points = await read_curve(connection, rule=rule, region=region, first=first)
    extent = await read_extent(connection, signal)
    last = _before(points, extent.last if extent else None, grain, surveillance.epi_week)
    if last is not None:
        before = await read_counts(
            connection,
            signal=signal,
            region=region,
            grain=grain,
            first=first,
            last=last,
            epi_week=surveillance.epi_week,
        )
        points = [*before, *points]
    if not points or extent is None:
        return Course(points, grain, None)
    today = datetime.now(UTC).astimezone(surveillance.zone).date()
    latest = points[-1].period
    since = first_provisional(latest, grain, last_day=extent.last, today=today)
    if since is None and incomplete == latest:
        since = latest
    return Course(points, grain, since)


def _before(
    points: Sequence[Point], last_day: date | None, grain: Grain, epi_week: EpiWeek
) -> date | None:
    """Return the last period that was not judged, which counts are to be read up to."""
    if points:
        return points[0].period - timedelta(days=step_days(grain))
    if last_day is None:
        return None
    return epi_week_start(last_day, epi_week) if grain == "week" else last_day


async def read_years(
    connection: AsyncConnection, alert: Alert, configuration: Configuration
) -> FormerYears:
    """Read the weeks around an alert's and the same weeks of the years before."""
    system = configuration.surveillance.epi_week
    year, _, number = week_label(alert.last_period, system).partition("-W")
    here = epi_week_start(alert.last_period, system)
    starts = [here + timedelta(weeks=i) for i in range(-_WEEKS_BEFORE, _WEEKS_AFTER + 1)]
    counts: dict[int, Sequence[float | None]] = {}
    for back in range(_YEARS):
        first = _same_week(int(year) - back, int(number), system) - timedelta(weeks=_WEEKS_BEFORE)
        points = await read_counts(
            connection,
            signal=alert.signal,
            region=alert.region,
            grain="week",
            first=first,
            last=first + timedelta(weeks=len(starts) - 1),
            epi_week=system,
        )
        if any(point.observed is not None for point in points):
            counts[int(year) - back] = [point.observed for point in points]
    weeks = [int(week_label(start, system).partition("-W")[2]) for start in starts]
    return FormerYears(weeks, int(number), counts)


def _same_week(year: int, number: int, system: EpiWeek) -> date:
    """Return the week of a number in a year, the last one where a year has one week less."""
    try:
        found = parse_week(f"{year}-W{number:02d}", system)
    except ValueError:
        found = parse_week(f"{year}-W{number - 1:02d}", system)
    assert found is not None  # noqa: S101 - it is a week's label
    return found
