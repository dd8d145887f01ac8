"""Database roles of running programs: they own nothing and are no superusers.

The owner runs migrations and `fenghuo db check`, `repair` and `rebuild`. Worker and page sign in as
roles that may read and write rows of the tables they need, and cannot create, alter or drop any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from psycopg import errors, sql

from streams.errors import StoreError
from streams.store.role_making import make_role, refuse_powerful, schema_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

__all__ = ["PAGE", "WORKER", "Granted", "Rights", "grant_roles"]

#: Tables that only migrations write.
_FIXED: Final = (
    "_yoyo_migration",
    "installation",
    "regions",
    "region_ancestors",
    "retention",
    "telling_key",
)
_READ: Final = "SELECT"
_WRITE: Final = "SELECT, INSERT, UPDATE, DELETE"
_APPEND: Final = "SELECT, INSERT"


class Rights(NamedTuple):
    """What one role may do; tables that are not listed have the rights of `default`."""

    default: str
    tables: Mapping[str, str]
    #: Columns of a table that stay hidden; all others may be read.
    hidden: Mapping[str, tuple[str, ...]]
    temporary: bool


#: Takes events in, judges, rolls up, publishes. No password, session or token can be read.
WORKER: Final = Rights(
    default=_WRITE,
    tables=dict.fromkeys(_FIXED, _READ)
    | {
        "alert_events": _APPEND,
        "users": "",
        "web_sessions": "",
        "api_tokens": "",
        "sign_in_failures": "",
    },
    hidden={"users": ("password_hash", "oidc_subject")},
    temporary=True,
)
#: Shows everything that its users may see; writes accounts, and what officers decide.
PAGE: Final = Rights(
    default=_READ,
    tables={
        "users": _WRITE,
        "web_sessions": _WRITE,
        "api_tokens": _WRITE,
        "sign_in_failures": _WRITE,
        "alerts": "SELECT, INSERT, UPDATE",
        "alert_events": _APPEND,
        "locks": "SELECT, INSERT, UPDATE",
        "pending_judgements": _APPEND,
    },
    hidden={},
    temporary=False,
)


class Granted(NamedTuple):
    """What became of a role."""

    name: str
    created: bool


def grant_roles(
    connection: psycopg.Connection, roles: Mapping[str, tuple[Rights, str | None]]
) -> list[Granted]:
    """Make roles, or bring them up to date; running it again changes nothing.

    Whatever else a role was granted in this schema is taken away. Tables of later migrations get
    the default rights at once (ALTER DEFAULT PRIVILEGES of the owner of the tables).

    Parameters
    ----------
    roles
        Rights and password by name. None for a password: an existing role keeps its own; a new one
        cannot sign in by password.

    Raises
    ------
    StoreError
        The database's user may not make or grant this, or a role could do more than is granted
        here: it is a superuser, owns tables, or is a member of other roles.
    """
    with connection.transaction():
        try:
            return [
                _grant(connection, name, rights, password)
                for name, (rights, password) in roles.items()
            ]
        except errors.InsufficientPrivilege as error:
            raise StoreError(
                f"The database role {connection.info.user} may not do this: "
                f"{error.diag.message_primary}. Run "
                "fenghuo db roles as a superuser, or as the owner of the tables with CREATEROLE."
            ) from None


def _grant(
    connection: psycopg.Connection, name: str, rights: Rights, password: str | None
) -> Granted:
    created = make_role(connection, name, password)
    refuse_powerful(connection, name)
    names = _Names(connection, name)
    for statement in _REVOKE:
        names.run(statement)
    if rights.temporary:
        names.run("GRANT TEMPORARY ON DATABASE {database} TO {role}")
    for statement in _GRANT:
        names.run(statement)
    names.run(
        "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} "
        "GRANT {rights} ON TABLES TO {role}",
        rights=sql.SQL(rights.default),
    )
    for (table,) in connection.execute(_TABLES).fetchall():
        _grant_table(names, table, rights)
    return Granted(name, created)


def _grant_table(names: _Names, table: str, rights: Rights) -> None:
    kinds = rights.tables.get(table, rights.default)
    if kinds:
        names.run("GRANT {rights} ON {table} TO {role}", rights=sql.SQL(kinds), table=table)
    hidden = rights.hidden.get(table)
    if hidden:
        columns = names.connection.execute(_COLUMNS, (table, list(hidden))).fetchall()
        shown = sql.SQL(", ").join(sql.Identifier(column) for (column,) in columns)
        names.run("GRANT SELECT ({rights}) ON {table} TO {role}", rights=shown, table=table)


_NOTHING: Final = sql.SQL("")


class _Names:
    """Runs statements that name the role, the schema, the database and the owner of the tables."""

    def __init__(self, connection: psycopg.Connection, role: str) -> None:
        self.connection = connection
        row = connection.execute(_OWNER).fetchone()
        owner, database = row or ("", "")
        self._known = {
            "role": sql.Identifier(role),
            "schema": sql.Identifier(schema_of(connection)),
            "owner": sql.Identifier(owner),
            "database": sql.Identifier(database),
        }

    def run(self, statement: str, *, rights: sql.Composable = _NOTHING, table: str = "") -> None:
        """Run one statement."""
        query = sql.SQL(statement)
        self.connection.execute(
            query.format(rights=rights, table=sql.Identifier(table), **self._known)
        )


_REVOKE: Final = (
    "REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role}",
    "REVOKE ALL ON ALL SEQUENCES IN SCHEMA {schema} FROM {role}",
    "REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {schema} FROM {role}",
    "REVOKE ALL ON SCHEMA {schema} FROM {role}",
    "REVOKE ALL ON DATABASE {database} FROM {role}",
    "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} REVOKE ALL ON TABLES FROM {role}",
)

_GRANT: Final = (
    "GRANT CONNECT ON DATABASE {database} TO {role}",
    "GRANT USAGE ON SCHEMA {schema} TO {role}",
    # take_in draws the numbers of batches from their sequence.
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
    (
        "ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} "
        "GRANT USAGE ON SEQUENCES TO {role}"
    ),
)

_OWNER: Final = """
SELECT pg_get_userbyid(coalesce(
           (SELECT c.relowner FROM pg_class c WHERE c.oid = to_regclass('_yoyo_migration')),
           d.datdba)),
       d.datname
FROM pg_database d WHERE d.datname = current_database()
"""

_TABLES: Final = """
SELECT c.relname
FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
  AND NOT EXISTS (
      SELECT FROM pg_depend d
      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1
"""

_COLUMNS: Final = """
SELECT a.attname
FROM pg_attribute a
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
  AND a.attname <> ALL(%s)
ORDER BY a.attnum
"""
