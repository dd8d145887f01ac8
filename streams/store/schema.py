"""The schema's version: migrations of this program compared with those of a database.

`_yoyo_migration` names the applied migrations; yoyo, the runner of earlier releases, made it. It is
also the lock between running programs and `fenghuo db migrate`: reading it in a transaction holds
an ACCESS SHARE lock until commit, and a migration takes the table exclusively. A transaction that
has read a fitting version is therefore finished before the schema changes.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Final, NamedTuple

from psycopg import errors

from streams.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Collection

    import psycopg
    from psycopg import AsyncConnection

__all__ = [
    "APPLIED",
    "Migration",
    "SchemaMisfitError",
    "check_schema",
    "describe_misfit",
    "hold",
    "hold_schema",
    "packaged",
]

#: Names of the applied migrations.
APPLIED: Final = "SELECT migration_id FROM _yoyo_migration"


class Migration(NamedTuple):
    """One SQL file of this program."""

    name: str
    script: str


class SchemaMisfitError(StoreError):
    """The database's schema is older or newer than this program."""


@cache
def packaged() -> tuple[Migration, ...]:
    """Return the migrations of this program in order."""
    folder = resources.files("streams.store") / "migrations"
    files = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".sql")),
        key=lambda file: file.name,
    )
    return tuple(
        Migration(file.name.removesuffix(".sql"), file.read_text(encoding="utf-8"))
        for file in files
    )


def describe_misfit(applied: Collection[str]) -> str | None:
    """Say why a program must not write to a database; None if it may.

    Parameters
    ----------
    applied
        Names of the database's migrations.

    Examples
    --------
    >>> describe_misfit([])
    'The database has no tables of Fenghuo yet. Run fenghuo db migrate.'
    >>> describe_misfit([migration.name for migration in packaged()]) is None
    True
    """
    known = {migration.name for migration in packaged()}
    if newer := sorted(set(applied) - known):
        return (
            f"The database's schema is newer than this program: it has migration {newer[-1]}, "
            f"this program ends with {max(known)}. Upgrade this program."
        )
    missing = sorted(known - set(applied))
    if not missing:
        return None
    if not applied:
        return "The database has no tables of Fenghuo yet. Run fenghuo db migrate."
    return (
        f"The database's schema is older than this program: it lacks migration {missing[0]}"
        + (f" and {len(missing) - 1} more" if len(missing) > 1 else "")
        + ". Stop other workers and run fenghuo db migrate."
    )


def check_schema(connection: psycopg.Connection) -> None:
    """Make sure that this program may write to the database.

    The transaction that the check begins is ended, so that a long-lived connection does not keep
    a migration waiting.

    Raises
    ------
    SchemaMisfitError
        The schema is older or newer than this program.
    """
    try:
        hold(connection)
    except errors.UndefinedTable:
        raise SchemaMisfitError(str(describe_misfit([]))) from None
    finally:
        connection.rollback()


def hold(connection: psycopg.Connection) -> None:
    """Make sure of the same in an open transaction, and until its end.

    Raises
    ------
    SchemaMisfitError
        The schema is older or newer than this program.
    """
    if problem := describe_misfit({name for (name,) in connection.execute(APPLIED)}):
        raise SchemaMisfitError(problem)


async def hold_schema(connection: AsyncConnection) -> None:
    """Do the same as `hold`, on a connection of the event loop.

    Raises
    ------
    SchemaMisfitError
        The schema is older or newer than this program.
    """
    cursor = await connection.execute(APPLIED)
    if problem := describe_misfit({name for (name,) in await cursor.fetchall()}):
        raise SchemaMisfitError(problem)
