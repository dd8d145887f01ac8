"""Handing refused records over to their dead-letter topics.

The transaction that refuses a record stores it in `dead_letters`; this outbox carries it to Kafka
afterwards. A letter that Kafka does not take is set aside with the reason, and blocks no other. A
crash between sending and noting it sends a letter twice; none is left out.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from streams.errors import describe
from streams.kafka import dead_letter_topic
from streams.notify.limits import Backoff
from streams.sending import Outgoing, concerns_one_record, is_too_large, send_all
from streams.store.letters_waiting import mark_handed_over, set_letter_aside, take_waiting
from streams.store.limits import keep_alive

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psycopg import AsyncConnection
    from psycopg_pool import AsyncConnectionPool

    from streams.store.letters_waiting import WaitingLetter

__all__ = ["HandOver"]

log = logging.getLogger(__name__)

_AT_ONCE: Final = 2000
#: Total size of the values in one transaction.
_MOST_BYTES: Final = 8 * 2**20
#: Room that a record needs in a request beside its value: key, headers, the request itself.
_ENVELOPE: Final = 16 * 2**10
#: Before a letter that Kafka refuses is tried again.
_SET_ASIDE: Final = timedelta(hours=1)
#: Before a topic that takes no records is tried again.
_PAUSE: Final = Backoff(1, 60)


class HandOver:
    """Sends dead letters that were not sent yet.

    Parameters
    ----------
    pool
        Connections to the database.
    most_bytes
        Largest request that the producer makes; larger values stay in the database.
    clock
        Returns seconds; pauses are measured by it.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool,
        *,
        most_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._largest = max(0, most_bytes - _ENVELOPE)
        #: By topic: failures in a row, and the end of its pause.
        self._paused: dict[str, tuple[int, float]] = {}

    async def step(self, producer: Any) -> int:
        """Send all letters that can be sent now; return their number.

        Parameters
        ----------
        producer
            Faust's producer.
        """
        sent = 0
        while True:
            paused = [t for t, (_, until) in self._paused.items() if until > self._clock()]
            async with self._pool.connection() as connection, connection.transaction():
                letters = await take_waiting(
                    connection,
                    limit=_AT_ONCE,
                    most_bytes=_MOST_BYTES,
                    largest=self._largest,
                    skipped=paused,
                )
                if not letters:
                    return sent
                sent += await self._hand_over(connection, producer, letters)

    async def _hand_over(
        self, connection: AsyncConnection, producer: Any, letters: Sequence[WaitingLetter]
    ) -> int:
        # A slow broker takes longer than the server lets a transaction be silent.
        sending = send_all(producer, [_record(letter) for letter in letters])
        outcomes = await keep_alive(connection, sending)
        done: list[tuple[int, str | None]] = []
        for letter, outcome in zip(letters, outcomes, strict=True):
            note = _without(letter, "value") if letter.value is None and letter.size else None
            error = outcome
            if error is not None and is_too_large(error):
                note, error = await keep_alive(connection, _send_bare(producer, letter))
            if error is None:
                self._paused.pop(letter.topic, None)
                done.append((letter.letter_id, note))
            else:
                await self._failed(connection, letter, error)
        await mark_handed_over(connection, done)
        return len(done)

    async def _failed(
        self, connection: AsyncConnection, letter: WaitingLetter, error: Exception
    ) -> None:
        reason = describe(error)
        if concerns_one_record(error):
            log.warning("Dead letter %s is set aside: %s", letter.letter_id, reason)
            await set_letter_aside(connection, letter.letter_id, reason=reason, wait=_SET_ASIDE)
            return
        failures, until = self._paused.get(letter.topic, (0, 0.0))
        if until > self._clock():
            return  # a letter of the same step has failed before
        wait = _PAUSE.after(failures + 1)
        self._paused[letter.topic] = (failures + 1, self._clock() + wait.total_seconds())
        log.warning("Dead letters of %s wait for %s: %s", letter.topic, wait, reason)
        await set_letter_aside(connection, letter.letter_id, reason=reason, wait=timedelta())


async def _send_bare(producer: Any, letter: WaitingLetter) -> tuple[str | None, Exception | None]:
    """Send a letter that is too large for Kafka without its value; then without its key, too."""
    note, error = None, None
    for parts, bare in (
        ("value", letter._replace(value=None)),
        ("key and value", letter._replace(value=None, key=None)),
    ):
        note = _without(letter, parts)
        (error,) = await send_all(producer, [_record(bare)])
        if error is None or not is_too_large(error):
            break
    return note, error


def _without(letter: WaitingLetter, parts: str) -> str:
    return (
        f"handed over without its {parts}, too large for Kafka (value: {letter.size:,} bytes); "
        "kept in the database"
    )


def _record(letter: WaitingLetter) -> Outgoing:
    headers = {
        "reason": letter.reason.encode(),
        "sentence": letter.sentence.encode(),
        "topic": letter.topic.encode(),
        "partition": str(letter.partition).encode(),
        "offset": str(letter.offset).encode(),
    }
    value = letter.value
    if value is None and letter.size:
        left_out = f"value of {letter.size} bytes; kept as letter {letter.letter_id}"
        headers["left-out"] = left_out.encode()
        value = b""
    return Outgoing(dead_letter_topic(letter.topic), letter.key, value, headers)
