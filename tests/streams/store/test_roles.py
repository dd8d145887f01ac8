"""The database roles of worker and page: what they may not do, and what later migrations bring."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.conninfo import make_conninfo
from typer.testing import CliRunner

from streams.cli.main import app
from streams.errors import StoreError
from streams.store.migrate import migrate
from streams.store.ownership import give_to_owner
from streams.store.reader import grant_reader
from streams.store.roles import PAGE, WORKER, grant_roles
from tests.conftest import CONFIG, make_database
from tests.support.roles import signing_in
from tests.support.store import rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streams.config import Configuration
    from streams.store.roles import Rights

both = pytest.mark.parametrize("rights", [WORKER, PAGE], ids=["worker", "page"])


@pytest.fixture
def names(database_server: str) -> Iterator[list[str]]:
    """Names of roles, which are dropped at the end, when their databases are gone."""
    made = [f"role_{uuid.uuid4().hex[:10]}" for _ in range(3)]
    yield made
    with psycopg.connect(database_server) as connection:
        for name in made:
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))


def refused(database: str, statement: str) -> bool:
    with psycopg.connect(database) as connection:
        try:
            connection.execute(statement.encode())
        except errors.InsufficientPrivilege:
            return True
        finally:
            connection.rollback()
    return False


def run(database: str, statement: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(statement.encode())


@both
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine (x int)",
        "CREATE FUNCTION evil() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "ALTER TABLE alerts ADD COLUMN mine int",
        "DROP TABLE users",
        "DROP VIEW clock",
        "TRUNCATE alert_events",
        "UPDATE alert_events SET actor = 'another'",
        "DELETE FROM alert_events",
        "DELETE FROM _yoyo_migration",
        "UPDATE installation SET value = 'Asia/Kathmandu'",
        "ALTER FUNCTION screen_facilities SECURITY INVOKER",
        "CREATE TRIGGER mine BEFORE INSERT ON users EXECUTE FUNCTION note_facilities()",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "SELECT pg_read_file('PG_VERSION')",
        "SET ROLE pg_read_all_data",
    ],
)
def test_neither_changes_the_schema_nor_the_past(
    database_url: str, rights: Rights, statement: str
) -> None:
    with signing_in(database_url, rights) as database:
        assert refused(database, statement)


def test_a_worker_reads_no_password_session_or_token(database_url: str) -> None:
    with signing_in(database_url, WORKER) as database:
        for statement in (
            "SELECT password_hash FROM users",
            "SELECT oidc_subject FROM users",
            "SELECT * FROM users",
            "UPDATE users SET role = 'admin'",
            "SELECT FROM web_sessions",
            "SELECT FROM api_tokens",
            "SELECT FROM sign_in_failures",
        ):
            assert refused(database, statement), statement
        assert not refused(database, "SELECT name, role, region FROM users")


def test_the_page_changes_no_count_and_makes_no_temporary_table(database_url: str) -> None:
    with signing_in(database_url, PAGE) as database:
        for statement in (
            "DELETE FROM events",
            "UPDATE hourly_counts SET value = 0",
            "UPDATE stream_offsets SET next_offset = 0",
            "DELETE FROM verdicts",
            "DELETE FROM alerts",
            "CREATE TEMPORARY TABLE mine (x int)",
        ):
            assert refused(database, statement), statement


@both
def test_granting_again_changes_nothing_and_takes_back_what_was_added(
    database_url: str, rights: Rights
) -> None:
    privileges = (
        "SELECT table_name, privilege_type FROM information_schema.role_table_grants "
        "WHERE grantee = %s ORDER BY 1, 2"
    )
    with signing_in(database_url, rights) as database:
        name = psycopg.conninfo.conninfo_to_dict(database)["user"]
        before = rows(database_url, privileges, name)
        with psycopg.connect(database_url) as connection:
            role = sql.Identifier(str(name))
            connection.execute(sql.SQL("GRANT TRUNCATE ON alert_events TO {}").format(role))
            assert grant_roles(connection, {str(name): (rights, None)}) == [(name, False)]
        assert rows(database_url, privileges, name) == before
        assert before


@both
def test_tables_of_a_later_migration_can_be_used_at_once(database_url: str, rights: Rights) -> None:
    with signing_in(database_url, rights) as database:
        run(database_url, "CREATE TABLE later (n int GENERATED ALWAYS AS IDENTITY)")
        try:
            assert not refused(database, "SELECT * FROM later")
            written = not refused(database, "INSERT INTO later DEFAULT VALUES")
            assert written is (rights is WORKER)
        finally:
            run(database_url, "DROP TABLE later")


@both
def test_a_role_that_may_do_more_is_refused(
    database_url: str, rights: Rights, names: list[str]
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} SUPERUSER").format(sql.Identifier(names[0])))
        with pytest.raises(StoreError, match="is a superuser"):
            grant_roles(connection, {names[0]: (rights, None)})


def test_an_owner_that_is_no_superuser_migrates_and_runs_no_function_as_one(
    database_server: str, configuration: Configuration, names: list[str]
) -> None:
    owner, worker, reader = names
    with make_database(database_server) as uri:
        with psycopg.connect(uri) as connection:
            assert give_to_owner(connection, owner, "pw")
        as_owner = make_conninfo(uri, user=owner, password="pw")
        migrate(as_owner, configuration)
        with psycopg.connect(uri) as connection:
            assert not give_to_owner(connection, owner, None)
            grant_roles(connection, {worker: (WORKER, "pw")})
            grant_reader(connection, reader, "pw")
        assert migrate(as_owner, configuration).applied == []
        owners = rows(
            uri,
            "SELECT DISTINCT pg_get_userbyid(p.proowner), r.rolsuper "
            "FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner "
            "WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef",
        )
        assert owners == [(owner, False)]
        assert not refused(
            make_conninfo(uri, user=worker, password="pw"), "SELECT roll_up_batches(1)"
        )
        assert not refused(
            make_conninfo(uri, user=reader, password="pw"),
            "SELECT * FROM screen_facilities('ili', 'TW', now())",
        )


def test_a_database_of_a_superuser_changes_hands_and_goes_on(
    database_server: str, configuration: Configuration, names: list[str]
) -> None:
    owner = names[0]
    with make_database(database_server) as uri:
        migrate(uri, configuration)
        run(uri, "INSERT INTO series (signal, region, stratum) VALUES ('ili', 'TW-TPE', 'all')")
        run(uri, "INSERT INTO hourly_counts VALUES (1, '2024-03-04 01:00Z', 1)")
        with psycopg.connect(uri) as connection:
            give_to_owner(connection, owner, "pw")
        as_owner = make_conninfo(uri, user=owner, password="pw")
        migrate(as_owner, configuration)
        run(as_owner, "ALTER TABLE hourly_counts ADD COLUMN later int")
        others = rows(
            uri,
            "SELECT c.oid::regclass::text FROM pg_class c "
            "WHERE c.relkind IN ('r', 'v') AND pg_get_userbyid(c.relowner) <> %s "
            "AND c.relnamespace = 'public'::regnamespace AND c.oid >= 16384 AND NOT EXISTS ("
            "SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')",
            owner,
        )
        assert others == []


def test_commands_for_counts_and_users_run_as_worker_and_page(
    database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "counts.csv"
    file.write_text("week,region,count\n2024-W10,TW-TPE,12\n2024-W11,TW-TPE,9\n")
    config = ["--config", str(CONFIG)]
    with signing_in(database_url, WORKER) as database:
        at = [*config, "--database", database]
        for command in (["import-counts", str(file), "--signal", "ili", *at],):
            done = CliRunner().invoke(app, command)
            assert done.exit_code == 0, (done.output, done.exception)
    with signing_in(database_url, PAGE) as database:
        command = ["users", "add", "li", "--role", "admin", "--database", database]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, (done.output, done.exception)
    assert rows(database_url, "SELECT sum(value) FROM imported_counts") == [(21,)]


def test_the_commands(
    database_server: str,
    configuration: Configuration,
    names: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    owner, worker, page = names
    for name in ("OWNER", "WORKER", "PAGE"):
        monkeypatch.setenv(f"FENGHUO_{name}_PASSWORD", "pw")
    with make_database(database_server) as uri:
        done = CliRunner().invoke(app, ["db", "owner", owner, "--database", uri])
        assert f"Role {owner} was made." in done.output
        assert "Warning" not in done.output
        with psycopg.connect(uri):
            again = CliRunner().invoke(app, ["db", "owner", owner, "--database", uri])
        assert again.exit_code == 0
        assert "Warning: others are connected to this database (" in again.output
        assert "Stop workers and page first" in again.output
        migrate(make_conninfo(uri, user=owner, password="pw"), configuration)
        command = ["db", "roles", "--worker", worker, "--page", page, "--database", uri]
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
        assert f"Role {worker} was made.\nRole {page} was made.\n" in done.output
        assert f"Role {page} is up to date." in CliRunner().invoke(app, command).output
        command[-1] = make_conninfo(uri, user=worker, password="pw")
        done = CliRunner().invoke(app, command)
        assert isinstance(done.exception, StoreError)
        assert "CREATEROLE" in str(done.exception)
