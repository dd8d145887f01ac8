"""Writing a message from what happened to alerts, once: each attempt sends the same."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from streams.errors import FenghuoError
from streams.notify.entries import make_entry
from streams.notify.masking import expand
from streams.store import deliveries, outbox

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from psycopg_pool import AsyncConnectionPool

    from schemas.alerts import Alert, AlertEvent
    from schemas.notify import Channel
    from streams.config import Configuration
    from streams.notify.message import Message
    from streams.notify.rendering import Templates
    from streams.store.deliveries import Taken

    Contents = Sequence[tuple[AlertEvent, Alert]]

__all__ = ["Composer"]

log = logging.getLogger(__name__)


class Composer:
    """Writes messages and stores them before their first attempt."""

    def __init__(
        self, pool: AsyncConnectionPool, configuration: Configuration, templates: Templates
    ) -> None:
        self._pool = pool
        self._configuration = configuration
        self._templates = templates

    async def compose(self, name: str, channel: Channel, taken: Taken, now: datetime) -> Message:
        """Write and store a message of a channel.

        An event that cannot be written gets a message of its own, which fails visibly; the others
        of a digest go out.

        Raises
        ------
        FenghuoError
            No event of the message can be read.
        Exception
            Whatever a template or an alert raises, when no part of the message can be written.
        """
        contents = await outbox.contents(self._pool, taken.delivery_id)
        if not contents:
            raise FenghuoError("its events cannot be read; see the log")
        try:
            message = self._write(name, channel, taken, contents, now)
        except Exception:
            good = [one for one in contents if self._can_be_told(name, channel, taken, one, now)]
            if not good or len(good) == len(contents):
                raise
            message = self._write(name, channel, taken, good, now)
            kept = {(event.alert_id, event.seq) for event, _ in good}
            await deliveries.part(self._pool, taken, kept, now)
        await deliveries.keep_message(self._pool, taken, message)
        return message

    def _write(
        self, name: str, channel: Channel, taken: Taken, contents: Contents, now: datetime
    ) -> Message:
        configuration, secret = self._configuration, self._secret()
        return self._templates.write(
            str(taken.delivery_id),
            name,
            channel.language or configuration.surveillance.notify.language,
            [
                make_entry(event, alert, configuration, channel=name, secret=secret, now=now)
                for event, alert in contents
            ],
            configuration,
            digest=taken.digest,
        )

    def _can_be_told(
        self,
        name: str,
        channel: Channel,
        taken: Taken,
        one: tuple[AlertEvent, Alert],
        now: datetime,
    ) -> bool:
        try:
            self._write(name, channel, taken, [one], now)
        except Exception:  # noqa: BLE001 - the message of its own reports it
            return False
        return True

    def _secret(self) -> str | None:
        secret = self._configuration.surveillance.notify.secret
        if secret is None:
            return None
        try:
            return expand(secret)
        except FenghuoError as error:
            log.warning("Links have no token: %s", error)
            return None
