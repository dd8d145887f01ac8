"""Processes of one machine, started again when they die."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Final, Protocol, Self

from pydantic import SecretStr

from streams.errors import UnavailableError, describe

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from streams.embedded.guard import Guard
    from streams.settings import Settings

__all__ = ["KeptProcess", "KeptServer", "Server", "ending"]

log = logging.getLogger(__name__)

_STOP_SECONDS: Final = 20.0
#: What dies this often at once is not started again.
_STARTS_IN_A_ROW: Final = 5
_HEALTHY_SECONDS: Final = 30.0
#: A signal to the whole process group ends a part in order, before we know that all is to end.
_ORDERLY_SECONDS: Final = 2.0
_LOOK_SECONDS: Final = 1.0


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
    stopping
        Set when nothing is to be started again.
    on_notice
        Told when it was started again. Called on another thread.
    """

    def __init__(
        self,
        command: str,
        settings: Settings,
        log: Path,
        guard: Guard,
        *,
        stopping: threading.Event,
        on_notice: Callable[[str], None],
    ) -> None:
        self._command = command
        self._on_notice = on_notice
        self._guard = guard
        self._settings = settings
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = stopping
        self._starting = threading.Lock()
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
        with self._starting:
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
            code = self._process.returncode
            self._stopping.wait(max(2.0**starts / 4, _ORDERLY_SECONDS if code == 0 else 0.0))
            with self._starting:
                if self._stopping.is_set():
                    return
                self._process = self._start()
            starts += 1
            self._on_notice(
                f"fenghuo {self._command} {ending(code)} and was started again. See {self._log}."
            )


class Server(Protocol):
    """A server that can be looked at and started again."""

    def ended(self) -> str | None:
        """Tell in words how it ended; None while it runs."""

    def start_again(self) -> None:
        """Start it where it was; raises where it does not start."""


class KeptServer:
    """A server that is started again when it dies; a context manager.

    It is entered after the server and left before it.

    Parameters
    ----------
    name
        As people know it: ``database`` or ``broker``.
    server
        The server, which runs.
    log
        Where the server writes what it has to say.
    stopping
        Set when nothing is to be started again.
    on_notice
        Told when it was started again. Called on another thread.
    loss
        What its end has cost, in a sentence with a blank before it.
    """

    def __init__(
        self,
        name: str,
        server: Server,
        *,
        log: Path,
        stopping: threading.Event,
        on_notice: Callable[[str], None],
        loss: str = "",
    ) -> None:
        self._name = name
        self._server = server
        self._log = log
        self._stopping = stopping
        self._on_notice = on_notice
        self._loss = loss
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)
        self.gave_up = False

    def __enter__(self) -> Self:
        self._supervisor.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._supervisor.join()

    def check(self) -> None:
        """Raise when it could not be kept running."""
        if self.gave_up:
            raise UnavailableError(f"The embedded {self._name} does not stay up. See {self._log}.")

    def _supervise(self) -> None:
        starts, started = 0, time.monotonic()
        while not self._stopping.wait(_LOOK_SECONDS):
            if (how := self._server.ended()) is None:
                if time.monotonic() - started > _HEALTHY_SECONDS:
                    starts = 0
                continue
            if starts >= _STARTS_IN_A_ROW:
                self.gave_up = True
                return
            if self._stopping.wait(2.0**starts / 4):
                return
            starts, started = starts + 1, time.monotonic()
            try:
                self._server.start_again()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is tried again
                log.warning("The embedded %s does not start: %s", self._name, describe(error))
                continue
            self._on_notice(
                f"The embedded {self._name} {how} and was started again.{self._loss} "
                f"See {self._log}."
            )


def ending(code: int) -> str:
    """Tell how a process ended by its return code."""
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _written(value: object) -> str:
    """Write a setting as the environment has it."""
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)
