"""What explanations say of neighbouring regions, kept until the neighbours are judged for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date, timedelta

    from psycopg import AsyncConnection

__all__ = ["Kept", "forget_neighbours", "keep_neighbours", "take_kept"]


class Kept(NamedTuple):
    """What the explanation of an alert says of its neighbours."""

    alert_id: int
    signal: str
    rule: str
    period: date
    regions: Sequence[str]
    known: dict[str, Any]


async def keep_neighbours(
    connection: AsyncConnection,
    explained: Sequence[Kept],
    *,
    first_pause: timedelta,
    longest_pause: timedelta,
    keep: timedelta,
) -> None:
    """Note what new explanations say, in their transaction and before the lock of alerts is taken.

    With each explanation of the same period the pause before the next one grows four times. When a
    period is explained for the first time, neighbours without a verdict are put up for judging: a
    region where nobody fell ill changes no count, and would not be judged otherwise.
    """
    if not explained:
        return
    values = {
        "alerts": [one.alert_id for one in explained],
        "signals": [one.signal for one in explained],
        "rules": [one.rule for one in explained],
        "periods": [one.period for one in explained],
        "documents": Jsonb(
            [{"regions": list(one.regions), "known": one.known} for one in explained]
        ),
        "first": first_pause,
        "longest": longest_pause,
        "keep": keep,
    }
    await connection.execute(_JUDGE, values)
    await connection.execute(_KEEP, values)


async def take_kept(connection: AsyncConnection, *, limit: int, after: int) -> list[Kept]:
    """Return open alerts that may be explained again now, in the order of their ids.

    Rows that another process has locked are left out.

    Parameters
    ----------
    after
        Only alerts with a higher id.
    """
    async with connection.cursor(row_factory=class_row(Kept)) as cursor:
        await cursor.execute(_TAKE, (after, limit))
        return await cursor.fetchall()


async def forget_neighbours(connection: AsyncConnection, ids: Collection[int] = ()) -> None:
    """Delete rows of alerts: those given, those that are decided, and those whose time is over."""
    await connection.execute(_FORGET, (sorted(ids),))


_ASKED: Final = """
WITH asked AS (
    SELECT q.alert_id, q.signal, q.rule, q.period, d.document
    FROM unnest(%(alerts)s::bigint[], %(signals)s::text[], %(rules)s::text[], %(periods)s::date[])
             WITH ORDINALITY AS q(alert_id, signal, rule, period, place)
    JOIN jsonb_array_elements(%(documents)s::jsonb) WITH ORDINALITY AS d(document, place)
        USING (place)
)
"""

_JUDGE: Final = (
    _ASKED  # noqa: S608 - constants
    + """
INSERT INTO pending_judgements (signal, region, day)
SELECT DISTINCT q.signal, r.region, q.period
FROM asked q
CROSS JOIN LATERAL jsonb_array_elements_text(q.document -> 'regions') AS r(region)
WHERE NOT EXISTS (
    SELECT FROM explained_neighbours e WHERE e.alert_id = q.alert_id AND e.period = q.period
) AND NOT EXISTS (
    SELECT FROM verdicts v
    WHERE v.rule = q.rule AND v.region = r.region AND v.period = q.period
)
"""
)

_KEEP: Final = (
    _ASKED
    + """
INSERT INTO explained_neighbours AS e
    (alert_id, rule, period, regions, known, look_after, look_until)
SELECT q.alert_id, q.rule, q.period,
       ARRAY(SELECT jsonb_array_elements_text(q.document -> 'regions')), q.document -> 'known',
       clock_timestamp() + %(first)s, clock_timestamp() + %(keep)s
FROM asked q
ORDER BY q.alert_id
ON CONFLICT (alert_id) DO UPDATE SET
    rule = EXCLUDED.rule, period = EXCLUDED.period, regions = EXCLUDED.regions,
    known = EXCLUDED.known, look_until = EXCLUDED.look_until,
    renewals = CASE WHEN e.period = EXCLUDED.period THEN e.renewals + 1 ELSE 0 END,
    look_after = CASE WHEN e.period = EXCLUDED.period
        THEN clock_timestamp() + least(%(longest)s, %(first)s * 4.0 ^ least(e.renewals + 1, 20))
        ELSE EXCLUDED.look_after END
"""
)

_TAKE: Final = """
SELECT e.alert_id, a.signal, e.rule, e.period, e.regions, e.known
FROM explained_neighbours e JOIN alerts a USING (alert_id)
WHERE e.alert_id > %s AND e.look_after <= clock_timestamp()
  AND a.status NOT IN ('discarded', 'closed', 'merged') AND a.exceedances > 0
ORDER BY e.alert_id LIMIT %s
FOR UPDATE OF e SKIP LOCKED
"""

_FORGET: Final = """
DELETE FROM explained_neighbours e
WHERE e.alert_id = ANY(%s) OR e.look_until < clock_timestamp()
   OR NOT EXISTS (
       SELECT FROM alerts a
       WHERE a.alert_id = e.alert_id AND a.status NOT IN ('discarded', 'closed', 'merged'))
"""
