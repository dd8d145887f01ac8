"""Decompression of record batches to a size that has a limit.

A broker limits how large a batch is on the wire. Of zeros, that is a thousandth of what they take
in memory: one record could end every worker that reads its partition, again after each restart.
"""

from __future__ import annotations

import struct
import zlib
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import cramjam
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["CODECS", "limit_decompression"]

#: Producers send batches of a megabyte or less. A batch that is larger than this is set aside.
_LIMIT: Final = 64 * 1024 * 1024
#: Header of the container that Java's snappy writes, with the length of each block before it.
_XERIAL: Final = b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"
_BLOCK: Final = struct.Struct(">i")
_GZIP: Final = 31  # zlib's number for a gzip header and a window of any size
#: Where aiokafka keeps the functions that it calls, in C and in Python.
_CALLERS: Final = tuple(
    f"aiokafka.record.{module}"
    for module in (
        "_crecords.default_records", "_crecords.legacy_records",
        "default_records", "legacy_records",
    )
)  # fmt: skip


class _TooLargeError(ValueError):
    def __init__(self) -> None:
        super().__init__(f"decompresses to more than {_LIMIT} bytes")


def _gzip(payload: Any) -> bytes:
    parts, room, rest = [], _LIMIT, bytes(payload)
    while rest:
        member = zlib.decompressobj(_GZIP)
        parts.append(member.decompress(rest, room + 1))
        room -= len(parts[-1])
        if room < 0:
            raise _TooLargeError
        if not member.eof:
            raise ValueError("ends before its content does")
        rest = member.unused_data.lstrip(b"\0")
    return b"".join(parts)


def _snappy(payload: Any) -> bytes:
    blocks = list(_snappy_blocks(bytes(payload)))
    if sum(cramjam.snappy.decompress_raw_len(block) for block in blocks) > _LIMIT:
        raise _TooLargeError
    return b"".join(bytes(cramjam.snappy.decompress_raw(block)) for block in blocks)


def _snappy_blocks(payload: bytes) -> Iterator[bytes]:
    if not payload.startswith(_XERIAL):
        yield payload
        return
    at = len(_XERIAL)
    while at < len(payload):
        (length,) = _BLOCK.unpack_from(payload, at)
        at += _BLOCK.size
        if not 0 <= length <= len(payload) - at:
            raise ValueError("a block is longer than the batch")
        yield payload[at : at + length]
        at += length


def _into_room(decompress_into: Callable[..., int]) -> Callable[[Any], bytes]:
    def decompress(payload: Any) -> bytes:
        # Pages that are not written to take no memory.
        room = np.empty(_LIMIT, dtype=np.uint8)
        try:
            length = decompress_into(payload, room)
        except cramjam.DecompressionError as error:
            if "whole buffer" in str(error):
                raise _TooLargeError from None
            raise
        return room[:length].tobytes()

    return decompress


#: By the number in a batch's attributes: name, function.
CODECS: Final[Mapping[int, tuple[str, Callable[[Any], bytes]]]] = {
    0: ("not compressed", bytes),
    1: ("gzip", _gzip),
    2: ("snappy", _snappy),
    3: ("lz4", _into_room(cramjam.lz4.decompress_into)),
    4: ("zstd", _into_room(cramjam.zstd.decompress_into)),
}


def limit_decompression() -> None:
    """Make aiokafka decompress batches to the limit only, and raise beyond it."""
    for caller in map(import_module, _CALLERS):
        for name, decompress in CODECS.values():
            if hasattr(caller, f"{name}_decode"):
                setattr(caller, f"{name}_decode", decompress)
