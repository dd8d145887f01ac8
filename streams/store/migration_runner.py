"""Applying migrations: each in a transaction of its own, under a lock that dies with it.

No state is kept in the session, so that this works through a connection pooler too.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg import errors

from streams.errors import StoreError
from streams.store.rights import LACKING
from streams.store.schema import APPLIED, SchemaMisfitError, describe_misfit, packaged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streams.store.schema import Migration

__all__ = ["apply_pending", "take_turn"]

#: Time-out of one try to get one's turn; then the wait is reported, and repeated.
_TURN: Final = "10s"
#: Time-out of a migration's own locks. Commits queue behind a waiting exclusive lock.
_LOCKS: Final = "60s"


def apply_pending(
    connection: psycopg.Connection,
    migrations: Sequence[Migration] | None = None,
    *,
    notice: Callable[[str], None] | None = None,
) -> list[str]:
    """Apply the migrations that a database lacks; return their names.

    Parameters
    ----------
    migrations
        In order; by default those of this program.
    notice
        Called with a sentence while another process migrates the same database.

    Raises
    ------
    StoreError
        A migration failed, or the database is newer than this program. What a failed migration
        had done is rolled back, and the migrations before it stay.
    """
    _make_table(connection)
    if migrations is None:
        migrations = packaged()
        applied = _applied(connection)
        if applied - {migration.name for migration in migrations}:
            raise SchemaMisfitError(str(describe_misfit(applied)))
    done: list[str] = []
    while (name := _apply_next(connection, migrations, notice)) is not None:
        done.append(name)
    return done


def take_turn(connection: psycopg.Connection, notice: Callable[[str], None] | None = None) -> None:
    """Wait until no other process migrates this database; holds until the transaction's end."""
    while True:
        try:
            with connection.transaction():
                connection.execute(f"SET LOCAL lock_timeout = '{_TURN}'")
                connection.execute("LOCK TABLE _yoyo_migration IN SHARE ROW EXCLUSIVE MODE")
                connection.execute("SET LOCAL lock_timeout TO DEFAULT")
        except errors.LockNotAvailable:
            if notice is not None:
                notice(f"Waiting for {_others(connection, _HOLDERS)} to finish with this database.")
        else:
            return


def _make_table(connection: psycopg.Connection) -> None:
    try:
        with connection.transaction():
            connection.execute(_TABLE)
    except (errors.DuplicateTable, errors.UniqueViolation):
        return  # another process was quicker


def _applied(connection: psycopg.Connection) -> set[str]:
    return {name for (name,) in connection.execute(APPLIED)}


def _apply_next(
    connection: psycopg.Connection,
    wanted: Sequence[Migration],
    notice: Callable[[str], None] | None,
) -> str | None:
    """Apply the first migration that is missing; None if none is."""
    name = ""
    try:
        with connection.transaction():
            take_turn(connection, notice)
            applied = _applied(connection)
            missing = [migration for migration in wanted if migration.name not in applied]
            if not missing:
                return None
            name = missing[0].name
            _apply(connection, missing[0])
    except psycopg.DatabaseError as error:
        if not name and isinstance(error, LACKING):
            raise  # no migration was begun
        raise StoreError(_explain(connection, name, error)) from None
    return name


def _explain(connection: psycopg.Connection, name: str, error: psycopg.DatabaseError) -> str:
    told = (error.diag.message_primary or str(error)).strip().rstrip(".")
    if connection.closed:
        return (
            f"The connection was lost during migration {name} ({told}). The migration was taken "
            "back, those before it stay. Run fenghuo db migrate again."
        )
    if isinstance(error, errors.LockNotAvailable):
        return (
            f"Migration {name} waited {_LOCKS} for a lock and was taken back. Open transactions: "
            f"{_others(connection, _OPEN)}. End them, then run fenghuo db migrate again."
        )
    return f"Migration {name} failed and was taken back, those before it stay: {told}."


def _apply(connection: psycopg.Connection, migration: Migration) -> None:
    connection.execute(f"SET LOCAL lock_timeout = '{_LOCKS}'")
    # The server notices within seconds that this process was killed, and frees the lock.
    connection.execute("SET LOCAL client_connection_check_interval = '2s'")
    # Ends commits in flight, and lets no worker begin one that has not seen the new version.
    connection.execute("LOCK TABLE _yoyo_migration IN ACCESS EXCLUSIVE MODE")
    connection.execute(migration.script.encode(), prepare=False)
    digest = hashlib.sha256(migration.name.encode()).hexdigest()
    connection.execute(_NOTE, (digest, migration.name))


def _others(connection: psycopg.Connection, query: str) -> str:
    found = [
        f"process {pid} of {user}" + (f" ({application})" if application else "")
        for pid, user, application in connection.execute(query)
    ]
    return ", ".join(found) or "another session"


# As yoyo makes it; its other tables are left alone.
_TABLE: Final = """
CREATE TABLE IF NOT EXISTS _yoyo_migration (
    migration_hash varchar(64) NOT NULL PRIMARY KEY,
    migration_id   varchar(255),
    applied_at_utc timestamp
)
"""

_IS_APPLIED: Final = "SELECT 1 FROM _yoyo_migration WHERE migration_id = %s"

_NOTE: Final = """
INSERT INTO _yoyo_migration (migration_hash, migration_id, applied_at_utc)
VALUES (%s, %s, now() AT TIME ZONE 'UTC')
"""

_HOLDERS: Final = """
SELECT a.pid, a.usename, a.application_name
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.relation = '_yoyo_migration'::regclass AND l.granted AND l.pid <> pg_backend_pid()
  AND l.mode IN ('ShareRowExclusiveLock', 'AccessExclusiveLock')
"""

_OPEN: Final = """
SELECT a.pid, a.usename, a.application_name
FROM pg_stat_activity a
WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
  AND a.xact_start < now() - interval '1 s'
ORDER BY a.xact_start
LIMIT 3
"""
