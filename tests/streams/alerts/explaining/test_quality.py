"""Gaps in the data that an alert was judged by are told."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from schemas.alerts import Alert, DataQuality
from streams.alerts.explaining import explain, roll_up
from streams.config import load_configuration
from streams.wording import alert_sentences
from tests.support.counted import imported, live, reporting
from tests.support.events import NEW_TAIPEI, TAIPEI

if TYPE_CHECKING:
    from streams.config import Configuration

#: A Monday.
MONDAY = date(2025, 9, 1)
NOW = datetime(2025, 9, 20, tzinfo=UTC)
RULES = """\
name: quality
regions: tw
time_zone: Asia/Taipei
signals:
  ili: {title: {en: Influenza-like illness, zh: 流感样病例}, of: visits}
rules:
  day: {signal: ili, level: county, detector: {type: ears, method: C1, baseline: 28}}
  seven:
    {signal: ili, level: county, grain: rolling7, detector: {type: ears, method: C1, baseline: 28}}
  week: {signal: ili, level: county, grain: week, detector: {type: ears, method: C1, baseline: 8}}
"""


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    path = tmp_path_factory.mktemp("quality") / "fenghuo.yaml"
    path.write_text(RULES, encoding="utf-8")
    return load_configuration(path)


def days(first: int, last: int) -> list[date]:
    """Days by their distance from the Monday, both included."""
    return [MONDAY + timedelta(days=i) for i in range(first, last + 1)]


def counted(database: str, region: str, *spans: tuple[int, int]) -> None:
    for first, last in spans:
        live(database, region, dict.fromkeys(days(first, last), 5.0))
        reporting(database, region, days(first, last))


async def explained(database: str, rules: Configuration, **changes: Any) -> Alert:
    values: dict[str, Any] = {
        "alert_id": 1, "version": 1, "decided_version": 1, "status": "new", "severity": "info",
        "signal": "ili", "region": TAIPEI, "rule": "day", "grain": "day", "first_period": MONDAY,
        "own_first_period": MONDAY, "own_last_period": MONDAY, "last_period": MONDAY,
        "exceedances": 1, "observed": 30.0, "expected": 10.0, "upper": 20.0, "peak": 30.0,
        "detector": {}, "config_version": "abc", "as_of": NOW, "opened_at": NOW,
        "updated_at": NOW,
    }  # fmt: skip
    alert = Alert.model_validate(values | changes)
    async with await psycopg.AsyncConnection.connect(database) as connection:
        await roll_up(connection)
        (found,) = await explain(connection, [alert], rules, NOW)
    return alert.model_copy(update={"explanation": found})


def quality(alert: Alert) -> DataQuality:
    assert alert.explanation is not None
    assert alert.explanation.quality is not None
    return alert.explanation.quality


async def test_nothing_is_said_of_complete_data(database_url: str, rules: Configuration) -> None:
    counted(database_url, TAIPEI, (-70, 6))
    for rule, grain in (("day", "day"), ("seven", "rolling7"), ("week", "week")):
        alert = await explained(database_url, rules, rule=rule, grain=grain)
        assert quality(alert).complete
        assert "data quality" not in alert_sentences(alert, rules).en


async def test_an_outage_in_the_baseline(database_url: str, rules: Configuration) -> None:
    counted(database_url, TAIPEI, (-120, -21), (-16, 6))
    counted(database_url, NEW_TAIPEI, (-120, 6))
    alert = await explained(database_url, rules)
    assert quality(alert) == DataQuality(baseline=28, missing=4)
    assert alert_sentences(alert, rules).en.endswith(
        "; data quality: 4 of the 28 days before are missing."
    )
    assert alert_sentences(alert, rules).zh.endswith("；数据质量：此前28天中缺4天。")
    weekly = await explained(database_url, rules, rule="week", grain="week")
    assert quality(weekly) == DataQuality(baseline=8, missing=1)
    assert "1 of the 8 weeks before is missing" in alert_sentences(weekly, rules).en
    assert "此前8周中缺1周" in alert_sentences(weekly, rules).zh
    seven = await explained(database_url, rules, rule="seven", grain="rolling7")
    assert quality(seven) == DataQuality(baseline=28, missing=4)


async def test_data_that_begin_within_the_baseline(database_url: str, rules: Configuration) -> None:
    counted(database_url, NEW_TAIPEI, (-120, 6))
    counted(database_url, TAIPEI, (-10, 6))
    alert = await explained(database_url, rules)
    since = MONDAY - timedelta(days=10)
    assert quality(alert) == DataQuality(baseline=28, data_since=since)
    assert "data quality: data begin only on 22 August 2025" in alert_sentences(alert, rules).en
    assert "数据质量：数据自2025年8月22日起" in alert_sentences(alert, rules).zh
    # The first whole week.
    weekly = await explained(database_url, rules, rule="week", grain="week")
    assert quality(weekly).data_since == MONDAY - timedelta(days=7)
    # What was imported is known.
    imported(database_url, TAIPEI, "day", dict.fromkeys(days(-60, -11), 4.0))
    assert quality(await explained(database_url, rules)).complete


async def test_reports_of_the_period_itself_that_are_missing(
    database_url: str, rules: Configuration
) -> None:
    counted(database_url, NEW_TAIPEI, (-120, 20))
    counted(database_url, TAIPEI, (-120, 2), (7, 20))
    alert = await explained(database_url, rules, rule="week", grain="week")
    assert quality(alert) == DataQuality(baseline=8, period_missing=1)
    assert "reports of the period itself are missing" in alert_sentences(alert, rules).en
    assert "本时段缺少报告" in alert_sentences(alert, rules).zh


async def test_a_rule_that_is_gone_and_no_counts_tell_nothing(
    database_url: str, rules: Configuration
) -> None:
    for rule in ("day", "gone"):
        alert = await explained(database_url, rules, rule=rule)
        assert alert.explanation is not None
        assert alert.explanation.quality is None
        if rule == "day":
            counted(database_url, TAIPEI, (-70, 6))
