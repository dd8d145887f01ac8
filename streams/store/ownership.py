"""The role that owns the database and migrates it, in place of a superuser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import errors, sql

from streams.errors import StoreError
from streams.store.role_making import make_role, refuse_powerful, schema_of

if TYPE_CHECKING:
    import psycopg

__all__ = ["give_to_owner", "others_connected"]


def others_connected(connection: psycopg.Connection) -> list[str]:
    """Return the roles of other clients' sessions in this database, each once."""
    return [role for (role,) in connection.execute(_OTHERS).fetchall()]


def give_to_owner(connection: psycopg.Connection, name: str, password: str | None) -> bool:
    """Make a role that owns the database and all that migrations have made in it.

    The role is no superuser and cannot make roles. Running it again changes nothing. Where tables
    change hands, TimescaleDB's policies are deleted; the next `fenghuo db migrate` recreates them.

    Returns
    -------
    bool
        Whether the role was created.

    Raises
    ------
    StoreError
        The role is a superuser or may make roles, or the database's user may not do this.
    """
    with connection.transaction():
        try:
            created = make_role(connection, name, password)
            refuse_powerful(connection, name, may_own=True)
            _give(connection, sql.Identifier(name), name)
        except errors.InsufficientPrivilege as error:
            raise StoreError(
                f"The database role {connection.info.user} may not do this: "
                f"{error.diag.message_primary}. "
                "Run fenghuo db owner as a superuser."
            ) from None
    return created


def _give(connection: psycopg.Connection, role: sql.Identifier, name: str) -> None:
    database = sql.Identifier(connection.info.dbname)
    schema = sql.Identifier(schema_of(connection))
    connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, role))
    connection.execute(sql.SQL("GRANT ALL ON SCHEMA {} TO {}").format(schema, role))
    objects = connection.execute(_OF_OTHERS, {"name": name}).fetchall()
    if objects and connection.execute(_HAS_TIMESCALE).fetchone():
        # A job belongs to who added it, and only that role may change it.
        connection.execute(_DELETE_JOBS)
    for kind, identity in objects:
        connection.execute(
            sql.SQL("ALTER {} {} OWNER TO {}").format(sql.SQL(kind), sql.SQL(identity), role)
        )


# Sequences of identity columns follow their tables, chunks their hypertables.
_OF_OTHERS: Final = """
SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END,
       c.oid::regclass::text
FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
  AND pg_get_userbyid(c.relowner) <> %(name)s
  AND NOT EXISTS (
      SELECT FROM pg_depend d
      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
UNION ALL
SELECT 'ROUTINE', p.oid::regprocedure::text
FROM pg_proc p
WHERE p.pronamespace = current_schema()::regnamespace
  AND pg_get_userbyid(p.proowner) <> %(name)s
  AND NOT EXISTS (
      SELECT FROM pg_depend d
      WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
"""

_OTHERS: Final = """
SELECT DISTINCT usename::text FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
ORDER BY 1
"""

_HAS_TIMESCALE: Final = "SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"

_DELETE_JOBS: Final = """
SELECT delete_job(job_id) FROM timescaledb_information.jobs
WHERE hypertable_schema = current_schema() OR proc_schema = current_schema()
"""
