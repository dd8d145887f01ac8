"""From the configuration of a channel to its sender."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streams.errors import ConfigError
from streams.notify.channels.contract import SendError
from streams.notify.channels.kafka import KafkaSender
from streams.notify.channels.mail import MailSender, parse_mail_url
from streams.notify.channels.via_apprise import AppriseSender
from streams.notify.channels.webhook import WebhookSender
from streams.notify.masking import Mask, expand, secret_parts

if TYPE_CHECKING:
    from schemas.notify import Channel
    from streams.brokers import Brokers
    from streams.notify.channels.contract import Sender
    from streams.notify.message import Message

__all__ = ["LazySender", "make_sender"]

_ALERTMANAGER: Final = "alertmanager+"


def make_sender(channel: Channel, *, kafka: Brokers | str) -> Sender:
    """Make the sender that a channel's URL asks for.

    Parameters
    ----------
    kafka
        Bootstrap servers for ``kafka:TOPIC``.

    Raises
    ------
    ConfigError
        When the environment lacks a variable, or the URL is not understood.
    """
    url = expand(channel.url)
    headers = {name: expand(value) for name, value in channel.headers.items()}
    short, timeout = channel.form == "short", channel.timeout_seconds
    scheme = url.partition(":")[0].lower()
    if scheme in {"smtp", "smtps"}:
        return MailSender(parse_mail_url(url), short=short, timeout=timeout)
    if scheme.removeprefix(_ALERTMANAGER) in {"http", "https"}:
        return WebhookSender(
            url.removeprefix(_ALERTMANAGER),
            headers=headers,
            timeout=timeout,
            alertmanager=scheme.startswith(_ALERTMANAGER),
        )
    if scheme == "kafka":
        topic = url.partition(":")[2].strip("/")
        return KafkaSender(kafka, topic, timeout=timeout)
    return AppriseSender(url, headers=headers, short=short, timeout=timeout)


class LazySender:
    """A channel's sender, made at the first message; its errors hold no secrets.

    A channel that cannot be made is one that fails: the others, and the worker, go on.
    """

    def __init__(self, channel: Channel, *, kafka: Brokers | str) -> None:
        self._channel = channel
        self._kafka = kafka
        self._sender: Sender | None = None

    @property
    def busy(self) -> bool:
        """Whether an earlier attempt has not ended yet."""
        return self._sender is not None and self._sender.busy

    async def send(self, message: Message) -> str | None:
        """Send a message."""
        try:
            if self._sender is None:
                self._sender = make_sender(self._channel, kafka=self._kafka)
            remark = await self._sender.send(message)
        except (SendError, ConfigError) as error:
            raise SendError(self._mask()(str(error))) from None
        except Exception as error:  # noqa: BLE001 - whatever a library raises, it is this channel's
            text = self._mask()(f"{type(error).__name__}: {error}")
            raise SendError(text) from None
        return None if remark is None else self._mask()(remark)

    async def close(self) -> None:
        """Give back what the sender holds."""
        if self._sender is not None:
            await self._sender.close()
            self._sender = None

    def _mask(self) -> Mask:
        texts = (self._channel.url, *self._channel.headers.values())
        secrets = frozenset[str]().union(*(secret_parts(text) for text in texts))
        headers = {value for value in self._channel.headers.values() if "${" not in value}
        return Mask(secrets | headers)
