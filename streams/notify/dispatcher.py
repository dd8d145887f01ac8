"""The loop that notes who is to be told, and sends.

It has connections of its own and waits for nobody else: whatever a channel does, counting and
judging go on. Each channel has its lane, so that a slow one does not hold up the others.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import psycopg
from psycopg_pool import PoolTimeout

from streams.errors import describe
from streams.notify.channels import SendError
from streams.notify.composing import Composer
from streams.notify.limits import Backoff
from streams.notify.routing import plan
from streams.store import deliveries, outbox
from streams.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from psycopg_pool import AsyncConnectionPool

    from schemas.alerts import Alert, AlertEvent
    from schemas.notify import Channel
    from streams.config import Configuration
    from streams.notify.channels import Sender
    from streams.notify.message import Message
    from streams.notify.rendering import Templates
    from streams.notify.routing import Planned
    from streams.store.deliveries import Taken

__all__ = ["Dispatcher", "Waits"]

log = logging.getLogger(__name__)

T = TypeVar("T")

#: A send takes several answers of the server, each within the channel's time-out.
_ANSWERS: Final = 6
#: What a lease has on top, for the database and for clocks that differ.
_MARGIN: Final = timedelta(seconds=30)


class Waits(NamedTuple):
    """How long the dispatcher waits for what."""

    #: Between looks, unless woken.
    look: float = 0.5
    #: Of one message between attempts.
    retry: Backoff = Backoff(5, 900)
    #: Of a channel after a failure.
    pause: Backoff = Backoff(2, 60)
    #: For sends in flight when stopping.
    stop: float = 5.0


class Dispatcher:
    """Sends what the outbox holds; any number of them may run beside each other.

    Parameters
    ----------
    pool
        Connections that nobody else uses.
    senders
        By the names of the configured channels.
    clock
        Tells the present moment.
    wakeup
        Set by whoever knows that alerts have changed.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool,
        configuration: Configuration,
        senders: Mapping[str, Sender],
        *,
        templates: Templates,
        waits: Waits = Waits(),  # noqa: B008 - immutable
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        wakeup: Wakeup | None = None,
    ) -> None:
        self._pool = pool
        self._configuration = configuration
        self._notify = configuration.surveillance.notify
        self._senders = senders
        self._composer = Composer(pool, configuration, templates)
        self._waits = waits
        self._clock = clock
        self._wakeup = wakeup or Wakeup()
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self._busy: set[str] = set()
        self._attempts = 0

    async def run(self) -> None:
        """Work until cancelled; what is in flight then is waited for, not for ever."""
        try:
            while True:
                try:
                    await self.step()
                except (psycopg.Error, PoolTimeout) as error:
                    log.warning("Notifications wait for the database: %s", error)
                except Exception:
                    log.exception("Notifications could not be prepared; they are tried again.")
                await self._wakeup.wait(self._waits.look)
        finally:
            await self._stop()

    async def step(self) -> None:
        """Note who is to be told of new events, and set the lanes to work that have any."""
        now = self._clock()
        while await outbox.route_events(self._pool, self._plan(now), now):
            pass
        for name in sorted(await outbox.busy_channels(self._pool, now)):
            if name in self._senders and name not in self._lanes:
                lane = asyncio.create_task(self._lane(name), name=name)
                self._lanes[name] = lane
                lane.add_done_callback(lambda done: self._lanes.pop(done.get_name(), None))

    async def settle(self) -> None:
        """Work until nothing is to be done at this moment."""
        attempts = -1
        while attempts != self._attempts:
            attempts = self._attempts
            await self.step()
            await asyncio.gather(*self._lanes.values(), return_exceptions=True)

    def _plan(self, now: datetime) -> Callable[[AlertEvent, Alert], tuple[Planned, ...]]:
        return lambda event, alert: plan(event, alert, self._configuration, now)

    async def _lane(self, name: str) -> None:
        """Send what a channel has, one message after the other."""
        channel = self._notify.channels[name]
        try:
            while await self._send_next(name, channel):
                pass
        except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout) as error:
            log.warning("Channel %s waits for the database: %s", name, error)
        except Exception:
            log.exception("Channel %s: a message could not be handled; it is tried again.", name)

    async def _send_next(self, name: str, channel: Channel) -> bool:
        if self._is_busy(name):
            return False
        longest = timedelta(seconds=_ANSWERS * channel.timeout_seconds)
        taken = await deliveries.take(
            self._pool,
            name,
            self._clock(),
            rate=channel.rate_per_minute,
            lease=longest + _MARGIN,
        )
        if taken is None:
            return False
        self._attempts += 1
        message = taken.message or await self._written(name, channel, taken)
        if message is None:
            return True
        try:
            async with asyncio.timeout(longest.total_seconds()):
                remark = await self._senders[name].send(message)
        except (SendError, TimeoutError) as error:
            reason = str(error) or f"not done within {longest.total_seconds():g} s"
            await self._patiently(lambda: self._failed(name, taken, reason, self._waits.pause))
            return True
        except Exception as error:
            # A fault of ours must not keep the channel's other messages from being sent.
            log.exception("Channel %s: message %s cannot be sent.", name, message.key)
            reason = describe(error)
            await self._patiently(lambda: self._failed(name, taken, reason, self._waits.pause))
            return True
        if remark:
            log.warning("Channel %s: message %s: %s", name, message.key, remark)
        await self._patiently(lambda: self._arrived(name, taken, remark))
        return True

    def _is_busy(self, name: str) -> bool:
        """Return whether an attempt that timed out continues; then messages wait at no cost.

        None is leased, so another worker may send them, and none loses an attempt.
        """
        busy = self._senders[name].busy
        if busy and name not in self._busy:
            log.warning("Channel %s: messages wait for an attempt that has not ended.", name)
        (self._busy.add if busy else self._busy.discard)(name)
        return busy

    async def _written(self, name: str, channel: Channel, taken: Taken) -> Message | None:
        """Write a message; one that cannot be written waits, and its channel goes on."""
        try:
            return await self._patiently(
                lambda: self._composer.compose(name, channel, taken, self._clock())
            )
        except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout):
            raise
        except Exception as error:
            log.exception("Channel %s: message %s cannot be written.", name, taken.delivery_id)
            reason = f"cannot be written: {describe(error)}"
        await self._patiently(lambda: self._failed(name, taken, reason, None))
        return None

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Do something for a message that is held here, also if the database is away for a moment.

        Until its lease ends nobody else would do it.
        """
        until = self._clock() + _MARGIN
        while True:
            try:
                return await call()
            except psycopg.DataError:
                raise  # the same at each attempt
            except (psycopg.Error, PoolTimeout):
                if self._clock() >= until:
                    raise
                await asyncio.sleep(self._waits.look)

    async def _arrived(self, name: str, taken: Taken, remark: str | None) -> None:
        await deliveries.mark_sent(self._pool, name, taken, self._clock(), remark=remark)

    async def _failed(self, name: str, taken: Taken, reason: str, pause: Backoff | None) -> None:
        given_up = await deliveries.mark_failed(
            self._pool,
            name,
            taken,
            self._clock(),
            error=reason,
            retry=self._waits.retry,
            pause=pause,
            give_up_after=timedelta(hours=self._notify.give_up_after_hours),
        )
        if given_up:
            log.error(
                "Channel %s: message %s is given up after %s attempts: %s. "
                "Mend the channel, then run fenghuo notify retry.",
                name, taken.delivery_id, taken.attempts, reason,
            )  # fmt: skip
        else:
            log.warning("Channel %s: attempt %s failed: %s", name, taken.attempts, reason)

    async def _stop(self) -> None:
        lanes = list(self._lanes.values())
        if lanes:
            _, late = await asyncio.wait(lanes, timeout=self._waits.stop)
            for lane in late:
                lane.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for sender in self._senders.values():
            with suppress(Exception):
                await sender.close()
