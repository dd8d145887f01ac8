from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from schemas.alerts import Commented
from streams.demo.receivers import Hook, WebhookReceiver
from streams.notify.dispatcher import Waits
from streams.notify.running import open_dispatcher
from streams.wakeup import Wakeup
from tests.streams.notify.support import change, configured, open_alert

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_wake_up_that_nobody_waits_for_is_kept_once() -> None:
    wakeup = Wakeup()
    assert not await wakeup.wait(0.01)
    wakeup.set()
    wakeup.set()
    assert await wakeup.wait(60)
    assert not await wakeup.wait(0.01)


async def test_who_waits_is_woken() -> None:
    wakeup = Wakeup()
    waiting = asyncio.create_task(wakeup.wait(60))
    await asyncio.sleep(0)
    assert not waiting.done()
    wakeup.set()
    assert await waiting


class Noticing(Wakeup):
    """Tells that somebody waits."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_for = asyncio.Event()

    async def wait(self, seconds: float) -> bool:
        self.waited_for.set()
        return await super().wait(seconds)


class Receiver(WebhookReceiver):
    """Tells that something has come."""

    def __init__(self) -> None:
        super().__init__()
        self.came = threading.Event()

    def _receive(self, hook: Hook) -> int:
        self.came.set()
        return super()._receive(hook)


async def test_notification_is_woken(database_url: str, tmp_path: Path) -> None:
    wakeup = Noticing()
    with Receiver() as hook:
        configuration = configured(
            tmp_path,
            f"  channels: {{hook: {{url: '{hook.url}'}}}}\n"
            "  routes: {all: {to: hook, on: [commented]}}\n",
        )
        open_alert(database_url, 1)
        async with open_dispatcher(
            database_url, "", configuration, waits=Waits(look=3600), wakeup=wakeup
        ) as dispatcher:
            running = asyncio.create_task(dispatcher.run())
            await asyncio.wait_for(wakeup.waited_for.wait(), 180)
            change(database_url, 1, Commented(note="致电医院"), actor="li")
            wakeup.set()
            assert await asyncio.to_thread(hook.came.wait, 60)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
