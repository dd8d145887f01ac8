from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from schemas.refusals import RefusalReason
from streams.ingest.intake import MAX_RECORD_BYTES, Intake, Reading, event_key
from tests.support.events import NEW_TAIPEI, TAIPEI, Record, records, sale, visit

if TYPE_CHECKING:
    from schemas.events import EventKind
    from streams.config import Configuration
    from streams.ingest.intake import AcceptedEvent, RefusedRecord

NOW = datetime(2025, 3, 3, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def intake(configuration: Configuration) -> Intake:
    return Intake(configuration)


def read(intake: Intake, *events: dict[str, Any], kind: EventKind = "visits") -> Reading:
    return intake.read(kind, records(events, first=100), now=NOW)


def accepted(intake: Intake, event: dict[str, Any], kind: EventKind = "visits") -> AcceptedEvent:
    reading = read(intake, event, kind=kind)
    assert reading.refused == []
    (only,) = reading.accepted
    return only


def refused(intake: Intake, value: bytes | None) -> RefusedRecord:
    reading = intake.read("visits", [Record(7, b"k", value)], now=NOW)
    assert reading.accepted == []
    (only,) = reading.refused
    assert (only.offset, only.key, only.value) == (7, b"k", value)
    return only


def refused_event(intake: Intake, **changes: Any) -> RefusedRecord:
    return refused(intake, json.dumps(visit(**changes)).encode())


def test_a_visit_becomes_an_event_of_its_signals(intake: Intake) -> None:
    event = accepted(intake, visit())
    assert event.offset == 100
    assert event.event_key == event_key("his-1", "v-1")
    assert (event.source_id, event.facility_id, event.place.region) == ("his-1", "clinic-1", TAIPEI)
    assert event.place.stratum == "19-64"
    assert (event.place.signals, event.amounts) == (("ili", "fever"), (1.0, 1.0))
    assert event.occurred_at == datetime(2025, 3, 3, 1, 30, tzinfo=UTC)
    assert json.loads(event.payload) == visit()


def test_a_sale_counts_its_quantity_where_the_signal_does(intake: Intake) -> None:
    event = accepted(intake, sale(quantity=2.5), kind="sales")
    assert event.place.stratum == "all"
    assert (event.place.signals, event.amounts) == (
        ("antipyretic", "antipyretic-sales"),
        (2.5, 1.0),
    )


def test_an_event_of_no_signal_is_kept_all_the_same(intake: Intake) -> None:
    event = accepted(intake, sale(atc="A01"), kind="sales")
    assert (event.place.signals, event.amounts) == ((), ())


def test_an_events_identity_is_source_and_id() -> None:
    assert event_key("a", "b") == event_key("a", "b")
    keys = {event_key("a", "b"), event_key("b", "a"), event_key("ab", ""), event_key("", "ab")}
    assert len(keys) == 4
    assert len(event_key("a", "b")) == 32


@pytest.mark.parametrize("value", [None, b"", b" \n"])
def test_empty(intake: Intake, value: bytes | None) -> None:
    record = refused(intake, value)
    assert record.refusal.reason is RefusalReason.EMPTY
    assert "no value" in record.refusal.sentence
    assert "cancelled: true" in record.refusal.sentence
    assert record.source_id is None


def test_too_large(intake: Intake) -> None:
    value = json.dumps(visit()).encode()
    value += b" " * (MAX_RECORD_BYTES - len(value))
    assert len(intake.read("visits", [Record(1, None, value)], now=NOW).accepted) == 1
    record = refused(intake, value + b" ")
    assert record.refusal.reason is RefusalReason.TOO_LARGE
    assert "65536 bytes" in record.refusal.sentence


def test_of_a_large_record_no_personal_data_are_kept(intake: Intake) -> None:
    value = json.dumps([visit(complaint="电话13800138000")] * 1000).encode()
    (record,) = intake.read("visits", [Record(7, b"k", value)], now=NOW).refused
    assert record.refusal.reason is RefusalReason.TOO_LARGE
    assert record.value is not None
    assert b"13800138000" not in record.value
    assert json.loads(record.value)["bytes"] == len(value)


@pytest.mark.parametrize(("size", "kept"), [(1_048_576, 1_048_576), (1_048_577, 65_536)])
def test_of_a_record_that_only_compression_made_small_the_beginning_is_kept(
    intake: Intake, size: int, kept: int
) -> None:
    value = b"[" + bytes(size - 1)
    reading = intake.read("visits", [Record(0, b"k" * 70_000, value)], now=NOW)
    (record,) = reading.refused
    assert record.refusal.reason is RefusalReason.TOO_LARGE
    assert record.value == value[:kept]
    assert record.key is None
    told = f"Of its {size} bytes the letter keeps the first 65536." in record.refusal.sentence
    assert told == (kept < size)


def test_unknown_region(intake: Intake) -> None:
    record = refused_event(intake, region="99999")
    assert record.refusal.reason is RefusalReason.UNKNOWN_REGION
    assert "99999" not in record.refusal.sentence
    assert "(tw)" in record.refusal.sentence
    assert record.source_id == "his-1"


def test_from_the_future(intake: Intake) -> None:
    limit = NOW + timedelta(minutes=10)
    accepted(intake, visit(occurred_at=limit.isoformat()))
    record = refused_event(intake, occurred_at=(limit + timedelta(seconds=1)).isoformat())
    assert record.refusal.reason is RefusalReason.FROM_FUTURE
    assert "0:10:00" in record.refusal.sentence
    assert "clock and UTC offset" in record.refusal.sentence


def test_too_old(intake: Intake) -> None:
    limit = NOW - timedelta(days=7300)
    accepted(intake, visit(occurred_at=limit.isoformat()))
    record = refused_event(intake, occurred_at=(limit - timedelta(seconds=1)).isoformat())
    assert record.refusal.reason is RefusalReason.TOO_OLD
    assert "7300 days" in record.refusal.sentence
    assert "import-counts" in record.refusal.sentence


def test_a_record_of_the_wrong_topic(intake: Intake) -> None:
    reading = read(intake, sale())
    assert [r.refusal.reason for r in reading.refused] == [RefusalReason.UNKNOWN_FIELD]


@pytest.mark.parametrize(
    ("value", "source"),
    [
        (b'{"source_id": "his-9"}', "his-9"),
        (b'{"source_id": "' + b"x" * 100 + b'"}', "x" * 64),
        (b'{"source_id": 7}', None),
        (b'{"source_id": "13800138000"}', None),
        (b'{"source_id": "a\\u0000b"}', None),
        (b'{"source_id": "his-9"', None),
        (b"[]", None),
        (b"\xff", None),
    ],
)
def test_the_source_of_a_refused_record_as_far_as_it_can_be_told(
    intake: Intake, value: bytes, source: str | None
) -> None:
    (record,) = intake.read("visits", [Record(7, b"k", value)], now=NOW).refused
    assert record.source_id == source


def test_refused_records_do_not_touch_their_neighbours(intake: Intake) -> None:
    batch = [*records([visit("a")]), Record(1, None, b"{"), *records([visit("b")], first=2)]
    reading = intake.read("visits", batch, now=NOW)
    assert [event.offset for event in reading.accepted] == [0, 2]
    assert [record.offset for record in reading.refused] == [1]


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 2, 1), (2, 3, 1)])
def test_the_highest_revision_of_a_batch_holds(intake: Intake, order: tuple[int, ...]) -> None:
    regions = {1: TAIPEI, 2: NEW_TAIPEI, 3: TAIPEI}
    reading = read(intake, *(visit(revision=n, region=regions[n]) for n in order))
    (event,) = reading.accepted
    assert event.revision == 3
    assert reading.repeated == 2
    assert reading.refused == []


def test_a_repeat_in_a_batch_is_counted_once(intake: Intake) -> None:
    reading = read(intake, visit(), visit(), visit("v-2"))
    assert [event.offset for event in reading.accepted] == [100, 102]
    assert reading.repeated == 1


def test_the_same_id_of_two_sources_is_two_events(intake: Intake) -> None:
    assert len(read(intake, visit(), visit(source_id="his-2")).accepted) == 2


@pytest.mark.parametrize(
    "other",
    [
        {"region": NEW_TAIPEI},
        {"age": 3},
        {"icd10": ["R50.9"]},
        {"cancelled": True},
        {"occurred_at": "2025-03-03T09:31:00+08:00"},
        {"facility_id": "clinic-2"},
    ],
)
def test_a_revision_with_two_contents_in_a_batch_is_a_conflict(
    intake: Intake, other: dict[str, Any]
) -> None:
    reading = read(intake, visit(), visit(**other))
    assert [event.offset for event in reading.accepted] == [100]
    (record,) = reading.refused
    assert (record.offset, record.source_id) == (101, "his-1")
    assert record.refusal.reason is RefusalReason.REVISION_CONFLICT
    assert "Revision 1 " in record.refusal.sentence
    assert "higher revision" in record.refusal.sentence


@pytest.mark.parametrize("same", [{"age": 31}, {"complaint": "flu"}])
def test_a_repeat_that_counts_the_same_is_no_conflict(intake: Intake, same: dict[str, Any]) -> None:
    reading = read(intake, visit(), visit(**same))
    assert (len(reading.accepted), reading.repeated, reading.refused) == (1, 1, [])


def test_the_same_moment_with_another_offset_is_no_conflict(intake: Intake) -> None:
    reading = read(intake, visit(), visit(occurred_at="2025-03-03T01:30:00Z"))
    assert reading.refused == []


@pytest.mark.parametrize(
    ("codes", "signals"),
    [
        (["J11.100x002"], ("ili", "fever")),
        (["j11.1 "], ("ili", "fever")),
        (["J11.1†", "G01*"], ("ili", "fever")),
        (["not a code", None, "J11.1"], ("ili", "fever")),
        (["not a code"], ("fever",)),
    ],
)
def test_no_code_costs_the_visit(
    intake: Intake, codes: list[str | None], signals: tuple[str, ...]
) -> None:
    event = accepted(intake, visit(icd10=codes, complaint=None, temperature=39.0))
    assert set(event.place.signals) <= set(signals)
    assert ("ili" in event.place.signals) == ("ili" in signals)


def test_null_is_a_field_left_out(intake: Intake) -> None:
    nothing = dict.fromkeys(("schema_version", "revision", "cancelled", "sex", "icd10"))
    event = accepted(intake, visit(**nothing))
    assert (event.revision, event.cancelled) == (1, False)


def raw(more: str) -> bytes:
    return json.dumps(visit(complaint=None))[:-1].encode() + more.encode() + b"}"


@pytest.mark.parametrize(
    "more",
    [
        r', "product": "a\u0000"',
        r', "complaint": "a\u0000b"',
        r', "icd10": ["J11\u0000"]',
        r', "complaint": "\ud800"',
        r', "\u0000": 1',
        ', "age": 1, "age": 2',
        ', "region" : "TW-KHH"',
        r', "\u0061ge": 3',
    ],
)
def test_what_the_database_or_a_reader_misreads_is_refused(intake: Intake, more: str) -> None:
    assert refused(intake, raw(more)).refusal.reason is RefusalReason.BAD_FORMAT


def test_escapes_that_are_no_nul_are_taken(intake: Intake) -> None:
    value = json.dumps({**visit(), "complaint": 'a "quoted": \\u0000'}).encode()
    assert intake.read("visits", [Record(7, b"k", value)], now=NOW).refused == []


@pytest.mark.parametrize(
    "more",
    [
        ', "age": 300, "complaint": "13800138000"',
        ', "phone": 13800138000',
        ', "complaint": "13800138000", "complaint": "cough"',
        ', "patient": {"phones": ["13800138000"]}',
        ', "13800138000": 1',
        ', "complaint": "13800138000"',
    ],
)
def test_personal_data_come_first_and_are_not_kept(intake: Intake, more: str) -> None:
    reading = intake.read("visits", [Record(7, b"13800138000", raw(more))], now=NOW)
    (record,) = reading.refused
    assert record.refusal.reason is RefusalReason.PERSONAL_DATA
    assert "13800138000" not in f"{record.value!r} {record.key!r} {record.refusal.sentence}"
    assert b"redacted" in (record.value or b"")


def test_a_refusal_names_field_and_position(intake: Intake) -> None:
    (record,) = read(intake, visit(event_id="v-13800138000")).refused
    assert record.refusal.sentence.startswith(
        "event_id holds what looks like a mobile number (characters 3 to 13)."
    )
