"""Importing aggregated counts of the past."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from psycopg import errors

from streams.errors import StoreError
from streams.store.levels import add_to_levels, hold_levels, subtract_from_levels

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    import psycopg

    from schemas.counts import Count, ImportGrain

__all__ = ["Chosen", "Imported", "Removed", "import_counts", "remove_imports"]


class Imported(NamedTuple):
    """What an import did."""

    counts: int
    added: int
    changed: int
    regions: int
    first: date | None
    last: date | None
    #: Imported counts of other age groups that this import took the place of, and their sum.
    replaced: int
    replaced_value: float
    #: Sum of the live counts that this import hides.
    hidden: float


def import_counts(
    connection: psycopg.Connection, counts: Iterable[Count], *, replace: bool
) -> Imported:
    """Store aggregated counts, all or none, and have the touched series judged again.

    What was imported before for a region and period is replaced, whatever its strata were.

    Parameters
    ----------
    replace
        Also where live counts exist: they stay stored, but the import takes their place.

    Raises
    ------
    StoreError
        Live counts exist for a region and period; a region above or below one of them is counted
        for the same time, so that sums would hold cases twice; a region is not in the database; or
        two counts are of the same region, period and stratum.
    """
    with connection.transaction(), connection.cursor() as cursor:
        _copy(cursor, counts)
        if not replace:
            _refuse_live(cursor)
        (hidden,) = cursor.execute(_HIDDEN).fetchone() or (0.0,)
        hold_levels(cursor)
        subtract_from_levels(cursor)
        replaced, value = cursor.execute(_REMOVE_OTHER_STRATA).fetchone() or (0, 0.0)
        try:
            cursor.execute(_UPSERT)
        except errors.ForeignKeyViolation as error:
            raise StoreError(
                f"{error.diag.message_detail} Run fenghuo db migrate with this configuration first."
            ) from None
        added, changed = cursor.fetchone() or (0, 0)
        _refuse_overlap(cursor)
        add_to_levels(cursor)
        cursor.execute(_JUDGE_AGAIN)
        total = cursor.execute(
            "SELECT count(*), count(DISTINCT region), min(period), max(period) FROM importing"
        ).fetchone()
        cursor.execute("DROP TABLE importing, touched")
    count, regions, first, last = total or (0, 0, None, None)
    return Imported(count, added, changed, regions, first, last, replaced, value, hidden)


class Chosen(NamedTuple):
    """Which imported counts are meant.

    Parameters
    ----------
    signal, grain
        What was imported.
    regions
        Codes; none for all regions.
    first, last
        Bounds of the periods' first days, both included.
    """

    signal: str
    grain: ImportGrain
    regions: tuple[str, ...] = ()
    first: date | None = None
    last: date | None = None


class Removed(NamedTuple):
    """What was taken back, or would be."""

    counts: int
    regions: int
    first: date | None
    last: date | None
    #: Sum of the imported counts.
    value: float
    #: Sum of the live counts of the same days, which an import hides.
    live: float


def remove_imports(connection: psycopg.Connection, chosen: Chosen, *, dry_run: bool) -> Removed:
    """Take imported counts back, all or none, and have their series judged again.

    Live counts of the same periods show again; sums of upper levels follow.

    Parameters
    ----------
    dry_run
        Only tell what would be removed.
    """
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(_IMPORTING)
        if not dry_run:
            hold_levels(cursor)
        cursor.execute(_CHOOSE, chosen._asdict() | {"regions": list(chosen.regions)})
        cursor.execute("ANALYZE importing")
        row = cursor.execute(_CHOSEN).fetchone()
        if not dry_run:
            subtract_from_levels(cursor)
            cursor.execute(_REMOVE)
            add_to_levels(cursor)
            cursor.execute(_JUDGE_AGAIN)
        cursor.execute("DROP TABLE importing, touched")
    assert row is not None  # noqa: S101 - an aggregate gives one row
    return Removed(*row)


def _copy(cursor: psycopg.Cursor, counts: Iterable[Count]) -> None:
    cursor.execute(_IMPORTING)
    try:
        with cursor.copy(
            "COPY importing (signal, region, stratum, grain, period, value) FROM STDIN"
        ) as copy:
            for count in counts:
                copy.write_row(
                    (
                        count.signal,
                        count.region,
                        count.stratum,
                        count.grain,
                        count.period,
                        count.value,
                    )
                )
    except errors.UniqueViolation as error:
        raise StoreError(f"Two counts of the same period: {error.diag.message_detail}") from None
    cursor.execute("UPDATE importing SET last = period + 6 WHERE grain = 'week'")
    cursor.execute("ANALYZE importing")


def _refuse_live(cursor: psycopg.Cursor) -> None:
    live = cursor.execute(_LIVE).fetchone()
    if live is None or not live[0]:
        return
    periods, regions, first, last, example = live
    raise StoreError(
        f"Live counts of events exist for {periods} of these periods (regions: {regions}, such as "
        f"{example}; {first} to {last}). Leave these periods out, or give --replace to let the "
        "imported counts take their place. Nothing was imported."
    )


def _refuse_overlap(cursor: psycopg.Cursor) -> None:
    overlap = cursor.execute(_OVERLAP).fetchone()
    if overlap is None:
        return
    region, period, other, kind = overlap
    raise StoreError(
        f"{region} on {period}: {other}, which lies above or below it, has {kind} counts for the "
        "same time, and its sums would hold cases twice. Import counts of one region level only, "
        "the one on which events come in. Nothing was imported."
    )


_IMPORTING = """
CREATE TEMPORARY TABLE importing (
    signal  text    NOT NULL,
    region  text    NOT NULL,
    stratum text    NOT NULL,
    grain   text    NOT NULL,
    period  date    NOT NULL,
    value   numeric NOT NULL,
    last    date,
    PRIMARY KEY (signal, region, grain, period, stratum)
) ON COMMIT DROP;
CREATE TEMPORARY TABLE touched (signal text, region text, grain text, period date) ON COMMIT DROP
"""

_CHOOSE = """
INSERT INTO importing (signal, region, stratum, grain, period, value, last)
SELECT c.signal, c.region, c.stratum, c.grain, c.period, c.value,
       c.period + CASE c.grain WHEN 'week' THEN 6 ELSE 0 END
FROM imported_counts c
WHERE c.signal = %(signal)s AND c.grain = %(grain)s
  AND (cardinality(%(regions)s::text[]) = 0 OR c.region = ANY (%(regions)s::text[]))
  AND c.period >= coalesce(%(first)s::date, '-infinity')
  AND c.period <= coalesce(%(last)s::date, 'infinity')
"""

_CHOSEN = """
SELECT count(*), count(DISTINCT i.region), min(i.period), max(i.period),
       coalesce(sum(i.value), 0)::float8,
       (SELECT coalesce(sum(d.value), 0)::float8
        FROM (SELECT DISTINCT signal, region, period, last FROM importing) p
        JOIN counts_daily d ON d.signal = p.signal AND d.region = p.region
            AND d.day BETWEEN p.period AND p.last)
FROM importing i
"""

_REMOVE = """
WITH gone AS (
    DELETE FROM imported_counts c USING importing i
    WHERE c.signal = i.signal AND c.region = i.region AND c.grain = i.grain
      AND c.period = i.period AND c.stratum = i.stratum
    RETURNING c.signal, c.region, c.grain, c.period
)
INSERT INTO touched SELECT * FROM gone
"""

_HIDDEN = """
SELECT coalesce(sum(d.value), 0)::float8
FROM (SELECT DISTINCT signal, region, period, coalesce(last, period) AS last FROM importing) p
JOIN counts_daily d ON d.signal = p.signal AND d.region = p.region
    AND d.day BETWEEN p.period AND p.last
"""

_LIVE = """
SELECT count(DISTINCT (i.region, i.period)), count(DISTINCT i.region), min(i.period),
       max(i.period), min(i.region)
FROM importing i
JOIN counts_daily d ON d.signal = i.signal AND d.region = i.region AND d.value <> 0
    AND d.day BETWEEN i.period AND coalesce(i.last, i.period)
"""

_REMOVE_OTHER_STRATA = """
WITH gone AS (
    DELETE FROM imported_counts c
    USING (SELECT DISTINCT signal, region, grain, period FROM importing) i
    WHERE c.signal = i.signal AND c.region = i.region AND c.grain = i.grain AND c.period = i.period
      AND NOT EXISTS (
          SELECT FROM importing n
          WHERE n.signal = c.signal AND n.region = c.region AND n.grain = c.grain
            AND n.period = c.period AND n.stratum = c.stratum)
    RETURNING c.signal, c.region, c.grain, c.period, c.value
), noted AS (
    INSERT INTO touched SELECT signal, region, grain, period FROM gone
)
SELECT count(*), coalesce(sum(value), 0)::float8 FROM gone
"""

# xmax tells an inserted row from an updated one.
_UPSERT = """
WITH stored AS (
    INSERT INTO imported_counts AS c (signal, region, stratum, grain, period, value)
    SELECT signal, region, stratum, grain, period, value FROM importing
    ORDER BY signal, region, stratum, grain, period
    ON CONFLICT (signal, region, stratum, grain, period)
    DO UPDATE SET value = EXCLUDED.value, imported_at = EXCLUDED.imported_at
    WHERE c.value <> EXCLUDED.value
    RETURNING c.signal, c.region, c.grain, c.period, c.xmax = 0 AS added
), noted AS (
    INSERT INTO touched SELECT signal, region, grain, period FROM stored
)
SELECT count(*) FILTER (WHERE added), count(*) FILTER (WHERE NOT added) FROM stored
"""

# Runs after the upsert, so that it sees what is in the import as well as what was there before.
_OVERLAP = """
WITH present AS MATERIALIZED (
    SELECT signal, region FROM imported_counts WHERE signal IN (SELECT signal FROM importing)
    UNION
    SELECT signal, region FROM counts_daily WHERE signal IN (SELECT signal FROM importing)
), related AS (
    SELECT p.signal, a.region, a.ancestor AS other
    FROM region_ancestors a JOIN present p ON p.region = a.ancestor
    WHERE a.region <> a.ancestor
    UNION ALL
    SELECT p.signal, a.ancestor, a.region
    FROM region_ancestors a JOIN present p ON p.region = a.region
    WHERE a.region <> a.ancestor
), series AS (
    SELECT DISTINCT signal, region, period, coalesce(last, period) AS last FROM importing
)
SELECT s.region, s.period, r.other, found.kind
FROM series s
JOIN related r ON r.signal = s.signal AND r.region = s.region
JOIN LATERAL (
    SELECT 'imported' AS kind FROM imported_counts c
    WHERE c.signal = s.signal AND c.region = r.other AND c.period <= s.last
      AND c.period + CASE c.grain WHEN 'week' THEN 6 ELSE 0 END >= s.period
    UNION ALL
    SELECT 'live' FROM counts_daily d
    WHERE d.signal = s.signal AND d.region = r.other AND d.value <> 0
      AND d.day BETWEEN s.period AND s.last
    LIMIT 1
) found ON true
ORDER BY s.region, s.period
LIMIT 1
"""

# Gaps as in pend_spans, which does the same with what waits already: here it bounds the arrays.
_JUDGE_AGAIN = """
WITH step AS (
    SELECT signal, region, grain, period,
           period - lag(period) OVER (PARTITION BY signal, region, grain ORDER BY period)
               - CASE grain WHEN 'week' THEN 7 ELSE 1 END AS unchanged
    FROM touched
), place AS (
    SELECT signal, region, grain, period,
           count(*) FILTER (WHERE unchanged > 28)
               OVER (PARTITION BY signal, region, grain ORDER BY period) AS span
    FROM step
), span AS (
    SELECT signal, region, min(period) AS first_day,
           max(period) + CASE grain WHEN 'week' THEN 6 ELSE 0 END AS last_day
    FROM place
    GROUP BY signal, region, grain, span
)
SELECT pend_spans(array_agg(signal), array_agg(region), array_agg(first_day), array_agg(last_day))
FROM span
"""
