"""Ends the servers of a `fenghuo up` that was killed: they must not outlive it.

A process of its own holds the reading end of a pipe. `fenghuo up` writes what it starts and stops;
however it ends, the pipe then ends, and what was not stopped is stopped here. PostgreSQL is asked
for a fast shutdown, so that its next start needs no recovery.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

__all__ = ["Guard"]

#: Seconds for an orderly end; then a process is killed. PostgreSQL is never killed.
_ORDERLY_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 0.1


class Guard:
    """The writing end: tells the guarding process what runs; a context manager.

    Parameters
    ----------
    lock
        Descriptor that owns the data folder. The guarding process shares it, so that nobody else
        starts anything in the folder before all has ended.
    """

    def __init__(self, lock: int) -> None:
        self._lock = lock
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        # A session of its own: Ctrl-C in the terminal must not end it before the servers.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "streams.embedded.guard"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(self._lock,),
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is not None:
            with suppress(BrokenPipeError):
                self._process.communicate()

    def started(self, pid: int) -> None:
        """Guard a process."""
        self._say(f"started {pid}")

    def stopped(self, pid: int) -> None:
        """Forget a process that has ended."""
        self._say(f"stopped {pid}")

    def database_started(self, folder: Path) -> None:
        """Guard the PostgreSQL server of a data folder."""
        self._say(f"database {folder.resolve()}")

    def database_stopped(self) -> None:
        """Forget the PostgreSQL server."""
        self._say("database ")

    def _say(self, line: str) -> None:
        if self._process is None or self._process.stdin is None:
            return
        # Without its guard `fenghuo up` works all the same.
        with suppress(BrokenPipeError):
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()


def _watch(lines: Iterable[str]) -> tuple[set[int], Path | None]:
    """Follow what is written until the pipe ends; return what was not stopped."""
    pids: set[int] = set()
    folder: Path | None = None
    for line in lines:
        what, _, rest = line.rstrip("\n").partition(" ")
        if what == "started":
            pids.add(int(rest))
        elif what == "stopped":
            pids.discard(int(rest))
        elif what == "database":
            folder = Path(rest) if rest else None
    return pids, folder


def _end(pids: set[int]) -> None:
    left = {pid for pid in pids if _signal(pid, signal.SIGTERM)}
    deadline = time.monotonic() + _ORDERLY_SECONDS
    while left and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
        left = {pid for pid in left if _signal(pid, 0)}
    for pid in left:
        _signal(pid, signal.SIGKILL)


def _end_database(folder: Path) -> None:
    with suppress(OSError, ValueError, IndexError):
        postmaster = int((folder / "postmaster.pid").read_text().splitlines()[0])
        running = _signal(postmaster, signal.SIGINT)  # a fast shutdown
        while running:
            time.sleep(_LOOK_SECONDS)
            running = _signal(postmaster, 0)


def _signal(pid: int, number: int) -> bool:
    """Send a signal; tell whether the process was there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    _pids, _folder = _watch(sys.stdin)
    _end(_pids)
    if _folder is not None:
        _end_database(_folder)
