"""The role that dashboards read with: it sees what screens show, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from psycopg import errors, sql

from streams.errors import StoreError

if TYPE_CHECKING:
    import psycopg

__all__ = ["READABLE", "RUNNABLE", "STATEMENT_TIMEOUT", "Reader", "grant_reader"]

#: Longest run of one query; a screen that asks for more shows an error and holds up nobody.
STATEMENT_TIMEOUT: Final = "15s"
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


def grant_reader(connection: psycopg.Connection, name: str, password: str | None) -> Reader:
    """Make the role, or bring it up to date, and let it read what dashboards need.

    Whatever else it was granted in this schema is taken away; running it again changes nothing.

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
            created = _make(connection, name, password)
            _refuse_powerful(connection, name)
            schema = sql.Identifier(_schema(connection))
            for statement in _REVOKE:
                connection.execute(sql.SQL(statement).format(role=role, schema=schema))
            connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, role))
            tables = _grant(connection, role)
        except errors.InsufficientPrivilege as error:
            raise StoreError(
                f"The database's user may not do this: {error.diag.message_primary}. Run "
                "fenghuo db reader as a user with CREATEROLE that owns the tables, or have your "
                "database's administrator run it."
            ) from None
    return Reader(name, created, tables)


def _make(connection: psycopg.Connection, name: str, password: str | None) -> bool:
    role = sql.Identifier(name)
    created = (
        connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (name,)).fetchone() is None
    )
    if created:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
    if password is not None:
        # Hashed here: in the statement itself the password would get into the server's log.
        encrypted = connection.pgconn.encrypt_password(password.encode(), name.encode())
        connection.execute(
            sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(encrypted.decode()))
        )
    for setting in (
        sql.SQL("CONNECTION LIMIT {}").format(sql.Literal(_CONNECTIONS)),
        sql.SQL("SET statement_timeout = {}").format(sql.Literal(STATEMENT_TIMEOUT)),
        sql.SQL("SET default_transaction_read_only = on"),
        # Compiling takes longer than most of these queries.
        sql.SQL("SET jit = off"),
        # Curves over years are sorted in memory.
        sql.SQL("SET work_mem = '32MB'"),
    ):
        connection.execute(sql.SQL("ALTER ROLE {} ").format(role) + setting)
    return created


def _refuse_powerful(connection: psycopg.Connection, name: str) -> None:
    """Refuse a role that could do what no grant here gives it."""
    row = connection.execute(_POWERFUL, {"name": name}).fetchone()
    if row and row[0]:
        raise StoreError(
            f"The role {name} is {row[0]}: it could read or change everything. Give another name."
        )


def _schema(connection: psycopg.Connection) -> str:
    row = connection.execute("SELECT current_schema()").fetchone()
    return str(row[0]) if row else "public"


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

_POWERFUL: Final = """
SELECT CASE
    WHEN r.rolsuper THEN 'a superuser'
    WHEN r.rolbypassrls OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication
        THEN 'allowed to make roles or databases, or to replicate'
    WHEN EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid)
        THEN 'a member of other roles'
    WHEN EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid) THEN 'the owner of tables'
END
FROM pg_roles r WHERE r.rolname = %(name)s
"""
