"""Waiting for calls that block."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from streams.notify.channels.contract import SendError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["OneThread"]

T = TypeVar("T")


class OneThread:
    """Runs one call at a time in a thread that does not keep the process from ending.

    The threads of an executor would: Python waits for them at its end. And they are shared, so that
    a few channels that hang would leave none to the others.
    """

    def __init__(self) -> None:
        # Of the call, not of its thread: a thread that has given its result still takes a moment
        # to end, on a busy machine long enough for the next call to come.
        self._busy = False

    @property
    def busy(self) -> bool:
        """Whether a call has not ended yet."""
        return self._busy

    async def run(self, call: Callable[[], T]) -> T:
        """Run a call and wait for it; when the wait is cancelled the call goes on by itself.

        Raises
        ------
        SendError
            When an earlier call has not ended yet.
        """
        if self._busy:
            raise SendError("an earlier attempt has not ended yet")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def settle(result: T | None, error: BaseException | None) -> None:
            if future.cancelled():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]

        def work() -> None:
            result, error = None, None
            try:
                result = call()
            except BaseException as raised:  # noqa: BLE001 - it is raised where it is waited for
                error = raised
            self._busy = False
            with suppress(RuntimeError):  # the loop has been closed meanwhile
                loop.call_soon_threadsafe(settle, result, error)

        self._busy = True
        try:
            threading.Thread(target=work, name="notify", daemon=True).start()
        except BaseException:
            self._busy = False
            raise
        return await future
