"""The demo's data for servers that run already."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from importlib import resources
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from typer.testing import CliRunner

from streams.cli.main import app
from streams.config import Configuration, load_configuration
from streams.demo import sales, taiwan
from streams.demo.events import FIRST_WEEK, count_records
from streams.demo.publish import demo_configuration, publish_demo
from streams.errors import ConfigError
from streams.kafka_lag import read_log_ends
from tests.support.workers import make_settings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SEED = 2009
AFTER_ONE_WEEK = FIRST_WEEK + timedelta(days=7)


@pytest.fixture
def demo(tmp_path: Path) -> Configuration:
    path = tmp_path / "demo.yaml"
    path.write_text(demo_configuration(), encoding="utf-8")
    return load_configuration(path)


def test_its_configuration_is_the_demo_s_but_for_notifications(demo: Configuration) -> None:
    with resources.as_file(resources.files("streams.demo") / "data" / "demo.yaml") as path:
        whole = load_configuration(path).surveillance
    assert whole.notify.routes
    without = type(whole.notify)()
    assert demo.surveillance == whole.model_copy(update={"notify": without})


def test_init_writes_it(tmp_path: Path) -> None:
    printed = CliRunner().invoke(app, ["init", "--demo", "-"])
    assert printed.output == demo_configuration()
    path = tmp_path / "written.yaml"
    assert CliRunner().invoke(app, ["init", "--demo", str(path)]).exit_code == 0
    assert path.read_text(encoding="utf-8") == printed.output
    assert "county-cdc" in CliRunner().invoke(app, ["init", "-"]).output


def test_baseline_and_events_arrive_and_twice_is_no_matter(
    database_url: str, kafka: str, fresh_name: str, demo: Configuration
) -> None:
    settings = make_settings(kafka, database_url, fresh_name)
    week = (FIRST_WEEK, AFTER_ONE_WEEK)
    expected = {
        settings.visits_topic: int(taiwan.daily_visits(*week, seed=SEED).sum()),
        settings.sales_topic: int(sales.daily_sales(*week, seed=SEED).sum()),
    }
    for times in (1, 2):
        told: list[int] = []
        sent = publish_demo(
            settings, demo, seed=SEED, on_progress=told.append, after_last=AFTER_ONE_WEEK
        )
        assert sent == sum(told) == sum(expected.values())
        assert records_in(kafka, expected) == {k: times * v for k, v in expected.items()}
    baseline = list(taiwan.baseline_counts(FIRST_WEEK))
    with psycopg.connect(database_url) as connection:
        stored = connection.execute("SELECT count(*), sum(value) FROM imported_counts").fetchone()
    assert stored == (len(baseline), sum(count.value for count in baseline))


def records_in(kafka: str, topics: Iterable[str]) -> dict[str, int]:
    found = dict.fromkeys(topics, 0)
    for (topic, _), (first, end) in read_log_ends(kafka, topics).ends.items():
        found[topic] += end - first
    return found


def test_all_records_are_counted_beforehand() -> None:
    assert count_records(SEED) == 332_012  # the README's number


def test_another_configuration_is_refused_before_anything_is_written(
    database_url: str, kafka: str, fresh_name: str, demo: Configuration
) -> None:
    surveillance = demo.surveillance
    young = surveillance.event_time.model_copy(update={"max_age_days": 400})
    changes: tuple[dict[str, Any], ...] = (
        {"regions": "cn"},
        {"signals": {}},
        {"event_time": young},
    )
    for change in changes:
        other = replace(demo, surveillance=surveillance.model_copy(update=change))
        with pytest.raises(ConfigError, match="fenghuo init --demo"):
            publish_demo(
                make_settings(kafka, database_url, fresh_name),
                other,
                seed=SEED,
                on_progress=lambda _: None,
            )
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT 1 FROM imported_counts").fetchone() is None
