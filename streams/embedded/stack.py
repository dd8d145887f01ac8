"""Everything on one machine: database, broker, topics; a worker and the page, kept running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from pydantic import SecretStr

from streams.embedded.broker import EmbeddedBroker
from streams.embedded.database import EmbeddedDatabase
from streams.embedded.guard import Guard
from streams.embedded.owning import owned
from streams.embedded.ports import HeldPorts, kept_port
from streams.errors import UnavailableError
from streams.kafka import create_topics
from streams.store.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from streams.config import Configuration
    from streams.settings import Settings

__all__ = ["EmbeddedStack", "KeptProcess"]

_STOP_SECONDS = 20.0
#: A worker that dies this often at once is not started again.
_STARTS_IN_A_ROW = 5
_HEALTHY_SECONDS = 30.0


class KeptProcess:
    """A command as a child process, started again when it dies; a context manager.

    Parameters
    ----------
    command
        Of ``fenghuo``: ``worker`` or ``web``.
    log
        Takes what it prints.
    guard
        Ends it where this process is killed.
    on_notice
        Told when it was started again. Called on another thread.
    """

    def __init__(
        self,
        command: str,
        settings: Settings,
        log: Path,
        guard: Guard,
        on_notice: Callable[[str], None],
    ) -> None:
        self._command = command
        self._on_notice = on_notice
        self._guard = guard
        self._settings = settings
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)
        self.gave_up = False

    def __enter__(self) -> Self:
        self._process = self._start()
        self._supervisor.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._supervisor.join()
        if process is not None:
            self._guard.stopped(process.pid)

    def check(self) -> None:
        """Raise when it could not be kept running."""
        if self.gave_up:
            raise UnavailableError(f"fenghuo {self._command} does not stay up. See {self._log}.")

    def _start(self) -> subprocess.Popen[bytes]:
        environment = os.environ | {
            f"FENGHUO_{name.upper()}": _written(value)
            for name, value in self._settings.model_dump().items()
        }
        with self._log.open("ab") as log:
            process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, "-m", "streams", self._command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._guard.started(process.pid)
        return process

    def _supervise(self) -> None:
        starts = 1
        while self._process is not None:
            try:
                self._process.wait(_HEALTHY_SECONDS)
            except subprocess.TimeoutExpired:
                starts = 0
                continue
            self._guard.stopped(self._process.pid)
            if self._stopping.is_set():
                return
            if starts >= _STARTS_IN_A_ROW:
                self.gave_up = True
                return
            self._stopping.wait(2.0**starts / 4)
            if self._stopping.is_set():
                return
            starts += 1
            ended = _ended(self._process.returncode)
            self._process = self._start()
            self._on_notice(
                f"fenghuo {self._command} {ended} and was started again. See {self._log}."
            )


def _ended(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _written(value: object) -> str:
    """Write a setting as the environment has it."""
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


class EmbeddedStack:
    """Database, broker, worker and page in one data folder; a context manager.

    Parameters
    ----------
    folder
        Data folder. The database is kept there; the broker's records are not.
    settings
        ``kafka`` and ``database`` are replaced by the embedded servers' addresses.
    external_kafka, external_database
        True: use the settings' servers instead of embedded ones.
    keep_port
        True: the embedded broker has the port of the folder's earlier starts.
    on_owned
        Called when nobody else uses the folder, before anything is started; may raise.
    on_step
        Told what is being done, in a few words.
    on_notice
        Told in a sentence what people should know; also called on other threads.
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        configuration: Configuration,
        *,
        external_kafka: bool = False,
        external_database: bool = False,
        keep_port: bool = False,
        on_owned: Callable[[], None] = lambda: None,
        on_step: Callable[[str], None] = lambda _: None,
        on_notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._folder = folder
        self.settings = settings
        self._configuration = configuration
        self._external_kafka = external_kafka
        self._external_database = external_database
        self._keep_port = keep_port
        self._on_owned = on_owned
        self._on_step = on_step
        self._on_notice = on_notice
        self._open = ExitStack()
        self._guard: Guard

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = self._open.enter_context(owned(self._folder))
            self._on_owned()
            # Last to end: until then it guards what has not been stopped.
            self._guard = self._open.enter_context(Guard(lock))
            self._start()
        except BaseException:
            self._open.close()
            raise
        return self

    def _start(self) -> None:
        if not self._external_database:
            self._on_step("Starting the database")
            folder = self._folder / "postgres"
            self._guard.database_started(folder)
            self._open.callback(self._guard.database_stopped)
            database = self._open.enter_context(EmbeddedDatabase(folder))
            self.settings = self.settings.model_copy(update={"database": database.uri})
        self._on_step("Bringing the database up to date")
        migrate(self.settings.database, self._configuration)
        if not self._external_kafka:
            self._on_step("Starting the broker")
            broker = self._open.enter_context(EmbeddedBroker(self._folder, port=self._port()))
            self._guard.started(broker.pid)
            self._open.callback(self._guard.stopped, broker.pid)
            self.settings = self.settings.with_plain_kafka(broker.bootstrap)
        create_topics(
            self.settings.brokers,
            self.settings.topics.values(),
            plain=[self.settings.alerts_topic],
            partitions=self.settings.partitions,
            replication=self.settings.replication,
        )

    def _port(self) -> int | None:
        if not self._keep_port:
            return None
        # Held until the broker has stopped: entered first, left last.
        held = self._open.enter_context(HeldPorts())
        port, taken = kept_port(self._folder, take=held.take)
        if taken is not None:
            self._on_notice(
                f"Port {taken} of the earlier starts is taken: the broker "
                f"listens on {port} this time. Change your sources, or free {taken} and "
                "start again."
            )
        return port

    def start_worker(self) -> KeptProcess:
        """Start a worker that lives as long as the stack."""
        self._on_step("Starting the worker")
        return self._keep("worker", "worker.log")

    def start_page(self) -> KeptProcess:
        """Start the page in a process of its own, so that it never holds up the worker."""
        self._on_step("Starting the triage page")
        return self._keep("web", "page.log")

    def _keep(self, command: str, log: str) -> KeptProcess:
        return self._open.enter_context(
            KeptProcess(command, self.settings, self._folder / log, self._guard, self._on_notice)
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open.close()
