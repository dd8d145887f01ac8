"""Record batches that cannot be decoded: what of them can be read, and what is set aside.

A damaged batch must not stop a partition, let alone the worker, and must not be skipped in silence.
`DecodableRecords` ends a fetch before the batch that fails. The consumer's thread then fetches that
batch again, alone, and `read_batch` returns the records that can be read and the offsets that
cannot, with the reason and the raw bytes.
"""

from __future__ import annotations

import struct
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka.consumer.fetcher import READ_COMMITTED, FetchResult, PartitionRecords
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import decode_varint
from aiokafka.structs import ConsumerRecord

from streams.transport.batch import Unreadable
from streams.transport.decompression import CODECS, limit_decompression

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from faust.types import TP

__all__ = ["CheckedFetches", "ReadBatch", "read_batch"]

#: Start of a batch in every format: base offset, length of what follows, leader epoch, format.
_FRAME = struct.Struct(">qiib")
#: The length counts from here.
_LENGTH_FROM = 12
#: Rest of the header of format 2: CRC, attributes, last offset delta, first and largest timestamp,
#: producer's id and epoch, base sequence, number of records.
_HEADER = struct.Struct(">IhiqqqhiI")
_RECORDS_FROM = _FRAME.size + _HEADER.size
#: First format whose batches have a header with the number of offsets.
_WITH_HEADER = 2
_CODEC, _LOG_APPEND_TIME, _CONTROL = 0x07, 0x08, 0x20

# Whoever reads batches of sources through this module or `DecodableRecords` is safe from bombs.
limit_decompression()


class DecodableRecords(PartitionRecords):
    """aiokafka's records of a fetch; they end before the first batch that cannot be decoded."""

    def __init__(self, fetched: Any, failed: Callable[[], None]) -> None:
        super().__init__(
            fetched._tp,  # noqa: SLF001 - has no accessors
            fetched._records,  # noqa: SLF001
            fetched._aborted_transactions,  # noqa: SLF001
            fetched.next_fetch_offset,
            None,
            None,
            fetched._check_crcs,  # noqa: SLF001
            fetched._isolation_level,  # noqa: SLF001
        )
        self._failed = failed

    def __next__(self) -> Any:
        try:
            return next(self._records_iterator)
        except StopIteration:
            raise
        except Exception:  # noqa: BLE001 - codecs raise all kinds of errors on damaged bytes
            self._failed()
            raise StopIteration from None


class CheckedFetches(OrderedDict[Any, Any]):
    """aiokafka's fetched partitions; `failed` is called with one that cannot be decoded.

    Only partitions that `checked` names are treated so.
    """

    def __init__(self, checked: Callable[[Any], bool], failed: Callable[[Any], None]) -> None:
        super().__init__()
        self._checked = checked
        self._failed = failed

    def __setitem__(self, tp: Any, result: Any) -> None:
        if isinstance(result, FetchResult) and self._checked(tp):
            result._partition_records = DecodableRecords(  # noqa: SLF001 - has no accessor
                result._partition_records,  # noqa: SLF001
                lambda: self._failed(tp),
            )
        super().__setitem__(tp, result)


class ReadBatch(NamedTuple):
    """What a batch holds from an offset on."""

    next_offset: int
    records: Sequence[Any]
    unreadable: tuple[Unreadable, ...]
    intact: bool = True
    """False if the bytes were damaged after the producer had sent them."""


def read_batch(
    tp: TP, offset: int, fetched: bytes, aborted: Sequence[tuple[int, int]] = ()
) -> ReadBatch | None:
    """Read the first batch of a fetch, as far as it can be decoded.

    Parameters
    ----------
    tp
        Where it was fetched.
    offset
        Offset that was asked for. The batch may begin before it.
    fetched
        The broker's answer: batches, of which the last one may be cut.
    aborted
        Producer id and first offset of transactions that were rolled back.

    Returns
    -------
    ReadBatch or None
        None if there is no batch. Otherwise its `next_offset` lies above `offset`.
    """
    raw, problem = _frame(fetched, offset)
    if not raw:
        return None
    if problem:
        # Where the next batch begins is unknown. The broker knows, and is asked for the offset
        # behind.
        unreadable = Unreadable(offset, offset + 1, problem, raw)
        return ReadBatch(offset + 1, (), (unreadable,), intact=False)
    decoder = PartitionRecords(
        tp, MemoryRecords(raw), aborted, offset, None, None, True, READ_COMMITTED
    )
    records = []
    try:
        records.extend(decoder)
    except Exception as error:  # noqa: BLE001 - codecs raise all kinds of errors on damaged bytes
        return _read_singly(tp, offset, raw, error)
    end = max(decoder.next_fetch_offset, offset + 1)
    offsets = [record.offset for record in records]
    if not all(one < end for one in offsets) or offsets != sorted(set(offsets)):
        return _read_singly(tp, offset, raw, ValueError("offsets outside of the batch"))
    return ReadBatch(end, records, ())


def _frame(fetched: bytes, offset: int) -> tuple[bytes, str]:
    """Return the bytes of the batch that holds an offset, and what is wrong with its frame."""
    while fetched:
        if len(fetched) < _FRAME.size:
            return fetched, "the batch ends within its header"
        begin, length, _, version = _FRAME.unpack_from(fetched)
        end = _LENGTH_FROM + length
        if not _FRAME.size <= end <= len(fetched):
            return fetched, f"the batch states a length of {length} bytes, which it does not have"
        if version < _WITH_HEADER:
            return fetched[:end], ""
        if end < _RECORDS_FROM:
            return fetched[:end], "the batch ends within its header"
        _, _, delta, *_ = _HEADER.unpack_from(fetched, _FRAME.size)
        if begin + delta >= offset:
            return fetched[:end], ""
        fetched = fetched[end:]
    return b"", ""


def _read_singly(tp: TP, offset: int, raw: bytes, error: Exception) -> ReadBatch:
    """Read a batch that aiokafka cannot, record by record and without their headers."""
    begin, _, _, version = _FRAME.unpack_from(raw)
    if version < _WITH_HEADER:  # has the offset of its last record
        end = max(begin, offset) + 1
        unreadable = Unreadable(offset, end, _described(error), raw)
        return ReadBatch(end, (), (unreadable,), intact=False)
    _, attributes, delta, *_ = _HEADER.unpack_from(raw, _FRAME.size)
    end = max(begin + delta, offset) + 1
    name, decompress = CODECS.get(attributes & _CODEC, ("unknown codec", None))
    problem = f"{name}: {_described(error)}"
    lost = ReadBatch(end, (), (Unreadable(offset, end, problem, raw),))
    batch = MemoryRecords(raw).next_batch()
    if batch is None or not batch.validate_crc():
        return lost._replace(intact=False)
    if attributes & _CONTROL:
        return ReadBatch(end, (), ())  # the marker of a transaction, no records
    if decompress is None:
        return lost
    try:
        data = decompress(raw[_RECORDS_FROM:])
        frames = list(_frames(data))
    except Exception:  # noqa: BLE001 - as above; the first error says why
        return lost
    return _collect(tp, raw, frames, lost.unreadable[0]) if frames else lost


def _frames(data: bytes) -> Iterator[bytes]:
    """Cut records apart by their lengths."""
    buffer, at = bytearray(data), 0
    while at < len(buffer):
        length, at = decode_varint(buffer, at)
        if not 0 < length <= len(buffer) - at:
            raise ValueError("A record is longer than its batch.")
        yield data[at : at + length]
        at += length


def _collect(tp: TP, raw: bytes, frames: Sequence[bytes], whole: Unreadable) -> ReadBatch:
    """Return the records that can be read; damaged ones have the offsets between them."""
    records: list[Any] = []
    unreadable: list[Unreadable] = []
    reached, damaged = whole.first, b""
    for frame in frames:
        try:
            record = _record(tp, raw, frame)
        except Exception:  # noqa: BLE001 - as above
            damaged += frame
            continue
        if record.offset >= whole.next_offset:  # that of a record of the next batch
            damaged += frame
            continue
        if damaged and record.offset > reached:
            unreadable.append(Unreadable(reached, record.offset, whole.problem, damaged))
        if record.offset >= reached:
            records.append(record)
            reached = record.offset + 1
        damaged = b""
    if damaged and whole.next_offset > reached:
        unreadable.append(Unreadable(reached, whole.next_offset, whole.problem, damaged))
    return ReadBatch(whole.next_offset, records, tuple(unreadable))


def _record(tp: TP, raw: bytes, frame: bytes) -> Any:
    begin, *_ = _FRAME.unpack_from(raw)
    _, attributes, _, first_time, largest_time, *_ = _HEADER.unpack_from(raw, _FRAME.size)
    buffer = bytearray(frame)
    after, at = decode_varint(buffer, 1)  # the attributes of a record are not used
    delta, at = decode_varint(buffer, at)
    key, at = _bytes(buffer, at)
    value, at = _bytes(buffer, at)
    appended = bool(attributes & _LOG_APPEND_TIME)
    return ConsumerRecord(
        tp.topic,
        tp.partition,
        begin + delta,
        largest_time if appended else first_time + after,
        int(appended),
        key,
        value,
        None,
        -1 if key is None else len(key),
        -1 if value is None else len(value),
        (),
    )


def _bytes(buffer: bytearray, at: int) -> tuple[bytes | None, int]:
    length, at = decode_varint(buffer, at)
    if length < 0:
        return None, at
    if length > len(buffer) - at:
        raise ValueError("A part of a record is longer than the record.")
    return bytes(buffer[at : at + length]), at + length


def _described(error: Exception) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__
