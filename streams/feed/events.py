"""Rows of a file, validated as ingest will validate them."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from schemas.codes import read_atc, read_icd10
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
        Good rows so far with a doubtful code of a region or of a disease or drug, by what is wrong
        with it.
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
        self._unread: str | None = None

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
                if unread := self._unread_code(row.value):
                    self.doubts[unread] += 1
                return region
            refusal = reading.refused[0].refusal
        self.refused[refusal.reason] += 1
        self._on_refusal(row.line, refusal)
        return None

    def _unread_code(self, value: bytes) -> str | None:
        """Say that an event has a code in which no signal finds anything."""
        event = json.loads(value)
        field = "icd10" if self._kind == "visits" else "atc"
        read = read_icd10 if self._kind == "visits" else read_atc
        texts = event.get(field) or ()
        unread = [t for t in ((texts,) if isinstance(texts, str) else texts) if t and not read(t)]
        if not unread:
            return None
        if self._unread is None:  # one sentence, however many codes there are
            self._unread = (
                f"{field} holds no code, as {unread[0]!r}; the event counts, but no signal that "
                f"asks for {field} finds it by this. Write the code alone."
            )
        return self._unread
