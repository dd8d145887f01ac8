"""Rebuilding the roll-ups from what they sum up, on a database that is in use.

Each slice of days is one short transaction that writes only the rows that differ, so that the work
can be killed and repeated at any time. A slice reads sums and waiting batches in one snapshot:

- `daily_counts` and `hourly_counts` change in the same transactions. Their difference in a snapshot
  is therefore the error, and adding it commutes with commits in flight.
- The other roll-ups lag behind by the batches that wait. Their lock keeps roll-ups and imports out
  of the slice; the contribution of waiting batches is left out of the sums.

Days whose counts retention may have deleted in part are left as they are.

What is of a slice is decided by the local day of each hour or event: some clocks have a midnight
twice, or never. Moments bound only what is looked at, a day more on either side. "Not before" is
written as `(day < first) IS NOT TRUE`: the planner, which knows nothing of the days, then expects
two thirds of the rows, not one in 200.
"""

from __future__ import annotations

from datetime import date, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from streams.store.locks import FACILITIES, LEVELS, TAKE
from streams.store.schema import hold

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    import psycopg

__all__ = ["Part", "Slice", "rebuild"]


class Part(StrEnum):
    """Roll-ups, in the order in which they have to be rebuilt: levels are sums of daily counts."""

    DAILY = "daily"
    FACILITIES = "facilities"
    LEVELS = "levels"


class Slice(NamedTuple):
    """One slice that is done."""

    part: Part
    first: date
    end: date
    """The day after its last one."""
    corrected: int
    """Rows that were written or deleted."""
    done: int
    """Slices of this part that are done, with this one."""
    slices: int


class _Plan(NamedTuple):
    lock: str
    days: int
    """Length of a slice; whole weeks."""
    extent: str
    statements: tuple[str, ...]


def rebuild(
    connection: psycopg.Connection, parts: Collection[Part] = tuple(Part)
) -> Iterator[Slice]:
    """Rebuild roll-ups slice by slice.

    Parameters
    ----------
    connection
        In autocommit mode; each slice is a transaction.

    Yields
    ------
    Slice
        After its commit.

    Raises
    ------
    SchemaMisfitError
        The schema was changed meanwhile.
    """
    for part in Part:
        if part in parts:
            yield from _rebuild(connection, part, _PLANS[part])


def _rebuild(connection: psycopg.Connection, part: Part, plan: _Plan) -> Iterator[Slice]:
    slices = _slices(connection, plan)
    for done, first in enumerate(slices, 1):
        end = first + timedelta(days=plan.days)
        with connection.transaction():
            hold(connection)
            connection.execute(TAKE, (plan.lock,))
            # Of TimescaleDB, where rows of compressed chunks differ; nothing elsewhere.
            connection.execute(
                "SET LOCAL timescaledb.max_tuples_decompressed_per_dml_transaction = 0"
            )
            corrected = 0
            for statement in plan.statements:
                row = connection.execute(statement, {"first": first, "end": end}).fetchone()
                corrected += int(row[0]) if row else 0
        yield Slice(part, first, end, corrected, done, len(slices))


def _slices(connection: psycopg.Connection, plan: _Plan) -> list[date]:
    """Return the first days of the slices; each is the first day of a week."""
    first, last, week = connection.execute(plan.extent).fetchone() or (None, None, None)
    if first is None or last is None:
        return []
    start: date = first - timedelta(days=(first - week).days % 7)
    (kept,) = connection.execute(_KEPT_SINCE).fetchone() or (None,)
    if kept is not None:
        # A week that lost a day to retention cannot be summed up any more.
        start = max(start, kept + timedelta(days=(week - kept).days % 7))
    return [start + timedelta(days=days) for days in range(0, (last - start).days + 1, plan.days)]


# The first day that retention leaves whole.
_KEPT_SINCE: Final = """
SELECT (nullif(kept_since(), '-infinity') AT TIME ZONE k.zone)::date + 1 FROM clock k
"""

_DAILY_EXTENT: Final = """
SELECT least((h.first AT TIME ZONE k.zone)::date, d.first),
       greatest((h.last AT TIME ZONE k.zone)::date, d.last), k.week_origin
FROM clock k,
     (SELECT min(hour) AS first, max(hour) AS last FROM hourly_counts) h,
     (SELECT min(day) AS first, max(day) AS last FROM daily_counts) d
"""

# Whoever judged the wrong count judges again.
_DAILY: Final = """
WITH summed AS MATERIALIZED (
    SELECT h.series_id, (h.hour AT TIME ZONE k.zone)::date AS day, sum(h.value) AS value
    FROM hourly_counts h, clock k
    WHERE h.hour >= (%(first)s::date - 1)::timestamp AT TIME ZONE k.zone
      AND h.hour < (%(end)s::date + 1)::timestamp AT TIME ZONE k.zone
      AND ((h.hour AT TIME ZONE k.zone)::date < %(first)s) IS NOT TRUE
      AND ((h.hour AT TIME ZONE k.zone)::date >= %(end)s) IS NOT TRUE
    GROUP BY 1, 2
), stored AS MATERIALIZED (
    SELECT d.series_id, d.day, d.value FROM daily_counts d
    WHERE d.day >= %(first)s AND d.day < %(end)s
), error AS MATERIALIZED (
    SELECT series_id, day, coalesce(s.value, 0) - coalesce(d.value, 0) AS change
    FROM summed s FULL JOIN stored d USING (series_id, day)
    WHERE coalesce(s.value, 0) <> coalesce(d.value, 0)
), corrected AS (
    INSERT INTO daily_counts AS d (series_id, day, value)
    SELECT series_id, day, change FROM error ORDER BY 1, 2
    ON CONFLICT (series_id, day) DO UPDATE SET value = d.value + EXCLUDED.value
), changed AS (
    SELECT s.signal, s.region, min(e.day) AS first, max(e.day) AS last
    FROM error e JOIN series s USING (series_id)
    GROUP BY 1, 2
), judged AS MATERIALIZED (
    SELECT pend_spans(array_agg(c.signal), array_agg(c.region), array_agg(c.first),
                      array_agg(c.last))
    FROM changed c
)
SELECT count(*) FROM error CROSS JOIN judged
"""

_FACILITIES_EXTENT: Final = """
SELECT least((e.first AT TIME ZONE k.zone)::date, f.first, d.first, r.first),
       greatest((e.last AT TIME ZONE k.zone)::date, f.last, d.last, r.last), k.week_origin
FROM clock k,
     (SELECT min(occurred_at) AS first, max(occurred_at) AS last FROM events) e,
     (SELECT min(day) AS first, max(day) AS last FROM facility_counts) f,
     (SELECT min(day) AS first, max(day) AS last FROM facility_days) d,
     (SELECT min(day) AS first, max(day) AS last FROM facility_reports) r
"""

# The latest versions, less what waiting batches will add: their versions minus those replaced.
_FACILITY_COUNTS: Final = """
WITH slice AS MATERIALIZED (
    SELECT e.region, (e.occurred_at AT TIME ZONE k.zone)::date AS day, e.facility_id, e.source_id,
           e.series, e.amounts,
           (e.revision = h.revision)::int
           - (e.batch_id IN (SELECT p.batch_id FROM pending_facilities p))::int AS times
    FROM clock k, events e JOIN event_heads h ON h.event_key = e.event_key AND h.kind = e.kind
    WHERE e.occurred_at >= (%(first)s::date - 1)::timestamp AT TIME ZONE k.zone
      AND e.occurred_at < (%(end)s::date + 1)::timestamp AT TIME ZONE k.zone
      AND ((e.occurred_at AT TIME ZONE k.zone)::date < %(first)s) IS NOT TRUE
      AND ((e.occurred_at AT TIME ZONE k.zone)::date >= %(end)s) IS NOT TRUE
      AND NOT e.cancelled
    UNION ALL
    SELECT NULL, (p.occurred_at AT TIME ZONE k.zone)::date, p.facility_id, p.source_id, p.series,
           p.amounts, 1
    FROM clock k, pending_corrections p
    WHERE p.occurred_at >= (%(first)s::date - 1)::timestamp AT TIME ZONE k.zone
      AND p.occurred_at < (%(end)s::date + 1)::timestamp AT TIME ZONE k.zone
      AND ((p.occurred_at AT TIME ZONE k.zone)::date < %(first)s) IS NOT TRUE
      AND ((p.occurred_at AT TIME ZONE k.zone)::date >= %(end)s) IS NOT TRUE
), summed AS MATERIALIZED (
    SELECT s.region, s.signal, c.day, c.facility_id, c.source_id, sum(c.amount) AS value
    FROM (SELECT day, facility_id, source_id, unnest(series) AS series_id,
                 times * unnest(amounts) AS amount
          FROM slice WHERE times <> 0) c
    JOIN series s USING (series_id)
    GROUP BY 1, 2, 3, 4, 5
    HAVING sum(c.amount) <> 0
), error AS MATERIALIZED (
    SELECT region, signal, day, facility_id, source_id, s.value
    FROM summed s
    FULL JOIN (SELECT * FROM facility_counts f WHERE f.day >= %(first)s AND f.day < %(end)s) f
        USING (region, signal, day, facility_id, source_id)
    WHERE coalesce(s.value, 0) <> coalesce(f.value, 0)
), gone AS (
    DELETE FROM facility_counts f USING error e
    WHERE e.value IS NULL AND f.day >= %(first)s AND f.day < %(end)s
      AND (f.region, f.signal, f.day, f.facility_id, f.source_id) =
          (e.region, e.signal, e.day, e.facility_id, e.source_id)
), corrected AS (
    INSERT INTO facility_counts AS f (region, signal, day, facility_id, source_id, value)
    SELECT region, signal, day, facility_id, source_id, value FROM error WHERE value IS NOT NULL
    ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (region, signal, day, facility_id, source_id)
    DO UPDATE SET value = EXCLUDED.value
)
SELECT count(*) FROM error
"""

_FACILITY_DAYS: Final = """
WITH sent AS MATERIALIZED (
    SELECT DISTINCT e.region, e.kind, (e.occurred_at AT TIME ZONE k.zone)::date AS day,
           e.facility_id, e.source_id
    FROM events e, clock k
    WHERE e.occurred_at >= (%(first)s::date - 1)::timestamp AT TIME ZONE k.zone
      AND e.occurred_at < (%(end)s::date + 1)::timestamp AT TIME ZONE k.zone
      AND ((e.occurred_at AT TIME ZONE k.zone)::date < %(first)s) IS NOT TRUE
      AND ((e.occurred_at AT TIME ZONE k.zone)::date >= %(end)s) IS NOT TRUE
      AND e.batch_id NOT IN (SELECT p.batch_id FROM pending_facilities p)
), error AS MATERIALIZED (
    SELECT region, kind, day, facility_id, source_id, s.region IS NULL AS unknown
    FROM sent s
    FULL JOIN (SELECT * FROM facility_days f WHERE f.day >= %(first)s AND f.day < %(end)s) f
        USING (region, kind, day, facility_id, source_id)
    WHERE s.region IS NULL OR f.region IS NULL
), gone AS (
    DELETE FROM facility_days f USING error e
    WHERE e.unknown AND f.day >= %(first)s AND f.day < %(end)s
      AND (f.region, f.kind, f.day, f.facility_id, f.source_id) =
          (e.region, e.kind, e.day, e.facility_id, e.source_id)
), corrected AS (
    INSERT INTO facility_days (region, kind, day, facility_id, source_id)
    SELECT region, kind, day, facility_id, source_id FROM error WHERE NOT unknown
    ORDER BY 1, 2, 3, 4, 5
)
SELECT count(*) FROM error
"""

_FACILITY_REPORTS: Final = """
WITH summed AS MATERIALIZED (
    SELECT a.ancestor AS region, d.kind, d.day, count(*) AS facilities
    FROM facility_days d JOIN region_ancestors a ON a.region = d.region
    WHERE d.day >= %(first)s AND d.day < %(end)s
    GROUP BY 1, 2, 3
), error AS MATERIALIZED (
    SELECT region, kind, day, s.facilities
    FROM summed s
    FULL JOIN (SELECT * FROM facility_reports f WHERE f.day >= %(first)s AND f.day < %(end)s) f
        USING (region, kind, day)
    WHERE s.facilities IS DISTINCT FROM f.facilities
), gone AS (
    DELETE FROM facility_reports f USING error e
    WHERE e.facilities IS NULL AND f.day >= %(first)s AND f.day < %(end)s
      AND (f.region, f.kind, f.day) = (e.region, e.kind, e.day)
), corrected AS (
    INSERT INTO facility_reports AS f (region, kind, day, facilities)
    SELECT region, kind, day, facilities FROM error WHERE facilities IS NOT NULL ORDER BY 1, 2, 3
    ON CONFLICT (region, kind, day) DO UPDATE SET facilities = EXCLUDED.facilities
)
SELECT count(*) FROM error
"""

_LEVELS_EXTENT: Final = """
SELECT least(d.first, i.first, l.first), greatest(d.last, i.last, l.last), k.week_origin
FROM clock k,
     (SELECT min(day) AS first, max(day) AS last FROM daily_counts) d,
     (SELECT min(period) AS first, max(period) AS last FROM imported_counts) i,
     (SELECT min(period) AS first, max(period) AS last FROM level_counts) l
"""

# As the views level_counts_by_day and level_counts_by_week, without what waits for the roll-up.
_LEVELS: Final = """
WITH added AS MATERIALIZED (
    SELECT series_id, day, coalesce(d.value, 0) - coalesce(t.change, 0) AS value
    FROM (SELECT * FROM daily_counts d WHERE d.day >= %(first)s AND d.day < %(end)s) d
    FULL JOIN (SELECT * FROM waiting_changes t WHERE t.day >= %(first)s AND t.day < %(end)s) t
        USING (series_id, day)
), by_day AS MATERIALIZED (
    SELECT s.signal, s.region, s.stratum, d.day, d.day - (d.day - k.week_origin) %% 7 AS week,
           d.value
    FROM clock k, added d
    JOIN series s USING (series_id)
    WHERE NOT EXISTS (
        SELECT FROM imported_counts i
        WHERE i.signal = s.signal AND i.region = s.region AND i.grain = 'day' AND i.period = d.day)
    UNION ALL
    SELECT i.signal, i.region, i.stratum, i.period,
           i.period - (i.period - k.week_origin) %% 7, i.value
    FROM clock k, imported_counts i
    WHERE i.grain = 'day' AND i.period >= %(first)s AND i.period < %(end)s
), cell AS (
    SELECT signal, region, stratum, 'day' AS grain, day AS period, value FROM by_day
    UNION ALL
    SELECT i.signal, i.region, i.stratum, 'week', i.period, i.value FROM imported_counts i
    WHERE i.grain = 'week' AND i.period >= %(first)s AND i.period < %(end)s
    UNION ALL
    SELECT b.signal, b.region, b.stratum, 'week', b.week, b.value FROM by_day b
    WHERE NOT EXISTS (
        SELECT FROM imported_counts i
        WHERE i.signal = b.signal AND i.region = b.region AND i.grain = 'week'
          AND i.period = b.week)
), summed AS MATERIALIZED (
    SELECT a.ancestor AS region, c.signal, c.grain, c.period, c.stratum, sum(c.value) AS value
    FROM cell c JOIN region_ancestors a ON a.region = c.region AND a.ancestor <> c.region
    GROUP BY 1, 2, 3, 4, 5
), error AS MATERIALIZED (
    SELECT region, signal, grain, period, stratum, s.value
    FROM summed s
    FULL JOIN (SELECT * FROM level_counts l WHERE l.period >= %(first)s AND l.period < %(end)s) l
        USING (region, signal, grain, period, stratum)
    WHERE coalesce(s.value, 0) <> coalesce(l.value, 0)
), gone AS (
    DELETE FROM level_counts l USING error e
    WHERE e.value IS NULL AND l.period >= %(first)s AND l.period < %(end)s
      AND (l.region, l.signal, l.grain, l.period, l.stratum) =
          (e.region, e.signal, e.grain, e.period, e.stratum)
), corrected AS (
    INSERT INTO level_counts AS l (region, signal, grain, period, stratum, value)
    SELECT region, signal, grain, period, stratum, value FROM error WHERE value IS NOT NULL
    ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (region, signal, grain, period, stratum) DO UPDATE SET value = EXCLUDED.value
)
SELECT count(*) FROM error
"""

_PLANS: Final[dict[Part, _Plan]] = {
    Part.DAILY: _Plan(LEVELS, 28, _DAILY_EXTENT, (_DAILY,)),
    Part.FACILITIES: _Plan(
        FACILITIES,
        7,
        _FACILITIES_EXTENT,
        (_FACILITY_COUNTS, _FACILITY_DAYS, _FACILITY_REPORTS),
    ),
    Part.LEVELS: _Plan(LEVELS, 28, _LEVELS_EXTENT, (_LEVELS,)),
}
