"""Emptying tables between tests, by touching only what was used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Iterable

    import psycopg

__all__ = ["empty"]

#: The tables named, and all that refer to them, directly or not; and whether they may hold rows:
#: a file without a page has none, and what has parts (a hypertable) keeps its rows in those.
_REACHED = """
WITH RECURSIVE reached AS (
    SELECT oid FROM pg_class
    WHERE relname = ANY(%s) AND relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
    UNION
    SELECT c.conrelid FROM pg_constraint c JOIN reached r ON c.confrelid = r.oid
    WHERE c.contype = 'f'
)
SELECT c.relname,
       pg_relation_size(c.oid) > 0 OR EXISTS (SELECT FROM pg_inherits i WHERE i.inhparent = c.oid)
FROM reached r JOIN pg_class c USING (oid)
"""

#: A number may have been taken by a row that is gone, or that never came to be.
_NUMBER_AGAIN = """
SELECT setval(s.oid, q.start_value, false)
FROM pg_sequences q
JOIN pg_class s ON s.relname = q.sequencename AND s.relnamespace = 'public'::regnamespace
JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass
    AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
JOIN pg_class t ON t.oid = d.refobjid
WHERE q.schemaname = 'public' AND q.last_value IS NOT NULL AND t.relname = ANY(%s)
"""


def empty(connection: psycopg.Connection, tables: Iterable[str]) -> None:
    """Leave tables as TRUNCATE ... RESTART IDENTITY CASCADE would.

    TRUNCATE makes new files for each table and each of its indexes, also where the table is empty:
    for all tables of the schema that takes longer than most tests. So only those are truncated
    into which something was written.
    """
    reached = connection.execute(_REACHED, (list(tables),)).fetchall()
    if used := [table for table, may_have_rows in reached if may_have_rows]:
        connection.execute(
            sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(map(sql.Identifier, used)))
        )
    connection.execute(_NUMBER_AGAIN, ([table for table, _ in reached],))
