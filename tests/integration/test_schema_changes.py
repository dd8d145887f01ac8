"""A program whose database is of another version: it refuses to start, or stops and says why."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psycopg
import pytest
from typer.testing import CliRunner

from streams.cli.main import app
from streams.store.migrate import migrate
from streams.store.schema import SchemaMisfitError
from tests.conftest import make_database
from tests.support.load import make_load
from tests.support.processes import free_ports
from tests.support.store import migrate_below, rows
from tests.support.workers import Worker, make_settings, publish, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streams.config import Configuration

#: What a later release would note.
LATER = "INSERT INTO _yoyo_migration VALUES ('x', '9999_later')"


@pytest.fixture
def database(database_server: str, configuration: Configuration) -> Iterator[str]:
    """A database of its own, whose version is changed."""
    with make_database(database_server) as uri:
        migrate(uri, configuration)
        yield uri


def change(database: str, statement: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(statement.encode())


def test_a_worker_on_an_older_schema_refuses_to_start_and_counts_nothing(
    kafka: str,
    database_server: str,
    fresh_name: str,
    tmp_path: Path,
    configuration: Configuration,
) -> None:
    with make_database(database_server) as older:
        migrate_below(older, "0018")
        change(
            older,
            "INSERT INTO installation VALUES ('time_zone', 'Asia/Taipei'), ('epi_week', 'iso'), "
            "('regions', 'tw')",
        )
        settings = make_settings(kafka, older, fresh_name)
        publish(settings, make_load(configuration, seed=7, days=3).records[:200])
        worker = Worker(settings, "worker", tmp_path)
        worker.start()
        until(lambda: not worker.running, "the refusal", worker)
        said = " ".join(worker.tail().split())
        assert "lacks migration 0018_roll_ups" in said
        assert "run fenghuo db migrate" in said
        assert "Traceback" not in said
        assert rows(older, "SELECT count(*) FROM batches") == [(0,)]
        worker.kill()


def test_a_worker_stops_when_the_schema_is_changed(
    kafka: str, database: str, fresh_name: str, tmp_path: Path, configuration: Configuration
) -> None:
    settings = make_settings(kafka, database, fresh_name)
    records = make_load(configuration, seed=7, days=3).records
    worker = Worker(settings, "worker", tmp_path)
    try:
        worker.start()
        publish(settings, records[:200])
        counted = "SELECT coalesce(sum(records), 0) FROM batches"
        until(lambda: rows(database, counted)[0][0] == 200, "the first counts", worker)
        change(database, LATER)
        publish(settings, records[200:400])
        until(lambda: not worker.running, "the end of the worker", worker)
        said = worker.tail(400)
        assert "Upgrade this program" in " ".join(said.split()[-25:])
        assert "Traceback" not in said
        assert rows(database, counted) == [(200,)]
        change(database, "DELETE FROM _yoyo_migration WHERE migration_id = '9999_later'")
        worker.start()
        until(lambda: rows(database, counted)[0][0] == 400, "the rest", worker)
    finally:
        worker.kill()


def test_the_page_stops_when_the_schema_is_changed(
    kafka: str, database: str, fresh_name: str, tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    settings = make_settings(kafka, database, fresh_name).model_copy(
        update={"page_port": port, "oidc_new_users": "TW"}
    )
    page = Worker(settings, "page", tmp_path, command=("-m", "streams", "web"))
    try:
        page.start()
        until(lambda: "The page is at" in page.tail(), "the page", page)
        change(database, LATER)
        until(lambda: not page.running, "the end of the page", page)
        said = page.tail(400)
        assert "Upgrade this program" in " ".join(said.split()[-25:])
        assert "Traceback" not in said
    finally:
        page.kill()


@pytest.mark.parametrize(
    "command",
    [
        ["alerts", "list"],
        ["users", "add", "boss", "--role", "admin"],
        ["db", "reader"],
        ["dead-letters", "replay", "1"],
        ["status"],
    ],
)
def test_commands_refuse_a_schema_that_is_not_theirs(
    command: list[str], database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(database, LATER)
    monkeypatch.setenv("FENGHUO_DATABASE", database)
    monkeypatch.setenv("FENGHUO_CONFIG", "tests/data/taiwan.yaml")
    done = CliRunner().invoke(app, command)
    assert isinstance(done.exception, SchemaMisfitError), done.output
    assert re.search("Upgrade this program", str(done.exception))
