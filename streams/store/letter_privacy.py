"""Dead letters with personal data: redacted where they are stored, and deleted in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from psycopg.rows import class_row

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    import psycopg
    from psycopg_pool import AsyncConnectionPool

__all__ = [
    "Copied",
    "LetterText",
    "copied_before_redaction",
    "forget_letters",
    "redact_letter",
    "take_unredacted",
]

_AT_ONCE: Final = 2000


class LetterText(NamedTuple):
    """What of a letter may be personal."""

    letter_id: int
    reason: str
    sentence: str
    source_id: str | None
    key: bytes | None
    value: bytes | None


class Copied(NamedTuple):
    """Letters of a topic that were handed over to Kafka before they were redacted."""

    topic: str
    letters: int
    latest: datetime
    """When the latest of them was handed over."""


def take_unredacted(
    connection: psycopg.Connection, *, after: int, limit: int = 50
) -> Sequence[LetterText]:
    """Lock letters that are not redacted, in the order of their ids, and return them.

    Parameters
    ----------
    after
        Only letters with a higher id.
    limit
        Maximum number; a value has up to a megabyte.
    """
    with connection.cursor(row_factory=class_row(LetterText)) as cursor:
        return cursor.execute(_TAKE, (after, limit)).fetchall()


def redact_letter(connection: psycopg.Connection, letter: LetterText, *, whole: bool) -> None:
    """Store a letter without what is personal.

    Parameters
    ----------
    whole
        Its value was replaced, too: it cannot be replayed.
    """
    connection.execute(_REDACT, {**letter._asdict(), "whole": whole})


def copied_before_redaction(connection: psycopg.Connection) -> Sequence[Copied]:
    """Return by topic how many letters Kafka has copies of as they came."""
    with connection.cursor(row_factory=class_row(Copied)) as cursor:
        return cursor.execute(_COPIED).fetchall()


async def forget_letters(pool: AsyncConnectionPool, keep: timedelta | None) -> int:
    """Delete some of the letters that were refused long ago; return how many.

    Letters that wait for their hand-over stay, however old they are.

    Parameters
    ----------
    keep
        None: letters are kept for ever.
    """
    if keep is None:
        return 0
    async with pool.connection() as connection:
        cursor = await connection.execute(_FORGET, {"keep": keep, "limit": _AT_ONCE})
        return cursor.rowcount


_TAKE: Final = """
SELECT letter_id, reason, sentence, source_id, key, value
FROM dead_letters
WHERE letter_id > %s AND redacted_at IS NULL
ORDER BY letter_id LIMIT %s FOR UPDATE
"""

_REDACT: Final = """
UPDATE dead_letters
SET reason = %(reason)s, sentence = %(sentence)s, source_id = %(source_id)s, key = %(key)s,
    value = %(value)s,
    redacted_at = CASE WHEN %(whole)s THEN clock_timestamp() END
WHERE letter_id = %(letter_id)s
"""

_COPIED: Final = """
SELECT topic, count(*) AS letters, max(published_at) AS latest
FROM dead_letters
WHERE published_at < redacted_at
GROUP BY 1 ORDER BY 1
"""

# A few at a time, so that nobody waits for it; it is called again soon.
_FORGET: Final = """
DELETE FROM dead_letters
WHERE letter_id = ANY(ARRAY(
    SELECT letter_id FROM dead_letters
    WHERE refused_at < clock_timestamp() - %(keep)s AND published_at IS NOT NULL
    ORDER BY refused_at LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED))
"""
