"""Apprise: WeCom, DingTalk, Feishu, SMS gateways and a hundred others, by URL."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from streams.notify.channels.contract import SendError
from streams.notify.channels.threads import OneThread

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from streams.notify.message import Message

__all__ = ["AppriseSender"]

_TYPES: Final = {"critical": "failure", "warning": "warning", "info": "info"}


class AppriseSender:
    """Sends by Apprise, which blocks and therefore has a thread.

    Services that take HTTP headers or mail headers get the key as ``Idempotency-Key``; others see
    the number at the end of the text.
    """

    def __init__(
        self, url: str, *, headers: Mapping[str, str], short: bool, timeout: float
    ) -> None:
        self._url = url
        self._headers = dict(headers)
        self._short = short
        self._timeout = timeout
        self._thread = OneThread()

    @property
    def busy(self) -> bool:
        """Whether an earlier attempt has not ended yet."""
        return self._thread.busy

    async def send(self, message: Message) -> str | None:
        """Send a message."""
        await self._thread.run(lambda: self._notify(message))
        return None

    async def close(self) -> None:
        """Nothing is held between messages."""

    def _notify(self, message: Message) -> None:
        # Loading takes seconds and reads a hundred modules: not at the start of every command.
        import apprise  # noqa: PLC0415
        from apprise.conversion import convert_between  # noqa: PLC0415

        _keep_quiet()
        with _heard() as lines:
            # Made for each message: Apprise makes a plugin wait between messages, and one whose
            # headers are changed must not be shared.
            plugin: Any = apprise.Apprise.instantiate(self._url)
            if plugin is None:
                raise SendError(_joined(lines) or "Apprise does not understand the URL")
            plugin.socket_connect_timeout = plugin.socket_read_timeout = self._timeout
            if isinstance(getattr(plugin, "headers", None), dict):
                plugin.headers |= {"Idempotency-Key": message.key, **self._headers}
            # Not by way of Apprise's own notify(), which has a bounded number of threads for all.
            kind = plugin.resolve_format("text")
            title = "" if self._short else message.subject
            done = plugin.notify(
                title=title if plugin.title_maxlen else convert_between("text", kind, title),
                body=convert_between("text", kind, message.short if self._short else message.text),
                body_format=kind,
                notify_type=apprise.NotifyType(_TYPES[message.severity]),
            )
        if not done:
            raise SendError(_joined(lines) or "Apprise could not deliver it and gives no reason")


def _joined(lines: list[str]) -> str:
    return "; ".join(dict.fromkeys(lines))


def _keep_quiet() -> None:
    """Keep URLs, which hold keys, out of the logs also where those are set to debug."""
    logger = logging.getLogger("apprise")
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    for name in ("urllib3", "requests", "requests_oauthlib"):
        logging.getLogger(name).setLevel(logging.WARNING)


@contextmanager
def _heard() -> Iterator[list[str]]:
    """Collect what Apprise complains of in this thread: it returns no more than yes or no."""
    lines: list[str] = []
    thread = threading.get_ident()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == thread:
                lines.append(record.getMessage())

    handler = Handler(logging.WARNING)
    logger = logging.getLogger("apprise")
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
