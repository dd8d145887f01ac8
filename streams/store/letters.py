"""Dead letters: looking them up and noting that they were replayed."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic needs it at run time
from typing import TYPE_CHECKING, Final

from psycopg import sql
from psycopg.rows import class_row
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

__all__ = [
    "Letter",
    "LetterGroup",
    "find_letters",
    "group_letters",
    "mark_replayed",
    "stored_revision",
]


class LetterGroup(BaseModel):
    """Letters of one source that were refused for one reason."""

    model_config = ConfigDict(frozen=True)

    source_id: str | None = Field(description="None where the record does not tell")
    topic: str
    reason: str
    letters: int
    replayed: int
    latest: datetime
    latest_id: int
    sentence: str = Field(description="What the latest of them was refused for")


class Letter(BaseModel):
    """One refused record."""

    model_config = ConfigDict(frozen=True)

    letter_id: int
    log: str = Field(description="Id of the topic that the offset belongs to")
    topic: str
    partition: int
    offset: int
    reason: str
    sentence: str
    source_id: str | None
    key: bytes | None
    value: bytes | None = Field(description="As it came; may be personal")
    refused_at: datetime
    redacted_at: datetime | None = Field(
        default=None, description="When the value was replaced, since it was personal"
    )
    published_at: datetime | None
    replayed_at: datetime | None


_LETTERS: Final = sql.SQL("""
SELECT {columns}
FROM dead_letters
WHERE letter_id = ANY(%s) OR (reason = %s AND replayed_at IS NULL)
ORDER BY letter_id
""").format(columns=sql.SQL(", ").join(map(sql.Identifier, Letter.model_fields)))


def group_letters(
    connection: psycopg.Connection,
    *,
    source: str | None = None,
    reason: str | None = None,
    topic: str | None = None,
) -> list[LetterGroup]:
    """Count letters by source, topic and reason, the most frequent first."""
    with connection.cursor(row_factory=class_row(LetterGroup)) as cursor:
        return cursor.execute(
            _GROUPS, {"source": source, "reason": reason, "topic": topic}
        ).fetchall()


def find_letters(
    connection: psycopg.Connection, *, ids: Sequence[int] = (), reason: str | None = None
) -> list[Letter]:
    """Return letters by their ids, or all of a reason that were not replayed, oldest first."""
    with connection.cursor(row_factory=class_row(Letter)) as cursor:
        return cursor.execute(_LETTERS, (list(ids), reason)).fetchall()


def mark_replayed(connection: psycopg.Connection, ids: Sequence[int]) -> None:
    """Note that letters were published again."""
    with connection.transaction():
        connection.execute(
            "UPDATE dead_letters SET replayed_at = clock_timestamp() WHERE letter_id = ANY(%s)",
            (list(ids),),
        )


def stored_revision(connection: psycopg.Connection, kind: str, event_key: str) -> int | None:
    """Return the revision in which an event is stored, or None."""
    row = connection.execute(
        "SELECT revision FROM event_heads WHERE event_key = %s::uuid AND kind = %s",
        (event_key, kind),
    ).fetchone()
    return int(row[0]) if row else None


_GROUPS = """
SELECT source_id, topic, reason, count(*) AS letters, count(replayed_at) AS replayed,
       max(refused_at) AS latest, max(letter_id) AS latest_id,
       (array_agg(sentence ORDER BY letter_id DESC))[1] AS sentence
FROM dead_letters
WHERE (%(source)s::text IS NULL OR source_id = %(source)s)
  AND (%(reason)s::text IS NULL OR reason = %(reason)s)
  AND (%(topic)s::text IS NULL OR topic = %(topic)s)
GROUP BY 1, 2, 3
ORDER BY letters DESC, source_id, topic, reason
"""
