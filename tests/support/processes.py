"""Child processes that cannot outlive the test run, and what starting a server needs."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import hashlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = [
    "GuardedProcess",
    "file_lock",
    "fingerprint",
    "free_ports",
    "group_is_gone",
    "run_tool",
    "tail",
]

LOOPBACK = "127.0.0.1"
# Below the range that the kernel hands to outgoing connections: a client that keeps dialling a
# server that is down can otherwise be given that very port, connect to itself and keep it taken.
_FIRST_PORT, _LAST_PORT = 20_000, 32_000
# The server replaces the shell, so signals reach it directly. The guard beside it holds the read
# end of a pipe whose write end only we have: when we die, however we die, it ends the group.
_GUARD = 'exec 3<&0; (cat >&2; kill -KILL 0) <&3 & exec "$@" </dev/null 3<&-'


class GuardedProcess:
    """A server process in a session of its own, ended with its whole group.

    Parameters
    ----------
    command
        Program and arguments.
    log
        File that takes standard output and standard error; it is appended to.
    cwd
        Working folder.
    environment
        Variables to add to ours.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        cwd: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        self._started_at = log.stat().st_size if log.exists() else 0
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _GUARD, "guard", *command],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )
        atexit.register(self.kill)

    @property
    def pid(self) -> int:
        """Process id of the server, which is also the id of its group."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the server has not ended."""
        return self._process.poll() is None

    def output(self) -> str:
        """Return what this process has written so far."""
        with self.log.open("rb") as file:
            file.seek(self._started_at)
            return file.read().decode(errors="replace")

    def wait_until(self, ready: Callable[[], bool], *, timeout: float) -> None:
        """Poll until `ready` holds.

        Raises
        ------
        RuntimeError
            If the process ends first.
        TimeoutError
            If `timeout` seconds pass first.
        """
        deadline = time.monotonic() + timeout
        while not ready():
            if not self.running:
                code = self._process.returncode
                message = (
                    f"ended with code {code} before it answered; {self.log}:\n{tail(self.log)}"
                )
                raise RuntimeError(message)
            if time.monotonic() > deadline:
                message = f"no answer within {timeout:g} s; {self.log}:\n{tail(self.log)}"
                raise TimeoutError(message)
            time.sleep(0.05)

    def stop(self, *, grace: float = 20.0) -> None:
        """Ask the server to end (SIGTERM), and kill it after `grace` seconds."""
        if self.running:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace)
        self.kill()

    def kill(self) -> None:
        """End the whole group at once (SIGKILL) and reap it."""
        # Closing the pipe only after the signal keeps the guard, and so the group's id, in being.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        atexit.unregister(self.kill)


def group_is_gone(group: int, *, within: float = 120.0) -> bool:
    """Tell whether a process group has ended, allowing init some seconds to reap orphans."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def tail(log: Path, *, lines: int = 20) -> str:
    """Return the last lines of a log file."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def free_ports(count: int) -> tuple[int, ...]:
    """Return distinct free TCP ports of the loopback interface."""
    ports: list[int] = []
    with contextlib.ExitStack() as held:
        while len(ports) < count:
            probe = held.enter_context(socket.socket())
            port = random.randint(_FIRST_PORT, _LAST_PORT)
            with contextlib.suppress(OSError):
                probe.bind((LOOPBACK, port))
                ports.append(port)
    return tuple(ports)


@contextlib.contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock on a file that exists, so that parallel test runs take turns."""
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def fingerprint(*files: Path) -> str:
    """Return one SHA-256 over the contents of files."""
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def run_tool(command: Sequence[str], *, cwd: Path, timeout: float = 900.0) -> str | None:
    """Run an installer; return None on success, otherwise why it failed, in words.

    Parameters
    ----------
    command
        Program (looked up on the path) and arguments.
    cwd
        Working folder.
    timeout
        Seconds after which it is given up.
    """
    program = shutil.which(command[0])
    if program is None:
        return f"{command[0]} is not installed"
    try:
        done = subprocess.run(
            [program, *command[1:]],
            cwd=cwd,
            timeout=timeout,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return f"{' '.join(command)} did not end within {timeout:g} s"
    if done.returncode == 0:
        return None
    last = (done.stdout + done.stderr).strip().splitlines()[-12:]
    return f"{' '.join(command)} failed with code {done.returncode}:\n" + "\n".join(last)
