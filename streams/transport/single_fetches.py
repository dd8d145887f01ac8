"""Fetches beside those of aiokafka's fetcher: for the ends of logs, and of single batches."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from aiokafka.consumer.fetcher import READ_COMMITTED
from aiokafka.errors import KafkaError
from aiokafka.protocol.fetch import FetchRequest
from faust.types import TP

from streams.transport.by_id import fetch_by_id
from streams.transport.unreadable import read_batch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.transport.unreadable import ReadBatch

__all__ = ["high_watermarks", "read_again"]

log = logging.getLogger(__name__)

#: Longest wait of a fetch that finds nothing. Without any the embedded broker does not answer.
_WAIT_MS = 100
#: Most bytes of the fetches that ask for the ends of logs.
_FETCH_BYTES = 65_536
#: A batch that arrived damaged, in its checksum or its frame, may have been damaged on the way.
_TRIES = 3
_RETRY_SECONDS = 0.1


async def read_again(
    client: Any, tp: TP, log_id: str, offset: int, max_bytes: int
) -> ReadBatch | None:
    """Fetch the batch that holds an offset by itself, and read what can be decoded of it.

    Parameters
    ----------
    client
        aiokafka's.
    max_bytes
        Most bytes of the answer; a larger first batch comes all the same.

    Returns
    -------
    ReadBatch or None
        None where the broker has nothing to give at the moment.

    Raises
    ------
    KafkaError
        The broker does not answer.
    """
    read = None
    for attempt in range(_TRIES):
        if attempt:
            await asyncio.sleep(_RETRY_SECONDS)
        read = await _read(client, tp, log_id, offset, max_bytes)
        if read is None or read.intact:
            break
    return read


async def _read(client: Any, tp: TP, log_id: str, offset: int, max_bytes: int) -> ReadBatch | None:
    node = client.cluster.leader_for_partition(tp)
    if node is None or node < 0:
        return None
    wanted = [(tp.topic, [(tp.partition, offset, max_bytes)])]
    request = FetchRequest(_WAIT_MS, 1, max_bytes, READ_COMMITTED, wanted)
    answer = await fetch_by_id(client.send, node, request, {tp: log_id})
    for _, partitions in answer.topics:
        for _, code, _, _, _, aborted, _, fetched in partitions:
            return None if code else read_batch(tp, offset, fetched, aborted)
    return None


async def high_watermarks(
    client: Any, ends: Mapping[TP, int], logs: Mapping[TP, str]
) -> dict[TP, int]:
    """Ask by a fetch at the supposed ends.

    The embedded broker, asked for the end of a log, leaves out all but the first record of the last
    batch; the answer to a fetch always tells the real one.
    """
    by_node: dict[int, dict[str, list[tuple[int, int, int]]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for (topic, partition), end in ends.items():
        node = client.cluster.leader_for_partition(TP(topic, partition))
        if node is not None and node >= 0:
            by_node[node][topic].append((partition, end, 1))
    result = {}
    for node, topics in by_node.items():
        request = FetchRequest(_WAIT_MS, 0, _FETCH_BYTES, 0, list(topics.items()))
        try:
            answer = await fetch_by_id(client.send, node, request, logs)
        except KafkaError as error:
            log.warning("The ends of logs cannot be fetched from node %s: %s", node, error)
            continue
        for topic, found in answer.topics:
            for partition, code, high_watermark, *_ in found:
                if code == 0:
                    result[TP(topic, partition)] = high_watermark
    return result
