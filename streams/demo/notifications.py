"""The demo's duty officers: a webhook and a mail server on this machine, and what reaches them."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from streams.demo.receivers import MailReceiver, WebhookReceiver
from streams.errors import FenghuoError
from streams.store.outbox_reading import channel_states

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from streams.demo.receivers import Hook

__all__ = ["Delivered", "Receivers", "receiving", "wait_until_told"]

#: Named by the demo's configuration.
_WEBHOOK, _MAIL = "FENGHUO_DEMO_WEBHOOK", "FENGHUO_DEMO_MAIL"
_POLL_SECONDS: Final = 0.25
#: Longest wait: digests come each minute, and so does what exceeds the rate of a channel.
_LONGEST_SECONDS: Final = 200.0


class Delivered(NamedTuple):
    """What reached the receivers, without repeats."""

    webhook: int
    mail: int
    #: How many of both were digests.
    digests: int


class Receivers(NamedTuple):
    """The webhook and the mail server."""

    webhook: WebhookReceiver
    mail: MailReceiver

    def delivered(self) -> Delivered:
        """Count what has come."""
        hooks: dict[str, Hook] = {hook.key: hook for hook in self.webhook.hooks}
        mails = {str(mail["Message-ID"]): str(mail["Subject"]) for mail in self.mail.mails}
        digests = sum(hook.body["digest"] for hook in hooks.values())
        digests += sum(subject.startswith("预警汇总") for subject in mails.values())
        return Delivered(len(hooks), len(mails), digests)


@contextmanager
def receiving() -> Iterator[Receivers]:
    """Start both, and name them to the workers by the environment."""
    with WebhookReceiver() as webhook, MailReceiver() as mail:
        names = {_WEBHOOK: webhook.url, _MAIL: mail.url("duty@example.org")}
        before = {name: os.environ.get(name) for name in names}
        os.environ.update(names)
        try:
            yield Receivers(webhook, mail)
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def wait_until_told(connection: psycopg.Connection) -> None:
    """Wait until everything that happened to alerts so far has been told.

    Raises
    ------
    FenghuoError
        When that takes too long.
    """
    deadline = time.monotonic() + _LONGEST_SECONDS
    while True:
        behind = connection.execute(
            "SELECT count(*) FROM alert_events WHERE event_id > coalesce("
            "(SELECT event_id FROM alert_followers WHERE follower = 'notify'), 0)"
        ).fetchone()
        states = channel_states(connection)
        waiting = [one for one in states if one.held or one.waiting or one.failed]
        if not waiting and behind and not behind[0]:
            return
        if time.monotonic() > deadline:
            told = "; ".join(
                f"{one.channel}: {one.held + one.waiting} wait, {one.failed} failed "
                f"({one.last_error or 'no error'})"
                for one in waiting
            )
            raise FenghuoError(
                f"Not all was told within {_LONGEST_SECONDS:.0f} s: {told or 'nothing was sent'}. "
                "See worker.log in the data folder."
            )
        time.sleep(_POLL_SECONDS)
