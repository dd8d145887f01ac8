"""Events as sources send them, and the counts that they should come to."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from schemas.events import EventKind
    from streams.ingest.intake import Intake

__all__ = [
    "KAOHSIUNG",
    "NEW_TAIPEI",
    "TAIPEI",
    "Counts",
    "Record",
    "offline_counts",
    "records",
    "sale",
    "visit",
]

TAIPEI = "TW-TPE"
NEW_TAIPEI = "TW-NWT"
KAOHSIUNG = "TW-KHH"

#: Counts by signal, region, stratum and the first moment of the hour.
Counts = dict[tuple[str, str, str, datetime], Decimal]


class Record(NamedTuple):
    """What Kafka hands over of a record, as far as the intake looks at it."""

    offset: int
    key: bytes | None
    value: bytes | None


def visit(event_id: Any = "v-1", **changes: Any) -> dict[str, Any]:
    """A visit for influenza-like illness in Taipei."""
    return {
        "event_id": event_id,
        "source_id": "his-1",
        "facility_id": "clinic-1",
        "region": TAIPEI,
        "occurred_at": "2025-03-03T09:30:00+08:00",
        "icd10": ["J11.1"],
        "age": 30,
    } | changes


def sale(event_id: Any = "s-1", **changes: Any) -> dict[str, Any]:
    """A sale of paracetamol in Taipei."""
    return {
        "event_id": event_id,
        "source_id": "till-1",
        "facility_id": "pharmacy-1",
        "region": TAIPEI,
        "occurred_at": "2025-03-03T09:30:00+08:00",
        "atc": "N02BE01",
        "quantity": 1.0,
    } | changes


def records(events: Iterable[Mapping[str, Any]], *, first: int = 0) -> list[Record]:
    """Records with consecutive offsets."""
    return [
        Record(first + i, str(event.get("region", "")).encode(), json.dumps(event).encode())
        for i, event in enumerate(events)
    ]


def offline_counts(
    intake: Intake, events: Iterable[Mapping[str, Any]], *, zone: str, now: datetime
) -> Counts:
    """Hourly counts from the final revision of each event, without any database."""
    final: dict[tuple[str, str], Mapping[str, Any]] = {}
    for event in events:
        key = event["source_id"], event["event_id"]
        if key not in final or event.get("revision", 1) > final[key].get("revision", 1):
            final[key] = event
    counts: Counts = defaultdict(Decimal)
    for event in final.values():
        if event.get("cancelled"):
            continue
        kind: EventKind = "visits" if "quantity" not in event else "sales"
        reading = intake.read(kind, records([event]), now=now)
        (accepted,) = reading.accepted
        local = accepted.occurred_at.astimezone(ZoneInfo(zone))
        hour = local.replace(minute=0, second=0, microsecond=0).astimezone(UTC)
        signals, region, stratum = accepted.place
        for signal, amount in zip(signals, accepted.amounts, strict=True):
            counts[signal, region, stratum, hour] += Decimal(repr(amount))
    return dict(counts)
