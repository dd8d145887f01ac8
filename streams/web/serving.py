"""Serving the page over HTTP until the process is told to stop."""

from __future__ import annotations

import errno
import logging
import signal
import socket
from typing import TYPE_CHECKING, Final

import psycopg
import uvicorn
from psycopg_pool import PoolTimeout

from streams.errors import UnavailableError
from streams.store.schema import SchemaMisfitError, hold_schema
from streams.web.app import create_web
from streams.web.proxies import trusted_proxies

if TYPE_CHECKING:
    from collections.abc import Callable

    from streams.config import Configuration
    from streams.settings import Settings
    from streams.web.state import Web

__all__ = ["listen", "serve"]

log = logging.getLogger(__name__)

#: Longest wait for answers under way when stopping, in seconds.
_STOP_SECONDS: Final = 10
#: Between checks whether the database's schema was changed.
_SCHEMA_SECONDS: Final = 5


def serve(settings: Settings, configuration: Configuration, *, started: Callable[[], None]) -> None:
    """Serve the page until SIGINT or SIGTERM.

    Parameters
    ----------
    started
        Called once connections are accepted.

    Raises
    ------
    FenghuoError
        FENGHUO_PAGE_PROXIES names something else than proxies.
    UnavailableError
        The address cannot be listened on.
    SchemaMisfitError
        The database was migrated for another program meanwhile.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)-8s %(name)s: %(message)s"
    )
    proxies = trusted_proxies(settings.page_proxies)
    with listen(settings.page_host, settings.page_port) as listening:
        app = create_web(settings, configuration)
        config = uvicorn.Config(
            app,
            log_config=None,
            lifespan="on",
            # What is looked at, and by whom, is nobody's business; a proxy may log where it must.
            access_log=False,
            server_header=False,
            proxy_headers=True,
            forwarded_allow_ips=proxies,
            timeout_graceful_shutdown=_STOP_SECONDS,
            timeout_notify=_SCHEMA_SECONDS,
        )
        started()
        # uvicorn stops by these signals and then raises them once more: this ends quietly.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)
        server = uvicorn.Server(config)
        misfit = _stopped_by_migration(config, server, app.state.web)
        server.run(sockets=[listening])
        for error in misfit:
            raise error


def _stopped_by_migration(
    config: uvicorn.Config, server: uvicorn.Server, web: Web
) -> list[SchemaMisfitError]:
    """Stop the server when the schema no longer fits; the list then holds the reason."""
    reasons: list[SchemaMisfitError] = []

    async def check() -> None:
        try:
            async with web.database.reading(patience=1.0) as connection:
                await hold_schema(connection)
        except SchemaMisfitError as error:
            log.critical("The page stops: %s", error)
            reasons.append(error)
            server.should_exit = True
        except (psycopg.Error, PoolTimeout):
            return  # /readyz reports it

    config.callback_notify = check
    return reasons


def listen(host: str, port: int, *, remedy: str = "with --host and --port") -> socket.socket:
    """Open the port, before anything else is started.

    Parameters
    ----------
    remedy
        How the command at work is given another address.

    Raises
    ------
    UnavailableError
        It is taken, or the address is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        reasons = {
            errno.EADDRINUSE: "is taken by another program",
            errno.EADDRNOTAVAIL: "is no address of this machine",
            errno.EACCES: "may not be used without more rights",
        }
        why = reasons.get(error.errno or 0, str(error.strerror or error))
        raise UnavailableError(
            f"The triage page's address {host}:{port} {why}. Name another one {remedy}."
        ) from None
    # Connections inherit it. An answer is sent in two parts, head and body; without this the second
    # waits for the first one's acknowledgement, which the other side delays for 40 ms.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
