from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer

from tests.support.kafka_server import KafkaServer, KafkaUnavailable, ensure_jars
from tests.support.processes import group_is_gone

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def broker() -> Iterator[KafkaServer]:
    try:
        with KafkaServer() as server:
            yield server
    except KafkaUnavailable as reason:
        pytest.skip(str(reason))


def new_topic(broker: KafkaServer, *, partitions: int = 1, **config: str) -> str:
    name = f"probe-{uuid.uuid4().hex[:8]}"
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap)
    try:
        admin.create_topics(
            {
                name: {
                    "num_partitions": partitions,
                    "replication_factor": 1,
                    "configs": {key.replace("_", "."): value for key, value in config.items()},
                }
            }
        )
    finally:
        admin.close()
    return name


def publish(broker: KafkaServer, topic: str, numbers: range) -> None:
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, acks="all")
    try:
        for number in numbers:
            producer.send(topic, key=b"%d" % number, value=b"%d" % number)
        producer.flush()
    finally:
        producer.close()


def consume(broker: KafkaServer, topic: str, group: str, *, quiet_ms: int = 15_000) -> list[Any]:
    """Read until nothing comes for a while; joining the group counts as well."""
    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=broker.bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        consumer_timeout_ms=quiet_ms,
    )
    try:
        records = list(consumer)
        consumer.commit()
    finally:
        consumer.close()
    return records


def test_a_group_reads_every_partition_once(broker: KafkaServer) -> None:
    topic = new_topic(broker, partitions=8)
    publish(broker, topic, range(400))

    records = consume(broker, topic, "readers")

    assert sorted(int(record.value) for record in records) == list(range(400))
    assert {record.partition for record in records} == set(range(8))
    assert consume(broker, topic, "readers", quiet_ms=5_000) == []


async def test_aborted_transactions_stay_unseen_and_leave_offset_gaps(broker: KafkaServer) -> None:
    topic = new_topic(broker)
    producer = AIOKafkaProducer(
        bootstrap_servers=broker.bootstrap, transactional_id=f"writer-{topic}"
    )
    async with producer:
        async with producer.transaction():
            await producer.send_and_wait(topic, b"kept")
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"dropped")
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(topic, b"kept too")

    consumer = AIOKafkaConsumer(
        bootstrap_servers=broker.bootstrap, isolation_level="read_committed"
    )
    async with consumer:
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.seek_to_beginning()
        seen = [await anext(consumer), await anext(consumer)]

    assert [record.value for record in seen] == [b"kept", b"kept too"]
    # Each commit or abort marker takes an offset, and so does the aborted record.
    assert [record.offset for record in seen] == [0, 4]


def test_a_compacted_topic_loses_the_older_values_of_a_key(broker: KafkaServer) -> None:
    topic = new_topic(
        broker,
        cleanup_policy="compact",
        segment_bytes=str(2**20),
        min_cleanable_dirty_ratio="0.01",
    )
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap, acks="all")
    old = [producer.send(topic, key=b"same", value=bytes(100_000)) for _ in range(40)]
    producer.send(topic, key=b"last", value=b"")
    producer.close()
    assert max(sent.get().offset for sent in old) == 39

    for attempt in range(60):
        records = consume(broker, topic, f"compaction-{attempt}", quiet_ms=5_000)
        if len(records) < 41:
            break

    # Only closed segments are compacted: the active one may hold several values of the key.
    assert len(records) < 41
    assert records[-1].offset == 40


def test_data_and_address_outlive_a_kill(broker: KafkaServer) -> None:
    topic = new_topic(broker)
    publish(broker, topic, range(10))
    bootstrap, pid = broker.bootstrap, broker.pid

    broker.kill()
    assert not broker.running
    broker.restart()

    assert broker.bootstrap == bootstrap
    assert broker.pid != pid
    publish(broker, topic, range(10, 20))
    assert [int(r.value) for r in consume(broker, topic, "after-kill")] == list(range(20))


def test_unknown_topics_are_not_created(broker: KafkaServer) -> None:
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap)
    try:
        assert not consumer.partitions_for_topic("never-created")
    finally:
        consumer.close()


def test_nothing_is_left_behind() -> None:
    try:
        server = KafkaServer()
    except KafkaUnavailable as reason:
        pytest.skip(str(reason))
    with server:
        pid = server.pid
        assert pid is not None
        os.killpg(pid, 0)
    assert group_is_gone(pid)
    assert not server.log.parent.exists()


def test_a_missing_java_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(KafkaUnavailable, match="java is not installed"):
        ensure_jars()
