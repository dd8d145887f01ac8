"""Topics by id: a topic that is deleted and made anew keeps its name, but gets another id.

A fetch by name brings whatever log has the name by then, and offsets do not tell: the records of
the new log that lie below a position of the old one would be passed over. A fetch by id (Kafka 3.1
and newer) brings records of that one log or nothing. aiokafka fetches by name; the requests here
are those that it lacks.
"""

from __future__ import annotations

import asyncio
import struct
import uuid
from copy import copy
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from aiokafka.errors import (
    KafkaConnectionError,
    OffsetOutOfRangeError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    AbstractType,
    Boolean,
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)
from faust.types import TP

from streams.transport.epochs import UNKNOWN_EPOCH

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping
    from io import BytesIO

    #: Sends a request to a node.
    Send = Callable[[int, Any], Awaitable[Any]]
    #: Partition, offset, most bytes, epoch of the last record that was read.
    _Wanted = tuple[int, int, int, int]

__all__ = ["FetchAnswer", "fetch_by_id", "log_ids", "with_topics"]

#: Of a fetch: no topic has the id, or another id than the broker's log of it. aiokafka has no
#: names for them.
_UNKNOWN_TOPIC_ID, _INCONSISTENT_TOPIC_ID = 100, 103
_ANYBODY = -1
#: Tag of a partition's answer: up to which epoch and offset its log is the same.
_DIVERGING_TAG = 0
_DIVERGING = struct.Struct(">iq")


async def log_ids(client: Any, topics: Iterable[str]) -> dict[str, str]:
    """Ask for the ids of topics by their names; topics that do not exist are left out.

    Parameters
    ----------
    client
        aiokafka's.

    Raises
    ------
    KafkaError
        No broker answers, or the one that does gives topics no ids.
    """
    node = client.get_random_node()
    if node is None:
        raise KafkaConnectionError("No broker is known.")
    response = await client.send(node, _DescribeTopics(topics))
    found: dict[str, str] = {}
    for code, name, topic_id, *_ in response.topics:
        if code == UnknownTopicOrPartitionError.errno:
            continue
        if code:
            raise for_code(code)(name)
        if not topic_id.int:
            raise KafkaConnectionError(f"The broker gives topic {name} no id.")
        found[name] = str(topic_id)
    return found


class FetchAnswer:
    """What aiokafka reads of an answer to a fetch by names."""

    API_VERSION = 11

    def __init__(
        self,
        topics: Iterable[tuple[str, list[tuple[Any, ...]]]],
        diverged: Mapping[TP, int] = MappingProxyType({}),
    ) -> None:
        self.topics = list(topics)
        #: Partitions whose log is another one than what was read, from these offsets on.
        self.diverged = diverged


def with_topics(request: Any, topics: list[tuple[str, list[tuple[int, int, int]]]]) -> Any:
    """Return aiokafka's fetch with other topics."""
    part = copy(request)
    part._topics = topics  # noqa: SLF001 - has no setter
    return part


async def fetch_by_id(
    send: Send,
    node: int,
    request: Any,
    logs: Mapping[TP, str],
    epoch_before: Callable[[TP, int], int] = lambda _, __: UNKNOWN_EPOCH,
) -> FetchAnswer:
    """Send aiokafka's fetch with ids in place of names; the answer is one to the fetch by names.

    Partitions that `logs` lacks are not fetched. Those whose log is gone, or has diverged from what
    was read, are answered as a position out of range: so aiokafka gives up the position and says
    so.

    Parameters
    ----------
    epoch_before
        Returns the leader epoch of the last record below an offset.
    """
    by_log: dict[str, tuple[str, list[_Wanted]]] = {}
    for topic, partitions in request.topics:
        for wanted in partitions:
            if log := logs.get(tp := TP(topic, wanted[0])):
                epoch = epoch_before(tp, wanted[1])
                by_log.setdefault(log, (topic, []))[1].append((*wanted, epoch))
    if not by_log:
        await asyncio.sleep(request._max_wait_ms / 1000)  # noqa: SLF001 - aiokafka asks again at once
        return FetchAnswer(())
    response = await send(node, _FetchById(request, {log: p for log, (_, p) in by_log.items()}))
    if response.error_code:
        raise for_code(response.error_code)
    answered = {
        (str(topic_id), answer[0]): answer
        for topic_id, answers, _ in response.topics
        for answer in answers
    }
    # The embedded broker answers for an unknown id without saying for which.
    return FetchAnswer(
        (
            (topic, [_by_name(answered.get((log, wanted[0])), wanted[0]) for wanted in partitions])
            for log, (topic, partitions) in by_log.items()
        ),
        {
            TP(by_log[log][0], partition): _DIVERGING.unpack_from(answer[-1][_DIVERGING_TAG])[1]
            for (log, partition), answer in answered.items()
            if log in by_log and _DIVERGING_TAG in answer[-1]
        },
    )


def _by_name(answer: tuple[Any, ...] | None, partition: int) -> tuple[Any, ...]:
    if (
        answer is None
        or answer[1] in {_UNKNOWN_TOPIC_ID, _INCONSISTENT_TOPIC_ID}
        or _DIVERGING_TAG in answer[-1]
    ):
        return (partition, OffsetOutOfRangeError.errno, -1, -1, -1, None, _ANYBODY, b"")
    *head, aborted, replica, records, _ = answer
    return (*head, [one[:2] for one in aborted or ()], replica, records or b"")


_TEXT = CompactString()
_TAGS = ("tags", TaggedFields)


class _Uuid(AbstractType[uuid.UUID]):
    @classmethod
    def encode(cls, value: uuid.UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> uuid.UUID:
        return uuid.UUID(bytes=data.read(16))


class _DescribeTopicsResponse(Response):
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32), ("host", _TEXT), ("port", Int32), ("rack", _TEXT), _TAGS
            ),
        ),
        ("cluster_id", _TEXT),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", _TEXT),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        _TAGS,
                    ),
                ),
                ("authorized_operations", Int32),
                _TAGS,
            ),
        ),
        ("cluster_authorized_operations", Int32),
        _TAGS,
    )


class _DescribeTopicsRequest(RequestStruct):
    API_KEY = 3
    API_VERSION = 10
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _DescribeTopicsResponse
    SCHEMA = Schema(
        ("topics", CompactArray(("topic_id", _Uuid), ("name", _TEXT), _TAGS)),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        _TAGS,
    )


class _DescribeTopics(Request[_DescribeTopicsRequest]):
    """Kafka's Metadata, version 10: the first one with topic ids."""

    API_KEY = 3

    def __init__(self, topics: Iterable[str]) -> None:
        self._topics = list(topics)

    def build(self, request_struct_class: type[_DescribeTopicsRequest]) -> _DescribeTopicsRequest:
        none = uuid.UUID(int=0)
        topics: list[Any] = [(none, topic, {}) for topic in self._topics]
        return request_struct_class(topics, False, False, False, {})


class _FetchByIdResponse(Response):
    API_KEY = 1
    API_VERSION = 13
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("session_id", Int32),
        (
            "topics",
            CompactArray(
                ("topic_id", _Uuid),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("error_code", Int16),
                        ("high_watermark", Int64),
                        ("last_stable_offset", Int64),
                        ("log_start_offset", Int64),
                        (
                            "aborted_transactions",
                            CompactArray(("producer_id", Int64), ("first_offset", Int64), _TAGS),
                        ),
                        ("preferred_read_replica", Int32),
                        ("records", CompactBytes),
                        _TAGS,
                    ),
                ),
                _TAGS,
            ),
        ),
        _TAGS,
    )


class _FetchByIdRequest(RequestStruct):
    API_KEY = 1
    API_VERSION = 13
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _FetchByIdResponse
    SCHEMA = Schema(
        ("replica_id", Int32),
        ("max_wait_ms", Int32),
        ("min_bytes", Int32),
        ("max_bytes", Int32),
        ("isolation_level", Int8),
        ("session_id", Int32),
        ("session_epoch", Int32),
        (
            "topics",
            CompactArray(
                ("topic_id", _Uuid),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("current_leader_epoch", Int32),
                        ("fetch_offset", Int64),
                        ("last_fetched_epoch", Int32),
                        ("log_start_offset", Int64),
                        ("max_bytes", Int32),
                        _TAGS,
                    ),
                ),
                _TAGS,
            ),
        ),
        (
            "forgotten_topics_data",
            CompactArray(("topic_id", _Uuid), ("partitions", CompactArray(Int32)), _TAGS),
        ),
        ("rack_id", _TEXT),
        _TAGS,
    )


class _FetchById(Request[_FetchByIdRequest]):
    """Kafka's Fetch, version 13: the first one by topic ids."""

    API_KEY = 1

    def __init__(self, named: Any, partitions: Mapping[str, list[_Wanted]]) -> None:
        self._named = named
        self._partitions = partitions

    def build(self, request_struct_class: type[_FetchByIdRequest]) -> _FetchByIdRequest:
        named = self._named
        topics: list[Any] = [
            (
                uuid.UUID(log),
                [
                    (number, -1, offset, epoch, -1, size, {})
                    for number, offset, size, epoch in partitions
                ],
                {},
            )
            for log, partitions in self._partitions.items()
        ]
        return request_struct_class(
            -1,  # a consumer, no replica
            named._max_wait_ms,  # noqa: SLF001 - has no accessor, nor have the others
            named._min_bytes,  # noqa: SLF001
            named._max_bytes,  # noqa: SLF001
            named._isolation_level,  # noqa: SLF001
            0,  # no session
            -1,
            topics,
            [],
            named._rack_id,  # noqa: SLF001
            {},
        )
