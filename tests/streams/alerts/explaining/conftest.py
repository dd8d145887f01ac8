from __future__ import annotations

import asyncio
import json
from datetime import date, timedelta
from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any, NamedTuple

import psycopg
import pytest

from streams.alerts.explaining import explain, roll_up
from streams.config import load_configuration
from streams.demo import sales, taiwan
from streams.judging.loop import judge_pending
from streams.store.imports import import_counts
from streams.store.migrate import migrate
from streams.store.pool import open_pool
from tests.conftest import make_database
from tests.streams.alerts.explaining.raised import raised_alerts
from tests.support.events import Record
from tests.support.store import worker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.alerts import Alert
    from streams.config import Configuration

SEED = 2009
#: The weeks that the demo replays.
FIRST_WEEK, AFTER_LAST_WEEK = date(2009, 6, 29), date(2009, 9, 28)
#: Counties whose sales are told, so that the test stays quick.
SELLING = {"TW-TPE", "TW-NWT", "TW-KHH", "TW-KEE", "TW-ILA", "TW-PIF"}
#: A large department that goes silent for two weeks, from when on.
SILENT, SILENT_FROM = "TW-NWT-ED02", date(2009, 8, 31)
#: A department that takes the place of another one, from when on.
CLOSED, NEW, NEW_FROM = "TW-TPE-ED01", "TW-TPE-ED99", date(2009, 8, 24)
_AT_ONCE = 10_000


class Demo(NamedTuple):
    """The demo's data in a database, with every alarm as an alert, and their explanations."""

    database: str
    configuration: Configuration
    alerts: list[Alert]


@pytest.fixture(scope="session")
def demo(database_server: str) -> Iterator[Demo]:
    with as_file(files("streams.demo") / "data" / "demo.yaml") as path:
        configuration = load_configuration(path)
    with make_database(database_server) as uri:
        migrate(uri, configuration)
        with psycopg.connect(uri) as connection:
            import_counts(connection, taiwan.baseline_counts(FIRST_WEEK), replace=False)
        asyncio.run(_stream(uri, configuration))
        alerts = asyncio.run(_explained(uri, configuration))
        yield Demo(uri, configuration, alerts)


async def _stream(database: str, configuration: Configuration) -> None:
    span = (FIRST_WEEK, AFTER_LAST_WEEK)
    visits = [_moved(value) for _, value in taiwan.visits(*span, seed=SEED)]
    visits = [value for value in visits if value]
    sold = [value for region, value in sales.sales(*span, seed=SEED) if region in SELLING]
    async with worker(database, configuration) as at_work:
        for topic, first_sent in (("visits", visits), ("sales", sold)):
            values = first_sent + _corrections(first_sent[::40])
            position = await at_work.position(topic)
            for first in range(0, len(values), _AT_ONCE):
                batch = [
                    Record(position + first + i, None, value)
                    for i, value in enumerate(values[first : first + _AT_ONCE])
                ]
                await at_work.deliver(topic, 0, batch)
        while await judge_pending(at_work.pool, configuration):
            pass


def _moved(value: bytes) -> bytes:
    """Drop what the silent department does not send, and let the new one take over."""
    event = json.loads(value)
    day, facility = date.fromisoformat(event["occurred_at"][:10]), event["facility_id"]
    if facility == SILENT and SILENT_FROM <= day < SILENT_FROM + timedelta(days=14):
        return b""
    if facility == CLOSED and day >= NEW_FROM:
        return value.replace(CLOSED.encode(), NEW.encode())
    return value


def _corrections(values: list[bytes]) -> list[bytes]:
    """Cancel some events, and move others to another facility or to the day before."""
    return [_corrected(i, json.loads(value)) for i, value in enumerate(values)]


def _corrected(i: int, event: dict[str, Any]) -> bytes:
    event["revision"] = event.get("revision", 1) + 1
    if i % 3 == 0:
        event["cancelled"] = True
    elif i % 3 == 1:
        event["facility_id"] = event["facility_id"][:-2] + "01"
    else:
        day, rest = event["occurred_at"][:10], event["occurred_at"][10:]
        event["occurred_at"] = f"{date.fromisoformat(day) - timedelta(days=1)}{rest}"
    return json.dumps(event, ensure_ascii=False).encode()


async def _explained(database: str, configuration: Configuration) -> list[Alert]:
    alerts = raised_alerts(database, configuration)
    async with open_pool(database, size=1) as pool, pool.connection() as connection:
        row = await (await connection.execute("SELECT clock_timestamp()")).fetchone()
        assert row
        await roll_up(connection)
        found = await explain(connection, alerts, configuration, row[0])
    return [
        alert.model_copy(update={"explanation": explanation})
        for alert, explanation in zip(alerts, found, strict=True)
    ]
