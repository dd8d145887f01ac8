"""A dispatcher with its connections, templates and senders."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from psycopg_pool import AsyncConnectionPool

from streams.notify.channels import LazySender
from streams.notify.dispatcher import Dispatcher, Waits
from streams.notify.rendering import Templates

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from streams.brokers import Brokers
    from streams.config import Configuration
    from streams.settings import Settings
    from streams.wakeup import Wakeup

__all__ = ["open_dispatcher", "running_dispatcher"]

_CONNECTIONS: Final = 3


@asynccontextmanager
async def running_dispatcher(
    settings: Settings, configuration: Configuration, *, wakeup: Wakeup | None = None
) -> AsyncIterator[None]:
    """Have a dispatcher work beside everything else; at the end it stops first.

    Parameters
    ----------
    wakeup
        Set by whoever knows that alerts have changed.

    Raises
    ------
    ConfigError
        When a template is wrong.
    """
    async with open_dispatcher(
        settings.database,
        settings.brokers,
        configuration,
        folder=settings.config.parent,
        wakeup=wakeup,
    ) as dispatcher:
        task = asyncio.create_task(dispatcher.run(), name="notify")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@asynccontextmanager
async def open_dispatcher(
    database: str,
    kafka: Brokers | str,
    configuration: Configuration,
    *,
    folder: Path = Path(),
    waits: Waits = Waits(),  # noqa: B008 - immutable
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    wakeup: Wakeup | None = None,
) -> AsyncIterator[Dispatcher]:
    """Make a dispatcher with connections of its own; they are closed at the end.

    Parameters
    ----------
    folder
        Where the configuration file lies: the folder of templates is named from there.

    Raises
    ------
    ConfigError
        When a template is wrong.
    """
    notify = configuration.surveillance.notify
    own = None if notify.templates is None else folder / notify.templates
    templates = await asyncio.to_thread(Templates, own)
    senders = {name: LazySender(one, kafka=kafka) for name, one in notify.channels.items()}
    pool = AsyncConnectionPool(
        database, min_size=1, max_size=_CONNECTIONS, open=False, kwargs={"autocommit": True}
    )
    await pool.open()
    try:
        yield Dispatcher(
            pool,
            configuration,
            senders,
            templates=templates,
            waits=waits,
            clock=clock,
            wakeup=wakeup,
        )
    finally:
        for sender in senders.values():
            await sender.close()
        await pool.close()
