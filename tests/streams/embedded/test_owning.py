from __future__ import annotations

import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from streams.cli.main import app
from streams.embedded.owning import owned
from streams.errors import UnavailableError
from tests.conftest import CONFIG

if TYPE_CHECKING:
    from pathlib import Path

OWNER = (
    "import sys, pathlib; from streams.embedded.owning import owned\n"
    "with owned(pathlib.Path(sys.argv[1])):\n"
    "    print('owned', flush=True); sys.stdin.read()"
)


def test_a_folder_has_one_owner_until_its_process_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"owned\n"
        with (
            pytest.raises(UnavailableError, match=f"process {other.pid}.*--folder"),
            owned(tmp_path),
        ):
            pass
        other.kill()
    with owned(tmp_path):
        pass


def test_up_starts_nothing_where_the_page_has_no_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("FENGHUO_PAGE_PORT", str(port))
        folder = tmp_path / "data"
        given = ["up", "--config", str(CONFIG), "--folder", str(folder)]
        done = CliRunner().invoke(app, given)
    assert isinstance(done.exception, UnavailableError)
    assert str(done.exception) == (
        f"The triage page's address 127.0.0.1:{port} is taken by another program. Name another one "
        "by FENGHUO_PAGE_HOST and FENGHUO_PAGE_PORT."
    )
    assert [one.name for one in folder.iterdir()] == ["lock"]


def test_a_second_up_in_the_folder_is_told_of_the_first_not_of_its_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first,
    ):
        assert first.stdout is not None
        assert first.stdout.readline() == b"owned\n"
        monkeypatch.setenv("FENGHUO_PAGE_PORT", str(taken.getsockname()[1]))
        done = CliRunner().invoke(app, ["up", "--config", str(CONFIG), "--folder", str(tmp_path)])
        first.kill()
    assert isinstance(done.exception, UnavailableError)
    assert f"is in use by another fenghuo (process {first.pid})" in str(done.exception)


def test_up_names_no_setting_that_does_not_count() -> None:
    shown = CliRunner().invoke(app, ["up", "--help"], env={"COLUMNS": "200"}).output
    assert "[default: (FENGHUO_CONFIG)]" in shown
    assert "(FENGHUO_DATABASE)" not in shown
    assert "(FENGHUO_KAFKA)" not in shown
