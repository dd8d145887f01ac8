"""What all routes of the page share: settings, configuration, connections."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar
from urllib.parse import urlsplit

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from streams.store.pool import limit_page, limit_page_async
from streams.store.sessions import Lifetimes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import psycopg
    from psycopg import AsyncConnection
    from starlette.requests import HTTPConnection

    from streams.config import Configuration
    from streams.metrics import Metrics
    from streams.settings import Settings
    from streams.web.provider import Provider

__all__ = ["Database", "Web", "open_database", "web_of"]

P = ParamSpec("P")
T = TypeVar("T")

_READING: Final = 8
_DECIDING: Final = 4
#: Each may be hashing a password with 64 MiB: their number bounds memory.
_SIGNING_IN: Final = 2
#: Threads for signing in, none of which a decision that waits for a lock can occupy.
_SIGN_IN_THREADS: Final = 16
#: Longest wait for a connection, in seconds; then the page says that the database is away.
_PATIENCE: Final = 5.0
#: A pooler in transaction mode changes the session below prepared statements.
_UNPREPARED: Final = {"prepare_threshold": None}


class Database:
    """Connections for reading, on the event loop; for decisions and for signing in, in threads.

    Signing in has connections and threads of its own: decisions that wait for a lock keep nobody
    out.
    """

    def __init__(
        self, reading: AsyncConnectionPool, deciding: ConnectionPool, signing_in: ConnectionPool
    ) -> None:
        self._reading = reading
        self._deciding = deciding
        self._signing_in = signing_in
        self._sign_in_threads = CapacityLimiter(_SIGN_IN_THREADS)

    @asynccontextmanager
    async def reading(self, *, patience: float = _PATIENCE) -> AsyncIterator[AsyncConnection]:
        """Give a connection, within so many seconds; what is done with it is one transaction."""
        async with self._reading.connection(timeout=patience) as connection:
            yield connection

    async def run(
        self,
        function: Callable[Concatenate[psycopg.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call a function of the store with a connection, in a thread; commits at the end."""
        return await run_sync(_call(self._deciding, function, *args, **kwargs))

    async def sign_in(
        self,
        function: Callable[Concatenate[psycopg.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Do the same as `run` with a connection that only sign-ins and sign-outs use."""
        call = _call(self._signing_in, function, *args, **kwargs)
        return await run_sync(call, limiter=self._sign_in_threads)


def _call(
    pool: ConnectionPool,
    function: Callable[Concatenate[psycopg.Connection, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> Callable[[], T]:
    def call() -> T:
        with pool.connection() as connection:
            return function(connection, *args, **kwargs)

    return call


@asynccontextmanager
async def open_database(database: str) -> AsyncIterator[Database]:
    """Open connections; where the database is away they are opened as soon as it is back."""
    reading = AsyncConnectionPool(
        database,
        min_size=1,
        max_size=_READING,
        timeout=_PATIENCE,
        open=False,
        kwargs=_UNPREPARED,
        check=AsyncConnectionPool.check_connection,
        configure=limit_page_async,
    )
    deciding, signing_in = (
        ConnectionPool(
            database,
            min_size=1,
            max_size=size,
            timeout=_PATIENCE,
            open=False,
            kwargs=_UNPREPARED,
            check=ConnectionPool.check_connection,
            configure=limit_page,
        )
        for size in (_DECIDING, _SIGNING_IN)
    )
    try:
        await reading.open()
        await run_sync(deciding.open)
        await run_sync(signing_in.open)
        yield Database(reading, deciding, signing_in)
    finally:
        await reading.close()
        await run_sync(deciding.close)
        await run_sync(signing_in.close)


@dataclass
class Web:
    """State of one running page."""

    settings: Settings
    configuration: Configuration
    provider: Provider | None = None
    """Where people sign in by OpenID Connect."""
    metrics: Metrics | None = None
    """Kept from one scrape to the next."""
    _database: Database | None = None

    @property
    def database(self) -> Database:
        """Its connections, while it runs."""
        assert self._database is not None, "the page is not running"  # noqa: S101 - lifespan
        return self._database

    @property
    def secure(self) -> bool:
        """Whether browsers reach the page by HTTPS."""
        return urlsplit(self.settings.page_url).scheme == "https"

    @property
    def lifetimes(self) -> Lifetimes:
        """After how much time somebody has to sign in again."""
        return Lifetimes(
            timedelta(minutes=self.settings.page_idle_minutes),
            timedelta(hours=self.settings.page_session_hours),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the connections open."""
        async with open_database(self.settings.database) as database:
            self._database = database
            yield


def web_of(connection: HTTPConnection) -> Web:
    """Return what the routes share."""
    state: Any = connection.app.state
    web: Web = state.web
    return web
