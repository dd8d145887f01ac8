from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from streams.embedded import EmbeddedBroker
from streams.errors import UnavailableError
from streams.feed.publish import DeliveryError, publish_mixed, publish_records
from streams.kafka import create_topics
from tests.support.logs import read_topic

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PARTITIONS = 4


@pytest.fixture
def topic(kafka: str, fresh_name: str) -> str:
    create_topics(kafka, [fresh_name], partitions=PARTITIONS, replication=1)
    return fresh_name


def consumed(kafka: str, topic: str) -> dict[int, list[tuple[bytes, bytes]]]:
    """Everything in a topic, by partition."""
    found: dict[int, list[tuple[bytes, bytes]]] = {}
    for record in read_topic(kafka, topic):
        found.setdefault(record.partition, []).append((record.key, record.value))
    return found


def test_every_record_arrives_once_and_in_the_order_of_its_key(kafka: str, topic: str) -> None:
    # Large enough for several batches of each partition.
    records = [(f"R{i % 9}".encode(), f"{i:06d}".encode() * 60) for i in range(8_000)]
    told: list[int] = []

    sent = publish_records(kafka, topic, iter(records), told.append)

    found = consumed(kafka, topic)
    assert sent == sum(told) == len(records)
    assert sorted(pair for part in found.values() for pair in part) == sorted(records)
    assert len(told) > len(found)
    for key in {key for key, _ in records}:
        places = [part for part in found.values() if any(k == key for k, _ in part)]
        assert len(places) == 1, "records of one key lie in one partition"
        assert [pair for pair in places[0] if pair[0] == key] == [
            pair for pair in records if pair[0] == key
        ]


def test_keys_go_where_the_java_client_puts_them(kafka: str, topic: str) -> None:
    # murmur2 of the key, sign bit cleared, modulo 4; hashes as in Kafka's own UtilsTest.
    expected = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}

    publish_records(kafka, topic, [(key, b"x") for key in expected])

    found = {key: place for place, part in consumed(kafka, topic).items() for key, _ in part}
    assert found == {key: (hash_ & 0x7FFFFFFF) % PARTITIONS for key, hash_ in expected.items()}


def test_records_of_several_topics(kafka: str, topic: str) -> None:
    other = f"{topic}-other"
    create_topics(kafka, [other], partitions=PARTITIONS, replication=1)

    sent = publish_mixed(kafka, [(topic, b"a", b"1"), (other, b"a", b"2"), (topic, b"b", b"3")])

    assert sent == 3
    assert sorted(v for part in consumed(kafka, topic).values() for _, v in part) == [b"1", b"3"]
    assert [v for part in consumed(kafka, other).values() for _, v in part] == [b"2"]


def test_no_records_are_no_error(kafka: str, topic: str) -> None:
    assert publish_records(kafka, topic, []) == 0


def test_a_topic_that_is_missing_is_told_at_once(kafka: str, fresh_name: str) -> None:
    with pytest.raises(UnavailableError, match=f"{fresh_name} does not exist.*create-topics"):
        publish_records(kafka, fresh_name, [(b"a", b"1")])


def test_a_broker_that_is_away_is_told() -> None:
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9.*--kafka"):
        publish_records("127.0.0.1:9", "any", [(b"a", b"1")])


def test_a_broker_that_dies_under_way_is_told_with_what_it_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.feed.publish._TIMEOUT_MS", 2_000)
    told: list[int] = []
    with EmbeddedBroker(tmp_path) as broker:
        create_topics(broker.bootstrap, ["t"], partitions=1, replication=1)

        def records() -> Iterator[tuple[bytes, bytes]]:
            for number in range(100_000):
                if number == 50_000:
                    broker.stop()
                yield b"a", b"%0300d" % number

        with pytest.raises(DeliveryError, match="Publish the whole again") as caught:
            publish_records(broker.bootstrap, "t", records(), told.append)
    assert 0 < caught.value.delivered == sum(told) <= 50_000


def test_an_error_of_the_records_is_passed_on(kafka: str, topic: str) -> None:
    def records() -> Iterator[tuple[bytes, bytes]]:
        yield b"a", b"1"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        publish_records(kafka, topic, records())


def impatient(monkeypatch: pytest.MonkeyPatch, patience: float) -> None:
    # A broker beside other work may be silent for a second or two.
    monkeypatch.setattr("streams.feed.publish.PATIENCE", patience)
    monkeypatch.setattr("streams.feed.publish.QUIET", 4.0)


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_a_broker_that_falls_silent_is_told_within_seconds_and_given_up_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: signal.Signals
) -> None:
    impatient(monkeypatch, 10.0)
    counted: list[int] = []
    told: list[str] = []
    ended: list[float] = []
    with EmbeddedBroker(tmp_path) as broker:
        create_topics(broker.bootstrap, ["t"], partitions=4, replication=1)

        def records() -> Iterator[tuple[bytes, bytes]]:
            for number in range(100_000):
                if number == 50_000:
                    os.kill(broker.pid, end)
                    ended.append(time.monotonic())
                yield b"%d" % (number % 9), b"%0300d" % number

        with pytest.raises(DeliveryError) as caught:
            publish_records(broker.bootstrap, "t", records(), counted.append, told.append)
        assert time.monotonic() - ended[0] < 70  # several batches of 70 s each wait behind another
        os.kill(broker.pid, signal.SIGKILL)
    server = f"The broker at {broker.bootstrap}"
    assert told == [f"{server} does not answer; waiting for up to 10 s."]
    assert str(caught.value).startswith(
        f"{server} has not answered for 10 s. {caught.value.delivered} records were acknowledged. "
    )
    assert 0 < caught.value.delivered == sum(counted) <= 50_000


def test_a_broker_that_answers_again_gets_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch, 60.0)
    told: list[str] = []
    with EmbeddedBroker(tmp_path) as broker:
        create_topics(broker.bootstrap, ["t"], partitions=1, replication=1)

        def tell(sentence: str) -> None:
            told.append(sentence)
            os.kill(broker.pid, signal.SIGCONT)

        def records() -> Iterator[tuple[bytes, bytes]]:
            for number in range(20_000):
                if number == 10_000:
                    os.kill(broker.pid, signal.SIGSTOP)
                yield b"a", b"%0300d" % number

        assert publish_records(broker.bootstrap, "t", records(), on_wait=tell) == 20_000
    assert [sentence.split(" does ")[0].split(" answers ")[0] for sentence in told] == [
        f"The broker at {broker.bootstrap}"
    ] * 2
    assert told[1].endswith(" answers again.")


def test_records_that_come_slowly_are_no_silence(
    kafka: str, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch, 4.0)
    told: list[str] = []

    def records() -> Iterator[tuple[bytes, bytes]]:
        for number in range(3):
            time.sleep(4.5)
            yield b"a", b"%d" % number * 300_000

    assert publish_records(kafka, topic, records(), on_wait=told.append) == 3
    assert told == []
