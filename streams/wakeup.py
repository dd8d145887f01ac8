"""Waking a loop that waits."""

from __future__ import annotations

import asyncio

__all__ = ["Wakeup"]


class Wakeup:
    """Lets a loop look when there is news, and now and then without being told.

    News of other processes wakes nobody here: the loop finds it when it looks by itself.

    Examples
    --------
    >>> async def woken() -> bool:
    ...     wakeup = Wakeup()
    ...     wakeup.set()
    ...     return await wakeup.wait(60)
    >>> asyncio.run(woken())
    True
    """

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Wake the loop, or keep it from waiting the next time."""
        self._event.set()

    async def wait(self, seconds: float) -> bool:
        """Wait until somebody wakes, not longer than so many seconds; return whether one did."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True
