from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import TYPE_CHECKING

from streams.judging.loop import judge_pending
from streams.store.pool import open_pool
from tests.support.counted import live
from tests.support.events import TAIPEI
from tests.support.store import rows

if TYPE_CHECKING:
    from streams.config import Configuration

START = date(2025, 3, 3)


def judge(database: str, configuration: Configuration) -> None:
    async def run() -> None:
        async with open_pool(database, size=1) as pool:
            await judge_pending(pool, configuration)

    asyncio.run(run())


def test_each_look_at_the_queue_tells_how_long_it_took(
    database_url: str, configuration: Configuration
) -> None:
    live(database_url, TAIPEI, {START + timedelta(days=i): 5 for i in range(30)})
    judge(database_url, configuration)
    judge(database_url, configuration)  # nothing waits: nothing to tell
    live(database_url, TAIPEI, {START + timedelta(days=30): 5})
    judge(database_url, configuration)
    found = {
        rule: (runs, periods)
        for rule, runs, periods in rows(
            database_url, "SELECT rule, sum(runs), sum(periods) FROM judging_runs GROUP BY 1"
        )
    }
    # The rule on sales has nothing to judge.
    assert set(found) == {"*", "ili-week", "ili-rolling"}
    assert found["*"] == (2, 31)
    assert found["ili-rolling"][0] == 2
    assert found["ili-rolling"][1] == rows(
        database_url, "SELECT count(*) FROM verdicts WHERE rule = 'ili-rolling'"
    )[0][0]  # fmt: skip
    assert rows(
        database_url,
        "SELECT bool_and(seconds > 0 AND slowest <= seconds AND last_at <= clock_timestamp()) "
        "FROM judging_runs",
    ) == [(True,)]
    assert rows(database_url, "SELECT seconds_without_judging FROM screen_pipeline") == [(0.0,)]


def test_old_minutes_are_forgotten(database_url: str, configuration: Configuration) -> None:
    rows(
        database_url,
        "INSERT INTO judging_runs SELECT now() - interval '91 days', 'x', 1, 1, 1, 1, now() "
        "RETURNING 1",
    )
    live(database_url, TAIPEI, {START: 5})
    judge(database_url, configuration)
    assert rows(database_url, "SELECT count(*) FROM judging_runs WHERE rule = 'x'") == [(0,)]
