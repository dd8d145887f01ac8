"""A database that answers but takes no writes is not ready, and a worker at it is not healthy."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from streams.embedded import EmbeddedDatabase
from streams.settings import Settings
from streams.store.migrate import migrate
from streams.store.readiness import NotWritableError, check_writable
from streams.web.app import create_web
from tests.support.events import TAIPEI, Record
from tests.support.store import worker
from tests.support.web import Browser, serving

if TYPE_CHECKING:
    from pathlib import Path

    from streams.config import Configuration

LOCKS = "SELECT count(pg_advisory_lock(g)) FROM generate_series(1, 10000000) g"


def visit(number: int) -> bytes:
    event = {
        "event_id": f"e{number}", "source_id": "his-1", "facility_id": "c1", "region": TAIPEI,
        "occurred_at": datetime.now(UTC).isoformat(), "icd10": ["J11.1"], "age": 30,
    }  # fmt: skip
    return json.dumps(event).encode()


async def test_a_database_that_only_reads_is_not_ready(
    database_url: str, configuration: Configuration
) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await check_writable(connection)
        await check_writable(connection)
    only = make_conninfo(database_url, options="-c default_transaction_read_only=on")
    async with await psycopg.AsyncConnection.connect(only) as connection:
        with pytest.raises(NotWritableError, match="read-only"):
            await check_writable(connection)
    app = create_web(Settings(database=only), configuration)
    with serving(app) as url, Browser(url) as browser:
        ready = browser.get("/readyz")
        assert (ready.status, ready.json()["status"]) == (503, "not writable")


def test_without_room_for_locks_neither_page_nor_worker_is_well(
    configuration: Configuration, tmp_path: Path
) -> None:
    with EmbeddedDatabase(tmp_path / "pg") as server:
        migrate(server.uri, configuration)
        app = create_web(Settings(database=server.uri), configuration)
        with serving(app) as url, Browser(url) as browser:
            assert browser.get("/readyz").status == 200

            async def fail_and_recover() -> None:
                async with worker(server.uri, configuration) as at_work:
                    await at_work.position("visits")
                    await at_work.deliver("visits", 0, [Record(0, b"k", visit(0))])
                    assert at_work.ingest.failing is None
                    with psycopg.connect(server.uri, autocommit=True) as greedy:
                        with pytest.raises(psycopg.errors.OutOfMemory):
                            greedy.execute(LOCKS)
                        ready = await asyncio.to_thread(browser.get, "/readyz")
                        assert (ready.status, ready.json()["status"]) == (503, "not writable")
                        commit = asyncio.create_task(
                            at_work.deliver("visits", 0, [Record(1, b"k", visit(1))])
                        )
                        while (failing := at_work.ingest.failing) is None:  # noqa: ASYNC110 - no event tells
                            await asyncio.sleep(0.05)
                        assert failing.what == "commits fail (out of shared memory)"
                    await asyncio.wait_for(commit, 180)
                    assert at_work.ingest.failing is None

            asyncio.run(fail_and_recover())
            assert browser.get("/readyz").status == 200
