from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from schemas.alerts import Acknowledged, Alert, Assigned, Change, Revised
from schemas.config import Surveillance
from streams.alerts import watching
from streams.alerts.watching import escalate_unread, look_again, overdue
from streams.judging.loop import judge_pending
from streams.store.alerts import get_history
from streams.store.pool import open_pool
from tests.support.alerts import AS_OF, alert_of, decide, figures, open_alert, tell
from tests.support.counted import live, reporting
from tests.support.events import KAOHSIUNG, TAIPEI
from tests.support.store import rows

if TYPE_CHECKING:
    from streams.config import Configuration

NOW = datetime(2026, 11, 22, 9, tzinfo=UTC)


def surveillance(**changes: Any) -> Surveillance:
    return Surveillance.model_validate(
        {
            "name": "watched",
            "alerts": {"announce_within_days": None},  # the alerts lie far back
            "signals": {"ili": {"title": {"en": "ILI", "zh": "流感样"}, "of": "visits"}},
            "rules": {
                "ili-week": {"signal": "ili", "level": "county", "detector": {"type": "ears"}},
                "ili-day": {
                    "signal": "ili",
                    "level": "county",
                    "detector": {"type": "ears"},
                    "escalate_after_minutes": 30,
                },
            },
        }
        | changes
    )


def escalate(database: str, configured: Surveillance) -> list[int]:
    async def run() -> list[Alert]:
        async with open_pool(database, size=1) as pool:
            return await escalate_unread(pool, configured)

    return [alert.alert_id for alert in asyncio.run(run())]


def age(database: str, alert_id: int, minutes: int) -> None:
    """Have an alert opened so long ago, in history and row."""
    with psycopg.connect(database) as connection:
        ago = timedelta(minutes=minutes)
        connection.execute(
            "UPDATE alert_events SET at = at - %s WHERE alert_id = %s AND seq = 1", (ago, alert_id)
        )
        connection.execute(
            "UPDATE alerts SET opened_at = opened_at - %s WHERE alert_id = %s", (ago, alert_id)
        )


def test_many_alerts_are_escalated_a_few_at_a_time(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each transaction holds the lock of alerts: a server ends it when the client takes long."""
    monkeypatch.setattr(watching, "_AT_ONCE", 2)
    regions = ("TW-TPE", "TW-KHH", "TW-NWT", "TW-TAO", "TW-ILA")
    ids = [open_alert(database_url, region=region) for region in regions]
    for alert_id in ids:
        age(database_url, alert_id, 16)
    assert escalate(database_url, surveillance()) == ids
    transactions = rows(
        database_url, "SELECT count(DISTINCT at) FROM alert_events WHERE kind = 'escalated'"
    )
    assert transactions == [(3,)]


def test_an_alert_that_nobody_reads_is_escalated_once(database_url: str) -> None:
    critical = open_alert(database_url)
    warning = open_alert(database_url, region="TW-KHH", severity="warning")
    info = open_alert(database_url, region="TW-NWT", severity="info")
    assert escalate(database_url, surveillance()) == []
    for alert_id in (critical, warning, info):
        age(database_url, alert_id, 16)
    assert escalate(database_url, surveillance()) == [critical]
    assert escalate(database_url, surveillance()) == []
    for alert_id in (critical, warning, info):
        age(database_url, alert_id, 100_000)
    assert escalate(database_url, surveillance()) == [warning]
    with psycopg.connect(database_url) as connection:
        (_, event) = get_history(connection, critical)
    assert event.actor == "system"
    assert event.change.model_dump() == {"kind": "escalated", "after_minutes": 15}
    alert = alert_of(database_url, critical)
    assert (alert.escalated_at, alert.status, alert.decided_version) == (event.at, "new", 1)


@pytest.mark.parametrize("change", [Acknowledged(), Assigned(to="wang")])
def test_an_alert_that_somebody_has_read_is_not_escalated(
    database_url: str, change: Change
) -> None:
    alert_id = open_alert(database_url)
    age(database_url, alert_id, 60)
    decide(database_url, alert_id, change)
    assert escalate(database_url, surveillance()) == []


def test_nobody_is_called_for_what_corrections_took_back(database_url: str) -> None:
    alert_id = open_alert(database_url)
    age(database_url, alert_id, 60)
    tell(database_url, alert_id, Revised(before=figures(), now=None, as_of=AS_OF))
    assert escalate(database_url, surveillance()) == []


def test_two_workers_escalate_an_alert_once(database_url: str) -> None:
    alert_id = open_alert(database_url)
    age(database_url, alert_id, 60)

    async def run() -> list[list[Alert]]:
        async with open_pool(database_url, size=2) as pool:
            return await asyncio.gather(*(escalate_unread(pool, surveillance()) for _ in range(2)))

    assert sorted(len(escalated) for escalated in asyncio.run(run())) == [0, 1]


def test_a_rule_or_a_severity_sets_the_time(database_url: str) -> None:
    week = alert_of(database_url, open_alert(database_url))
    day = alert_of(database_url, open_alert(database_url, rule="ili-day", grain="day"))
    other = alert_of(database_url, open_alert(database_url, rule="former"))
    opened = max(alert.opened_at for alert in (week, day, other))

    def due(minutes: float, configured: Surveillance) -> dict[str, int]:
        found = overdue(opened + timedelta(minutes=minutes), [week, day, other], configured)
        return {alert.rule: after for alert, after in found}

    assert due(14.9, surveillance()) == {}
    assert due(15, surveillance()) == {"ili-week": 15, "former": 15}
    assert due(31, surveillance()) == {"ili-week": 15, "former": 15, "ili-day": 30}
    never = surveillance(alerts={"escalate": {}, "announce_within_days": None})
    assert due(10_000, never) == {"ili-day": 30}


def test_an_alert_ends_also_where_nothing_more_is_counted(
    database_url: str, configuration: Configuration
) -> None:
    start = date(2025, 3, 3)
    counts = {start + timedelta(days=i): 4.0 + i % 3 for i in range(30)}
    peak = start + timedelta(days=30)

    async def judge() -> None:
        async with open_pool(database_url, size=1) as pool:
            await judge_pending(pool, configuration)

    async def look() -> int:
        async with open_pool(database_url, size=1) as pool:
            return await look_again(pool, configuration.surveillance)

    rule = next(
        name
        for name, rule in configuration.surveillance.rules.items()
        if rule.level == "county" and rule.grain != "week"
    )
    signal = configuration.surveillance.rules[rule].signal
    live(database_url, TAIPEI, counts | {peak: 900}, signal=signal)
    asyncio.run(judge())
    assert asyncio.run(look()) == 0  # the series is judged to its end
    later = {peak + timedelta(days=i): 3.0 for i in range(1, 15)}
    live(database_url, KAOHSIUNG, later, signal=signal)
    # Taipei's clinics go on reporting, without a case.
    reporting(database_url, TAIPEI, [*counts, peak, *later], signal=signal)
    asyncio.run(judge())
    taipei = "SELECT count(quiet_since), count(*) FROM alerts WHERE region = 'TW-TPE' AND rule = %s"
    assert rows(database_url, taipei, rule) == [(0, 1)]
    for _ in range(3):  # a look reaches as far as the detector looks back
        assert asyncio.run(look()) >= 0
        asyncio.run(judge())
    assert rows(database_url, taipei, rule) == [(1, 1)]
    assert asyncio.run(look()) == 0


def test_a_silent_county_ends_no_outbreak_and_raises_no_alarm_when_it_returns(
    database_url: str, configuration: Configuration
) -> None:
    start = date(2025, 3, 3)
    rule = next(
        name
        for name, rule in configuration.surveillance.rules.items()
        if rule.level == "county" and rule.grain != "week"
    )
    signal = configuration.surveillance.rules[rule].signal

    def count(region: str, days: range, *values: float) -> None:
        counts = {start + timedelta(days=i): values[i % len(values)] for i in days}
        live(database_url, region, counts, signal=signal)

        async def judge() -> None:
            async with open_pool(database_url, size=1) as pool:
                await judge_pending(pool, configuration)
                await look_again(pool, configuration.surveillance)
                await judge_pending(pool, configuration)

        asyncio.run(judge())

    def found(region: str) -> list[Any]:
        return rows(
            database_url,
            "SELECT last_period, quiet_since FROM alerts WHERE region = %s AND rule = %s",
            region,
            rule,
        )

    count(TAIPEI, range(60), 40, 41, 42)
    count(KAOHSIUNG, range(60), 40, 41, 42)
    assert found(TAIPEI) == []
    count(TAIPEI, range(60, 61), 900)
    ((_, quiet),) = found(TAIPEI)
    for day in range(60, 69):  # Taipei says nothing for eight days
        count(KAOHSIUNG, range(day, day + 1), 41)
    assert quiet is None
    assert [quiet for _, quiet in found(TAIPEI)] == [None]
    (before,) = found(TAIPEI)
    count(TAIPEI, range(69, 72), 40, 41, 42)  # and returns as it always was
    assert found(TAIPEI)[0][0] == before[0]
    count("TW-NWT", range(70, 73), 50)  # a county that joins
    assert found("TW-NWT") == []
