"""The simulation itself: day by day, in order of publication."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from schemas.events import EventKind  # noqa: TC001 - part of the record's signature
from streams.simulate.content import BASELINE, SYNDROME_NAMES, content_of
from streams.simulate.publish import Publisher
from streams.simulate.rates import KINDS, Rates, outbreak_truth, pick, random_numbers, steps
from streams.simulate.render import Draft, clock

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from streams.simulate.plan import SimulationPlan
    from streams.simulate.publish import Publication
    from streams.simulate.rates import OutbreakTruth

__all__ = ["TRUTH_OF_BASELINE", "SimulatedRecord", "simulate"]

#: Truth of records that belong to no outbreak.
TRUTH_OF_BASELINE: Final = "baseline"

_DAY = 86_400
_HOUR = 3_600
#: Relative number of events per hour of the day, midnight first.
_HOURS: Final[dict[EventKind, npt.NDArray[np.float64]]] = {
    "visits": steps([2, 2, 1, 1, 1, 2, 3, 6, 10, 12, 11, 8, 5, 6, 8, 9, 8, 7, 8, 9, 8, 6, 4, 3]),
    "sales": steps([0, 0, 0, 0, 0, 0, 0, 2, 6, 8, 9, 9, 8, 7, 7, 7, 8, 9, 10, 11, 9, 5, 2, 0]),
}
_LETTER: Final[dict[EventKind, str]] = {"visits": "V", "sales": "S"}
_PLACE: Final[dict[EventKind, str]] = {"visits": "H", "sales": "P"}
_SYSTEM: Final[dict[EventKind, str]] = {"visits": "simulated-his", "sales": "simulated-pos"}


class SimulatedRecord(NamedTuple):
    """One published record and what is known about it."""

    kind: EventKind
    #: Region code: the record's Kafka key.
    region: str
    published_at: datetime
    #: JSON in UTF-8, exactly as published.
    value: bytes
    #: "baseline", the id of an outbreak, or "malformed:" and the reason of the refusal.
    truth: str

    @property
    def event(self) -> dict[str, Any]:
        """The decoded value.

        Raises
        ------
        ValueError
            The record is malformed beyond decoding.
        """
        event: dict[str, Any] = json.loads(self.value)
        return event


class _Kind:
    """Everything that stays the same from day to day for one kind of events."""

    def __init__(self, kind: EventKind, plan: SimulationPlan, regions: tuple[str, ...]) -> None:
        self.kind = kind
        self._plan = plan
        self._regions = regions
        self._content = content_of(kind, plan)
        self._facility_shares = steps(1 / np.arange(1, plan.facilities + 1))
        self._facilities = {
            region: [f"{region}-{_PLACE[kind]}{n:03d}" for n in range(1, plan.facilities + 1)]
            for region in regions
        }
        self._sources = [
            f"{_SYSTEM[kind]}-{number % plan.sources + 1}" for number in range(len(regions))
        ]
        self._write_time = clock(plan.zone)
        self._publisher = Publisher(plan, self._some_facility, regions, self._write_time)

    def _some_facility(self, random: np.random.Generator, region: str) -> str:
        return self._facilities[region][int(pick(random, self._facility_shares, 1)[0])]

    def day(
        self, day: date, baseline: npt.NDArray[np.int64], outbreaks: list[OutbreakTruth]
    ) -> list[Publication]:
        """Draw and publish the events of one day."""
        number = KINDS.index(self.kind)
        random = random_numbers(self._plan.seed, 3, number, day.toordinal())
        regions, causes, truths = self._events(day, baseline, outbreaks)
        contents = self._content.draw(random, causes)
        drafts = self._drafts(random, day, regions, contents)

        def redrawn(events: npt.NDArray[np.int64]) -> list[tuple[str, ...]]:
            return self._content.draw(random, causes[events])

        return self._publisher.publish(random, drafts, redrawn, truths)

    def _events(
        self, day: date, baseline: npt.NDArray[np.int64], outbreaks: list[OutbreakTruth]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], list[str]]:
        """List region number, cause and truth of each event of the day."""
        regions = [np.repeat(np.arange(len(self._regions)), baseline)]
        causes = [np.full(len(regions[0]), BASELINE)]
        truths = [TRUTH_OF_BASELINE] * len(regions[0])
        for outbreak in outbreaks:
            since = (day - outbreak.first_day).days
            cases = outbreak.cases.get(self.kind, ())
            if 0 <= since < len(cases):
                number = self._regions.index(outbreak.region)
                regions.append(np.full(cases[since], number))
                causes.append(np.full(cases[since], SYNDROME_NAMES.index(outbreak.syndrome)))
                truths += [outbreak.id] * cases[since]
        return np.concatenate(regions), np.concatenate(causes), truths

    def _drafts(
        self,
        random: np.random.Generator,
        day: date,
        regions: npt.NDArray[np.int64],
        contents: list[tuple[str, ...]],
    ) -> list[Draft]:
        size = len(regions)
        begin, end = _begin(self._plan, day), _begin(self._plan, day + timedelta(1))
        hours = pick(random, _HOURS[self.kind], size)
        moments = begin + hours * _HOUR + (random.random(size) * _HOUR).astype(np.int64)
        moments = np.minimum(moments, end - 1)  # a day of 23 hours
        facilities = pick(random, self._facility_shares, size)
        mark = f"-{_LETTER[self.kind]}{day:%Y%m%d}-"
        return [
            Draft(
                f"{self._regions[region]}{mark}{serial:06d}",
                self._sources[region],
                self._facilities[self._regions[region]][facility],
                self._regions[region],
                moment,
                parts,
            )
            for region, serial, facility, moment, parts in zip(
                regions.tolist(),
                _serials(regions, len(self._regions)),
                facilities.tolist(),
                moments.tolist(),
                contents,
                strict=True,
            )
        ]


def _serials(regions: npt.NDArray[np.int64], count: int) -> list[int]:
    """Count the events of each region up from 1."""
    order = np.argsort(regions, kind="stable")
    sizes = np.bincount(regions, minlength=count)
    starts = np.repeat(np.cumsum(sizes) - sizes, sizes)
    serials = np.empty(len(regions), dtype=np.int64)
    serials[order] = np.arange(1, len(regions) + 1) - starts
    numbers: list[int] = serials.tolist()
    return numbers


def _begin(plan: SimulationPlan, day: date) -> int:
    """Give the second since 1970 at which a local day begins."""
    return int(datetime.combine(day, time(), tzinfo=plan.zone).timestamp())


def simulate(plan: SimulationPlan) -> Iterator[SimulatedRecord]:
    """Generate the records of a plan in the order in which they are published.

    Memory is bounded by the records of about one day plus those still under way (late events and
    revisions, at most some weeks).

    Parameters
    ----------
    plan
        The plan. Equal plans give byte-identical records.

    Yields
    ------
    SimulatedRecord
        By time of publication, then in a fixed order.

    Raises
    ------
    ValueError
        The plan's regions and outbreaks do not fit together.

    Examples
    --------
    >>> from datetime import date
    >>> from streams.simulate.plan import SimulationPlan
    >>> plan = SimulationPlan(start=date(2026, 1, 5), days=2, regions=("330106", "330108"))
    >>> first = next(simulate(plan))
    >>> first.region in plan.regions, first.truth
    (True, 'baseline')
    """
    regions = plan.region_codes()
    rates = Rates(plan, len(regions))
    outbreaks = outbreak_truth(plan)
    kinds = [_Kind(kind, plan, regions) for kind in KINDS]
    # Buckets of 24 hours: one is complete when no later event can still be published in it.
    buckets: defaultdict[int, list[tuple[int, int, EventKind, Publication]]] = defaultdict(list)
    origin, serial = _begin(plan, plan.start), 0
    for ahead in range(plan.days):
        day = plan.start + timedelta(ahead)
        for number, kind in enumerate(kinds):
            random = random_numbers(plan.seed, 2, number, day.toordinal())
            for record in kind.day(day, rates.draw(random, kind.kind, day), outbreaks):
                bucket = buckets[(record.published - origin) // _DAY]
                bucket.append((record.published, serial, kind.kind, record))
                serial += 1
        complete = (_begin(plan, day + timedelta(1)) - origin) // _DAY
        yield from _emit(buckets, [bucket for bucket in sorted(buckets) if bucket < complete])
    yield from _emit(buckets, sorted(buckets))


def _emit(
    buckets: defaultdict[int, list[tuple[int, int, EventKind, Publication]]], complete: list[int]
) -> Iterator[SimulatedRecord]:
    for bucket in complete:
        for published, _, kind, record in sorted(buckets.pop(bucket)):
            yield SimulatedRecord(
                kind,
                record.region,
                datetime.fromtimestamp(published, UTC),
                record.value,
                record.truth,
            )
