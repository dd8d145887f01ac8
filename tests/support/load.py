"""A simulated load of known truth: the records, and the counts that must come of them."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from schemas.regions import RegionLevel
from streams.ingest.intake import Intake
from streams.simulate import MALFORMED, InjectedOutbreak, SimulationPlan, final_events, simulate
from streams.simulate.plan import Volume

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.events import EventKind
    from streams.config import Configuration
    from streams.simulate import FinalEvent, SimulatedRecord

__all__ = ["Counts", "Load", "counts_of", "make_load"]

#: Of signal, region, stratum and hour.
Counts = dict[tuple[str, str, str, datetime], Decimal]


class Load(NamedTuple):
    """Records in the order of their publication, and what a correct pipeline makes of them."""

    records: list[tuple[EventKind, bytes, bytes]]
    counts: Counts
    #: Events ever seen, cancelled ones included.
    events: int
    malformed: int


class _Record(NamedTuple):
    offset: int
    key: bytes
    value: bytes


def make_load(configuration: Configuration, *, seed: int, days: int, volume: float = 1.0) -> Load:
    """Simulate about 7,000 records a day times `volume`, with every nuisance of real sources."""
    regions = tuple(region.code for region in configuration.regions.at_level(RegionLevel.COUNTY))
    plan = SimulationPlan(
        seed=seed,
        start=date(2025, 1, 6),
        days=days,
        time_zone=configuration.surveillance.time_zone,
        regions=regions,
        visits=Volume(daily_mean=160 * volume),
        sales=Volume(daily_mean=90 * volume),
        malformed=0.001,
        outbreaks=tuple(
            InjectedOutbreak(
                id=f"outbreak-{number}",
                region=region,
                start=date(2025, 1, 6 + days // 2),
                days=days // 3,
                cases=400,
            )
            for number, region in enumerate(regions[:5])
        ),
    )
    records = list(simulate(plan))
    good = [record for record in records if not record.truth.startswith(MALFORMED)]
    return Load(
        [(record.kind, record.region.encode(), record.value) for record in records],
        counts_of(final_events(records), configuration),
        len({_identity(record) for record in good}),
        len(records) - len(good),
    )


def _identity(record: SimulatedRecord) -> tuple[str, str]:
    event = record.event
    return event["source_id"], event["event_id"]


def counts_of(events: Iterable[FinalEvent], configuration: Configuration) -> Counts:
    """Count events offline, exactly, by the configuration's case definitions."""
    intake = Intake(configuration)
    by_kind: defaultdict[EventKind, list[_Record]] = defaultdict(list)
    for final in events:
        value = json.dumps(final.event, ensure_ascii=False).encode()
        by_kind[final.kind].append(_Record(0, b"", value))
    counts: defaultdict[tuple[str, str, str, datetime], Decimal] = defaultdict(Decimal)
    for kind, records in by_kind.items():
        reading = intake.read(kind, records, now=datetime.now(UTC))
        assert not reading.refused
        for event in reading.accepted:
            # All zones in use here are whole hours away from UTC.
            hour = event.occurred_at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
            signals, region, stratum = event.place
            for signal, amount in zip(signals, event.amounts, strict=True):
                counts[signal, region, stratum, hour] += Decimal(repr(amount))
    return {place: count for place, count in counts.items() if count}
