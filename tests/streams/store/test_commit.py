from __future__ import annotations

import asyncio
import json
import logging
import random
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import pytest_asyncio
from faust.types import TP

from schemas.config import Signal
from streams.ingest.intake import Intake, event_key
from streams.store.commit import BatchPosition, StaleOffsetError, commit_batch
from streams.store.offsets import StoredPositions
from streams.store.series import SeriesNumbers
from streams.transport import LogBounds, RecordBatch, Unreadable
from tests.support.events import (
    KAOHSIUNG,
    NEW_TAIPEI,
    TAIPEI,
    Record,
    offline_counts,
    records,
    sale,
    visit,
)
from tests.support.store import LOG, Worker, blocked, counts, daily_counts, rows, worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from streams.config import Configuration

HOUR = datetime(2025, 3, 3, 1, tzinfo=UTC)
NEXT_HOUR = datetime(2025, 3, 3, 2, tzinfo=UTC)


@pytest_asyncio.fixture
async def ingest(database_url: str, configuration: Configuration) -> AsyncIterator[Worker]:
    """A worker that owns the first two partitions of both topics."""
    async with worker(database_url, configuration) as running:
        for topic in ("visits", "sales"):
            for partition in (0, 1):
                await running.position(topic, partition)
        yield running


def letters(database: str) -> list[tuple[Any, ...]]:
    return rows(
        database,
        'SELECT topic, partition, "offset", reason, source_id FROM dead_letters ORDER BY letter_id',
    )


def batches(database: str) -> list[tuple[Any, ...]]:
    return rows(
        database,
        "SELECT from_offset, next_offset, records, inserted, replaced, repeated, refused "
        "FROM batches ORDER BY batch_id",
    )


def flu(database: str, region: str = TAIPEI) -> dict[tuple[str, datetime], Decimal]:
    found = counts(database).items()
    return {(st, h): v for (s, r, st, h), v in found if (s, r) == ("ili", region)}


async def test_a_batch_is_counted_by_hour_and_day(ingest: Worker, database_url: str) -> None:
    events = [visit("a"), visit("b"), visit("c", occurred_at="2025-03-03T10:00:00+08:00"),
              visit("d", age=3), visit("e", icd10=["R50"], region=NEW_TAIPEI)]  # fmt: skip
    await ingest.deliver("visits", 0, records(events))
    assert counts(database_url) == {
        ("ili", TAIPEI, "19-64", HOUR): 2,
        ("fever", TAIPEI, "19-64", HOUR): 2,
        ("ili", TAIPEI, "19-64", NEXT_HOUR): 1,
        ("fever", TAIPEI, "19-64", NEXT_HOUR): 1,
        ("ili", TAIPEI, "0-6", HOUR): 1,
        ("fever", TAIPEI, "0-6", HOUR): 1,
        ("fever", NEW_TAIPEI, "19-64", HOUR): 1,
    }
    assert daily_counts(database_url)["ili", TAIPEI, "19-64", date(2025, 3, 3)] == 3
    assert batches(database_url) == [(0, 5, 5, 5, 0, 0, 0)]
    assert ingest.commits[0][1:] == (5, 0, 0, 0)
    assert set(rows(database_url, "SELECT signal, region, day FROM pending_judgements")) == {
        ("ili", TAIPEI, date(2025, 3, 3)),
        ("fever", TAIPEI, date(2025, 3, 3)),
        ("fever", NEW_TAIPEI, date(2025, 3, 3)),
    }


async def test_a_repeat_changes_nothing_and_announces_nothing(
    ingest: Worker, database_url: str
) -> None:
    await ingest.deliver("visits", 0, records([visit()]))
    before = counts(database_url), rows(database_url, "SELECT count(*) FROM pending_judgements")
    await ingest.deliver("visits", 1, records([visit()]))
    assert before == (
        counts(database_url),
        rows(database_url, "SELECT count(*) FROM pending_judgements"),
    )
    assert batches(database_url)[1] == (0, 1, 1, 0, 0, 1, 0)
    assert rows(database_url, "SELECT count(*) FROM events") == [(1,)]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"region": KAOHSIUNG}, (KAOHSIUNG, "19-64", HOUR)),
        ({"age": 80}, (TAIPEI, "65+", HOUR)),
        ({"age": None}, (TAIPEI, "unknown", HOUR)),
        ({"occurred_at": "2025-03-03T10:05:00+08:00"}, (TAIPEI, "19-64", NEXT_HOUR)),
        ({"icd10": ["S52"]}, None),
        ({"cancelled": True}, None),
    ],
)
async def test_a_correction_moves_the_count(
    ingest: Worker, database_url: str, change: dict[str, Any], expected: tuple[Any, ...] | None
) -> None:
    await ingest.deliver("visits", 0, records([visit()]))
    await ingest.deliver("visits", 1, records([visit(revision=2, **change)]))
    found = [key[1:] for key in counts(database_url) if key[0] == "ili"]
    assert found == ([expected] if expected else [])
    assert counts(database_url) == counts(database_url, "recount()")
    await ingest.deliver("visits", 0, records([visit()], first=1))
    assert found == [key[1:] for key in counts(database_url) if key[0] == "ili"]
    # Both the place that lost a case and the one that won it are judged again.
    places = {row[0] for row in rows(database_url, "SELECT region FROM pending_judgements")}
    assert places == {TAIPEI, expected[0] if expected else TAIPEI}


async def test_an_event_can_come_back_after_a_cancellation(
    ingest: Worker, database_url: str
) -> None:
    for revision, cancelled in ((1, False), (2, True), (3, False)):
        await ingest.deliver(
            "visits",
            0,
            records([visit(revision=revision, cancelled=cancelled)], first=revision - 1),
        )
    assert flu(database_url) == {("19-64", HOUR): 1}


async def test_a_cancellation_may_be_all_that_is_ever_seen(
    ingest: Worker, database_url: str
) -> None:
    await ingest.deliver("visits", 0, records([visit(revision=2, cancelled=True)]))
    await ingest.deliver("visits", 0, records([visit()], first=1))
    assert counts(database_url) == {}
    assert rows(database_url, "SELECT count(*) FROM events") == [(1,)]


async def test_fractions_of_packs_are_exact(ingest: Worker, database_url: str) -> None:
    packs = [0.1] * 10 + [0.2, 0.001, 99_999.999, 1 / 3]
    await ingest.deliver(
        "sales", 0, records(sale(f"s-{i}", quantity=q) for i, q in enumerate(packs))
    )
    key = ("antipyretic", TAIPEI, "all", HOUR)
    assert counts(database_url)[key] == Decimal("1.2") + 100_000 + Decimal(repr(1 / 3))
    cancelled = [sale(f"s-{i}", revision=2, cancelled=True, quantity=1) for i in range(len(packs))]
    await ingest.deliver("sales", 1, records(cancelled))
    assert counts(database_url) == {}
    assert {row[0] for row in rows(database_url, "SELECT value FROM hourly_counts")} == {0}


async def test_one_malformed_record_costs_one_dead_letter_and_nothing_else(
    ingest: Worker, database_url: str
) -> None:
    batch = records(visit(f"v-{i}", age=i % 100) for i in range(10_000))
    batch[4321] = batch[4321]._replace(value=batch[4321].value[:-1] if batch[4321].value else None)
    await ingest.deliver("visits", 0, batch)
    assert letters(database_url) == [("visits", 0, 4321, "not_json", None)]
    assert batches(database_url) == [(0, 10_000, 10_000, 9_999, 0, 0, 1)]
    assert sum(v for (s, *_), v in counts(database_url).items() if s == "ili") == 9_999
    stored = rows(database_url, "SELECT key, value FROM dead_letters")
    assert stored == [(batch[4321].key, batch[4321].value)]
    assert rows(
        database_url, "SELECT source_id, accepted, refused FROM batch_sources ORDER BY 1"
    ) == [("his-1", 9_999, 0), ("unknown", 0, 1)]


async def test_a_revision_conflict_is_a_dead_letter_and_changes_nothing(
    ingest: Worker, database_url: str
) -> None:
    await ingest.deliver("visits", 0, records([visit(revision=3)]))
    before = counts(database_url)
    other = visit(revision=3, region=KAOHSIUNG)
    await ingest.deliver("visits", 1, records([visit("v-2"), other], first=0))
    assert letters(database_url) == [("visits", 1, 1, "revision_conflict", "his-1")]
    (sentence,) = rows(database_url, "SELECT sentence FROM dead_letters")[0]
    assert "Revision 3 of this event" in sentence
    assert "higher revision" in sentence
    after = counts(database_url)
    assert after[("ili", TAIPEI, "19-64", HOUR)] == before[("ili", TAIPEI, "19-64", HOUR)] + 1
    assert flu(database_url, KAOHSIUNG) == {}
    assert after == counts(database_url, "recount()")
    assert batches(database_url)[1] == (0, 2, 2, 1, 0, 0, 1)


async def test_the_same_record_is_a_repeat_after_the_case_definition_changed(
    ingest: Worker, database_url: str, configuration: Configuration
) -> None:
    await ingest.deliver("visits", 0, records([visit()]))
    before = counts(database_url)
    surveillance = configuration.surveillance
    narrow = Signal.model_validate(
        {"title": {"en": "x", "zh": "x"}, "of": "visits", "match": {"icd10": ["J09"]}}
    )
    signals = {**surveillance.signals, "ili": narrow}
    changed = type(configuration)(
        surveillance.model_copy(update={"signals": signals}),
        configuration.regions,
        configuration.detectors,
        "changed",
    )
    async with worker(database_url, changed) as later:
        await later.deliver("visits", 0, records([visit(), visit(age=3)], first=1))
    assert counts(database_url) == before
    assert [letter[2:4] for letter in letters(database_url)] == [(2, "revision_conflict")]


UNSTORABLE = "clinic-unstorable"


@pytest.fixture
def unstorable(database_url: str) -> Iterator[None]:
    """Events of one facility end in a data error.

    No value is known that passes validation and that PostgreSQL cannot hold; should a later version
    of either differ, this is what happens.
    """
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE data_exception; END $$"
        )
        connection.execute(
            "CREATE TRIGGER refuse BEFORE INSERT ON events FOR EACH ROW "
            f"WHEN (NEW.facility_id = '{UNSTORABLE}') EXECUTE FUNCTION refuse()"
        )
        try:
            yield
        finally:
            connection.execute("DROP TRIGGER refuse ON events")
            connection.execute("DROP FUNCTION refuse")


@pytest.mark.usefixtures("unstorable")
async def test_a_record_that_the_database_cannot_hold_is_refused_alone(
    ingest: Worker, database_url: str
) -> None:
    events = [visit(f"v-{i}") for i in range(33)]
    events[20] = visit("v-20", facility_id=UNSTORABLE)
    await ingest.deliver("visits", 0, records(events))
    assert letters(database_url) == [("visits", 0, 20, "not_storable", None)]
    (sentence,) = rows(database_url, "SELECT sentence FROM dead_letters")[0]
    assert "cannot hold a value" in sentence
    assert flu(database_url) == {("19-64", HOUR): 32}
    assert await ingest.position("visits") == 33
    assert rows(database_url, "SELECT sum(records), sum(inserted), sum(refused) FROM batches") == [
        (33, 32, 1)
    ]
    await ingest.deliver("visits", 0, records([visit("next")], first=33))
    assert flu(database_url) == {("19-64", HOUR): 33}


@pytest.mark.usefixtures("unstorable")
async def test_only_bad_records(ingest: Worker, database_url: str) -> None:
    at_odds = visit(facility_id=UNSTORABLE)
    await ingest.deliver(
        "visits", 0, [*records([at_odds]), Record(1, None, b"{"), Record(2, None, None)]
    )
    assert [(letter[2], letter[3]) for letter in letters(database_url)] == [
        (0, "not_storable"),
        (1, "not_json"),
        (2, "empty"),
    ]
    assert await ingest.position("visits") == 3


async def test_a_batch_may_be_empty_and_have_gaps(ingest: Worker, database_url: str) -> None:
    tp = TP("visits", 0)
    await ingest.ingest.prepare(RecordBatch(tp, LOG, 0, 7, []))()
    one, two = records([visit("a")], first=9), records([visit("b")], first=12)
    await ingest.ingest.prepare(RecordBatch(tp, LOG, 7, 20, [*one, *two]))()
    assert await ingest.position("visits") == 20
    assert flu(database_url) == {("19-64", HOUR): 2}


async def test_what_cannot_be_decoded_is_one_letter_for_its_offsets(
    ingest: Worker, database_url: str
) -> None:
    tp = TP("visits", 0)
    one, two = records([visit("a")]), records([visit("b")], first=9)
    lost = [
        Unreadable(1, 8, "zstd: data corruption", b"a batch"),
        Unreadable(8, 9, "gzip: wrong checksum", b"another"),
    ]
    batch = RecordBatch(tp, LOG, 0, 10, [*one, *two], lost)
    await ingest.ingest.prepare(batch)()
    assert await ingest.position("visits") == 10
    assert flu(database_url) == {("19-64", HOUR): 2}
    assert batches(database_url) == [(0, 10, 4, 2, 0, 0, 2)]
    assert rows(
        database_url, 'SELECT "offset", reason, source_id, value FROM dead_letters ORDER BY 1'
    ) == [(1, "unreadable", None, b"a batch"), (8, "unreadable", None, b"another")]
    ((whole,), (single,)) = rows(
        database_url, 'SELECT sentence FROM dead_letters ORDER BY "offset"'
    )
    assert whole.startswith("Offsets 1 to 7 cannot be decoded (zstd: data corruption).")
    assert single.startswith("Offset 8 cannot be decoded (gzip: wrong checksum).")
    # Another worker reads the same in other pieces.
    for first in (5, 9):
        await ingest.ingest.prepare(batch.from_offset(first))()
    assert len(letters(database_url)) == 2


@pytest.mark.parametrize("offset", [1, 3, 8, 9])
def test_the_parts_of_a_batch_answer_for_all_of_it(offset: int) -> None:
    lost = [Unreadable(1, 8, "", b""), Unreadable(8, 9, "", b"")]
    ends = records([visit("a")], first=0) + records([visit("b")], first=9)
    whole = RecordBatch(TP("visits", 0), LOG, 0, 10, ends, lost)
    parts = (whole.before_offset(offset), whole.from_offset(offset))
    covered = [
        at
        for part in parts
        for at in [
            *(record.offset for record in part.records),
            *(at for one in part.unreadable for at in range(one.first, one.next_offset)),
        ]
    ]
    assert sorted(covered) == list(range(10))
    assert parts[0].next_offset == parts[1].position == offset


async def test_payloads_are_stored_as_they_came(ingest: Worker, database_url: str) -> None:
    text = 'a\\b "c"\n\t\r \\N \\. é 流感 \u2028 {},'
    pretty = json.dumps(visit("a", complaint=text), indent=1).replace("\n", "\r\n\t").encode()
    plain = json.dumps(visit("b", complaint=text), ensure_ascii=False).encode()
    await ingest.deliver("visits", 0, [Record(0, None, pretty), Record(1, None, plain)])
    assert letters(database_url) == []
    stored = [row[0] for row in rows(database_url, "SELECT payload::text FROM events")]
    assert [json.loads(value)["complaint"] for value in stored] == [text, text]
    assert plain.decode() in stored


async def test_a_stale_batch_writes_nothing(
    ingest: Worker, database_url: str, configuration: Configuration
) -> None:
    await ingest.deliver("visits", 0, records([visit("a")]))
    reading = Intake(configuration).read("visits", records([visit("b")]), now=datetime.now(UTC))
    for position, stored in (((0, 0), 1), ((0, 2), 1), ((9, 0), None)):
        at = BatchPosition(LOG, "visits", position[0], position[1], position[1] + 1)
        async with ingest.pool.connection() as connection:
            with pytest.raises(StaleOffsetError) as caught:
                await commit_batch(
                    connection, at, reading, SeriesNumbers(),
                    records=1, worker="late", received_at=datetime.now(UTC),
                )  # fmt: skip
        assert caught.value.stored == stored
        assert f"visits[{position[0]}]" in str(caught.value)
    assert flu(database_url) == {("19-64", HOUR): 1}
    assert len(batches(database_url)) == 1


async def test_a_batch_that_was_half_committed_by_another_worker(
    ingest: Worker, database_url: str
) -> None:
    batch = records(visit(f"v-{i}") for i in range(10))
    await ingest.deliver("visits", 0, batch[:4])
    await ingest.deliver("visits", 0, batch)
    assert batches(database_url) == [(0, 4, 4, 4, 0, 0, 0), (4, 10, 6, 6, 0, 0, 0)]
    await ingest.deliver("visits", 0, batch)
    assert len(batches(database_url)) == 2
    assert ingest.reseeks == []


async def test_a_batch_beyond_the_stored_offset_is_read_again_from_there(
    ingest: Worker, database_url: str
) -> None:
    await ingest.deliver("visits", 0, records([visit("b")], first=1))
    assert ingest.reseeks == [(TP("visits", 0), 0)]
    assert batches(database_url) == []


async def test_a_locked_partition_does_not_keep_the_others_from_starting(
    ingest: Worker, database_url: str
) -> None:
    stored = StoredPositions(ingest.pool)
    bounds = {TP("visits", partition): LogBounds(LOG, 3, 9) for partition in range(3)}
    assert await stored.positions(bounds) == dict.fromkeys(bounds, 3)
    async with await psycopg.AsyncConnection.connect(database_url) as frozen:
        await frozen.execute("UPDATE stream_offsets SET next_offset = 5 WHERE partition = 1")
        assert await stored.positions(bounds) == {TP("visits", 0): 3, TP("visits", 2): 3}
    assert await stored.positions(bounds) == dict.fromkeys(bounds, 3) | {TP("visits", 1): 5}


async def test_a_log_that_differs_is_read_from_there_and_the_jump_is_kept(
    ingest: Worker, database_url: str
) -> None:
    stored, tp = StoredPositions(ingest.pool), TP("visits", 0)
    assert await stored.epochs({tp: LOG}) == {}
    await stored.positions({tp: LogBounds(LOG, 0, 9)})
    for first, epoch in ((0, -1), (1, 3), (2, 3), (3, 4)):
        batch = records([visit(f"v-{first}")], first=first)
        await ingest.ingest.prepare(RecordBatch(tp, LOG, first, first + 1, batch, epoch=epoch))()
        assert await stored.epochs({tp: LOG}) == ({tp: epoch} if epoch >= 0 else {})
    # Up to the stored offset it is the same, or more of it is.
    for same_until in (4, 9):
        assert await stored.positions({tp: LogBounds(LOG, 0, 99, same_until)}) == {tp: 4}
    assert await stored.positions({tp: LogBounds(LOG, 0, 99, 2)}) == {tp: 2}
    assert rows(database_url, "SELECT from_offset, to_offset, reason FROM offset_jumps") == [
        (4, 2, "log cut short")
    ]
    # The epoch of what was lost is forgotten, and the next commit stores its own.
    assert await stored.epochs({tp: LOG}) == {}
    batch = records([visit("w")], first=2)
    await ingest.ingest.prepare(RecordBatch(tp, LOG, 2, 3, batch, epoch=4))()
    assert await stored.epochs({tp: LOG, TP("visits", 1): LOG}) == {tp: 4}
    assert await stored.positions({tp: LogBounds(LOG, 5, 99, 1)}) == {tp: 5}
    assert rows(database_url, "SELECT reason FROM offset_jumps ORDER BY noticed_at")[1:] == [
        ("expired",)
    ]


async def test_refused_records_of_a_topic_made_anew(ingest: Worker, database_url: str) -> None:
    broken = [Record(0, None, b"{"), Record(1, None, b"{")]
    await ingest.deliver("visits", 0, broken)
    stored = StoredPositions(ingest.pool)
    # The new log is longer than the stored offset of the one before.
    tp = TP("visits", 0)
    for _ in range(2):
        assert await stored.positions({tp: LogBounds("log-2", 0, 9)}) == {tp: 0}
    assert rows(database_url, "SELECT log, from_offset, to_offset, reason FROM offset_jumps") == [
        ("log-2", 2, 0, "topic made anew")
    ]
    await ingest.ingest.prepare(RecordBatch(tp, "log-2", 0, 2, broken))()
    assert [letter[2] for letter in letters(database_url)] == [0, 1, 0, 1]
    assert rows(database_url, "SELECT log FROM dead_letters ORDER BY letter_id") == [
        (LOG,), (LOG,), ("log-2",), ("log-2",)
    ]  # fmt: skip


async def test_a_batch_of_a_log_is_fenced_by_that_logs_offset(
    ingest: Worker, database_url: str
) -> None:
    tp = TP("visits", 0)
    stored = StoredPositions(ingest.pool)
    await ingest.deliver("visits", 0, records([visit("a")]))
    await stored.positions({tp: LogBounds("log-2", 0, 9)})
    # Fetched of the new log at the old one's position; and what was still under way of the old one.
    await ingest.ingest.prepare(RecordBatch(tp, "log-2", 1, 2, records([visit("b")], first=1)))()
    assert ingest.reseeks == [(tp, 0)]
    await ingest.deliver("visits", 0, records([visit("c")], first=1))
    assert flu(database_url) == {("19-64", HOUR): 2}
    assert await stored.positions({tp: LogBounds("log-2", 0, 9)}) == {tp: 0}


async def test_a_log_that_was_cut_short_is_a_jump(ingest: Worker, database_url: str) -> None:
    await ingest.deliver("visits", 0, records([visit("a"), visit("b")]))
    stored = StoredPositions(ingest.pool)
    assert await stored.positions({TP("visits", 0): LogBounds(LOG, 0, 1)}) == {TP("visits", 0): 0}
    assert rows(database_url, "SELECT from_offset, to_offset, reason FROM offset_jumps") == [
        (2, 0, "log cut short")
    ]


async def test_records_that_expired_unread_are_a_jump(ingest: Worker, database_url: str) -> None:
    stored = StoredPositions(ingest.pool)
    assert await stored.positions({TP("visits", 0): LogBounds(LOG, 5, 9)}) == {TP("visits", 0): 5}
    assert rows(database_url, "SELECT from_offset, to_offset, reason FROM offset_jumps") == [
        (0, 5, "expired")
    ]


# ---------------------------------------------------------------- at the same time


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({}, {}, TAIPEI),
        ({}, {"revision": 2, "region": KAOHSIUNG}, KAOHSIUNG),
        ({"revision": 2, "region": KAOHSIUNG}, {}, KAOHSIUNG),
    ],
)
async def test_two_workers_with_the_same_event_count_it_once(
    ingest: Worker,
    database_url: str,
    configuration: Configuration,
    *,
    first: dict[str, Any],
    second: dict[str, Any],
    expected: str,
) -> None:
    reading = Intake(configuration).read("visits", records([visit(**first)]), now=datetime.now(UTC))
    async with ingest.pool.connection() as connection:
        series = SeriesNumbers()
        await series.know(connection, reading.accepted)
        await connection.commit()
        async with connection.transaction():
            await commit_batch(
                connection, BatchPosition(LOG, "visits", 0, 0, 1), reading, series,
                records=1, worker="one", received_at=datetime.now(UTC),
            )  # fmt: skip
            other = asyncio.create_task(ingest.deliver("visits", 1, records([visit(**second)])))
            await blocked(database_url)
        await other
    assert [key[1] for key in counts(database_url) if key[0] == "ili"] == [expected]
    assert counts(database_url) == counts(database_url, "recount()")
    assert counts(database_url) == counts(database_url, "counts_as_of('infinity')")
    assert letters(database_url) == []


async def test_what_replaces_is_recorded_later_than_what_it_replaces(
    ingest: Worker, database_url: str
) -> None:
    low, high = sorted(("x", "y"), key=lambda name: event_key("his-1", name))
    correction = records([visit(low), visit(high, revision=2, region=KAOHSIUNG)])
    async with await psycopg.AsyncConnection.connect(database_url) as holder:
        await holder.execute(
            "INSERT INTO event_heads (event_key, kind, revision, cancelled, occurred_at, series, "
            "amounts, batch_id) VALUES (%s, 'visits', 1, false, now(), '{}', '{}', 0)",
            (event_key("his-1", low),),
        )
        # Its transaction has begun, but waits for the first of its events; meanwhile the other
        # worker commits what this one is going to replace.
        slow = asyncio.create_task(ingest.deliver("visits", 0, correction))
        await blocked(database_url)
        await ingest.deliver("visits", 1, records([visit(high)]))
        await holder.rollback()
        await slow
    times = rows(database_url, "SELECT recorded_at FROM batches ORDER BY recorded_at")
    for (known_at,) in times:
        known = counts(database_url, "counts_as_of(%s)", known_at)
        assert min(known.values()) > 0
        assert known == counts(database_url, "recount(%s)", known_at)


async def test_workers_in_each_others_way_come_to_the_right_counts(
    database_url: str, configuration: Configuration
) -> None:
    dice = random.Random(5)
    regions = (TAIPEI, NEW_TAIPEI, KAOHSIUNG)
    versions = [
        visit(f"v-{i}", revision=r, region=regions[(i + r) % 3], cancelled=(i + r) % 7 == 0)
        for i in range(60)
        for r in (1, 2, 3)
    ]
    async with worker(database_url, configuration, size=4) as running:
        tasks = []
        barrier = asyncio.Barrier(4)

        async def run(partition: int, log: list[Record]) -> None:
            await barrier.wait()
            for start in range(0, len(log), 45):
                await running.deliver("visits", partition, log[start : start + 45])

        for partition in range(4):
            await running.position("visits", partition)
            log = records(dice.sample(versions, len(versions)))
            tasks.append(run(partition, log))
        await asyncio.gather(*tasks)
    expected = offline_counts(
        Intake(configuration), versions, zone="Asia/Taipei", now=datetime.now(UTC)
    )
    assert counts(database_url) == expected
    assert counts(database_url, "recount()") == expected
    assert counts(database_url, "counts_as_of('infinity')") == expected
    assert letters(database_url) == []


async def test_a_deadlock_is_tried_again(
    ingest: Worker, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    await ingest.deliver("visits", 0, records([visit()]))
    async with await psycopg.AsyncConnection.connect(database_url) as rival:
        await rival.execute("SET deadlock_timeout = '60s'")  # the worker is the one to give way
        await rival.execute("SELECT FROM event_heads FOR UPDATE")
        with caplog.at_level(logging.WARNING):
            correction = records([visit(revision=2, age=3)], first=1)
            task = asyncio.create_task(ingest.deliver("visits", 0, correction))
            await blocked(database_url)
            await rival.execute("UPDATE stream_offsets SET updated_at = now()")
            await rival.commit()
            await task
    assert "deadlock detected" in caplog.text
    assert flu(database_url) == {("0-6", HOUR): 1}
    assert await ingest.position("visits") == 2


async def test_a_serialisation_failure_is_tried_again(
    database_url: str, configuration: Configuration, caplog: pytest.LogCaptureFixture
) -> None:
    strict = psycopg.conninfo.make_conninfo(
        database_url, options="-c default_transaction_isolation=serializable"
    )
    async with worker(strict, configuration) as running:
        await running.position("visits")
        await running.deliver("visits", 0, records([visit()]))
        async with await psycopg.AsyncConnection.connect(database_url) as rival:
            await rival.execute("UPDATE event_heads SET batch_id = batch_id")
            with caplog.at_level(logging.WARNING):
                correction = records([visit(revision=2, age=3)], first=1)
                task = asyncio.create_task(running.deliver("visits", 0, correction))
                await blocked(database_url)
                await rival.commit()
                await task
    assert "could not serialize" in caplog.text
    assert flu(database_url) == {("0-6", HOUR): 1}


async def test_a_lost_connection_is_tried_again(
    ingest: Worker, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    await ingest.deliver("visits", 0, records([visit()]))
    async with await psycopg.AsyncConnection.connect(database_url) as rival:
        await rival.execute("SELECT FROM event_heads FOR UPDATE")
        task = asyncio.create_task(
            ingest.deliver("visits", 0, records([visit(revision=2, age=3)], first=1))
        )
        await blocked(database_url)
        await rival.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        await rival.commit()
        await task
    assert flu(database_url) == {("0-6", HOUR): 1}
    assert "trying again" in caplog.text
