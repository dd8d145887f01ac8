"""Receivers of notifications on this machine: a webhook and a mail server that keep what arrives.

The demo shows with them what duty officers get; tests also have them refuse, be slow or be away.
"""

from __future__ import annotations

import json
import threading
import time
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from aiosmtpd.controller import Controller

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import EmailMessage

__all__ = ["Hook", "MailReceiver", "WebhookReceiver"]

_LOOPBACK = "127.0.0.1"


class Hook(NamedTuple):
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: Any
    at: float
    """When all of it had come, in seconds since 1970."""

    @property
    def key(self) -> str:
        """What the sender calls the message."""
        return self.headers.get("Idempotency-Key", "")


class WebhookReceiver:
    """Takes POSTs on loopback and keeps their JSON.

    Attributes
    ----------
    hooks
        What was accepted.
    refusals
        Number of requests that were refused.
    answer
        Status of the answers; others than 2xx refuse.
    delay
        Seconds until an answer.

    Examples
    --------
    >>> with WebhookReceiver() as receiver:
    ...     receiver.url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(self, port: int = 0) -> None:
        self.hooks: list[Hook] = []
        self.refusals = 0
        self.answer = 200
        self.delay = 0.0
        self._server = ThreadingHTTPServer((_LOOPBACK, port), _handler(self._receive))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Where to post."""
        return f"http://{_LOOPBACK}:{self.port}/notifications"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _receive(self, hook: Hook) -> int:
        answer = self.answer
        if self.delay:
            time.sleep(self.delay)
        if answer < 300:  # noqa: PLR2004 - the classes of HTTP
            self.hooks.append(hook)
        else:
            self.refusals += 1
        return answer


def _handler(receive: Callable[[Hook], int]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            at = time.time()
            answer = receive(Hook(self.path, dict(self.headers), json.loads(body), at))
            try:
                self.send_response(answer)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except (BrokenPipeError, ConnectionResetError):
                pass  # who asked has not waited

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


class MailReceiver:
    """A mail server on loopback, without TLS, that keeps what is handed in.

    Attributes
    ----------
    mails
        What was accepted.
    refuse
        What it says to each mail instead of taking it, such as ``451 try later``; None: it takes.
    refused_addresses
        Recipients whom it does not know.
    """

    def __init__(self, port: int = 0) -> None:
        self.mails: list[EmailMessage] = []
        self.refuse: str | None = None
        self.refused_addresses: frozenset[str] = frozenset()
        self._controller = _Controller(self, hostname=_LOOPBACK, port=port)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._controller.bound_port

    def url(self, *recipients: str) -> str:
        """Return the URL of a channel that sends here."""
        return (
            f"smtp://{_LOOPBACK}:{self.port}/?tls=none&from=fenghuo@example.org"
            f"&to={','.join(recipients)}"
        )

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    # The names are those of aiosmtpd's hooks.
    async def handle_RCPT(  # noqa: N802
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: Any
    ) -> str:
        """Accept a recipient, or not."""
        if address in self.refused_addresses:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
        """Take a mail, or refuse it."""
        if self.refuse is not None:
            return self.refuse
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


class _Controller(Controller):
    """aiosmtpd's controller, which by itself does not find a port that the system chose."""

    @property
    def bound_port(self) -> int:
        """Where it listens."""
        server: Any = self.server
        return int(server.sockets[0].getsockname()[1])

    def _trigger_server(self) -> None:
        """Connect to itself, as it does to see whether it runs, at the port that it got."""
        self.port = self.bound_port
        super()._trigger_server()  # type: ignore[no-untyped-call]
