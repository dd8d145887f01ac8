"""Letters on their way to Kafka: one that Kafka does not take blocks no other, none goes twice."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from faust.exceptions import ProducerSendError
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient

from streams.dead_letters import HandOver
from streams.kafka import create_topics, dead_letter_topic
from streams.store.letter_privacy import forget_letters
from streams.store.pool import open_pool
from streams.store.set_aside import COUNTED, list_set_aside
from tests.support.logs import read_topic
from tests.support.store import rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

MEGABYTE = 1_000_000


class Producer:
    """What is used of Faust's producer, on a real one."""

    def __init__(self, real: AIOKafkaProducer) -> None:
        self._real = real
        self.missing: set[str] = set()

    async def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        _partition: None,
        _timestamp: None,
        headers: dict[str, bytes],
    ) -> Any:
        if topic in self.missing:
            raise TimeoutError
        try:
            return await self._real.send(topic, value, key, headers=list(headers.items()))
        except KafkaError as error:
            raise ProducerSendError(f"Error while sending: {error!r}") from error


@asynccontextmanager
async def producing(kafka: str, most_bytes: int = MEGABYTE) -> AsyncIterator[Producer]:
    async with AIOKafkaProducer(bootstrap_servers=kafka, max_request_size=most_bytes) as real:
        yield Producer(real)


@pytest.fixture
def topic(kafka: str, fresh_name: str) -> str:
    create_topics(kafka, [fresh_name], partitions=1, replication=1)
    return fresh_name


def add(database: str, topic: str, *values: bytes | None, key: bytes | None = b"TW-TPE") -> None:
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        cursor.executemany(
            'INSERT INTO dead_letters (log, topic, partition, "offset", reason, sentence, key, '
            "value, refused_at) VALUES ('log-1', %s, 0, 0, 'not_json', 'Mend it.', %s, %s, now())",
            [(topic, key, value) for value in values],
        )


def received(kafka: str, topic: str) -> list[tuple[bytes | None, dict[str, bytes]]]:
    letters = read_topic(kafka, dead_letter_topic(topic))
    return [(record.value, dict(record.headers)) for record in letters]


def values(found: Sequence[tuple[bytes | None, dict[str, bytes]]]) -> list[bytes]:
    return [value or b"" for value, _ in found]


def waiting(database: str) -> int:
    return int(rows(database, "SELECT count(*) FROM dead_letters WHERE published_at IS NULL")[0][0])


async def test_an_oversized_letter_goes_without_its_value_and_blocks_none(
    database_url: str, kafka: str, topic: str
) -> None:
    large = b"x" * 1_040_000
    add(database_url, topic, b"before", large, b"after")
    async with open_pool(database_url, size=1) as pool, producing(kafka) as producer:
        hand_over = HandOver(pool, most_bytes=MEGABYTE)
        assert await hand_over.step(producer) == 3
        assert await hand_over.step(producer) == 0
    found = received(kafka, topic)
    assert values(found) == [b"before", b"", b"after"]
    assert found[1][1]["left-out"].startswith(b"value of 1040000 bytes")
    kept = rows(database_url, "SELECT value, hand_over_note FROM dead_letters ORDER BY letter_id")
    assert kept[1][0] == large
    assert "1,040,000 bytes" in kept[1][1]
    assert kept[0][1] is None


async def test_a_letter_that_only_the_broker_finds_too_large(
    database_url: str, kafka: str, topic: str
) -> None:
    # The producer would send it: larger requests are allowed than the broker takes.
    add(database_url, topic, b"before", b"x" * 1_200_000, b"after")
    async with (
        open_pool(database_url, size=1) as pool,
        producing(kafka, 4 * MEGABYTE) as producer,
    ):
        assert await HandOver(pool, most_bytes=4 * MEGABYTE).step(producer) == 3
    assert sorted(values(received(kafka, topic))) in (
        [b"", b"after", b"before"],
        [b"after", b"before", b"x" * 1_200_000],  # the embedded broker takes any size
    )


@pytest.mark.kafka
async def test_a_topic_that_takes_little(
    database_url: str, apache_kafka: str, fresh_name: str
) -> None:
    create_topics(apache_kafka, [fresh_name], partitions=1, replication=1)
    admin = KafkaAdminClient(bootstrap_servers=apache_kafka)
    admin.alter_configs(
        [
            ConfigResource(
                ConfigResourceType.TOPIC,
                dead_letter_topic(fresh_name),
                {"max.message.bytes": "1000"},
            )
        ]
    )
    admin.close()
    add(database_url, fresh_name, *[b"%d" % n for n in range(200)], b"x" * 5000)
    async with open_pool(database_url, size=1) as pool, producing(apache_kafka) as producer:
        assert await HandOver(pool, most_bytes=MEGABYTE).step(producer) == 201
    found = values(received(apache_kafka, fresh_name))
    assert sorted(found) == sorted([b"", *[b"%d" % n for n in range(200)]])


async def test_a_letter_with_neither_key_nor_value(
    database_url: str, kafka: str, topic: str
) -> None:
    add(database_url, topic, None, b"after", key=None)
    async with open_pool(database_url, size=1) as pool, producing(kafka) as producer:
        assert await HandOver(pool, most_bytes=MEGABYTE).step(producer) == 2
    assert values(received(kafka, topic)) == [b"", b"after"]


async def test_a_topic_that_takes_nothing_blocks_no_other(
    database_url: str, kafka: str, topic: str
) -> None:
    add(database_url, "elsewhere", b"1", b"2")
    add(database_url, topic, b"3")
    async with open_pool(database_url, size=1) as pool, producing(kafka) as producer:
        producer.missing.add(dead_letter_topic("elsewhere"))
        hand_over = HandOver(pool, most_bytes=MEGABYTE)
        assert await hand_over.step(producer) == 1
        assert await hand_over.step(producer) == 0
    assert values(received(kafka, topic)) == [b"3"]
    assert waiting(database_url) == 2
    with psycopg.connect(database_url) as connection:
        (aside,) = list_set_aside(connection)
    assert aside.queue == "dead letters of elsewhere"
    assert "does it exist" in aside.reason


async def test_a_flood_of_letters_set_aside_is_counted_no_further_than_there_is_something_to_tell(
    database_url: str,
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            'INSERT INTO dead_letters (log, topic, partition, "offset", reason, sentence, '
            "refused_at, hand_over_failures, hand_over_note) "
            "SELECT 'log', 'visits', 0, n, 'bad_json', 'x', now(), 1, 'refused' "
            "FROM generate_series(1, %s) n",
            (COUNTED - 1,),
        )
        (aside,) = list_set_aside(connection)
        assert (aside.rows, aside.at_least) == (COUNTED - 1, False)
        connection.execute(
            'INSERT INTO dead_letters (log, topic, partition, "offset", reason, sentence, '
            "refused_at, hand_over_failures, hand_over_note) "
            "SELECT 'log', 'visits', 0, n, 'bad_json', 'x', now(), 1, 'refused' "
            "FROM generate_series(1, 3000) n"
        )
        (aside,) = list_set_aside(connection)
        assert (aside.rows, aside.at_least) == (COUNTED, True)
        (last,) = connection.execute("SELECT max(letter_id) FROM dead_letters").fetchone() or (0,)
        assert aside.example == f"letter {last}"


async def test_letters_come_when_the_topic_is_there_again(
    database_url: str, kafka: str, topic: str
) -> None:
    add(database_url, topic, b"1", b"2")
    async with open_pool(database_url, size=1) as pool, producing(kafka) as producer:
        producer.missing.add(dead_letter_topic(topic))
        now = 0.0
        hand_over = HandOver(pool, most_bytes=MEGABYTE, clock=lambda: now)
        assert await hand_over.step(producer) == 0
        producer.missing.clear()
        now = 120.0
        assert await hand_over.step(producer) == 2
    assert sorted(values(received(kafka, topic))) == [b"1", b"2"]


async def test_many_letters_go_together(database_url: str, kafka: str, topic: str) -> None:
    add(database_url, topic, *[b"%d" % n for n in range(4500)])
    async with open_pool(database_url, size=1) as pool, producing(kafka) as producer:
        assert await HandOver(pool, most_bytes=MEGABYTE).step(producer) == 4500
    assert [int(value) for value in values(received(kafka, topic))] == list(range(4500))


async def test_letters_are_forgotten_after_their_time(database_url: str) -> None:
    """Except those that Kafka has not taken."""
    with psycopg.connect(database_url) as connection:
        for days, published in ((100, True), (100, False), (89, True)):
            connection.execute(
                'INSERT INTO dead_letters (log, topic, partition, "offset", reason, sentence, '
                "refused_at, published_at) VALUES ('c', 'visits', 0, %s, 'not_json', '', "
                "now() - %s * interval '1 day', CASE WHEN %s THEN now() END)",
                (days, days, published),
            )
    async with open_pool(database_url, size=1) as pool:
        assert await forget_letters(pool, None) == 0
        assert await forget_letters(pool, timedelta(days=90)) == 1
        assert await forget_letters(pool, timedelta(days=90)) == 0
    left = rows(database_url, 'SELECT "offset", published_at IS NULL FROM dead_letters ORDER BY 1')
    assert left == [(89, False), (100, True)]
