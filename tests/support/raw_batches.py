"""Record batches byte by byte: sound ones, and ones that are damaged in all ways."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from aiokafka import TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CODECS", "HEADER_SIZE", "encode", "produce_raw", "signed"]

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
#: Bytes of a batch before its records.
HEADER_SIZE = 61
_TIME = 1_700_000_000_000
_LENGTH_AT, _CRC_AT, _ATTRIBUTES_AT = 8, 17, 21


def encode(
    values: Sequence[bytes | None],
    *,
    codec: str = "none",
    base_offset: int = 0,
    headers: Sequence[tuple[str, bytes]] = (),
) -> bytes:
    """Return a batch as a producer sends it."""
    builder = DefaultRecordBatchBuilder(2, CODECS[codec], 0, -1, -1, -1, 2**30)
    for offset, value in enumerate(values):
        builder.append(
            offset, timestamp=1_700_000_000_000, key=None, value=value, headers=[*headers]
        )
    return struct.pack(">q", base_offset) + bytes(builder.build())[8:]


def signed(batch: bytes, *, codec: int | None = None) -> bytes:
    """Return a changed batch with the length and the checksum that belong to it."""
    changed = bytearray(batch)
    struct.pack_into(">i", changed, _LENGTH_AT, len(changed) - 12)
    if codec is not None:
        changed[_ATTRIBUTES_AT + 1] = changed[_ATTRIBUTES_AT + 1] & ~7 | codec
    struct.pack_into(">I", changed, _CRC_AT, calc_crc32c(bytes(changed[_ATTRIBUTES_AT:])))
    return bytes(changed)


async def produce_raw(broker: str, topic: str, batch: bytes) -> int:
    """Send a batch as it is to partition 0; return the broker's error code."""
    client = AIOKafkaClient(bootstrap_servers=broker)
    await client.bootstrap()
    try:
        await client.set_topics([topic])
        node = client.cluster.leader_for_partition(TopicPartition(topic, 0))
        request = ProduceRequest(None, 1, 10_000, [(topic, [(0, batch)])])
        response = await client.send(node, request)
        ((_, ((_, code, *_),)),) = response.topics
        return int(code)
    finally:
        await client.close()
