"""Sending many records to Kafka at once, each with an outcome of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aiokafka.errors import (
    CorruptRecordException,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    UnknownError,
)
from faust.exceptions import ProducerSendError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Outgoing", "concerns_one_record", "is_too_large", "send_all"]

#: Longest wait, in seconds, until a record has a place in the producer's buffer. A topic that does
#: not exist is waited for.
_QUEUE_SECONDS: Final = 10.0

_TOO_LARGE: Final = (MessageSizeTooLargeError, RecordListTooLargeError)
_OF_ONE_RECORD: Final = (
    *_TOO_LARGE,
    CorruptRecordException,
    InvalidTimestampError,
    UnknownError,  # the client knows no name for InvalidRecordException
    AssertionError,
    TypeError,
    ValueError,
)

_EXPECTED: Final = (KafkaError, ProducerSendError, OSError, *_OF_ONE_RECORD)


class Outgoing(NamedTuple):
    """A record to send."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes] | None = None


def is_too_large(error: BaseException) -> bool:
    """Tell whether the client or the broker refused a record for its size."""
    return isinstance(error, _TOO_LARGE)


def concerns_one_record(error: BaseException) -> bool:
    """Tell whether an error is due to the record; otherwise to its topic, or to Kafka."""
    return isinstance(error, _OF_ONE_RECORD)


async def send_all(producer: Any, records: Sequence[Outgoing]) -> list[Exception | None]:
    """Send records, and wait until all are acknowledged or have failed.

    A record that the broker refuses makes its whole batch fail; the records of such a batch are
    sent again one by one. After the first failure that concerns a topic, the topic's later records
    are not tried.

    Parameters
    ----------
    producer
        Faust's producer.

    Returns
    -------
    list of Exception or None
        One outcome for each record; None: acknowledged.
    """
    outcomes = await _send_together(producer, records)
    for number, outcome in enumerate(outcomes):
        if outcome is not None and concerns_one_record(outcome):
            outcomes[number] = (await _send_together(producer, [records[number]]))[0]
    return outcomes


async def _send_together(producer: Any, records: Sequence[Outgoing]) -> list[Exception | None]:
    outcomes: list[Exception | None] = [None] * len(records)
    failed: dict[str, Exception] = {}
    pending: list[tuple[int, Any]] = []
    for number, record in enumerate(records):
        if record.topic in failed:
            outcomes[number] = failed[record.topic]
            continue
        try:
            pending.append((number, await _queue(producer, record)))
        except _EXPECTED as error:
            outcomes[number] = error
            if not concerns_one_record(error):
                failed[record.topic] = error
    results = await asyncio.gather(*(future for _, future in pending), return_exceptions=True)
    for (number, _), result in zip(pending, results, strict=True):
        if isinstance(result, Exception):
            outcomes[number] = result
        elif isinstance(result, BaseException):
            raise result
    return outcomes


async def _queue(producer: Any, record: Outgoing) -> Any:
    """Put a record into the producer's buffer; return the future of its acknowledgement."""
    topic, key, value, headers = record
    if key is None and value is None:
        value = b""  # the client takes no record without both
    try:
        async with asyncio.timeout(_QUEUE_SECONDS):
            return await producer.send(topic, key, value, None, None, headers)
    except ProducerSendError as error:
        # Faust wraps what the client raises.
        raise error.__cause__ or error from None
    except TimeoutError:
        raise TimeoutError(
            f"topic {topic} took no record within {_QUEUE_SECONDS:g} s; does it exist?"
        ) from None
