from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.alerts import (
    Absorbed,
    Acknowledged,
    Ended,
    Escalated,
    Explained,
    Explanation,
    Merged,
    Resumed,
    Revised,
    Verified,
)
from schemas.notify import QuietHours
from streams.notify.routing import FOR_EXPLANATION, Planned, plan
from streams.notify.schedule import in_window
from tests.streams.notify.support import NOW, alert_of, configured, opened

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.alerts import Severity
    from streams.config import Configuration

NOTIFY = """\
  windows:
    office: {days: [mon, tue, wed, thu, fri], from: 08:30, to: 17:30}
  channels:
    duty: {url: "json://localhost"}
    night: {url: "json://localhost"}
    mail: {url: "json://localhost", quiet_hours: {from: 22:00, to: 07:00}}
    li: {url: "json://localhost"}
    wang: {url: "json://localhost"}
  rotas:
    week: {from_week: 2026-W47, turns: [li, wang]}
  routes:
    urgent:
      severities: [critical]
      on: [opened, escalated]
      to: duty
      on_call: week
    north:
      regions: [TW-TPE, TW-NWT]
      signals: [ili]
      outside: office
      to: [night]
    all-day:
      severities: [warning, critical]
      to: mail
    low:
      severities: [info]
      digest: [08:00, 16:00]
      to: [mail, duty]
"""


@pytest.fixture(scope="module")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Configuration:
    return configured(tmp_path_factory.mktemp("notify"), NOTIFY)


def planned(
    configuration: Configuration,
    *,
    now: datetime = NOW,
    severity: Severity = "warning",
    region: str = "TW-TPE",
) -> dict[str, Planned]:
    event, alert = alert_of([opened(severity=severity, region=region)])
    return {one.channel: one for one in plan(event, alert, configuration, now)}


def test_severity_and_who_is_on_call(configuration: Configuration) -> None:
    assert planned(configuration, severity="critical").keys() == {"duty", "li", "mail"}
    later = NOW + timedelta(days=7)
    assert planned(configuration, severity="critical", now=later).keys() == {
        "duty", "wang", "mail",
    }  # fmt: skip
    assert planned(configuration, severity="warning").keys() == {"mail"}


def test_outside_of_office_hours_the_region_goes_elsewhere(configuration: Configuration) -> None:
    evening = NOW + timedelta(hours=10)
    assert "night" in planned(configuration, now=evening)
    assert "night" not in planned(configuration, now=NOW)
    assert "night" not in planned(configuration, now=evening, region="TW-KHH")


def test_a_route_for_a_region_holds_for_all_below(tmp_path: Path) -> None:
    nation = configured(
        tmp_path,
        "  channels: {a: {url: x}}\n  routes: {r: {regions: [TW], to: a}}\n",
    )
    assert planned(nation, region="TW-KHH").keys() == {"a"}


def test_low_severity_waits_for_the_digest(configuration: Configuration) -> None:
    found = planned(configuration, severity="info")
    four = datetime(2026, 11, 18, 8, 0, tzinfo=UTC)  # 16:00 in Taipei
    assert found["mail"] == Planned("mail", four, digest=True, route="low")
    assert found["duty"].due == four


def test_quiet_hours_hold_what_is_not_critical(configuration: Configuration) -> None:
    night = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)  # 23:00
    seven = datetime(2026, 11, 18, 23, 0, tzinfo=UTC)
    assert planned(configuration, now=night)["mail"].due == seven
    critical = planned(configuration, now=night, severity="critical")["mail"]
    assert critical.due == night + FOR_EXPLANATION


def test_news_of_an_alert_waits_for_its_explanation(configuration: Configuration) -> None:
    why = Explanation(
        as_of=NOW,
        period=opened().figures.period,
        excess=1,
        growth_per_day=None,
        doubling_days=None,
        completeness=None,
    )
    first, _ = alert_of([opened()])
    _, alert = alert_of([opened(), Explained(explanation=why)])
    (one,) = plan(first, alert, configuration, NOW)
    assert one.due == NOW
    assert planned(configuration)["mail"].due == NOW + FOR_EXPLANATION


def test_only_what_a_route_asks_for(configuration: Configuration) -> None:
    before = opened().figures
    revised = Revised(before=before, now=None, as_of=NOW)
    assert [one.channel for one in plan(*alert_of([opened(), revised]), configuration, NOW)] == [
        "mail"
    ]
    escalated = alert_of([opened(severity="critical"), Escalated(after_minutes=15)])
    assert {one.channel for one in plan(*escalated, configuration, NOW)} == {"duty", "li", "mail"}
    assert plan(*alert_of([opened(), Acknowledged()], actor="li"), configuration, NOW) == ()


def test_an_alert_that_was_merged_at_once_is_not_told(configuration: Configuration) -> None:
    first, _ = alert_of([opened()])
    _, merged = alert_of([opened(), Merged(into=3)])
    assert plan(first, merged, configuration, NOW) == ()


def test_a_severity_that_rises_by_merging_is_told_like_a_new_alert(
    configuration: Configuration,
) -> None:
    raised = Absorbed(alert=3, severity="critical", raised_from="warning")
    found = plan(*alert_of([opened(), raised]), configuration, NOW)
    assert {one.channel for one in found} == {"duty", "li", "mail"}
    assert {one.due for one in found} == {NOW}
    same = Absorbed(alert=3, severity="warning")
    assert plan(*alert_of([opened(), same]), configuration, NOW) == ()


def test_an_exceedance_that_begins_again_is_told_like_a_new_alert(
    configuration: Configuration,
) -> None:
    resumed = Resumed.model_validate(
        opened().model_dump(include=set(Resumed.model_fields) - {"kind"})
    )
    ended = Ended(quiet_since=resumed.figures.period, as_of=resumed.as_of)
    again = plan(*alert_of([opened(), Verified(), ended, resumed]), configuration, NOW)
    first = plan(*alert_of([opened()]), configuration, NOW)
    assert {one.channel for one in again} == {one.channel for one in first}


def test_the_earlier_of_two_routes_to_a_channel(tmp_path: Path) -> None:
    routes = """\
  channels: {a: {url: x}}
  routes:
    together: {digest: ["08:00"], to: a}
    at-once: {to: a}
    again: {to: a}
"""
    assert [one.route for one in planned(configured(tmp_path, routes)).values()] == ["at-once"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    now=st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    severity=st.sampled_from(["info", "warning", "critical"]),
    region=st.sampled_from(["TW", "TW-TPE", "TW-KHH"]),
)
def test_each_channel_once_and_never_in_the_past_or_at_night(
    configuration: Configuration, now: datetime, severity: Severity, region: str
) -> None:
    event, alert = alert_of([opened(severity=severity, region=region)])
    found = plan(event, alert, configuration, now)
    assert len({one.channel for one in found}) == len(found) >= 1
    quiet = configuration.surveillance.notify.channels["mail"].quiet_hours
    assert isinstance(quiet, QuietHours)
    for one in found:
        assert now <= one.due <= now + timedelta(days=2)
        assert one.digest == (one.route == "low")
        if one.channel == "mail" and severity != "critical":
            assert not in_window(quiet, one.due, configuration.surveillance.zone)
