"""How far the stored offsets are behind the brokers' logs."""

from __future__ import annotations

import socket
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from streams.errors import UnavailableError
from streams.kafka import topic_ids

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


def read_log_ends(bootstrap: str, topics: Iterable[str]) -> LogEnds:
    """Ask the brokers how long the logs are.

    Raises
    ------
    UnavailableError
        No broker answers.
    """
    _knock(bootstrap)
    try:
        consumer = KafkaConsumer(
            bootstrap_servers=bootstrap.split(","),
            client_id="fenghuo-status",
            bootstrap_timeout_ms=_BOOTSTRAP_MS,
            request_timeout_ms=_REQUEST_MS,
        )
    except KafkaError as error:
        raise _unavailable(bootstrap, error) from None
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
        raise UnavailableError(f"Kafka at {bootstrap} does not answer: {error}.") from None
    finally:
        consumer.close()
    ends = {(tp.topic, tp.partition): (first[tp], end[tp]) for tp in partitions}
    return LogEnds(topic_ids(bootstrap, {topic for topic, _ in ends}), ends)


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


def _knock(bootstrap: str) -> None:
    """Find out cheaply that nobody is there; kafka-python leaks its sockets when it finds out."""
    problem: OSError | None = None
    for server in bootstrap.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            with socket.create_connection((host.strip("[]"), int(port)), _BOOTSTRAP_MS / 1000):
                return
        except ValueError:
            raise UnavailableError(
                f"{server!r} is no address of a broker; write host:port. Check --kafka."
            ) from None
        except OSError as error:
            problem = error
    if problem is not None:
        raise _unavailable(bootstrap, problem)


def _unavailable(bootstrap: str, error: Exception) -> UnavailableError:
    return UnavailableError(
        f"No Kafka broker answers at {bootstrap}: {error}. Check --kafka or FENGHUO_KAFKA."
    )
