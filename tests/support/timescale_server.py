"""Real TimescaleDB for tests: PostgreSQL and the extension as WebAssembly, run by node."""

from __future__ import annotations

import re
import shutil
import tempfile
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psycopg
from psycopg import sql

from tests.support.processes import GuardedProcess, file_lock, fingerprint, run_tool

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["TimescaleServer", "TimescaleUnavailable", "ensure_node_modules"]

_PROJECT = Path(__file__).resolve().parents[1] / "timescale"
_LISTENING = re.compile(r"^listening on (\S+):(\d+)$", re.MULTILINE)


class TimescaleUnavailable(RuntimeError):  # noqa: N818 - a reason to skip, not a fault of ours
    """TimescaleDB cannot be run on this machine; the message says why."""


def _node() -> str:
    node = shutil.which("node")
    if node is None:
        reason = "node is not installed: TimescaleDB as WebAssembly needs Node.js 20 or newer"
        raise TimescaleUnavailable(reason)
    return node


def ensure_node_modules() -> Path:
    """Bring TimescaleDB here with npm, once per version of the lock file.

    Returns
    -------
    Path
        The `node_modules` folder.

    Raises
    ------
    TimescaleUnavailable
        If Node.js or npm is missing, or npm cannot bring the package.
    """
    _node()
    modules = _PROJECT / "node_modules"
    stamp = modules / ".fenghuo.sha256"
    with file_lock(_PROJECT / "package.json"):
        wanted = fingerprint(_PROJECT / "package.json", _PROJECT / "package-lock.json")
        if stamp.exists() and stamp.read_text() == wanted:
            return modules
        failure = run_tool(["npm", "ci", "--no-audit", "--no-fund"], cwd=_PROJECT)
        if failure is not None:
            reason = f"TimescaleDB (WebAssembly) could not be brought here: {failure}"
            raise TimescaleUnavailable(reason)
        stamp.write_text(wanted)
    return modules


class TimescaleServer:
    """TimescaleDB in memory, running inside a `with` block.

    It is one PostgreSQL session behind a socket. Several clients may connect; their transactions
    run one after the other, and a client that waits longer than `wait` for another one's
    transaction gets `psycopg.errors.LockNotAvailable`. There are no background workers: policies
    are stored, and run when a test says `CALL run_job(id)`.

    Parameters
    ----------
    max_connections
        Clients that may be connected at once.
    wait
        Seconds that a statement waits for another client's open transaction.
    timeout
        Seconds to wait for the server to answer after a start.

    Raises
    ------
    TimescaleUnavailable
        If Node.js, npm or the package cannot be had here.
    """

    def __init__(
        self, *, max_connections: int = 32, wait: float = 120.0, timeout: float = 180.0
    ) -> None:
        ensure_node_modules()
        self._command = [_node(), str(_PROJECT / "server.mjs")]
        self._limits = [str(max_connections), str(round(wait * 1000))]
        self._timeout = timeout
        self._process: GuardedProcess | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="fenghuo-timescale-"))
        self._schemas = count(1)
        self._port = 0
        self.log: Path = self._folder / "server.log"
        """File with the server's output, over all its starts."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._discard()

    @property
    def url(self) -> str:
        """Connection URL of the database."""
        return f"postgresql://postgres@127.0.0.1:{self._port}/postgres?sslmode=disable"

    @property
    def running(self) -> bool:
        """Whether the server's process is up."""
        return self._process is not None and self._process.running

    def start(self) -> None:
        """Start the server, with an empty database, and wait until it answers."""
        if self.running:
            return
        if self._process is not None:
            self._process.kill()
        command = [*self._command, str(self._port), *self._limits]
        process = GuardedProcess(command, log=self.log, cwd=self._folder)
        self._process = process
        process.wait_until(
            lambda: _LISTENING.search(process.output()) is not None, timeout=self._timeout
        )
        found = _LISTENING.search(process.output())
        assert found is not None
        self._port = int(found.group(2))

    def stop(self) -> None:
        """End the server; its data are gone."""
        if self._process is not None:
            self._process.stop()

    def restart(self) -> None:
        """Start over with an empty database at the same URL (about 3 s)."""
        self.stop()
        self.start()

    def new_schema(self) -> str:
        """Make an empty schema and return a URL whose search path starts with it.

        Much quicker than `restart`, for tests that only need tables of their own. The extension
        is created in `public`, which stays on the search path.
        """
        name = f"test_{next(self._schemas)}"
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        return f"{self.url}&options=-c%20search_path%3D{name}%2Cpublic"

    def _discard(self) -> None:
        if self._process is not None:
            self._process.kill()
        shutil.rmtree(self._folder, ignore_errors=True)
