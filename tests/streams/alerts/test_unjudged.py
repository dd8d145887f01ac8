"""An alert whose rule or region is not configured any more keeps no later exceedance quiet."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest

from schemas.regions import RegionRegistry
from streams.alerts.watching import end_unjudged, look_again
from streams.config import load_configuration
from streams.judging.loop import judge_pending
from streams.store.alert_history import rebuild
from streams.store.alerts import list_alerts
from streams.store.head_states import StateDifference, differing_states
from streams.store.migrate import migrate
from streams.store.pool import open_pool
from tests.support.counted import live
from tests.support.events import KAOHSIUNG, TAIPEI
from tests.support.store import rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from schemas.alerts import Alert
    from streams.config import Configuration

HEAD = """\
name: unjudged
regions: tw
time_zone: Asia/Taipei
signals:
  ili: {title: {en: Influenza-like illness, zh: 流感样病例}, of: visits}
  gastro: {title: {en: Gastroenteritis, zh: 胃肠炎}, of: visits}
alerts: {update_seconds: 0, announce_within_days: null}
rules:
"""
DAY = """\
  day:
    signal: ili
    level: county
    group: flu
    detector: {type: fixed_value, cases: 10}
"""
SEVEN = """\
  seven:
    signal: ili
    level: county
    grain: rolling7
    severity: critical
    group: flu
    detector: {type: fixed_value, cases: 60}
"""
START = date(2025, 3, 3)
WAVE = dict.fromkeys(range(10), 3.0) | dict.fromkeys(range(10, 14), 20.0)
QUIET = dict.fromkeys(range(14, 30), 2.0)


class Place:
    """A database with a configuration that changes."""

    def __init__(self, database: str, folder: Path) -> None:
        self.database = database
        self._path = folder / "fenghuo.yaml"

    def configure(self, rules: str) -> None:
        self._path.write_text(HEAD + rules, encoding="utf-8")
        self.configuration = load_configuration(self._path)
        migrate(self.database, self.configuration)

    def count(
        self, counts: Mapping[int, float], region: str = TAIPEI, *, signal: str = "ili"
    ) -> set[str]:
        """Count and judge day by day, then do what time brings; return the kinds of events."""
        before = self._last_event()

        async def go() -> None:
            async with open_pool(self.database, size=2) as pool:
                for offset, value in counts.items():
                    day = {START + timedelta(days=offset): value}
                    await asyncio.to_thread(live, self.database, region, day, signal=signal)
                    await judge_pending(pool, self.configuration)
                await look_again(pool, self.configuration.surveillance)
                await end_unjudged(pool, self.configuration)

        asyncio.run(go())
        found = rows(
            self.database, "SELECT DISTINCT kind FROM alert_events WHERE event_id > %s", before
        )
        return {kind for (kind,) in found}

    def alerts(self) -> list[Alert]:
        with psycopg.connect(self.database) as connection:
            return list_alerts(connection)[::-1]

    def differing(self) -> list[StateDifference]:
        async def run() -> list[StateDifference]:
            async with open_pool(self.database, size=1) as pool, pool.connection() as connection:
                return await differing_states(connection, self.configuration)

        return asyncio.run(run())

    def _last_event(self) -> int:
        ((last,),) = rows(self.database, "SELECT coalesce(max(event_id), 0) FROM alert_events")
        return int(last)


@pytest.fixture
def place(database_url: str, tmp_path: Path, configuration: Configuration) -> Iterator[Place]:
    place = Place(database_url, tmp_path)
    try:
        yield place
        with psycopg.connect(database_url) as connection:
            assert rebuild(connection, check_only=True)[1] == []
        assert place.differing() == []
    finally:
        migrate(database_url, configuration)  # other tests use the database


def test_a_second_wave_is_news_although_the_heads_rule_was_removed(place: Place) -> None:
    place.configure(DAY + SEVEN)
    place.count(WAVE)
    head, merged = place.alerts()
    assert (head.rule, merged.rule, merged.merged_into) == ("day", "seven", head.alert_id)
    place.configure(SEVEN)
    assert "ended" in place.count(QUIET)
    assert place.alerts()[0].quiet_since is not None
    assert "resumed" in place.count({30: 500})
    head, *_ = place.alerts()
    assert (head.observed, head.over, head.leading_rule) == (512, False, "seven")


def test_a_wave_that_goes_on_under_another_rule_does_not_end(place: Place) -> None:
    place.configure(DAY + SEVEN)
    place.count(WAVE)
    place.configure(SEVEN)
    assert "ended" not in place.count({14: 20})
    assert place.alerts()[0].over is False


@pytest.mark.parametrize(
    "changed",
    [
        SEVEN,
        DAY.replace("  day:", "  daily:") + SEVEN,
        DAY.replace("level: county", "level: nation") + SEVEN,
        DAY.replace("signal: ili", "signal: gastro").replace("group: flu", "group: gut") + SEVEN,
    ],
    ids=["removed", "renamed", "level", "signal"],
)
def test_an_alert_whose_rule_is_not_judged_any_more_ends(place: Place, changed: str) -> None:
    place.configure(DAY)
    place.count(WAVE)
    (alert,) = place.alerts()
    assert alert.over is False
    place.configure(changed)
    assert place.count({}) == {"ended"}
    assert place.count({}) == set()
    (alert,) = place.alerts()
    assert alert.quiet_since == START + timedelta(days=14)
    # What is left is not merged into it: that would be heard by nobody.
    assert "opened" in place.count({14: 70})


def test_an_alert_of_a_region_that_left_the_registry_ends(place: Place) -> None:
    place.configure(DAY)
    place.count(WAVE)
    registry = place.configuration.regions
    left = RegionRegistry((one for one in registry if one.code != TAIPEI), name=registry.name)
    place.configuration = replace(place.configuration, regions=left)
    assert place.count({}, KAOHSIUNG) == {"ended"}


def test_another_signal_under_an_old_name_is_not_the_old_alerts(place: Place) -> None:
    """The rule `day` now judges gastroenteritis; its alert about influenza is open."""
    place.configure(DAY)
    place.count(WAVE)
    changed = DAY.replace("signal: ili", "signal: gastro").replace("group: flu", "group: gut")
    place.configure(changed + SEVEN)
    live(place.database, TAIPEI, {START + timedelta(days=14): 20}, signal="ili")
    assert "opened" in place.count({14: 700}, signal="gastro")
    by_day = [(one.signal, one.observed) for one in place.alerts() if one.rule == "day"]
    assert by_day == [("ili", 20), ("gastro", 700)]


def test_a_rule_that_is_set_aside_keeps_no_other_from_being_merged(place: Place) -> None:
    place.configure(DAY + SEVEN)
    place.count({day: value for day, value in WAVE.items() if day < 11})
    with psycopg.connect(place.database) as connection:
        connection.execute(
            "INSERT INTO judging_quarantine (signal, rule, region, first_day, last_day, reason, "
            "failures, since, retry_at) "
            "VALUES ('ili', 'day', %s, %s, %s, 'broken', 1, now(), now() + interval '1 day')",
            (TAIPEI, START, START),
        )
    place.count({11: 90})
    head, merged = place.alerts()
    assert (merged.rule, merged.merged_into) == ("seven", head.alert_id)
    assert rows(place.database, "SELECT rule FROM judging_quarantine") == [("day",)]
    with psycopg.connect(place.database) as connection:
        connection.execute("DELETE FROM judging_quarantine")
    place.count({11: 91})
