"""Protection of the schema against other roles that may connect, applied on every migration.

A SECURITY DEFINER function runs with its owner's rights. Its names must not be resolved by the
caller's search path: a temporary table shadows every table of the schema unless `pg_temp` stands
last. Functions that run with the caller's rights need no fixed path: a caller who shadows names
there misleads nobody else, and a SET clause would keep PostgreSQL from inlining them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import sql

if TYPE_CHECKING:
    import psycopg

__all__ = ["harden", "keep_server_safe", "open_databases"]


def harden(connection: psycopg.Connection) -> None:
    """Fix the search path of privileged functions; revoke CREATE and TEMPORARY from PUBLIC.

    The right to make temporary objects is the database owner's to revoke; for another user it is
    left as it is.
    """
    schema = _one(connection, "SELECT current_schema()")
    for function in connection.execute(_PRIVILEGED).fetchall():
        name = sql.SQL(function[0])
        path = sql.SQL("ALTER FUNCTION {} SET search_path = pg_catalog, {}, pg_temp")
        # TimescaleDB as WebAssembly fails where both change one function in one transaction.
        with connection.transaction():
            connection.execute(path.format(name, sql.Identifier(schema)))
        with connection.transaction():
            connection.execute(sql.SQL("REVOKE ALL ON FUNCTION {} FROM PUBLIC").format(name))
    if _one(connection, _OWNS_SCHEMA):
        connection.execute(
            sql.SQL("REVOKE CREATE ON SCHEMA {} FROM PUBLIC").format(sql.Identifier(schema))
        )
    if _one(connection, _OWNS_DATABASE):
        database = sql.Identifier(_one(connection, "SELECT current_database()"))
        connection.execute(
            sql.SQL("REVOKE CREATE, TEMPORARY ON DATABASE {} FROM PUBLIC").format(database)
        )


def keep_server_safe(connection: psycopg.Connection) -> bool:
    """Take from PUBLIC what uses up the server for everybody; return whether it could be taken.

    Whoever may call these functions can fill the lock table, which all sessions share, or the disk:
    no right to a table is needed, and no limit of a role bounds it. Only a superuser may revoke.
    """
    if not _one(connection, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
        return False
    for (function,) in connection.execute(_USING_UP).fetchall():
        connection.execute(
            sql.SQL("REVOKE EXECUTE ON FUNCTION {} FROM PUBLIC").format(sql.SQL(function))
        )
    return True


def open_databases(connection: psycopg.Connection, role: str) -> list[str]:
    """Name the other databases of the server to which a role may connect, and do the same there."""
    return [name for (name,) in connection.execute(_OPEN, (role,)).fetchall()]


def _one(connection: psycopg.Connection, query: str) -> str:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None  # noqa: S101 - each query gives one row
    return row[0]  # type: ignore[no-any-return]


# Trigger functions run for whoever writes. Those of extensions are left alone.
_PRIVILEGED: Final = """
SELECT p.oid::regprocedure::text
FROM pg_proc p
WHERE p.pronamespace = current_schema()::regnamespace
  AND (p.prosecdef OR p.prorettype = 'trigger'::regtype)
  AND NOT EXISTS (
      SELECT FROM pg_depend d
      WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
"""

# Locks without an object, large objects, and messages in the write-ahead log.
_USING_UP: Final = r"""
SELECT p.oid::regprocedure::text
FROM pg_proc p
WHERE p.pronamespace = 'pg_catalog'::regnamespace
  AND (p.proname ~ '^pg_(try_)?advisory_(xact_)?lock'
       OR p.proname IN ('lo_creat', 'lo_create', 'lo_from_bytea', 'lo_import', 'lo_put',
                        'lo_truncate', 'lo_truncate64', 'lowrite', 'pg_logical_emit_message'))
  AND (p.proacl IS NULL OR EXISTS (
      SELECT FROM aclexplode(p.proacl) a WHERE a.grantee = 0 AND a.privilege_type = 'EXECUTE'))
"""

_OPEN: Final = """
SELECT d.datname FROM pg_database d
WHERE d.datallowconn AND d.datname <> current_database()
  AND has_database_privilege(%s, d.oid, 'CONNECT')
ORDER BY 1
"""

_OWNS_SCHEMA: Final = """
SELECT pg_has_role(n.nspowner, 'USAGE') FROM pg_namespace n WHERE n.nspname = current_schema()
"""

# A template database is left as it is: nobody keeps an installation there but the WebAssembly
# build of the tests, which cannot change the row of its own database.
_OWNS_DATABASE: Final = """
SELECT pg_has_role(d.datdba, 'USAGE') AND NOT d.datistemplate
FROM pg_database d
WHERE d.datname = current_database()
"""
