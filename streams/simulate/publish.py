"""How events reach Kafka: late, twice, corrected, cancelled, overtaken, broken."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from schemas.refusals import RefusalReason
from streams.simulate.render import Draft, render

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    from streams.simulate.plan import Delay, SimulationPlan

__all__ = ["MALFORMED", "Publication", "Publisher"]

#: Truth of records that must be refused; the refusal's reason follows.
MALFORMED: Final = "malformed:"

_HOUR = 3600
_DAY = 24 * _HOUR
#: Entering and sending a record takes at least this long, in seconds.
_ENTRY = 60
#: A revision follows the version before by at least this long, in seconds.
_REVIEW = 600
_REVIEW_MEDIAN_HOURS = 20.0


class Publication(NamedTuple):
    """A record and the second since 1970 at which it is published."""

    published: int
    region: str
    value: bytes
    truth: str


class Publisher:
    """Turns drafts into publications as a plan demands.

    Parameters
    ----------
    plan
        The plan.
    facilities
        Draws a facility of the region with this code, for corrections of the region.
    regions
        All region codes.
    write_time
        Writes a moment as local time.
    """

    def __init__(
        self,
        plan: SimulationPlan,
        facilities: Callable[[np.random.Generator, str], str],
        regions: Sequence[str],
        write_time: Callable[[int], str],
    ) -> None:
        self._plan = plan
        self._facility = facilities
        self._regions = regions
        self._write_time = write_time

    def publish(
        self,
        random: np.random.Generator,
        drafts: list[Draft],
        redrawn: Callable[[npt.NDArray[np.int64]], list[tuple[str, ...]]],
        truths: list[str],
    ) -> list[Publication]:
        """Publish the drafts of one day.

        Parameters
        ----------
        random
            Source of randomness.
        drafts
            Events as they were entered first.
        redrawn
            Draws new contents for the events with these indices.
        truths
            One per draft.

        Returns
        -------
        list of Publication
            Unordered.
        """
        delays = _delays(random, self._plan.delay, len(drafts))
        write = self._write_time
        records = [
            Publication(
                draft.occurred + delay, draft.region, render(draft, write(draft.occurred)), truth
            )
            for draft, delay, truth in zip(drafts, delays.tolist(), truths, strict=True)
        ]
        first = len(records)
        self._revise(random, drafts, redrawn, records)
        again = np.flatnonzero(random.random(len(records)) < self._plan.duplicates)
        waits = 1 + (random.random(len(again)) * 2 * _DAY).astype(np.int64)
        records += [
            records[index]._replace(published=records[index].published + wait)
            for index, wait in zip(again.tolist(), waits.tolist(), strict=True)
        ]
        broken = np.flatnonzero(random.random(first) < self._plan.malformed)
        how = (random.random(len(broken)) * len(_MUTILATIONS)).astype(np.int64)
        records += [
            _mutilate(records[index], number)
            for index, number in zip(broken.tolist(), how.tolist(), strict=True)
        ]
        return records

    def _revise(
        self,
        random: np.random.Generator,
        drafts: list[Draft],
        redrawn: Callable[[npt.NDArray[np.int64]], list[tuple[str, ...]]],
        records: list[Publication],
    ) -> None:
        """Append corrections and cancellations to the records of the first revisions."""
        size = len(drafts)
        corrected = np.flatnonzero(random.random(size) < self._plan.corrections)
        latest: dict[int, tuple[int, int, Draft]] = {}  # event: index of record, revision, draft
        for event, parts in zip(corrected.tolist(), redrawn(corrected), strict=True):
            draft = self._correct(random, drafts[event], parts, records[event].published)
            where = self._append(random, records, event, draft, revision=2, cancelled=False)
            latest[event] = where, 2, draft
        for event in np.flatnonzero(random.random(size) < self._plan.cancellations).tolist():
            before, revision, draft = latest.get(event, (event, 1, drafts[event]))
            self._append(random, records, before, draft, revision=revision + 1, cancelled=True)

    def _append(
        self,
        random: np.random.Generator,
        records: list[Publication],
        before: int,
        draft: Draft,
        *,
        revision: int,
        cancelled: bool,
    ) -> int:
        """Publish a revision after the record at `before`, or let it overtake that record."""
        earlier = records[before].published
        wait = _REVIEW_MEDIAN_HOURS * _HOUR * math.exp(random.standard_normal())
        later = earlier + _REVIEW + int(min(wait, 7 * _DAY))
        if random.random() < self._plan.out_of_order:
            records[before] = records[before]._replace(published=later)
            later = earlier
        value = render(
            draft, self._write_time(draft.occurred), revision=revision, cancelled=cancelled
        )
        records.append(Publication(later, draft.region, value, records[before].truth))
        return len(records) - 1

    def _correct(
        self, random: np.random.Generator, draft: Draft, parts: tuple[str, ...], published: int
    ) -> Draft:
        """Change the region, the time or one field of the content."""
        fields = len(draft.parts)
        field = int(random.random() * (fields + 2))
        if field < fields:
            changed = (*draft.parts[:field], parts[field], *draft.parts[field + 1 :])
            if changed != draft.parts and "".join(changed[-2:]):
                return draft._replace(parts=changed)
        elif field == fields and len(self._regions) > 1:
            others = [region for region in self._regions if region != draft.region]
            region = others[int(random.random() * len(others))]
            return draft._replace(region=region, facility_id=self._facility(random, region))
        # The time remains to be corrected, most often to the day before; never past publication.
        moved = draft.occurred + int((random.random() * 48 - 36) * _HOUR)
        return draft._replace(occurred=min(moved, published - _ENTRY))


def _delays(random: np.random.Generator, delay: Delay, size: int) -> npt.NDArray[np.int64]:
    """Draw seconds from event to publication, shape (size,)."""
    hours = delay.median_hours * np.exp(delay.sigma * random.standard_normal(size))
    straggling = 24 + random.random(size) * (delay.max_hours - 24)
    hours = np.where(random.random(size) < delay.late_share, straggling, hours)
    seconds: npt.NDArray[np.int64] = (hours * _HOUR).astype(np.int64)
    return np.clip(seconds, _ENTRY, int(delay.max_hours * _HOUR))


#: Changes of an event's fields that each lead to one refusal; None removes the field.
_MUTILATIONS: Final[tuple[tuple[RefusalReason, dict[str, Any]], ...]] = (
    (RefusalReason.NOT_JSON, {}),
    (RefusalReason.MISSING_FIELD, {"facility_id": None}),
    (RefusalReason.UNKNOWN_FIELD, {"ward": "A"}),
    (RefusalReason.NAIVE_TIME, {"occurred_at": "2026-01-31T09:30:00"}),
    (RefusalReason.WRONG_TYPE, {"revision": "two"}),
    (RefusalReason.IMPOSSIBLE_VALUE, {"revision": 0}),
    (RefusalReason.BAD_FORMAT, {"source_id": "来源"}),
    (RefusalReason.UNSUPPORTED_VERSION, {"schema_version": 99}),
    (RefusalReason.UNKNOWN_REGION, {"region": "no-such-region"}),
)


def _mutilate(record: Publication, number: int) -> Publication:
    reason, changes = _MUTILATIONS[number]
    if changes:
        event = json.loads(record.value) | changes
        kept = {field: value for field, value in event.items() if value is not None}
        value = json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode()
    else:
        value = record.value[:-7]
    return record._replace(value=value, truth=f"{MALFORMED}{reason.value}")
