"""The demo's data in a database without a broker: counted, judged, raised as alerts, explained."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from datetime import date
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Final

import psycopg

from streams.alerts.following import explain_changed
from streams.config import Configuration, load_configuration
from streams.demo import sales, taiwan
from streams.judging.loop import judge_pending
from streams.store.imports import import_counts
from streams.store.migrate import migrate
from tests.support.events import Record
from tests.support.store import worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["AFTER_LAST_WEEK", "FIRST_WEEK", "SEED", "demo_configuration", "fill_with_pandemic"]

SEED: Final = 2009
#: The last weeks of the demo, in which most counties are in exceedance.
FIRST_WEEK, AFTER_LAST_WEEK = date(2009, 7, 27), date(2009, 9, 14)
#: Counties whose sales are told, so that it stays quick.
_SELLING: Final = {"TW-TPE", "TW-NWT", "TW-KHH", "TW-PEN"}
_AT_ONCE: Final = 10_000


def demo_configuration() -> Configuration:
    """Return the demo's configuration."""
    with _demo_file() as path:
        return load_configuration(path)


@contextmanager
def _demo_file() -> Iterator[Path]:
    with as_file(files("streams.demo") / "data" / "demo.yaml") as path:
        yield path


def fill_with_pandemic(
    database: str, configuration: Configuration, *, last_day: date | None = None
) -> None:
    """Migrate an empty database and let some weeks of 2009 pass in it.

    Parameters
    ----------
    last_day
        Later visits and sales have not come in yet.
    """
    migrate(database, configuration)
    with psycopg.connect(database) as connection:
        import_counts(connection, taiwan.baseline_counts(FIRST_WEEK), replace=False)
    asyncio.run(_stream(database, configuration, (last_day or AFTER_LAST_WEEK).isoformat()))


async def _stream(database: str, configuration: Configuration, last_day: str) -> None:
    span = (FIRST_WEEK, AFTER_LAST_WEEK)
    visits = [v for _, v in taiwan.visits(*span, seed=SEED) if _day(v) <= last_day]
    sold = [v for r, v in sales.sales(*span, seed=SEED) if r in _SELLING and _day(v) <= last_day]
    async with worker(database, configuration) as at_work:
        for topic, values in (("visits", visits), ("sales", sold)):
            position = await at_work.position(topic)
            for first in range(0, len(values), _AT_ONCE):
                batch = [
                    Record(position + first + i, None, value)
                    for i, value in enumerate(values[first : first + _AT_ONCE])
                ]
                await at_work.deliver(topic, 0, batch)
        while await judge_pending(at_work.pool, configuration):
            pass
        await explain_changed(at_work.pool, configuration)


def _day(event: bytes) -> str:
    return str(json.loads(event)["occurred_at"])[:10]
