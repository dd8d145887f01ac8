"""HTTP: a webhook of ours, and what Prometheus Alertmanager posts to its receivers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp

from streams.notify.channels.contract import SendError
from streams.notify.channels.payloads import alertmanager_payload, webhook_payload

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.notify.message import Message

__all__ = ["WebhookSender"]

#: Of an answer that refuses.
_SHOWN = 200


class WebhookSender:
    """Posts JSON; every answer from 200 to 299 accepts.

    Redirects are not followed: a POST would arrive as a GET, without the message.

    Parameters
    ----------
    alertmanager
        Post what Alertmanager would, rather than our own document.
    """

    def __init__(
        self, url: str, *, headers: Mapping[str, str], timeout: float, alertmanager: bool
    ) -> None:
        self._url = url
        self._headers = dict(headers)
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._payload = alertmanager_payload if alertmanager else webhook_payload
        self._session: aiohttp.ClientSession | None = None

    @property
    def busy(self) -> bool:
        """Never: a cancelled attempt ends at once."""
        return False

    async def send(self, message: Message) -> str | None:
        """Post a message."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=self._timeout)
        headers = {"Idempotency-Key": message.key, "User-Agent": "fenghuo", **self._headers}
        payload: dict[str, Any] = self._payload(message)
        try:
            async with self._session.post(
                self._url, json=payload, headers=headers, allow_redirects=False
            ) as answer:
                if not 200 <= answer.status < 300:  # noqa: PLR2004 - the classes of HTTP
                    text = (await answer.content.read(_SHOWN)).decode(errors="replace")
                    raise SendError(f"answers {answer.status} {answer.reason}: {text}".strip(": "))
        except TimeoutError:
            raise SendError(f"no answer within {self._timeout.total:g} s") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise SendError(f"{type(error).__name__}: {error}") from None
        return None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None
