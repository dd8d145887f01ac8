"""Each command as each database role: it works, or one line says who lacks what."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from typer.main import get_command
from typer.testing import CliRunner

from streams.cli.main import app
from streams.errors import FenghuoError, StoreError, UnavailableError
from streams.store.pool import connect
from streams.store.reader import grant_reader
from streams.store.roles import PAGE, WORKER
from tests.conftest import CONFIG
from tests.support.roles import signing_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Commands that run until they are stopped, or bring their own database.
SERVERS = {"up", "worker", "web"}
ARGUMENTS: dict[str, list[str]] = {
    "alerts acknowledge": ["1"],
    "alerts assess": ["1", "likely", "minor"],
    "alerts assign": ["1", "li"],
    "alerts close": ["1", "explained"],
    "alerts comment": ["1", "seen"],
    "alerts confirm": ["1"],
    "alerts discard": ["1", "data_error"],
    "alerts history": ["1"],
    "alerts merge": ["1", "2"],
    "alerts monitor": ["1"],
    "alerts reopen": ["1"],
    "alerts show": ["1"],
    "alerts verify": ["1"],
    "db backup": ["BACKUP"],
    "db owner": ["role_of_test_owner"],
    "db reader": ["role_of_test_reader"],
    "db roles": ["--worker", "role_of_test_worker", "--page", "role_of_test_page"],
    "db repair": ["--apply"],
    "dead-letters replay": ["1"],
    "dead-letters show": ["1"],
    "import-counts": ["COUNTS", "--signal", "ili"],
    "users add": ["wu", "--role", "viewer"],
    "users disable": ["li"],
    "users enable": ["li"],
    "users link": ["li", "--none"],
    "users password": ["li"],
    "users remove": ["li"],
    "users revoke": ["li", "1"],
    "users role": ["li", "viewer"],
    "users token": ["li"],
    "users tokens": ["li"],
}


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Commands that read or write the database."""
    for name, child in getattr(command, "commands", {}).items():
        yield from leaves(child, (*path, name))
    if not hasattr(command, "commands") and any(
        parameter.name == "database" for parameter in command.params
    ):
        yield " ".join(path)


COMMANDS = sorted(set(leaves(get_command(app))) - SERVERS)


@pytest.fixture
def reader(database_url: str) -> Iterator[str]:
    name = f"role_{uuid.uuid4().hex[:10]}"
    with psycopg.connect(database_url) as connection:
        grant_reader(connection, name, "pw")
    yield make_conninfo(database_url, user=name, password="pw")
    role = sql.Identifier(name)
    with psycopg.connect(database_url) as connection:
        connection.execute(sql.SQL("DROP OWNED BY {}; DROP ROLE {}").format(role, role))


@pytest.fixture(params=["worker", "page", "reader"])
def database(request: pytest.FixtureRequest, database_url: str) -> Iterator[str]:
    """The database as one of the roles sees it."""
    with ExitStack() as stack:
        if request.param == "reader":
            yield request.getfixturevalue("reader")
        else:
            rights = {"worker": WORKER, "page": PAGE}[request.param]
            yield stack.enter_context(signing_in(database_url, rights))


def test_no_command_ends_in_a_traceback_for_any_role(
    database: str, kafka: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FENGHUO_CONFIG", str(CONFIG))
    monkeypatch.setenv("FENGHUO_KAFKA", kafka)
    monkeypatch.setenv("FENGHUO_GRAFANA_URL", "http://127.0.0.1:9")
    file = tmp_path / "counts.csv"
    file.write_text("week,region,count\n2024-W10,TW-TPE,12\n")
    places = {"COUNTS": str(file), "BACKUP": str(tmp_path / "backup")}
    role = conninfo_to_dict(database)["user"]
    bad, refused = {}, set()
    for command in COMMANDS:
        arguments = [places.get(text, text) for text in ARGUMENTS.get(command, [])]
        done = CliRunner().invoke(app, [*command.split(), *arguments, "--database", database])
        assert done.exit_code != 2, (command, done.output)
        error = done.exception
        if error is None or isinstance(error, SystemExit):
            continue
        text = str(error)
        if not isinstance(error, FenghuoError) or "\n" in text:
            bad[command] = repr(error)
        if "permission denied" in text or "read-only" in text:
            refused.add(command)
            if f"The database role {role} may not do this: " not in text:
                bad[command] = text
    assert not bad
    assert refused


def test_the_role_to_use_is_named(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FENGHUO_CONFIG", str(CONFIG))
    with signing_in(database_url, WORKER) as database:
        done = CliRunner().invoke(app, ["users", "list", "--database", database])
    role = conninfo_to_dict(database)["user"]
    assert isinstance(done.exception, StoreError)
    assert str(done.exception) == (
        f"The database role {role} may not do this: permission denied for table users. Sign in as "
        "fenghuo_page for users, web and decisions on alerts, as fenghuo_owner for db and alerts "
        "rebuild, as fenghuo_worker for other commands (operators' guide, Database roles)."
    )


def test_a_connection_that_is_lost_in_the_middle_is_one_line(database_url: str) -> None:
    with pytest.raises(UnavailableError) as caught, connect(database_url) as connection:
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert str(caught.value) == (
        "The connection to the database was lost: terminating connection due to administrator "
        "command. What was not finished was taken back; run the command again."
    )


def test_a_statement_that_is_refused_keeps_its_own_error(database_url: str) -> None:
    with pytest.raises(errors.UndefinedTable), connect(database_url) as connection:
        connection.execute("SELECT * FROM no_such_table")
