"""Rows of a file, validated as ingest will validate them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from schemas.region_codes import code_doubt
from streams.ingest.intake import Intake, utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from schemas.events import EventKind
    from schemas.refusals import Refusal, RefusalReason
    from streams.config import Configuration
    from streams.feed.rows import Row

__all__ = ["Validator"]


class _Record(NamedTuple):
    """What `Intake` reads; the offset is the line."""

    offset: int
    key: bytes | None
    value: bytes


class Validator:
    """Lets through what ingest will accept, and counts the rest by reason.

    Parameters
    ----------
    on_refusal
        Called with line and refusal of each bad row.

    Attributes
    ----------
    accepted
        Good rows so far.
    refused
        Bad rows so far, by reason.
    doubts
        Good rows so far whose region code is doubtful, by what is wrong with it.
    """

    def __init__(
        self,
        configuration: Configuration,
        kind: EventKind,
        on_refusal: Callable[[int, Refusal], None],
    ) -> None:
        self._intake = Intake(configuration)
        self._regions = configuration.regions
        self._zone = configuration.surveillance.zone
        self._kind = kind
        self._on_refusal = on_refusal
        self.accepted = 0
        self.refused: Counter[RefusalReason] = Counter()
        self.doubts: Counter[str] = Counter()

    def valid_records(self, rows: Iterable[Row]) -> Iterator[tuple[bytes, bytes]]:
        """Yield key (region code) and value of each good row, in the order of the file."""
        for row in rows:
            region = self._region(row)
            if region is not None:
                self.accepted += 1
                yield region.encode(), row.value

    def _region(self, row: Row) -> str | None:
        refusal = row.fault
        if refusal is None:
            # One by one: of several revisions in a batch `Intake` keeps only the last.
            record = _Record(row.line, None, row.value)
            reading = self._intake.read(self._kind, (record,), now=utc_now())
            if reading.accepted:
                event = reading.accepted[0]
                region = event.place.region
                day = event.occurred_at.astimezone(self._zone).date()
                if doubt := code_doubt(self._regions, region, day):
                    self.doubts[doubt] += 1
                return region
            refusal = reading.refused[0].refusal
        self.refused[refusal.reason] += 1
        self._on_refusal(row.line, refusal)
        return None
