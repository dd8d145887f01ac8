"""How long judging takes, by rule and ten minutes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg import AsyncConnection

__all__ = ["HISTORY", "WHOLE", "JudgingRun", "note_judging"]

#: In place of a rule: a look at the queue with all its rules; its periods are the rows taken.
WHOLE: Final = "*"
#: The same of a portion of history; no rule's name begins like that.
HISTORY: Final = "*history"


class JudgingRun(NamedTuple):
    """A rule was judged once."""

    rule: str
    periods: int
    seconds: float
    """For reading the counts and running the detector."""


async def note_judging(
    connection: AsyncConnection, runs: Sequence[JudgingRun], taken: int, *, queue: str = WHOLE
) -> None:
    """Add a look at a queue to the latest ten minutes; rules with nothing to judge are left out.

    The caller holds the lock `JUDGING`, so that judges do not wait for each other's rows.

    Parameters
    ----------
    taken
        Rows that were taken from the queue.
    queue
        `WHOLE` or `HISTORY`.
    """
    whole = JudgingRun(queue, taken, sum(run.seconds for run in runs))
    told = [whole, *(run for run in runs if run.periods)]
    columns = [list(column) for column in zip(*told, strict=True)]
    await connection.execute(_FORGET)
    await connection.execute(_NOTE, columns)


_FORGET = "DELETE FROM judging_runs WHERE since < now() - interval '90 days'"

_NOTE = """
INSERT INTO judging_runs AS m (since, rule, runs, periods, seconds, slowest, last_at)
SELECT date_bin('10 minutes', clock_timestamp(), '2000-01-01Z'), r.rule, 1, r.periods, r.seconds,
       r.seconds, clock_timestamp()
FROM unnest(%s::text[], %s::bigint[], %s::float8[]) AS r(rule, periods, seconds)
ON CONFLICT (since, rule) DO UPDATE SET
    runs = m.runs + 1, periods = m.periods + EXCLUDED.periods,
    seconds = m.seconds + EXCLUDED.seconds, slowest = greatest(m.slowest, EXCLUDED.slowest),
    last_at = EXCLUDED.last_at
"""
