"""Health of a worker and of the page: real processes that work, hang, or are not there."""

from __future__ import annotations

import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from streams.cli.main import app
from streams.errors import FenghuoError, UnavailableError
from streams.health import (
    FAILING_SECONDS,
    STUCK_SECONDS,
    WORKER_PATH,
    Progress,
    Waiting,
    ask,
    report,
)
from tests.support.processes import free_ports
from tests.support.workers import Worker, make_settings, publish, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("begin"), st.integers(0, 5)),
            st.tuples(st.just("end"), st.integers(0, 20)),
        ),
        max_size=40,
    )
)
def test_the_oldest_is_the_first_that_has_not_ended(steps: list[tuple[str, int]]) -> None:
    clock = Clock()
    progress = Progress(clock)
    begun: list[tuple[str, float, Callable[[], None]]] = []
    open_: list[int] = []
    for kind, number in steps:
        clock.now += 1
        if kind == "begin":
            what = f"a batch of t[{number}]"
            begun.append((what, clock.now, progress.begin(what)))
            open_.append(len(begun) - 1)
        elif begun:
            which = number % len(begun)
            begun[which][2]()  # ending twice is no error
            open_ = [one for one in open_ if one != which]
        oldest = progress.oldest()
        if open_:
            what, at, _ = begun[open_[0]]
            assert oldest == Waiting(what, clock.now - at)
        else:
            assert oldest is None


@pytest.mark.parametrize(
    ("seconds", "status"), [(0.0, 200), (STUCK_SECONDS - 0.1, 200), (STUCK_SECONDS, 503)]
)
def test_a_worker_is_stuck_when_something_does_not_end(seconds: float, status: int) -> None:
    code, answer = report(Waiting("the commit of a batch of visits[1]", seconds))
    assert code == status
    assert "the commit of a batch of visits[1]" in answer["detail"]
    assert (answer["status"] == "stuck") is (status == 503)


@pytest.mark.parametrize(
    ("seconds", "status"), [(0.0, 200), (FAILING_SECONDS - 0.1, 200), (FAILING_SECONDS, 503)]
)
def test_a_worker_whose_commits_fail_is_not_healthy(seconds: float, status: int) -> None:
    commit = Waiting("the commit of a batch of visits[1]", seconds)
    code, answer = report(commit, None, Waiting("commits fail (out of shared memory)", seconds))
    assert code == status
    assert ("out of shared memory" in answer["detail"]) is (status == 503)


def health(what: str, **environment: object) -> tuple[int, str]:
    """Run `fenghuo health` as a health check does; return exit code and what it says."""
    variables = {f"FENGHUO_{name.upper()}": str(value) for name, value in environment.items()}
    result = CliRunner(env=variables).invoke(app, ["health", what])
    if isinstance(result.exception, FenghuoError):
        return result.exit_code, str(result.exception)
    return result.exit_code, result.output.strip()


def test_a_worker_at_work_and_one_that_hangs(
    database_url: str, kafka: str, fresh_name: str, tmp_path: Path
) -> None:
    (port,) = free_ports(1)
    settings = make_settings(kafka, database_url, fresh_name).model_copy(update={"web_port": port})
    worker = Worker(settings, "healthy", tmp_path)
    assert health("worker", web_port=port)[0] == 1  # it does not run yet
    worker.start()
    try:
        until(lambda: health("worker", web_port=port)[0] == 0, "health", worker)
        until(lambda: "nothing" in ask(port, WORKER_PATH), "joining the group", worker)

        # A lock that its commit waits for: alive, and it tells what has not ended.
        with psycopg.connect(database_url) as connection:
            connection.execute("LOCK TABLE batches IN ACCESS EXCLUSIVE MODE")
            publish(settings, [("visits", b"TW-TPE", b'{"not": "an event"}')])
            waits = f"the commit of a batch of {settings.visits_topic}["
            until(lambda: waits in ask(port, WORKER_PATH), "a commit that waits", worker)
        until(lambda: "nothing" in ask(port, WORKER_PATH), "the commit", worker)

        # A loop that does not turn: nothing answers, though the port is open.
        worker.send(signal.SIGSTOP)
        with pytest.raises(UnavailableError, match="No answer"):
            ask(port, WORKER_PATH, seconds=1.0)
        worker.send(signal.SIGCONT)
        until(lambda: health("worker", web_port=port)[0] == 0, "health", worker)
    finally:
        worker.kill()


def test_a_worker_without_a_page_cannot_be_asked() -> None:
    code, said = health("worker", web_port=0)
    assert code == 1
    assert "Set FENGHUO_WEB_PORT" in said


@pytest.fixture
def page() -> Iterator[Callable[[int, bytes], int]]:
    """A server that answers everything in the same way; returns its port."""
    servers: list[ThreadingHTTPServer] = []

    def start(status: int, body: bytes) -> int:
        class Answers(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.server_port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("status", "body", "code", "said"),
    [
        (200, b'{"status": "ok"}', 0, "ok"),
        (503, b'{"status": "no database", "detail": "It cannot be reached."}', 1, "cannot be"),
        (200, b"<html>something else</html>", 1, "no page of Fenghuo's"),
        (200, b"[]", 1, "no page of Fenghuo's"),
        (500, b'{"status": "broken"}', 1, "broken"),
    ],
)
def test_what_the_page_answers_decides(
    page: Callable[[int, bytes], int], status: int, body: bytes, code: int, said: str
) -> None:
    got, text = health("web", page_port=page(status, body), page_host="0.0.0.0")
    assert got == code
    assert said in text


def test_no_page_is_no_traceback() -> None:
    (port,) = free_ports(1)
    code, said = health("web", page_port=port)
    assert code == 1
    assert said.startswith(f"No answer from http://127.0.0.1:{port}/readyz")
