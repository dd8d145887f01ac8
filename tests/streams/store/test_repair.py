"""Series numbers without a series get their names back from the events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
from typer.testing import CliRunner

from streams.cli.main import app
from tests.conftest import CONFIG
from tests.support.checks import assert_consistent, wrong_checks
from tests.support.events import NEW_TAIPEI, records, sale, visit
from tests.support.store import counts, rows, worker

if TYPE_CHECKING:
    from streams.config import Configuration


async def test_lost_series_are_named_and_nothing_is_invented(
    database_url: str, configuration: Configuration
) -> None:
    async with worker(database_url, configuration) as running:
        await running.position("visits")
        await running.position("sales")
        events = [visit(f"v-{n}", age=n * 10, region=NEW_TAIPEI) for n in range(8)]
        await running.deliver("visits", 0, records([*events, visit("moved")]))
        await running.deliver("visits", 0, records([visit("moved", revision=2, age=5)], first=9))
        await running.deliver("sales", 0, records([sale("s-1")]))
    before = counts(database_url)
    rows(database_url, "SELECT roll_up_facilities(1), roll_up_batches(1)")
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM series WHERE signal <> 'antipyretic'")
        connection.execute("DELETE FROM pending_judgements")
    rows(database_url, "SELECT roll_up_facilities(9), roll_up_batches(9)")
    assert "series" in wrong_checks(database_url)
    command = ["db", "repair", "--database", database_url, "--config", str(CONFIG)]
    shown = CliRunner().invoke(app, command)
    assert (shown.exit_code, "series" in wrong_checks(database_url)) == (0, True)
    done = CliRunner().invoke(app, [*command, "--apply"])
    assert done.exit_code == 0, done.output
    assert counts(database_url) == before
    assert ("ili", NEW_TAIPEI) in rows(
        database_url, "SELECT DISTINCT signal, region FROM pending_spans"
    )
    assert_consistent(database_url)

    # The name went to another number meanwhile: two numbers are not made one.
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE series SET series_id = DEFAULT WHERE signal = 'antipyretic'")
    refused = CliRunner().invoke(app, [*command, "--apply"])
    assert refused.exit_code == 1
    assert "has another number" in refused.stdout
