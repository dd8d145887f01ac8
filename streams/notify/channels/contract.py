"""What a channel has to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from streams.notify.message import Message

__all__ = ["SendError", "Sender"]


class SendError(Exception):
    """A message was not accepted; the text tells why, without secrets."""


class Sender(Protocol):
    """Sends messages by one channel.

    The dispatcher calls `send` of one sender once at a time, and with the same message again after
    a failure, or after a crash: `message.key` must reach the receiver, so that it can tell a repeat
    from another message.
    """

    @property
    def busy(self) -> bool:
        """Whether an earlier `send` continues in the background although its wait was cancelled.

        Until it has ended, `send` would be refused.
        """

    async def send(self, message: Message) -> str | None:
        """Hand a message over and wait until the receiver has accepted it.

        Returns
        -------
        str or None
            Something to know all the same, such as a recipient that was refused.

        Raises
        ------
        SendError
            When the receiver refuses or does not answer in time.
        """

    async def close(self) -> None:
        """Give back what is held."""
