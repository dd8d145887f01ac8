"""What was found in the far past is not announced, and hides nothing that is found today."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from streams.alerts.recency import too_old_to_announce
from streams.alerts.watching import escalate_unread
from streams.config import load_configuration
from streams.store.pool import open_pool
from tests.streams.alerts import test_resuming as resuming
from tests.support.counted import live
from tests.support.events import TAIPEI
from tests.support.store import rows

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

    from streams.config import Configuration

LIMIT = "announce_within_days: 60"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    """A rule of days, and one of weeks for large counts whose alerts end after a year."""
    text = resuming.RULES.replace("announce_within_days: null", LIMIT)
    text = text.replace("ended_after: 1", "ended_after: 366\n    min_cases: 120")
    return configured(tmp_path_factory.mktemp("both"), text)


@pytest.fixture(scope="module")
def day_rule(tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    text = resuming.RULES.replace("announce_within_days: null", LIMIT).partition("  week:")[0]
    return configured(tmp_path_factory.mktemp("day"), text)


def configured(folder: Path, text: str) -> Configuration:
    path = folder / "fenghuo.yaml"
    path.write_text(text, encoding="utf-8")
    return load_configuration(path)


def count(database: str, configuration: Configuration, counts: Mapping[int, float]) -> None:
    """Count cases so many days ago, and judge them."""
    now = today(configuration)
    live(database, TAIPEI, {now - timedelta(days=ago): n for ago, n in counts.items()})
    resuming.count(database, configuration, {})


def today(configuration: Configuration) -> date:
    return datetime.now(UTC).astimezone(configuration.surveillance.zone).date()


def steady(first: int, last: int) -> dict[int, float]:
    """Few cases on the days from so many days ago to so many."""
    return {ago: 4 + ago % 3 for ago in range(first, last - 1, -1)}


def escalated(database: str, configuration: Configuration) -> list[int]:
    rows(database, "UPDATE alerts SET opened_at = opened_at - interval '3 h', "
                   "resumed_at = resumed_at - interval '3 h' RETURNING 1")  # fmt: skip

    async def run() -> list[int]:
        async with open_pool(database, size=1) as pool:
            return [one.alert_id for one in await escalate_unread(pool, configuration.surveillance)]

    return asyncio.run(run())


def test_a_stale_alert_with_a_recent_exceedance_is_announced_once(
    database_url: str, day_rule: Configuration
) -> None:
    count(database_url, day_rule, steady(330, 301) | {300: 60})
    (alert,) = resuming.alerts(database_url)
    assert not alert.over  # otherwise any exceedance would resume it
    assert resuming.heard(database_url, day_rule) == []
    assert too_old_to_announce(alert, day_rule.surveillance) == 60
    # More of the past is no news.
    count(database_url, day_rule, {299: 61})
    assert resuming.heard(database_url, day_rule) == []
    assert escalated(database_url, day_rule) == []

    count(database_url, day_rule, steady(298, 3) | {2: 400})
    assert resuming.heard(database_url, day_rule) == [("resumed", alert.alert_id)]
    (alert,) = resuming.alerts(database_url)
    assert (alert.observed, alert.over) == (400, False)
    assert too_old_to_announce(alert, day_rule.surveillance) is None

    count(database_url, day_rule, {2: 500, 1: 510})
    assert resuming.heard(database_url, day_rule) == [("resumed", alert.alert_id)]
    assert escalated(database_url, day_rule) == [alert.alert_id]


def test_nothing_recent_is_merged_into_a_stale_alert(
    database_url: str, both: Configuration
) -> None:
    monday = 301 + (today(both) - timedelta(days=301)).weekday()
    week = dict.fromkeys(range(monday, monday - 7, -1), 19.0)  # too few on any day
    count(database_url, both, steady(monday + 56, monday + 1) | week)
    (stale,) = resuming.alerts(database_url)
    assert stale.rule == "week"
    count(database_url, both, steady(monday - 7, 3) | {2: 40})
    stale, recent = resuming.alerts(database_url)
    assert (stale.rule, stale.over, stale.status) == ("week", False, "new")
    assert (recent.rule, recent.status, recent.merged_into) == ("day", "new", None)
    assert resuming.heard(database_url, both) == [("opened", recent.alert_id)]
