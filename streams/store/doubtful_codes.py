"""Which sources send region codes that the registry advises against, and how lately."""

from __future__ import annotations

from datetime import date  # noqa: TC003 - pydantic needs it at run time
from typing import TYPE_CHECKING, Final

from psycopg.rows import class_row
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

__all__ = ["CodeInUse", "codes_in_use"]


class CodeInUse(BaseModel):
    """One code that one source has sent lately."""

    model_config = ConfigDict(frozen=True)

    source_id: str
    region: str
    facilities: int
    last_day: date = Field(description="Latest day of an event with this code")


def codes_in_use(
    connection: psycopg.Connection, codes: Sequence[str], *, since: date
) -> list[CodeInUse]:
    """Return who has sent one of the codes in an event of the day `since` or later."""
    with connection.cursor(row_factory=class_row(CodeInUse)) as cursor:
        return cursor.execute(_IN_USE, (list(codes), since)).fetchall()


# `facility_days` is rolled up after the commit and may lag by seconds. Its key begins with the
# region: every code is one search.
_IN_USE: Final = """
SELECT source_id, region, count(DISTINCT facility_id) AS facilities, max(day) AS last_day
FROM facility_days WHERE region = ANY(%s) AND day >= %s
GROUP BY 1, 2 ORDER BY facilities DESC, source_id, region
"""
