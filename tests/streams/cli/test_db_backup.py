"""`fenghuo db backup`: by a pg_dump that fits, and restorable."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import psycopg
import pytest

from streams.embedded.tools import find_tool
from streams.errors import FenghuoError, StoreError, UnavailableError
from streams.store.roles import WORKER
from tests.conftest import make_database
from tests.support.roles import signing_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    Run = Callable[..., Result]

VALUES = "SELECT region, period::text, value::int FROM imported_counts ORDER BY 1, 2"


def test_a_backup_is_restored_by_the_command_that_is_told(
    run: Run, database: str, database_server: str, tmp_path: Path
) -> None:
    counts = tmp_path / "counts.csv"
    counts.write_text("week,region,count\n2024-W10,TW-TPE,12\n2024-W11,TW-TPE,9\n")
    run("import-counts", counts, "--signal", "ili")
    file = tmp_path / "fenghuo.dump"

    told = run("db", "backup", file).stderr

    command = told.splitlines()[-1].split()
    assert command[0].endswith("/pg_restore")
    with psycopg.connect(database) as connection:
        stored = connection.execute(VALUES).fetchall()
    with make_database(database_server) as other:
        command = [part.replace("=URI", f"={other}") for part in command]
        subprocess.run(command, check=True, capture_output=True)
        with psycopg.connect(other) as connection:
            assert connection.execute(VALUES).fetchall() == stored
    assert len(stored) == 2
    assert sorted(one.name for one in tmp_path.iterdir()) == ["counts.csv", "fenghuo.dump"]


def test_an_older_pg_dump_of_the_system_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "pg_dump"
    old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 15.4'\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert find_tool("pg_dump", 15) == old
    assert find_tool("pg_dump", 18) not in {None, old}
    assert find_tool("pg_dump", 99) is None


def test_without_a_pg_dump_that_fits(
    run: Run, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.embedded.tools.find_tool", lambda *_: None)
    with pytest.raises(UnavailableError, match="There is no pg_dump of version"):
        run("db", "backup", tmp_path / "f", "--database", database)


def test_a_role_that_may_not_read_everything_and_a_file_that_exists(
    run: Run, database: str, tmp_path: Path
) -> None:
    file = tmp_path / "fenghuo.dump"
    with signing_in(database, WORKER) as worker, pytest.raises(StoreError) as caught:
        run("db", "backup", file, "--database", worker)
    assert "may not do this: " in str(caught.value)
    assert "Sign in as fenghuo_owner" in str(caught.value)
    assert "pw" not in str(caught.value)
    assert not list(tmp_path.iterdir())

    file.touch()
    with pytest.raises(FenghuoError, match="exists already"):
        run("db", "backup", file)
