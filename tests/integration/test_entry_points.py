"""Both ways to start a worker, and everything on one machine with `fenghuo up`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from streams.feed.publish import publish_records
from streams.kafka import create_topics
from streams.simulate import SimulationPlan, simulate
from streams.store.roles import WORKER
from tests.conftest import CONFIG
from tests.support.roles import signing_in
from tests.support.web import Browser, free_port

if TYPE_CHECKING:
    from collections.abc import Callable

FAUST = [str(Path(sys.executable).parent / "faust"), "-A", "streams.app", "worker", "-l", "info"]
FENGHUO = [sys.executable, "-m", "streams", "worker"]


def wait_until(condition: Callable[[], Any], *, seconds: float = 180) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    pytest.fail(f"not within {seconds} s")


def visits(count: int) -> list[tuple[bytes, bytes]]:
    plan = SimulationPlan.model_validate(
        {"seed": 5, "start": "2009-07-01", "days": 30, "regions": ["TW-TPE", "TW-KHH"],
         "time_zone": "Asia/Taipei", "duplicates": 0, "corrections": 0, "cancellations": 0}
    )  # fmt: skip
    records = [(r.region.encode(), r.value) for r in simulate(plan) if r.kind == "visits"]
    assert len(records) >= count
    return records[:count]


@pytest.mark.parametrize("command", [FAUST, FENGHUO], ids=["faust", "fenghuo"])
def test_a_worker_stores_what_is_published(
    command: list[str], database_url: str, kafka: str, fresh_name: str, tmp_path: Path
) -> None:
    topics = {"visits": f"{fresh_name}.visits", "sales": f"{fresh_name}.sales"}
    create_topics(kafka, topics.values(), plain=["alerts"], partitions=2, replication=1)
    environment = os.environ | {
        "FENGHUO_KAFKA": kafka,
        "FENGHUO_CONFIG": str(CONFIG),
        "FENGHUO_GROUP": fresh_name,
        "FENGHUO_VISITS_TOPIC": topics["visits"],
        "FENGHUO_SALES_TOPIC": topics["sales"],
        "FENGHUO_SESSION_TIMEOUT": "2",
        "FENGHUO_WEB_PORT": "0",
    }
    log = tmp_path / "worker.log"
    with (
        log.open("wb") as out,
        psycopg.connect(database_url, autocommit=True) as connection,
        signing_in(database_url, WORKER) as database,
    ):
        environment["FENGHUO_DATABASE"] = database
        worker = subprocess.Popen(
            command, env=environment, stdout=out, stderr=out, cwd=Path(__file__).parents[2]
        )
        try:
            sent = [*visits(500), (b"TW-TPE", b'{"event_id": "broken"')]
            assert publish_records(kafka, topics["visits"], sent) == 501

            def stored() -> bool:
                assert worker.poll() is None, log.read_text()
                row = connection.execute("SELECT sum(inserted), sum(refused) FROM batches")
                return row.fetchone() == (500, 1)

            wait_until(stored)
            wait_until(
                lambda: (
                    connection.execute(
                        "SELECT FROM dead_letters WHERE reason = 'not_json' "
                        "AND published_at IS NOT NULL"
                    ).fetchone()
                    is not None
                )
            )
        finally:
            worker.terminate()
            code = worker.wait(180)
    assert code == 0, log.read_text()
    assert not list(Path(__file__).parents[2].glob("*-data")), "a stateless app leaves no folder"


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_up_keeps_worker_and_page_running_until_it_is_stopped(
    work_folder: Path, stop: signal.Signals
) -> None:
    folder, port = work_folder / "up", free_port()
    folder.mkdir(exist_ok=True)
    if not (note := folder / "broker.port").exists():  # not 9092, which other tests may take
        note.write_text(f"{free_port()}\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "streams", "up", "--config", str(CONFIG), "--folder", str(folder)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ
        | {"FENGHUO_WEB_PORT": "0", "FENGHUO_PAGE_PORT": str(port), "COLUMNS": "200"},
        # As a shell's foreground has it: tests that run in the background may ignore the signal.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads
    )
    assert process.stderr is not None
    try:
        lines: list[str] = []
        for line in process.stderr:
            lines.append(line)
            if line.startswith("Stop with"):
                break
        address = f"127.0.0.1:{note.read_text().strip()}"
        assert any(f"Publish to {address}," in line for line in lines), lines
        (told,) = (line for line in lines if "one-time password" in line or "page is at" in line)
        _sign_in(f"http://127.0.0.1:{port}", told)
        for command in ("worker", "web"):
            former = wait_until(lambda: _children(process.pid, command))  # noqa: B023 - called at once
            os.kill(former[0], signal.SIGKILL)
            wait_until(
                lambda: (now := _children(process.pid, command)) and now != former  # noqa: B023
            )
    finally:
        process.send_signal(stop)
        try:
            rest = process.communicate(timeout=180)[1]
        finally:
            process.kill()
    assert process.returncode == 0, rest
    assert "Stopping" in rest
    for command, log in (("worker", "worker.log"), ("web", "page.log")):
        told = f"fenghuo {command} was ended by SIGKILL and was started again. See {folder / log}."
        assert rest.count(told) == 1, rest
    assert not (folder / "postgres" / "postmaster.pid").exists(), "the database runs on"


def _sign_in(url: str, told: str) -> None:
    """Sign in with the one-time password; the second start finds the user of the first."""
    with Browser(url) as browser:
        wait_until(lambda: _answers(browser))
        if "one-time password" in told:
            password = told.rsplit(maxsplit=1)[-1]
            assert browser.sign_in("admin", password).headers["Location"] == "/"
            assert browser.get("/").headers["Location"] == "/account/password"


def _answers(browser: Browser) -> bool:
    try:
        return browser.get("/readyz").status == 200
    except OSError:
        return False


def _children(parent: int, command: str) -> list[int]:
    found = subprocess.run(
        ["pgrep", "-P", str(parent), "-f", f"streams {command}"],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(pid) for pid in found.stdout.split()]
