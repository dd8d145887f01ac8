"""The role that dashboards read with: it sees what screens show, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from psycopg import errors, sql

from streams.errors import StoreError
from streams.store.hardening import harden, keep_server_safe, open_databases
from streams.store.role_making import make_role, refuse_powerful, schema_of

if TYPE_CHECKING:
    import psycopg

__all__ = ["READABLE", "RUNNABLE", "STATEMENT_TIMEOUT", "TEMPORARY_FILES", "Reader", "grant_reader"]

#: Longest run of one query; a screen that asks for more shows an error and holds up nobody.
STATEMENT_TIMEOUT: Final = "15s"
#: Most disk for sorting of one session; it protects the disk that the tables are on.
TEMPORARY_FILES: Final = "1GB"
#: Connections that Grafana may hold, all its users together.
_CONNECTIONS: Final = 20

#: Tables and views besides all that are named `screen_...`. No event, no refused record, no count
#: of a single facility or age group, no user, session or message is in them.
READABLE: Final = (
    "clock",
    "facility_reports",
    "installation",
    "region_ancestors",
    "regions",
    "rules",
    "signals",
    "verdicts",
    "arrivals",
)
#: Functions that run with their owner's rights; they hide small cells.
RUNNABLE: Final = (
    "screen_age_curves",
    "screen_ages",
    "screen_extent",
    "screen_facilities",
    "screen_series",
)


class Reader(NamedTuple):
    """What became of the role."""

    name: str
    created: bool
    tables: int
    safe: bool
    """False: it can still use up locks and disk that all sessions share."""
    elsewhere: list[str]
    """Other databases of the server to which it may connect."""


def grant_reader(connection: psycopg.Connection, name: str, password: str | None) -> Reader:
    """Make the role, or bring it up to date, and let it read what dashboards need.

    Whatever else it was granted in this schema is taken away; running it again changes nothing. A
    superuser also takes from all roles what uses up the server (`keep_server_safe`).

    Parameters
    ----------
    password
        None: an existing role keeps its own; a new one cannot sign in by password.

    Raises
    ------
    StoreError
        The database's user may not make roles, or the role owns something or may do more than read.
    """
    role = sql.Identifier(name)
    with connection.transaction():
        try:
            created = make_role(connection, name, password)
            _limit(connection, role)
            refuse_powerful(connection, name)
            schema = sql.Identifier(schema_of(connection))
            for statement in _REVOKE:
                connection.execute(sql.SQL(statement).format(role=role, schema=schema))
            connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, role))
            tables = _grant(connection, role)
            # A database restored by pg_restore has lost what was revoked from PUBLIC.
            harden(connection)
            safe = keep_server_safe(connection)
            elsewhere = open_databases(connection, name)
        except errors.InsufficientPrivilege as error:
            raise StoreError(
                f"The database role {connection.info.user} may not do this: "
                f"{error.diag.message_primary}. Run "
                "fenghuo db reader as a user with CREATEROLE that owns the tables, or have your "
                "database's administrator run it."
            ) from None
    return Reader(name, created, tables, safe, elsewhere)


def _limit(connection: psycopg.Connection, role: sql.Identifier) -> None:
    """Bound what the role's queries use. Its own SET can undo the statement's settings only."""
    row = connection.execute("SELECT usesuper FROM pg_user WHERE usename = current_user").fetchone()
    for setting in (*_LIMITS, *(_FIXED_LIMITS if row and row[0] else ())):
        connection.execute(sql.SQL("ALTER ROLE {} ").format(role) + sql.SQL(setting))


def _grant(connection: psycopg.Connection, role: sql.Identifier) -> int:
    screens = connection.execute(
        "SELECT viewname FROM pg_views "
        r"WHERE schemaname = current_schema() AND viewname LIKE 'screen\_%'"
    ).fetchall()
    tables = [*READABLE, *(name for (name,) in screens)]
    for table in tables:
        connection.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(sql.Identifier(table), role))
    for function in RUNNABLE:
        connection.execute(
            sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(sql.Identifier(function), role)
        )
    return len(tables)


_REVOKE: Final = (
    "REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}",
    "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {schema} FROM {role}",
    "REVOKE ALL ON SCHEMA {schema} FROM {role}",
)

_LIMITS: Final = (
    f"CONNECTION LIMIT {_CONNECTIONS}",
    f"SET statement_timeout = '{STATEMENT_TIMEOUT}'",
    "SET default_transaction_read_only = on",
    # Compiling takes longer than most of these queries.
    "SET jit = off",
    # Curves over years are sorted in memory.
    "SET work_mem = '32MB'",
)
#: Only a superuser may give these to a role, and the role cannot change them.
_FIXED_LIMITS: Final = (f"SET temp_file_limit = '{TEMPORARY_FILES}'",)
