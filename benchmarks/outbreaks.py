"""Outbreaks amid the steady stream: five cases of a disease that is rare and watched closely.

Its past was imported: two or three cases a day in each county. EARS C1 puts the threshold at 4.1 or
4.2 cases, so the fifth one raises the alert, whatever day is judged.
"""

from __future__ import annotations

import json
import random
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg

from benchmarks.steady import WARM_UP, Extra
from schemas.counts import Count
from streams.store.imports import import_counts

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "CASES", "RULES", "SIGNAL", "SIGNALS", "Outbreak", "import_past", "outbreaks", "records_of",
]  # fmt: skip

SIGNAL = "measles"
CASES = 5
SIGNALS: dict[str, Any] = {
    SIGNAL: {
        "title": {"en": "Measles", "zh": "麻疹"},
        "of": "visits",
        "match": {"icd10": ["B05"]},
    }
}
RULES: dict[str, Any] = {
    "measles-county-day": {
        "signal": SIGNAL,
        "level": "county",
        "grain": "day",
        "severity": "critical",
        "detector": {"type": "ears", "method": "C1"},
    }
}
#: A day that the steady stream is about as well.
_DAY = date(2026, 1, 8)
_PAST_DAYS = 63
#: The cases before the last one come within so many seconds.
_LEAD = (0.5, 2.5)


class Outbreak(NamedTuple):
    """Where, and at which second of the publication the last case comes."""

    region: str
    second: float


def outbreaks(regions: Sequence[str], count: int, seconds: float, *, seed: int) -> list[Outbreak]:
    """Draw outbreaks at random moments, each in a county of its own."""
    draw = random.Random(seed)
    moments = sorted(WARM_UP + draw.uniform(0, seconds) for _ in range(count))
    places = draw.sample(list(regions), count)
    return [Outbreak(*one) for one in zip(places, moments, strict=True)]


def records_of(planned: Sequence[Outbreak], *, seed: int) -> list[tuple[Extra, bool]]:
    """Return the cases in order of publication, and whether each is its outbreak's last."""
    draw = random.Random(seed)
    found = []
    for one in planned:
        earlier = sorted(one.second - draw.uniform(*_LEAD) for _ in range(CASES - 1))
        for number, second in enumerate([*earlier, one.second]):
            value = _visit(one.region, number)
            found.append((Extra(second, one.region.encode(), value), number == CASES - 1))
    return sorted(found, key=lambda pair: pair[0].second)


def import_past(database: str, regions: Sequence[str]) -> None:
    """Import the days before the outbreaks."""
    counts = [
        Count(
            signal=SIGNAL,
            region=region,
            grain="day",
            period=_DAY - timedelta(days=back),
            value=2 + back % 2,
        )
        for region in regions
        for back in range(1, _PAST_DAYS + 1)
    ]
    with psycopg.connect(database) as connection:
        import_counts(connection, counts, replace=False)
        # Nothing is to be judged before events flow.
        connection.execute("DELETE FROM pending_spans")


def _visit(region: str, number: int) -> bytes:
    at = datetime.combine(_DAY, time(9, number))
    facility = f"{region}-f1"
    return json.dumps(
        {
            "event_id": f"outbreak-{region}-{number}",
            "source_id": f"his-{region}",
            "facility_id": facility,
            "region": region,
            "occurred_at": f"{at.isoformat()}+08:00",
            "age": 3 + number,
            "complaint": "发热、皮疹3天",
            "icd10": ["B05.9"],
        },
        ensure_ascii=False,
    ).encode()
