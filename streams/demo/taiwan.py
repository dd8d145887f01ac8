"""Influenza-like illness in Taiwan's emergency departments, 2007 to 2010.

The weekly counts by county and age group are real (Taiwan CDC, RODS; see data/README.md). What is
finer is simulated from a seed: `visits` splits each weekly count over the days with a multinomial
draw, so that weekly totals are kept exactly. The split follows `WEEKDAYS`, jittered per county and
week (Dirichlet), the hours follow `HOURS`; both are assumptions about emergency departments: busy
on Sundays and in the evening, when ordinary clinics are closed. Facilities, ages within the group,
sex, temperature, complaint and codes are made up, and every visit carries a code of J10 or J11.
"""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import numpy as np

from schemas.counts import Count
from schemas.regions import RegionRegistry
from streams.simulate.content import temperatures
from streams.simulate.rates import pick, random_numbers, steps
from streams.simulate.render import Draft, clock, fragment, render

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

__all__ = [
    "AGE_GROUPS",
    "ATTRIBUTION",
    "HOURS",
    "SIGNAL",
    "SOURCE_ID",
    "WEEKDAYS",
    "ZONE",
    "WeeklyCounts",
    "baseline_counts",
    "daily_visits",
    "visits",
    "weekly_counts",
]

ATTRIBUTION: Final = "Taiwan CDC, Real-time Outbreak and Disease Surveillance (RODS), open data"
#: Says of each record that its day, hour and details were not observed.
SOURCE_ID: Final = "taiwan-rods-expanded"
SIGNAL: Final = "ili"
ZONE: Final = ZoneInfo("Asia/Taipei")
AGE_GROUPS: Final = ("0-6", "7-12", "13-18", "19-64", "65+")

#: Assumed relative number of visits, Monday to Sunday.
WEEKDAYS: Final = (1.00, 0.90, 0.88, 0.87, 0.90, 1.10, 1.35)
#: Concentration of the Dirichlet jitter: a daily share of 1/7 varies by about 6 % of itself.
_STEADINESS: Final = 1500.0
#: Assumed relative number of visits per hour, midnight first.
HOURS: Final = (4, 3, 2, 2, 1, 1, 2, 3, 5, 7, 8, 7, 5, 5, 6, 6, 5, 5, 7, 9, 10, 9, 8, 6)

_DATA = "data/taiwan_ili_2007_2010.csv.gz"
_DAY, _HOUR = 86_400, 3_600
#: Ages drawn uniformly within AGE_GROUPS, both ends included.
_AGE_RANGES: Final = ((0, 6), (7, 12), (13, 18), (19, 64), (65, 94))
_CODES = tuple(
    fragment(icd10=codes)
    for codes in (("J11.1",), ("J10.1",), ("J11.1", "R50.9"), ("J11.1", "J06.9"), ("J10.1", "R05"))
)
_CODE_STEPS = steps([50, 18, 14, 10, 8])
_COMPLAINTS = tuple(
    fragment(complaint=text)
    for text in (
        "發燒、咳嗽2天",
        "高燒、肌肉痠痛1天",
        "類流感症狀，喉嚨痛",
        "發燒、流鼻水、頭痛3天",
        "發燒、畏寒、倦怠",
        "咳嗽、鼻塞，體溫38.8",
    )
)
_SEXES = tuple(fragment(sex=sex) for sex in ("female", "male"))
_MEAN_TEMPERATURE: Final = 38.5
_TEMPERATURE_MISSING: Final = 0.06


@dataclass(frozen=True, kw_only=True)
class WeeklyCounts:
    """The data: `visits` has shape (weeks, counties, age groups), NaN for no record."""

    mondays: tuple[date, ...]
    #: Chinese names, as in the data.
    counties: tuple[str, ...]
    #: Region codes of the counties.
    regions: tuple[str, ...]
    visits: npt.NDArray[np.float64]

    def range(self, start: date, end: date) -> range:
        """Give the indices of the weeks from `start` up to and without `end`.

        Raises
        ------
        ValueError
            One of the dates is no Monday, or there are no data for some of the weeks.
        """
        for day in (start, end):
            if day.weekday():
                monday = day - timedelta(day.weekday())
                raise ValueError(f"{day} is no Monday; weeks are whole, use for example {monday}")
        first, after = ((day - self.mondays[0]).days // 7 for day in (start, end))
        if first < 0 or after > len(self.mondays):
            last = self.mondays[-1] + timedelta(7)
            raise ValueError(
                f"there are data from {self.mondays[0]} up to {last}, not from {start} to {end}"
            )
        return range(first, after)


@cache
def weekly_counts() -> WeeklyCounts:
    """Read the weekly counts that come with the package."""
    packed = files("streams.demo").joinpath(_DATA).read_bytes()
    rows = list(csv.DictReader(io.StringIO(gzip.decompress(packed).decode())))
    weeks = [date.fromisocalendar(int(row["year"]), int(row["week"]), 1) for row in rows]
    mondays = tuple(sorted(set(weeks)))
    counties = tuple(sorted({row["county"] for row in rows}))
    visits = np.full((len(mondays), len(counties), len(AGE_GROUPS)), np.nan)
    week_of = {monday: number for number, monday in enumerate(mondays)}
    county_of = {county: number for number, county in enumerate(counties)}
    for week, row in zip(weeks, rows, strict=True):
        cells = [float(row[group] or "nan") for group in AGE_GROUPS]
        visits[week_of[week], county_of[row["county"]]] = cells
    visits.setflags(write=False)
    registry = RegionRegistry.load("tw")
    regions = tuple(registry.find(county).code for county in counties)
    return WeeklyCounts(mondays=mondays, counties=counties, regions=regions, visits=visits)


def baseline_counts(until: date) -> Iterator[Count]:
    """Give the real counts of all weeks before a Monday.

    Parameters
    ----------
    until
        The Monday of the first week that is left out.

    Yields
    ------
    Count
        Of the signal "ili", by week, county and age group. Weeks without record are left out.

    Raises
    ------
    ValueError
        `until` is no Monday or lies outside the data.
    """
    data = weekly_counts()
    for week in data.range(data.mondays[0], until):
        for region, row in zip(data.regions, data.visits[week], strict=True):
            for group, value in zip(AGE_GROUPS, row.tolist(), strict=True):
                if not np.isnan(value):
                    yield Count(
                        signal=SIGNAL,
                        region=region,
                        stratum=group,
                        grain="week",
                        period=data.mondays[week],
                        value=value,
                    )


def _split(week: int, seed: int) -> npt.NDArray[np.int64]:
    """Split a week's counts over its days, shape (counties, age groups, 7)."""
    data = weekly_counts()
    random = random_numbers(seed, 10, data.mondays[week].toordinal())
    profile = np.asarray(WEEKDAYS) / sum(WEEKDAYS)
    shares = random.dirichlet(_STEADINESS * profile, size=len(data.regions))
    counts = np.nan_to_num(data.visits[week]).astype(np.int64)
    return random.multinomial(counts, shares[:, None, :])


def daily_visits(start: date, end: date, *, seed: int) -> npt.NDArray[np.int64]:
    """Count the visits that `visits` yields, by day and county.

    The split of a week depends on the seed and the week alone, not on start and end.

    Returns
    -------
    ndarray
        shape (days, counties).

    Raises
    ------
    ValueError
        A date is no Monday or lies outside the data.
    """
    data = weekly_counts()
    weeks = [_split(week, seed).sum(axis=1).T for week in data.range(start, end)]
    return np.concatenate(weeks) if weeks else np.zeros((0, len(data.regions)), dtype=np.int64)


def visits(start: date, end: date, *, seed: int) -> Iterator[tuple[str, bytes]]:
    """Turn weekly counts into single visits.

    Parameters
    ----------
    start, end
        Mondays: the first week, and the week after the last.
    seed
        Equal seeds give byte-identical records.

    Yields
    ------
    (region, value)
        A `FeverVisit` as JSON and its Kafka key, in order of time over the whole country.

    Raises
    ------
    ValueError
        A date is no Monday or lies outside the data.
    """
    data = weekly_counts()
    write_time = clock(ZONE)
    facilities = _Facilities(data)
    for week in data.range(start, end):
        split = _split(week, seed)
        for weekday in range(7):
            day = data.mondays[week] + timedelta(weekday)
            random = random_numbers(seed, 11, day.toordinal())
            for draft in _drafts(random, day, split[:, :, weekday], facilities):
                yield draft.region, render(draft, write_time(draft.occurred))


class _Facilities:
    """Emergency departments: more in large counties, with sizes as 1, 1/2, 1/3, ..."""

    def __init__(self, data: WeeklyCounts) -> None:
        weekly = np.nansum(data.visits, axis=2).mean(axis=0)
        numbers = np.clip(np.rint(weekly / 60), 1, 25).astype(np.int64)
        ranks = np.arange(1, numbers.max() + 1)
        self._steps = steps((ranks <= numbers[:, None]) / ranks)
        self._names = [[f"{region}-ED{rank:02d}" for rank in ranks] for region in data.regions]

    def draw(self, random: np.random.Generator, counties: npt.NDArray[np.int64]) -> list[str]:
        ranks = (random.random(len(counties))[:, None] >= self._steps[counties]).sum(axis=1)
        names = self._names
        return [names[c][r] for c, r in zip(counties.tolist(), ranks.tolist(), strict=True)]


def _drafts(
    random: np.random.Generator, day: date, counts: npt.NDArray[np.int64], facilities: _Facilities
) -> list[Draft]:
    """Draw the visits of one day in order of time; `counts` has shape (counties, age groups)."""
    regions = weekly_counts().regions
    cells = np.repeat(np.arange(counts.size), counts.ravel())
    size = len(cells)
    seconds = pick(random, steps(HOURS), size) * _HOUR
    seconds += (random.random(size) * _HOUR).astype(np.int64)
    # Cells have no order of their own, so one permutation shuffles counties, ages and times alike.
    cells, seconds = random.permutation(cells), np.sort(seconds)
    counties, groups = np.divmod(cells, counts.shape[1])
    midnight = (day - date(1970, 1, 1)).days * _DAY - 8 * _HOUR  # Taipei has no summer time
    mark = f"-V{day:%Y%m%d}-"
    return [
        Draft(
            f"{regions[county]}{mark}{n:06d}", SOURCE_ID, facility, regions[county], moment, parts
        )
        for n, (county, facility, moment, parts) in enumerate(
            zip(
                counties.tolist(),
                facilities.draw(random, counties),
                (midnight + seconds).tolist(),
                _contents(random, groups),
                strict=True,
            ),
            1,
        )
    ]


def _contents(random: np.random.Generator, groups: npt.NDArray[np.int64]) -> list[tuple[str, ...]]:
    size = len(groups)
    low, high = np.asarray(_AGE_RANGES).T
    ages = low[groups] + (random.random(size) * (high - low + 1)[groups]).astype(np.int64)
    complaints = (random.random(size) * len(_COMPLAINTS)).astype(np.int64)
    return list(
        zip(
            [_AGES[age] for age in ages.tolist()],
            [_SEXES[sex] for sex in (random.random(size) * 2).astype(np.int64).tolist()],
            temperatures(random, np.full(size, _MEAN_TEMPERATURE), missing=_TEMPERATURE_MISSING),
            [_COMPLAINTS[complaint] for complaint in complaints.tolist()],
            [_CODES[code] for code in pick(random, _CODE_STEPS, size).tolist()],
            strict=True,
        )
    )


_AGES = tuple(fragment(age=age) for age in range(_AGE_RANGES[-1][1] + 1))
