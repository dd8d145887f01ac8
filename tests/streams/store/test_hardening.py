"""What a role that may only read can do to everybody else: nothing."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.conninfo import make_conninfo

from schemas.alerts import Verified
from streams.store.decisions import act
from streams.store.hardening import keep_server_safe, open_databases
from streams.store.locks import ALERTS, FACILITIES, JUDGING, LEVELS, TAKE
from streams.store.reader import RUNNABLE, grant_reader
from tests.support.alerts import open_alert
from tests.support.store import rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import LiteralString

DEFINERS = """
SELECT p.oid, p.oid::regprocedure::text, p.proname,
       ARRAY(SELECT format_type(a.type, NULL)
             FROM unnest(p.proargtypes) WITH ORDINALITY AS a(type, place) ORDER BY a.place)
FROM pg_proc p
WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef AND p.prorettype <> 'trigger'::regtype
"""
#: An argument of each type, so that nothing is skipped for being null.
ARGUMENTS = {
    "text": "'TW'", "timestamp with time zone": "now()", "date": "current_date", "integer": "1",
    "bigint": "1", "text[]": "'{TW}'", "double precision": "1", "boolean": "true",
}  # fmt: skip


@pytest.fixture
def hostile(database_url: str) -> Iterator[psycopg.Connection]:
    """A session of the reader, which was given temporary objects by mistake."""
    name = f"hostile_{uuid.uuid4().hex[:10]}"
    role = sql.Identifier(name)
    with psycopg.connect(database_url) as connection:
        grant_reader(connection, name, "pw")
        database = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("GRANT TEMP ON DATABASE {} TO {}").format(database, role))
    with psycopg.connect(
        make_conninfo(database_url, user=name, password="pw"), autocommit=True
    ) as connection:
        connection.execute("SET default_transaction_read_only = off")
        yield connection
    with psycopg.connect(database_url) as connection:
        connection.execute(sql.SQL("DROP OWNED BY {}; DROP ROLE {}").format(role, role))


@pytest.fixture
def reader(database_url: str) -> Iterator[psycopg.Connection]:
    """A session of the reader, as it is by default."""
    name = f"reader_{uuid.uuid4().hex[:10]}"
    with psycopg.connect(database_url) as connection:
        grant_reader(connection, name, "pw")
    with psycopg.connect(
        make_conninfo(database_url, user=name, password="pw"), autocommit=True
    ) as connection:
        yield connection
    with psycopg.connect(database_url) as connection:
        role = sql.Identifier(name)
        connection.execute(sql.SQL("DROP OWNED BY {}; DROP ROLE {}").format(role, role))


def shadow_everything(connection: psycopg.Connection) -> None:
    """Put a view that runs code in the way of every table and view."""
    connection.execute("""
        CREATE FUNCTION pg_temp.evil() RETURNS boolean LANGUAGE plpgsql AS
        $$BEGIN RAISE EXCEPTION 'evil ran as %', current_user; END$$
    """)
    tables = connection.execute("""
        SELECT c.relname, string_agg(format('CASE WHEN pg_temp.evil() THEN NULL::%s END AS %I',
            format_type(a.atttypid, a.atttypmod), a.attname), ', ' ORDER BY a.attnum)
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v', 'm', 'p')
          AND a.attnum > 0 AND NOT a.attisdropped
        GROUP BY c.relname
    """).fetchall()
    for table, columns in tables:
        connection.execute(
            sql.SQL("CREATE TEMP VIEW {} AS SELECT {}").format(
                sql.Identifier(table), sql.SQL(columns)
            )
        )
    # What one's own query finds is shadowed, so the attack is one.
    with pytest.raises(errors.RaiseException, match="evil ran as hostile"):
        connection.execute("SELECT * FROM regions")


def test_no_privileged_function_runs_what_a_hostile_session_puts_in_its_way(
    database_url: str, hostile: psycopg.Connection
) -> None:
    with psycopg.connect(database_url) as connection:
        functions = connection.execute(DEFINERS).fetchall()
        # Even where somebody grants too much.
        for _, signature, _, _ in functions:
            connection.execute(
                sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(
                    sql.SQL(signature), sql.Identifier(hostile.info.user)
                )
            )
    assert {name for _, _, name, _ in functions} >= set(RUNNABLE)
    shadow_everything(hostile)
    for _, signature, name, types in functions:
        arguments = ", ".join(f"{ARGUMENTS[kind]}::{kind}" for kind in types)
        try:
            hostile.execute(f"SELECT * FROM public.{name}({arguments})".encode())
        except errors.RaiseException as error:
            pytest.fail(f"{signature}: {error}")


def test_privileged_functions_have_a_fixed_path_that_ends_with_temporary_objects(
    database_url: str,
) -> None:
    found = rows(
        database_url,
        "SELECT p.proname, p.proconfig FROM pg_proc p "
        "WHERE p.pronamespace = 'public'::regnamespace "
        "AND (p.prosecdef OR p.prorettype = 'trigger'::regtype) AND NOT EXISTS ("
        "SELECT FROM pg_depend d "
        "WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')",
    )
    assert found
    for name, settings in found:
        assert "search_path=pg_catalog, public, pg_temp" in (settings or []), name


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TEMP TABLE regions (x int)",
        "CREATE FUNCTION pg_temp.evil() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TABLE public.mine (x int)",
        "CREATE SCHEMA mine",
        # Locks that would keep others from writing.
        "SELECT hold_lock('alerts')",
        "SELECT FROM locks FOR UPDATE",
        "SELECT FROM regions FOR SHARE",
        "BEGIN; LOCK TABLE regions IN ROW EXCLUSIVE MODE",
    ],
)
def test_a_reader_makes_nothing_and_locks_nothing(
    database_url: str, reader: psycopg.Connection, statement: str
) -> None:
    reader.execute("SET default_transaction_read_only = off")
    with pytest.raises(errors.InsufficientPrivilege):
        reader.execute(statement.encode())


def test_no_advisory_lock_of_a_reader_stops_judging_decisions_or_roll_ups(
    database_url: str, reader: psycopg.Connection
) -> None:
    alert_id = open_alert(database_url)
    with psycopg.connect(database_url) as connection:  # as where no superuser took them away
        connection.execute("GRANT EXECUTE ON FUNCTION pg_advisory_lock(bigint) TO PUBLIC")
    for number in range(5_103_481_000, 5_103_481_010):
        reader.execute("SELECT pg_advisory_lock(%s)", (number,))
    with psycopg.connect(database_url, options="-c lock_timeout=60s") as connection:
        for lock in (JUDGING, FACILITIES, LEVELS, ALERTS):
            connection.execute(TAKE, (lock,))
        connection.execute("SELECT roll_up_facilities(10), roll_up_batches(10)")
        connection.execute("SELECT rebuild_levels()")
        act(connection, alert_id, Verified(), actor="li", seen=1)


def test_nothing_of_ours_takes_an_advisory_lock(database_url: str) -> None:
    taking = rows(
        database_url,
        "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace "
        "AND prosrc LIKE '%advisory%'",
    )
    assert taking == []
    sources = [
        path
        for path in (Path(__file__).parents[3] / "streams").rglob("*.py")
        if "pg_advisory" in path.read_text(encoding="utf-8")
    ]
    assert sources == []


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT count(pg_advisory_lock(g)) FROM generate_series(1, 10000000) g",
        "SELECT pg_try_advisory_xact_lock_shared(1, 2)",
        "SELECT lo_from_bytea(0, decode(repeat('00', 10000000), 'hex'))",
        "SELECT lo_create(0)",
        "SELECT pg_logical_emit_message(false, 'x', repeat('x', 1000000))",
    ],
)
def test_the_reader_cannot_use_up_what_the_server_shares(
    reader: psycopg.Connection, statement: LiteralString
) -> None:
    reader.execute("SET default_transaction_read_only = off")
    with pytest.raises(errors.InsufficientPrivilege):
        reader.execute(statement)


def test_what_was_opened_again_is_closed_again(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("GRANT EXECUTE ON FUNCTION pg_advisory_lock(bigint) TO PUBLIC")
        assert keep_server_safe(connection)
        allowed = "SELECT has_function_privilege('public', 'pg_advisory_lock(bigint)', 'EXECUTE')"
        assert connection.execute(allowed).fetchone() == (False,)


def test_databases_elsewhere_are_named(database_url: str, reader: psycopg.Connection) -> None:
    with psycopg.connect(database_url) as connection:
        assert "postgres" in open_databases(connection, reader.info.user)
        assert connection.info.dbname not in open_databases(connection, reader.info.user)


def test_the_reader_of_a_restored_database_gets_no_temporary_objects(database_url: str) -> None:
    name = f"reader_{uuid.uuid4().hex[:10]}"
    with psycopg.connect(database_url) as connection:
        database = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("GRANT TEMP ON DATABASE {} TO PUBLIC").format(database))
        grant_reader(connection, name, None)
        may = connection.execute(
            "SELECT has_database_privilege(%s, current_database(), 'TEMP')", (name,)
        ).fetchone()
        role = sql.Identifier(name)
        connection.execute(sql.SQL("DROP OWNED BY {}; DROP ROLE {}").format(role, role))
    assert may == (False,)
