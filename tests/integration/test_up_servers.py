"""`fenghuo up` keeps its servers: a dead database or broker is started again, and told of."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import psutil
import psycopg

from streams.feed.publish import publish_records
from streams.settings import Settings
from streams.simulate import SimulationPlan, simulate
from tests.conftest import CONFIG
from tests.support.web import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE = 180.0


class Up:
    """A running `fenghuo up`, in a process group of its own, as a shell starts it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "broker.port").write_text(f"{free_port()}\n")  # not 9092, which others may take
        self.folder = folder
        self.kafka = f"127.0.0.1:{(folder / 'broker.port').read_text().strip()}"
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streams", "up", "--config", str(CONFIG), "--folder", folder],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ
            | {"FENGHUO_WEB_PORT": "0", "FENGHUO_PAGE_PORT": str(free_port()), "COLUMNS": "200"},
            process_group=0,
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.wait_until(lambda: self.told("Stop with"))

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr:
            for line in self.process.stderr:
                self.lines.append(line)

    def told(self, text: str) -> int:
        return sum(text in line for line in self.lines)

    def wait_until(self, condition: Callable[[], Any]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.lines
            time.sleep(0.1)

    def ended(self) -> int:
        code = self.process.wait(PATIENCE)
        self._reader.join()
        return code

    @property
    def database(self) -> str:
        # The line is `fenghuo status --kafka '...' --database '...'`.
        (line,) = (line for line in self.lines if "--database '" in line)
        return line.partition("--database '")[2].partition("'")[0]

    def postmaster(self) -> psutil.Process:
        pid = (self.folder / "postgres" / "postmaster.pid").read_text().split()[0]
        return psutil.Process(int(pid))

    def broker(self) -> psutil.Process | None:
        port = self.kafka.rpartition(":")[2]
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # or a zombie
                if any(f":{port}" in word for word in child.cmdline()):
                    return child
        return None

    def stored(self) -> int:
        try:
            with psycopg.connect(self.database) as connection:
                row = connection.execute("SELECT sum(inserted)::int FROM batches").fetchone()
        except psycopg.OperationalError:
            return -1
        assert row is not None
        return row[0] or 0


@contextmanager
def running(folder: Path) -> Iterator[Up]:
    up = Up(folder)
    try:
        yield up
    finally:
        if up.process.poll() is None:
            up.process.terminate()
            try:
                up.ended()
            finally:
                up.process.kill()


def visits() -> list[tuple[bytes, bytes]]:
    plan = SimulationPlan.model_validate(
        {"seed": 5, "start": "2009-07-01", "days": 30, "regions": ["TW-TPE", "TW-KHH"],
         "time_zone": "Asia/Taipei", "duplicates": 0, "corrections": 0, "cancellations": 0}
    )  # fmt: skip
    return [(r.region.encode(), r.value) for r in simulate(plan) if r.kind == "visits"][:600]


def test_a_dead_database_and_a_dead_broker_are_started_again(work_folder: Path) -> None:
    records = visits()
    topic = Settings().visits_topic
    with running(work_folder / "servers") as up:
        publish_records(up.kafka, topic, records[:200])
        up.wait_until(lambda: up.stored() == 200)

        up.postmaster().kill()
        publish_records(up.kafka, topic, records[200:400])
        up.wait_until(lambda: up.told("The embedded database has ended and was started again."))
        up.wait_until(lambda: up.stored() == 400)

        former = up.broker()
        assert former is not None
        former.kill()
        up.wait_until(lambda: up.told("The embedded broker was ended by SIGKILL and was started"))
        assert up.told("send those again that were not stored yet") == 1
        publish_records(up.kafka, topic, records[400:])
        up.wait_until(lambda: up.stored() == 600)

        # A second time, at once.
        up.postmaster().kill()
        again = up.broker()
        assert again is not None
        assert again.pid != former.pid
        again.kill()
        up.wait_until(lambda: up.told("The embedded database has ended") == 2)
        up.wait_until(lambda: up.told("The embedded broker was ended") == 2)
        publish_records(up.kafka, topic, records[:200])  # repeats count once
        up.process.send_signal(signal.SIGINT)
        assert up.ended() == 0, up.lines
        assert up.told("Stopping") == 1
    assert not (up.folder / "postgres" / "postmaster.pid").exists(), "the database runs on"


def test_a_broker_that_dies_again_and_again_ends_it_in_one_line(work_folder: Path) -> None:
    with running(work_folder / "dying") as up:
        while up.process.poll() is None:
            if (broker := up.broker()) is not None:
                broker.kill()
            time.sleep(0.2)
        assert up.ended() == 1
        # The worker, which has nothing to read from, may be given up before it.
        (told,) = (line for line in up.lines if "does not stay up. See " in line)
        assert "The embedded broker" in told or "fenghuo worker" in told, up.lines
        assert up.told("Traceback") == 0, up.lines
    assert not (up.folder / "postgres" / "postmaster.pid").exists(), "the database runs on"


def test_ctrl_c_in_a_terminal_is_no_crash_of_any_part(work_folder: Path) -> None:
    with running(work_folder / "group") as up:
        os.killpg(up.process.pid, signal.SIGINT)
        assert up.ended() == 0, up.lines
        assert up.told("Stopping") == 1
        assert up.told("started again") == 0, up.lines
