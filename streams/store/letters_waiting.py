"""Dead letters that wait to be handed over to Kafka."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from psycopg.rows import class_row

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import timedelta

    from psycopg import AsyncConnection

__all__ = ["WaitingLetter", "mark_handed_over", "set_letter_aside", "take_waiting"]


class WaitingLetter(NamedTuple):
    """A letter to hand over. The value of an oversized one is not read."""

    letter_id: int
    topic: str
    partition: int
    offset: int
    reason: str
    sentence: str
    key: bytes | None
    value: bytes | None
    #: Bytes of the stored value; 0 for a record without one.
    size: int
    failures: int


async def take_waiting(
    connection: AsyncConnection,
    *,
    limit: int,
    most_bytes: int,
    largest: int,
    skipped: Collection[str] = (),
) -> list[WaitingLetter]:
    """Lock letters until the end of the transaction and return them, in the order of refusal.

    Letters that were set aside come after all others, and not before their time.

    Parameters
    ----------
    limit
        Maximum number of letters.
    most_bytes
        Maximum total size of the values; at least one letter is returned.
    largest
        Maximum size of one value; larger ones are left in the database.
    skipped
        Topics whose letters are not taken.
    """
    cursor = await connection.execute(
        _TAKE, {"limit": limit, "skipped": list(skipped), "largest": largest}
    )
    chosen: list[int] = []
    total = 0
    for letter_id, size in await cursor.fetchall():
        total += size
        if chosen and total > most_bytes:
            break
        chosen.append(letter_id)
    async with connection.cursor(row_factory=class_row(WaitingLetter)) as letters:
        await letters.execute(_READ, {"ids": chosen, "largest": largest})
        return await letters.fetchall()


async def mark_handed_over(
    connection: AsyncConnection, letters: Sequence[tuple[int, str | None]]
) -> None:
    """Note letters that Kafka has acknowledged, each with what was left out of it."""
    await connection.execute(
        "UPDATE dead_letters d SET published_at = clock_timestamp(), hand_over_note = sent.note "
        "FROM unnest(%s::bigint[], %s::text[]) AS sent(letter_id, note) "
        "WHERE d.letter_id = sent.letter_id",
        ([one for one, _ in letters], [note for _, note in letters]),
    )


async def set_letter_aside(
    connection: AsyncConnection, letter_id: int, *, reason: str, wait: timedelta
) -> None:
    """Note why a letter could not be handed over; it is tried again after a time."""
    await connection.execute(
        "UPDATE dead_letters SET hand_over_failures = hand_over_failures + 1, "
        "hand_over_after = clock_timestamp() + %s, hand_over_note = %s WHERE letter_id = %s",
        (wait, reason, letter_id),
    )


_TAKE: Final = """
SELECT letter_id,
       CASE WHEN octet_length(value) <= %(largest)s THEN octet_length(value) ELSE 0 END
FROM dead_letters
WHERE published_at IS NULL AND hand_over_after <= clock_timestamp()
  AND topic <> ALL(%(skipped)s)
ORDER BY hand_over_after, letter_id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""

_READ: Final = """
SELECT letter_id, topic, partition, "offset", reason, sentence, key,
       CASE WHEN octet_length(value) <= %(largest)s THEN value END AS value,
       coalesce(octet_length(value), 0) AS size, hand_over_failures AS failures
FROM dead_letters WHERE letter_id = ANY(%(ids)s) ORDER BY letter_id
"""
