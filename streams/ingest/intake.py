"""Validation of a record batch: which records become events, which are refused and why. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import md5
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic import TypeAdapter, ValidationError

from schemas.counts import ALL_STRATA
from schemas.events import EVENT_KINDS, DrugSale, EventKind, FeverVisit, model_of
from schemas.privacy import identifier_looks_personal, privacy_of, text_looks_personal
from schemas.raw_records import is_plain, raw_refusal, redacted_value
from schemas.refusals import Refusal, RefusalReason, refusal_from
from streams.ingest.signals import AgeBands, SaleSignals, VisitSignals

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from streams.config import Configuration

__all__ = [
    "BEYOND_RETENTION",
    "AcceptedEvent",
    "Intake",
    "Place",
    "Reading",
    "RefusedRecord",
    "revision_conflict",
]

#: Larger records are refused unread; a visit or sale takes a few hundred bytes.
MAX_RECORD_BYTES = 65_536
#: Of larger ones the letter keeps the beginning. A record that was sent uncompressed is smaller.
_MAX_LETTER_BYTES: Final = 1_048_576


class Place(NamedTuple):
    """What an event counts in: the series of its signals."""

    signals: tuple[str, ...]
    region: str
    stratum: str


class AcceptedEvent(NamedTuple):
    """A valid event, classified, ready to be stored.

    Where and under which signals it counts is one value, since few of them recur in all events.
    """

    offset: int
    event_key: str  # 32 hexadecimal digits
    revision: int
    cancelled: bool
    occurred: float  # seconds since 1970, UTC
    source_id: str
    facility_id: str
    place: Place
    amounts: tuple[float, ...]
    payload: bytes

    @property
    def occurred_at(self) -> datetime:
        """When it took place, in UTC."""
        return datetime.fromtimestamp(self.occurred, UTC)


class RefusedRecord(NamedTuple):
    """A record that is not an acceptable event, as it came."""

    offset: int
    key: bytes | None
    value: bytes | None
    source_id: str | None
    refusal: Refusal
    redacted: bool = False
    """The value was personal and is replaced."""


@dataclass(slots=True)
class Reading:
    """What a batch of records holds.

    Of several revisions of one event inside the batch only the highest is kept: nobody could ever
    have known the others.
    """

    kind: EventKind
    accepted: list[AcceptedEvent] = field(default_factory=list)
    refused: list[RefusedRecord] = field(default_factory=list)
    repeated: int = 0


class Intake:
    """Reads records under one configuration."""

    def __init__(self, configuration: Configuration) -> None:
        surveillance = configuration.surveillance
        self._registry = configuration.surveillance.regions
        self._codes = frozenset(region.code for region in configuration.regions)
        self._bands = AgeBands(surveillance.age_groups)
        self._visit_signals = VisitSignals(surveillance)
        self._sale_signals = SaleSignals(surveillance)
        self._max_age = timedelta(days=surveillance.event_time.max_age_days)
        self._max_future = timedelta(minutes=surveillance.event_time.max_future_minutes)
        countries = configuration.regions.countries
        self._privacy = privacy_of(*countries)
        self._parse: Mapping[EventKind, Any] = {
            kind: TypeAdapter(model_of(kind, *countries)).validator.validate_json
            for kind in EVENT_KINDS
        }

    def read(self, kind: EventKind, records: Iterable[Any], *, now: datetime) -> Reading:
        """Validate and classify records of one partition, in order.

        Parameters
        ----------
        kind
            What the topic carries.
        records
            With attributes ``offset``, ``key`` and ``value``, as aiokafka's ConsumerRecord.
        now
            The time against which event times are checked.
        """
        parse = self._parse[kind]
        classify = self._visit if kind == "visits" else self._sale
        oldest, latest = (now - self._max_age).timestamp(), (now + self._max_future).timestamp()
        reading = Reading(kind)
        by_key: dict[str, AcceptedEvent] = {}
        for record in records:
            value = record.value
            if not value or value.isspace() or len(value) > MAX_RECORD_BYTES:
                reading.refused.append(_refused(record, _unread(value)))
                continue
            try:
                event = parse(value)
            except ValidationError as error:
                refusal = raw_refusal(value, self._privacy) or refusal_from(error)
                reading.refused.append(_refused(record, refusal))
                continue
            if not is_plain(value, len(event.model_fields_set)) and (
                strange := raw_refusal(value, self._privacy)
            ):
                reading.refused.append(_refused(record, strange))
                continue
            occurred = event.occurred_at.timestamp()
            if event.region not in self._codes or not oldest <= occurred <= latest:
                refusal = self._place_or_time(event.region, occurred, latest)
                reading.refused.append(_refused(record, refusal))
                continue
            accepted = classify(record.offset, event, occurred, value)
            stored = by_key.get(accepted.event_key)
            if stored is not None:
                if _contradict(accepted, stored):
                    reading.refused.append(_refused(record, revision_conflict(accepted.revision)))
                    continue
                reading.repeated += 1
                if accepted.revision <= stored.revision:
                    continue
            by_key[accepted.event_key] = accepted
        reading.accepted = list(by_key.values())
        return reading

    def _place_or_time(self, region: str, occurred: float, latest: float) -> Refusal:
        if region not in self._codes:
            return Refusal(
                RefusalReason.UNKNOWN_REGION,
                "region is no code of this installation's registry "
                f"({self._registry}). Send the code of the facility's county.",
            )
        if occurred > latest:
            return Refusal(
                RefusalReason.FROM_FUTURE,
                f"occurred_at lies more than {self._max_future} after the time of arrival. "
                "Check the source's clock and UTC offset.",
            )
        return Refusal(
            RefusalReason.TOO_OLD,
            f"occurred_at lies more than {self._max_age.days} days back. Import older data "
            "as counts with fenghuo import-counts.",
        )

    def _visit(
        self, offset: int, visit: FeverVisit, occurred: float, value: bytes
    ) -> AcceptedEvent:
        signals = self._visit_signals(visit)
        return AcceptedEvent(
            offset,
            event_key(visit.source_id, visit.event_id),
            visit.revision,
            visit.cancelled,
            occurred,
            visit.source_id,
            visit.facility_id,
            Place(signals, visit.region, self._bands.stratum(visit)),
            (1.0,) * len(signals),
            value,
        )

    def _sale(self, offset: int, sale: DrugSale, occurred: float, value: bytes) -> AcceptedEvent:
        matched = self._sale_signals(sale)
        return AcceptedEvent(
            offset,
            event_key(sale.source_id, sale.event_id),
            sale.revision,
            sale.cancelled,
            occurred,
            sale.source_id,
            sale.facility_id,
            Place(tuple(signal for signal, _ in matched), sale.region, ALL_STRATA),
            tuple(sale.quantity if by_quantity else 1.0 for _, by_quantity in matched),
            value,
        )


def event_key(source_id: str, event_id: str) -> str:
    """Return the identity of an event within its kind as 32 hexadecimal digits.

    Neither part can hold a line feed, so two different pairs never give the same text.
    """
    return md5(f"{source_id}\n{event_id}".encode(), usedforsecurity=False).hexdigest()


def _contradict(one: AcceptedEvent, other: AcceptedEvent) -> bool:
    """Tell whether two records of one event have the same revision, but count differently."""
    return one.revision == other.revision and _counted(one) != _counted(other)


def _counted(event: AcceptedEvent) -> tuple[Any, ...]:
    return event.cancelled, event.occurred, event.facility_id, event.place, event.amounts


def revision_conflict(revision: int) -> Refusal:
    """Return the refusal of a stored revision that comes again with another content."""
    return Refusal(
        RefusalReason.REVISION_CONFLICT,
        f"Revision {revision} of this event is stored with another content. Send the correction "
        "with a higher revision.",
    )


#: Of events that would change counts which retention has deleted; only the database can tell.
BEYOND_RETENTION: Final = Refusal(
    RefusalReason.BEYOND_RETENTION,
    "This event, or the stored version that it replaces, is older than what is kept: its counts "
    "are deleted and cannot be changed. Send what happened since as an event with its own "
    "event_id; import older data as counts with fenghuo import-counts.",
)
_EMPTY = Refusal(
    RefusalReason.EMPTY,
    "The record has no value. To take an event back, send it again with a higher revision and "
    "cancelled: true.",
)
_TOO_LARGE = Refusal(
    RefusalReason.TOO_LARGE, f"The record is larger than {MAX_RECORD_BYTES} bytes. Send one event."
)


def _unread(value: bytes | None) -> Refusal:
    return _TOO_LARGE if value and not value.isspace() else _EMPTY


def _refused(record: Any, refusal: Refusal) -> RefusedRecord:
    key, value = record.key, record.value
    if key is not None and (
        len(key) > MAX_RECORD_BYTES or text_looks_personal(key.decode("utf-8", "replace"))
    ):
        key = None
    if value is not None and len(value) > _MAX_LETTER_BYTES:
        kept = f"Of its {len(value)} bytes the letter keeps the first {MAX_RECORD_BYTES}."
        refusal = refusal._replace(sentence=f"{refusal.sentence} {kept}")
        value = value[:MAX_RECORD_BYTES]
    source = _source_of(value)
    redacted = refusal.reason is RefusalReason.PERSONAL_DATA or (
        # Nobody has read it yet.
        refusal.reason is RefusalReason.TOO_LARGE
        and text_looks_personal(value.decode("utf-8", "replace")) is not None
    )
    if redacted:
        # Dead letters are copied to a topic that others read: personal data are not stored.
        value = redacted_value(refusal.sentence, len(value))
    return RefusedRecord(record.offset, key, value, source, refusal, redacted)


_SOURCE = TypeAdapter(dict[str, Any])


def _source_of(value: bytes | None) -> str | None:
    """Read the source id of a refused record, as far as it can be told."""
    try:
        source = _SOURCE.validate_json(value or b"").get("source_id")
    except ValidationError:
        return None
    if not isinstance(source, str) or identifier_looks_personal(source):
        return None
    if not source.isprintable():
        return None
    return source[:64]


def utc_now() -> datetime:
    """Return the time of arrival."""
    return datetime.now(UTC)
