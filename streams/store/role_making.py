"""Making database roles: what the reader and the roles of worker and page have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psycopg import sql

from streams.errors import StoreError

if TYPE_CHECKING:
    import psycopg

__all__ = ["make_role", "refuse_powerful", "schema_of"]


def make_role(connection: psycopg.Connection, name: str, password: str | None) -> bool:
    """Make a role that can sign in, or set its password; return whether it was created.

    Parameters
    ----------
    password
        None: an existing role keeps its own; a new one cannot sign in by password.
    """
    role = sql.Identifier(name)
    found = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (name,)).fetchone()
    if found is None:
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
    if password is not None:
        # Hashed here: in the statement itself the password would get into the server's log.
        encrypted = connection.pgconn.encrypt_password(password.encode(), name.encode())
        connection.execute(
            sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(encrypted.decode()))
        )
    return found is None


def refuse_powerful(connection: psycopg.Connection, name: str, *, may_own: bool = False) -> None:
    """Refuse a role that could do what no grant gives it.

    Raises
    ------
    StoreError
        It is a superuser, may make roles or databases, is a member of other roles, or owns tables
        and `may_own` is false.
    """
    row = connection.execute(_POWERFUL, {"name": name, "may_own": may_own}).fetchone()
    if row and row[0]:
        raise StoreError(
            f"The role {name} is {row[0]}: it could read or change everything. Give another name."
        )


def schema_of(connection: psycopg.Connection) -> str:
    """Return the schema in which the tables are."""
    row = connection.execute("SELECT current_schema()").fetchone()
    return str(row[0]) if row else "public"


_POWERFUL: Final = """
SELECT CASE
    WHEN r.rolsuper THEN 'a superuser'
    WHEN r.rolbypassrls OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication
        THEN 'allowed to make roles or databases, or to replicate'
    WHEN EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid)
        THEN 'a member of other roles'
    WHEN EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid) AND NOT %(may_own)s
        THEN 'the owner of tables'
END
FROM pg_roles r WHERE r.rolname = %(name)s
"""
