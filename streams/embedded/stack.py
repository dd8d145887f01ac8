"""Everything on one machine: database, broker, topics; a worker and the page, kept running."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from streams.embedded.broker import EmbeddedBroker
from streams.embedded.database import EmbeddedDatabase
from streams.embedded.guard import Guard
from streams.embedded.keeping import KeptProcess, KeptServer
from streams.embedded.owning import owned
from streams.embedded.ports import HeldPorts, kept_port
from streams.kafka import create_topics
from streams.store.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from streams.config import Configuration
    from streams.embedded.keeping import Server
    from streams.settings import Settings

__all__ = ["EmbeddedStack"]


class _GuardedBroker:
    """The broker, whose process the guard knows; a context manager."""

    def __init__(
        self, broker: EmbeddedBroker, guard: Guard, make_topics: Callable[[], None]
    ) -> None:
        self._broker = broker
        self._guard = guard
        self._make_topics = make_topics

    def __enter__(self) -> Self:
        self._pid = self._broker.pid
        self._guard.started(self._pid)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._broker.stop()
        self._guard.stopped(self._pid)

    def ended(self) -> str | None:
        """Tell in words how it ended."""
        return self._broker.ended()

    def start_again(self) -> None:
        """Start it at its address, with topics that are new to the worker."""
        self._guard.stopped(self._pid)
        self._broker.start()
        self._pid = self._broker.pid
        self._guard.started(self._pid)
        try:
            self._make_topics()
        except BaseException:
            self._broker.kill()
            raise


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
        self._stopping = threading.Event()
        self._servers: list[KeptServer] = []
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
            self._keep_server("database", database, log=folder / "log")
        self._on_step("Bringing the database up to date")
        migrate(self.settings.database, self._configuration)
        if not self._external_kafka:
            self._on_step("Starting the broker")
            broker = self._open.enter_context(EmbeddedBroker(self._folder, port=self._port()))
            self.settings = self.settings.with_plain_kafka(broker.bootstrap)
            guarded = self._open.enter_context(
                _GuardedBroker(broker, self._guard, self._make_topics)
            )
            self._make_topics()
            self._keep_server(
                "broker",
                guarded,
                log=self._folder / "broker.log",
                loss=" Its records are gone: send those again that were not stored yet.",
            )
        else:
            self._make_topics()

    def _make_topics(self) -> None:
        create_topics(
            self.settings.brokers,
            self.settings.topics.values(),
            plain=[self.settings.alerts_topic],
            partitions=self.settings.partitions,
            replication=self.settings.replication,
        )

    def _keep_server(self, name: str, server: Server, *, log: Path, loss: str = "") -> None:
        kept = KeptServer(
            name,
            server,
            log=log,
            stopping=self._stopping,
            on_notice=self._on_notice,
            loss=loss,
        )
        self._servers.append(self._open.enter_context(kept))

    def check(self) -> None:
        """Raise when a server could not be kept running."""
        for server in self._servers:
            server.check()

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
            KeptProcess(
                command,
                self.settings,
                self._folder / log,
                self._guard,
                stopping=self._stopping,
                on_notice=self._on_notice,
            )
        )

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()  # all at once: what ends from now on is not started again
        self._open.close()
