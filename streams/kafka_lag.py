"""How far the stored offsets are behind the brokers' logs."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from streams.brokers import Brokers, as_brokers
from streams.errors import UnavailableError
from streams.kafka import no_answer, topic_ids
from streams.kafka_knock import knock

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LogEnds", "read_log_ends"]

#: Milliseconds to find a broker; a status must not hang where there is none.
_BOOTSTRAP_MS = 3_000
_REQUEST_MS = 10_000
_FETCH_SECONDS = 5.0


class LogEnds(NamedTuple):
    """Of the topics that exist: their ids, first offset and end offset of each partition."""

    ids: dict[str, str]
    ends: dict[tuple[str, int], tuple[int, int]]


def read_log_ends(brokers: Brokers | str, topics: Iterable[str]) -> LogEnds:
    """Ask the brokers how long the logs are.

    Raises
    ------
    UnavailableError
        No broker answers.
    """
    brokers = as_brokers(brokers)
    knock(brokers)
    try:
        consumer = KafkaConsumer(
            **brokers.for_kafka_python(),
            client_id="fenghuo-status",
            bootstrap_timeout_ms=_BOOTSTRAP_MS,
            request_timeout_ms=_REQUEST_MS,
        )
    except KafkaError as error:
        raise no_answer(brokers, error) from None
    try:
        present = consumer.topics()
        partitions = [
            TopicPartition(topic, partition)
            for topic in topics
            if topic in present
            for partition in sorted(consumer.partitions_for_topic(topic) or ())
        ]
        first = consumer.beginning_offsets(partitions) if partitions else {}
        end = _ends(consumer, partitions)
    except KafkaError as error:
        raise UnavailableError(f"Kafka at {brokers.bootstrap} does not answer: {error}.") from None
    finally:
        consumer.close()
    ends = {(tp.topic, tp.partition): (first[tp], end[tp]) for tp in partitions}
    return LogEnds(topic_ids(brokers, {topic for topic, _ in ends}), ends)


def _ends(consumer: KafkaConsumer, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
    """Return the ends of logs, as fetches tell them.

    The embedded broker, asked for them directly, leaves out all but the first record of the last
    batch.
    """
    if not partitions:
        return {}
    end: dict[TopicPartition, int] = consumer.end_offsets(partitions)
    consumer.assign(partitions)
    for tp in partitions:
        consumer.seek(tp, end[tp])
    deadline = time.monotonic() + _FETCH_SECONDS
    while time.monotonic() < deadline and any(consumer.highwater(tp) is None for tp in partitions):
        # Records that come in meanwhile need not be decodable here: only the ends are asked for.
        with suppress(Exception):
            consumer.poll(timeout_ms=100)
    return {tp: max(end[tp], consumer.highwater(tp) or 0) for tp in partitions}
