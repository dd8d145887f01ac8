from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import psycopg
from typer.testing import CliRunner

from schemas.config import Rule
from streams.cli.main import app
from streams.store.migrate import migrate
from streams.store.surveyed import describe_surveillance, note_page
from tests.conftest import CONFIG
from tests.support.store import rows

if TYPE_CHECKING:
    import pytest

    from streams.config import Configuration


def test_signals_and_rules_are_those_of_the_configuration(
    database_url: str, configuration: Configuration
) -> None:
    describe_surveillance(database_url, configuration)
    assert rows(
        database_url, "SELECT signal, title_zh, kind, measure FROM signals ORDER BY place"
    ) == [
        ("ili", "流感样病例", "visits", "events"),
        ("fever", "发热", "visits", "events"),
        ("antipyretic", "退热药销量", "sales", "quantity"),
        ("antipyretic-sales", "退热药销售笔数", "sales", "events"),
    ]
    assert rows(database_url, "SELECT rule, level, grain, detector FROM rules ORDER BY place") == [
        ("ili-week", "county", "week", "ears method=C2"),
        ("ili-rolling", "county", "rolling7", "ears method=C1"),
        ("antipyretic-nation", "nation", "day", "ears method=C3"),
    ]


def test_what_was_removed_goes_and_what_changed_changes(
    database_url: str, configuration: Configuration
) -> None:
    surveillance = configuration.surveillance
    fewer = surveillance.model_copy(
        update={
            "signals": {"ili": surveillance.signals["ili"]},
            "rules": {
                "ili-week": Rule.model_validate(
                    surveillance.rules["ili-week"].model_dump() | {"level": "nation"}
                )
            },
        }
    )
    try:
        describe_surveillance(database_url, replace(configuration, surveillance=fewer))
        assert rows(database_url, "SELECT signal FROM signals") == [("ili",)]
        assert rows(database_url, "SELECT rule, level FROM rules") == [("ili-week", "nation")]
    finally:
        describe_surveillance(database_url, configuration)
    assert rows(database_url, "SELECT count(*) FROM rules") == [(3,)]


def test_migrating_tells_where_the_page_is(
    database_url: str, configuration: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FENGHUO_WEB_URL", "https://fenghuo.example.org/")
    done = CliRunner().invoke(
        app, ["db", "migrate", "--database", database_url, "--config", str(CONFIG)]
    )
    assert done.exit_code == 0, done.output
    assert rows(database_url, "SELECT * FROM links") == [("page", "https://fenghuo.example.org")]
    note_page(database_url, "https://elsewhere.example.org")
    assert rows(database_url, "SELECT url FROM screen_links") == [
        ("https://elsewhere.example.org",)
    ]


def test_sums_are_made_anew_when_weeks_begin_on_another_day(
    database_url: str, configuration: Configuration
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO series (signal, region, stratum) VALUES ('ili', 'TW-TPE', 'all')"
        )
        connection.execute("INSERT INTO daily_counts SELECT series_id, '2025-03-09', 4 FROM series")
    mmwr = replace(
        configuration,
        surveillance=configuration.surveillance.model_copy(update={"epi_week": "mmwr"}),
    )
    weeks = "SELECT period::text, value FROM level_counts WHERE grain = 'week'"
    try:
        migrate(database_url, mmwr)
        assert rows(database_url, weeks) == [("2025-03-09", 4)]
    finally:
        migrate(database_url, configuration)
    assert rows(database_url, weeks) == [("2025-03-03", 4)]
