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
from streams.store.reader import READABLE, grant_reader
from tests.support.store import rows

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What dashboards may know of everything else.
SECRET = [
    "events", "event_heads", "facility_counts", "facility_days", "dead_letters", "alerts",
    "alert_events", "notifications", "notification_deliveries", "users", "web_sessions",
    "api_tokens", "batch_sources", "installation_secrets", "count_history",
]  # fmt: skip


@pytest.fixture
def role(database_url: str) -> Iterator[str]:
    """A name for a role, which is dropped at the end."""
    name = f"reader_{uuid.uuid4().hex[:10]}"
    yield name
    with psycopg.connect(database_url) as connection:
        if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (name,)).fetchone():
            identifier = sql.Identifier(name)
            connection.execute(sql.SQL("DROP OWNED BY {}").format(identifier))
            connection.execute(sql.SQL("DROP ROLE {}").format(identifier))


def grant(database: str, role: str, password: str | None = "pw") -> bool:
    with psycopg.connect(database) as connection:
        return grant_reader(connection, role, password).created


def as_reader(database: str, role: str) -> psycopg.Connection:
    return psycopg.connect(make_conninfo(database, user=role, password="pw"), autocommit=True)


def test_reads_what_screens_show_and_nothing_else(database_url: str, role: str) -> None:
    assert grant(database_url, role)
    tables = [name for (name,) in rows(
        database_url,
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1",
    )]  # fmt: skip
    with as_reader(database_url, role) as connection:
        readable = set()
        for table in tables:
            try:
                connection.execute(
                    sql.SQL("SELECT * FROM {} LIMIT 1").format(sql.Identifier(table))
                )
                readable.add(table)
            except errors.InsufficientPrivilege:
                pass
    screens = {table for table in tables if table.startswith("screen_")}
    assert readable == {*READABLE, *screens}
    assert readable.isdisjoint(SECRET)
    assert len(screens) > 10


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO signals VALUES ('x', 0, 'x', 'x', 'visits', 'events')",
        "DELETE FROM verdicts",
        "UPDATE screen_signals SET place = 1",
        "SELECT * FROM recount()",
        "SELECT * FROM counts_as_of(now())",
        "SELECT roll_up_batches(1)",
        "SELECT rebuild_levels()",
        "SELECT facility_id FROM facility_counts",
        "CREATE TABLE mine (x int)",
    ],
)
def test_changes_nothing(database_url: str, role: str, statement: str) -> None:
    grant(database_url, role)
    with as_reader(database_url, role) as connection:
        # Its own setting is no guard: whoever can send SQL can change it.
        connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute(statement.encode())


def test_granting_again_changes_nothing_and_takes_back_what_was_added(
    database_url: str, role: str
) -> None:
    privileges = (
        "SELECT table_name, privilege_type FROM information_schema.role_table_grants "
        "WHERE grantee = %s ORDER BY 1, 2"
    )
    assert grant(database_url, role)
    before = rows(database_url, privileges, role)
    with psycopg.connect(database_url) as connection:
        connection.execute(sql.SQL("GRANT SELECT ON events TO {}").format(sql.Identifier(role)))
    assert not grant(database_url, role, None)
    assert rows(database_url, privileges, role) == before
    assert {kind for _, kind in before} == {"SELECT"}


def test_no_query_runs_for_long(database_url: str, role: str) -> None:
    grant(database_url, role)
    with as_reader(database_url, role) as connection:
        assert connection.execute("SHOW statement_timeout").fetchone() == ("15s",)
        assert connection.execute("SHOW default_transaction_read_only").fetchone() == ("on",)
        assert connection.execute("SHOW work_mem").fetchone() == ("32MB",)
        connection.execute("SET statement_timeout = 50")
        with pytest.raises(errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(5)")


def test_the_password_is_stored_hashed_and_logged_hashed(database_url: str, role: str) -> None:
    grant(database_url, role, "pass'word")
    found = rows(database_url, "SELECT rolpassword FROM pg_authid WHERE rolname = %s", role)
    assert found[0][0].startswith("SCRAM-SHA-256$")
    grant(database_url, role, None)
    assert rows(database_url, "SELECT rolpassword FROM pg_authid WHERE rolname = %s", role) == found


def test_a_role_that_may_do_more_is_refused(database_url: str, role: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(sql.SQL("CREATE ROLE {} SUPERUSER").format(sql.Identifier(role)))
    with pytest.raises(StoreError, match="is a superuser"):
        grant(database_url, role)
    owner = rows(database_url, "SELECT current_user")[0][0]
    with pytest.raises(StoreError, match="Give another name"):
        grant(database_url, owner)


def test_who_may_not_make_roles_is_told_so(database_url: str, role: str) -> None:
    grant(database_url, role)
    with as_reader(database_url, role) as connection:
        connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(StoreError, match="CREATEROLE"):
            grant_reader(connection, "another_reader", "pw")


def test_the_command(database_url: str, role: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FENGHUO_READER_PASSWORD", "pw")
    done = CliRunner().invoke(app, ["db", "reader", role, "--database", database_url])
    assert done.exit_code == 0, done.output
    assert f"Role {role} was made" in " ".join(done.output.split())
    with as_reader(database_url, role) as connection:
        assert connection.execute("SELECT count(*) FROM screen_alerts").fetchone() == (0,)
    monkeypatch.delenv("FENGHUO_READER_PASSWORD")
    done = CliRunner().invoke(
        app, ["db", "reader", role, "--password-stdin", "--database", database_url], input="new\n"
    )
    assert "is up to date" in done.output
    again = CliRunner().invoke(app, ["db", "reader", role, "--database", database_url])
    assert "keeps the one that it has" in " ".join(again.output.split())


def test_its_disk_and_connections_are_limited_and_it_cannot_undo_that(
    database_url: str, role: str
) -> None:
    grant(database_url, role)
    limits = rows(database_url, "SELECT rolconnlimit FROM pg_roles WHERE rolname = %s", role)
    assert limits == [(20,)]
    with as_reader(database_url, role) as connection:
        connection.execute("SET default_transaction_read_only = off")
        assert connection.execute("SHOW temp_file_limit").fetchone() == ("1GB",)
        for statement in (
            "SET temp_file_limit = -1",
            "RESET temp_file_limit",
            f"ALTER ROLE {role} RESET temp_file_limit",
            f"ALTER ROLE {role} CONNECTION LIMIT -1",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute(statement.encode())
