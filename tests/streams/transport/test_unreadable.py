"""Batches that cannot be decoded are set aside, and reading goes on behind them."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING

import aiokafka.codec as codecs
import pytest
from faust.types import TP
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.transport.unreadable import read_batch
from tests.support.batch_app import create_topic, make_app, running, until
from tests.support.batches import Ledger, assert_tiled, collect, values
from tests.support.kafka_server import KafkaServer, KafkaUnavailable
from tests.support.raw_batches import CODECS, HEADER_SIZE, encode, produce_raw, signed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from streams.transport import RecordBatch

AT = TP("visits", 0)
VALUES = [b" " * 50 + b"%d" % number for number in range(5)]


@pytest.mark.parametrize("codec", CODECS)
def test_a_sound_batch_is_read_from_any_offset(codec: str) -> None:
    raw = encode(VALUES, codec=codec, base_offset=10)
    for offset in range(10, 15):
        read = read_batch(AT, offset, raw + raw[:40])
        assert read is not None
        assert [record.offset for record in read.records] == list(range(offset, 15))
        assert [record.value for record in read.records] == VALUES[offset - 10 :]
        assert (read.next_offset, read.unreadable, read.intact) == (15, (), True)
    assert read_batch(AT, 15, raw) is None
    assert read_batch(AT, 0, b"") is None


@pytest.mark.parametrize("codec", [name for name in CODECS if name != "none"])
def test_cut_compressed_bytes_are_set_aside_with_the_batch(codec: str) -> None:
    raw = signed(encode(VALUES, codec=codec, base_offset=10)[:-9])
    read = read_batch(AT, 11, raw)
    assert read is not None
    assert (read.next_offset, read.records, read.intact) == (15, (), True)
    (lost,) = read.unreadable
    assert (lost.first, lost.next_offset, lost.raw) == (11, 15, raw)
    assert codec in lost.problem


@pytest.mark.parametrize("codec", [5, 7])
def test_an_unknown_codec_is_set_aside(codec: int) -> None:
    read = read_batch(AT, 0, signed(encode(VALUES, codec="gzip"), codec=codec))
    assert read is not None
    assert (read.next_offset, read.records) == (5, ())
    assert "unknown codec" in read.unreadable[0].problem


@pytest.mark.parametrize("codec", [name for name in CODECS if name != "none"])
def test_a_batch_that_would_fill_the_memory_is_set_aside(codec: str) -> None:
    raw = encode([b"sound", bytes(70_000_000)], codec=codec, base_offset=10)
    tracemalloc.start()
    read = read_batch(AT, 10, raw)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert read is not None
    assert (read.next_offset, read.records, read.intact) == (12, (), True)
    (lost,) = read.unreadable
    assert (lost.first, lost.next_offset) == (10, 12)
    assert lost.problem == f"{codec}: decompresses to more than 67108864 bytes"
    assert peak < 4 * 67_108_864


@pytest.mark.parametrize("codec", [name for name in CODECS if name != "none"])
def test_a_large_batch_below_the_limit_is_read(codec: str) -> None:
    large = [b"%d" % number * 100_000 for number in range(100)]
    read = read_batch(AT, 0, encode(large, codec=codec))
    assert read is not None
    assert [record.value for record in read.records] == large
    assert not read.unreadable


def test_several_members_of_gzip_are_one_batch() -> None:
    raw = encode(VALUES, codec="none")
    data = raw[HEADER_SIZE:]
    packed = codecs.gzip_encode(data[:30]) + codecs.gzip_encode(data[30:]) + b"\0\0"
    read = read_batch(AT, 0, signed(raw[:HEADER_SIZE] + packed, codec=CODECS["gzip"]))
    assert read is not None
    assert [record.value for record in read.records] == VALUES


def test_snappy_without_javas_container_is_read() -> None:
    raw = encode(VALUES, codec="none")
    packed = codecs.snappy_encode(raw[HEADER_SIZE:], xerial_compatible=False)
    read = read_batch(AT, 0, signed(raw[:HEADER_SIZE] + packed, codec=CODECS["snappy"]))
    assert read is not None
    assert [record.value for record in read.records] == VALUES


def test_a_wrong_checksum_sets_the_batch_aside_and_may_come_from_the_way() -> None:
    raw = bytearray(encode(VALUES))
    raw[-3] ^= 1
    read = read_batch(AT, 2, bytes(raw))
    assert read is not None
    assert (read.next_offset, read.records, read.intact) == (5, (), False)
    assert [(one.first, one.next_offset) for one in read.unreadable] == [(2, 5)]


def test_only_the_record_that_is_damaged_is_set_aside() -> None:
    raw = encode(VALUES, codec="none", base_offset=10)
    at = raw.index(VALUES[2])
    # The value states a length that is longer than its record.
    damaged = signed(raw[: at - 1] + b"\x7e" + raw[at:])
    read = read_batch(AT, 10, damaged)
    assert read is not None
    assert [record.value for record in read.records] == VALUES[:2] + VALUES[3:]
    assert [(one.first, one.next_offset) for one in read.unreadable] == [(12, 13)]


@pytest.mark.parametrize("codec", CODECS)
def test_a_header_that_is_no_utf8_costs_nothing(codec: str) -> None:
    raw = signed(encode(VALUES, headers=[("name", b"x")]).replace(b"name", b"\xffame"), codec=0)
    if codec != "none":
        packed = getattr(codecs, f"{codec}_encode")(raw[HEADER_SIZE:])
        raw = signed(raw[:HEADER_SIZE] + packed, codec=CODECS[codec])
    read = read_batch(AT, 0, raw)
    assert read is not None
    assert [record.value for record in read.records] == VALUES
    assert not read.unreadable


@settings(max_examples=300, deadline=None)
@example(codec="none", at=998, to=10, cut=0, sign=True, offset=100)  # one past the batch's end
@given(
    codec=st.sampled_from(list(CODECS)),
    at=st.integers(min_value=0, max_value=10_000),
    to=st.integers(min_value=0, max_value=255),
    cut=st.integers(min_value=0, max_value=400),
    sign=st.booleans(),
    offset=st.integers(min_value=100, max_value=104),
)
def test_damage_of_any_kind_loses_no_offset_and_raises_nothing(
    codec: str, at: int, to: int, cut: int, *, sign: bool, offset: int
) -> None:
    raw = bytearray(encode(VALUES, codec=codec, base_offset=100))
    raw[at % len(raw)] = to
    raw = raw[: len(raw) - cut % len(raw)]
    if sign and len(raw) > HEADER_SIZE:
        raw = bytearray(signed(bytes(raw)))
    read = read_batch(AT, offset, bytes(raw))
    if read is None:
        return
    assert read.next_offset > offset
    found = [record.offset for record in read.records]
    assert found == sorted(set(found))
    assert all(offset <= one < read.next_offset for one in found)
    for one in read.unreadable:
        assert offset <= one.first < one.next_offset <= read.next_offset
        assert not any(one.first <= record < one.next_offset for record in found)


def ranges(batches: Iterable[RecordBatch]) -> list[tuple[int, int]]:
    return [(one.first, one.next_offset) for batch in batches for one in batch.unreadable]


async def test_what_a_broker_lets_through_does_not_stop_the_partition(
    broker: str, fresh_name: str, tmp_path: Path
) -> None:
    create_topic(broker, fresh_name)
    strange = encode(VALUES, headers=[("name", b"x")]).replace(b"name", b"\xffame")
    sent = [
        encode(VALUES, codec="zstd"),
        signed(strange),
        signed(encode(VALUES, codec="zstd")[:-4]),
        encode([*VALUES[:4], bytes(70_000_000)], codec="zstd"),
        encode(VALUES, codec="lz4"),
    ]
    taken = [await produce_raw(broker, fresh_name, batch) == 0 for batch in sent]
    # Apache Kafka looks into what it takes, the embedded broker does not.
    assert taken[0]
    assert taken[1]
    assert taken[4]
    app = make_app(broker, fresh_name, tmp_path)
    ledger = Ledger()
    app.transport.position_source = ledger
    collect(app, fresh_name, lambda batch: ledger.commit(batch, app))

    async with running(app):
        end = 5 * sum(taken)
        await until(lambda: ledger.stored.get(TP(fresh_name, 0)) == end, "the whole log")

    assert values(ledger.committed) == [0, 1, 2, 3, 4] * 3
    places = {number: 5 * sum(taken[:number]) for number in (2, 3) if taken[number]}
    assert ranges(ledger.committed) == [(at, at + 5) for at in places.values()]
    assert_tiled(ledger.committed)


@pytest.fixture(scope="module")
def kafka_with_files() -> Iterator[KafkaServer]:
    """An Apache Kafka whose files may be damaged."""
    try:
        with KafkaServer() as server:
            yield server
    except KafkaUnavailable as reason:
        pytest.skip(str(reason))


def damage(raw: bytes, kind: str) -> bytes:
    """Return a batch as a faulty disk or producer would leave it, of the same length."""
    changed = bytearray(raw)
    if kind == "checksum":
        changed[-1] ^= 1
        return bytes(changed)
    if kind == "codec":
        return signed(raw, codec=6)
    changed[HEADER_SIZE + 2 : HEADER_SIZE + 12] = b"\xff" * 10
    return signed(bytes(changed))


@pytest.mark.kafka
async def test_damaged_files_of_a_broker_are_set_aside_by_offset(
    kafka_with_files: KafkaServer, fresh_name: str, tmp_path: Path
) -> None:
    broker = kafka_with_files.bootstrap
    create_topic(broker, fresh_name)
    kinds = ["none", "checksum", "codec", "bytes", "none", "bytes", "bytes", "none", "checksum"]
    sent = [
        encode([b" " * 50 + b"%d" % (5 * number + i) for i in range(5)], codec="zstd")
        for number in range(len(kinds))
    ]
    for batch in sent:
        assert await produce_raw(broker, fresh_name, batch) == 0
    kafka_with_files.damage(
        f"{fresh_name}-0",
        [
            (stored, damage(stored, kind))
            for stored, kind in zip(
                kafka_with_files.stored_batches(f"{fresh_name}-0"), kinds, strict=True
            )
            if kind != "none"
        ],
    )
    app = make_app(broker, fresh_name, tmp_path)
    ledger = Ledger()
    app.transport.position_source = ledger
    collect(app, fresh_name, lambda batch: ledger.commit(batch, app))

    async with running(app):
        await until(lambda: ledger.stored.get(TP(fresh_name, 0)) == 45, "the whole log")
        assert await produce_raw(broker, fresh_name, encode([b"99"])) == 0
        await until(lambda: values(ledger.committed)[-1:] == [99], "what comes after it")

    assert values(ledger.committed) == [*range(5), *range(20, 25), *range(35, 40), 99]
    assert ranges(ledger.committed) == [
        (5, 10), (10, 15), (15, 20), (25, 30), (30, 35), (40, 45),
    ]  # fmt: skip
    problems = [one.problem for batch in ledger.committed for one in batch.unreadable]
    assert "CRC" in problems[0]
    assert "unknown codec" in problems[1]
    assert all("zstd" in problems[number] for number in (2, 3, 4))
    assert_tiled(ledger.committed)
