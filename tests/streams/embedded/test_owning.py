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
        monkeypatch.setenv("FENGHUO_PAGE_PORT", str(taken.getsockname()[1]))
        folder = tmp_path / "data"
        given = ["up", "--config", str(CONFIG), "--folder", str(folder)]
        done = CliRunner().invoke(app, given)
    assert isinstance(done.exception, UnavailableError)
    assert "is taken by another program" in str(done.exception)
    assert not folder.exists()
