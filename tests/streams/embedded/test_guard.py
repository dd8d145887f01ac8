from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from streams.embedded.owning import owned
from tests.conftest import CONFIG
from tests.support.processes import free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE = 180.0


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not pytest's tmp_path: the path of a unix socket has to be short.
    made = Path(tempfile.mkdtemp(prefix="fenghuo-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def test_nothing_outlives_an_up_that_is_killed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = folder / "data"
    data.mkdir()
    (data / "broker.port").write_text(f"{free_ports(1)[0]}\n")  # not 9092, which others may take
    monkeypatch.setenv("FENGHUO_PAGE_PORT", str(free_ports(1)[0]))
    command = ["up", "--config", str(CONFIG), "--folder", str(data)]
    up = subprocess.Popen(
        [sys.executable, "-m", "streams", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until((data / "page.log").exists, "the page started")
        postmaster = int((data / "postgres" / "postmaster.pid").read_text().split()[0])
        children = [psutil.Process(postmaster), *psutil.Process(up.pid).children(recursive=True)]
        # Broker, worker, page, and the guard itself.
        assert len(children) >= 5
    finally:
        up.kill()
        up.wait()

    wait_until(lambda: not psutil.wait_procs(children, timeout=0.1)[1], "all have ended")
    # PostgreSQL has ended in an orderly way, and the folder is free.
    assert not (data / "postgres" / "postmaster.pid").exists()
    with owned(data):
        pass
