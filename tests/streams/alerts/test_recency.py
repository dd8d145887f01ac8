"""Exceedances of the far past, from data that come late, page nobody."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from schemas.alerts import SYSTEM, AlertEvent, Resumed, Updated
from streams.alerts.lifecycle import fold
from streams.alerts.recency import too_old_to_announce
from streams.alerts.watching import overdue
from streams.notify.routing import plan
from tests.streams.notify.support import NOW, configured
from tests.support.alerts import figures, opened

if TYPE_CHECKING:
    from pathlib import Path

    from schemas.alerts import Change
    from streams.config import Configuration

NOTIFY = """\
  language: en
  channels: {desk: {url: "json://localhost"}, mail: {url: "json://localhost"}}
  routes:
    now: {to: desk}
    daily: {to: mail, digest: ["08:00"]}
"""


@pytest.fixture
def limited(tmp_path: Path) -> Configuration:
    found = configured(tmp_path, NOTIFY)
    alerts = found.surveillance.alerts.model_copy(update={"announce_within_days": 60})
    surveillance = found.surveillance.model_copy(update={"alerts": alerts})
    return type(found)(surveillance, found.regions, found.detectors, found.version)


def told(configuration: Configuration, days_ago: int, *more: Change) -> set[str]:
    period = (NOW - timedelta(days=days_ago)).date()
    changes = [opened(figures=figures(period=period), first_period=period, grain="day"), *more]
    events = [
        AlertEvent(alert_id=12, seq=seq, at=NOW, actor=SYSTEM, change=one)
        for seq, one in enumerate(changes, 1)
    ]
    return {one.channel for one in plan(events[-1], fold(events), configuration, NOW)}


def test_a_backfill_waits_for_the_digest(limited: Configuration) -> None:
    assert told(limited, 59) == {"desk", "mail"}
    assert told(limited, 61) == told(limited, 370) == {"mail"}


def test_what_begins_again_now_is_told_whatever_was_before(limited: Configuration) -> None:
    now = figures(period=NOW.date())
    again = Resumed.model_validate(
        opened(figures=now, grain="day").model_dump(include=set(Resumed.model_fields) - {"kind"})
    )
    assert told(limited, 370, again) == {"desk", "mail"}


def test_later_periods_of_the_past_do_not_make_an_old_alert_announced(
    limited: Configuration,
) -> None:
    """200 days ago an alert opened that was 100 days old; now it is known to have gone on then."""
    then = NOW - timedelta(days=200)
    first, later = (NOW - timedelta(days=300)).date(), (NOW - timedelta(days=150)).date()
    begins = opened(figures=figures(period=first), first_period=first, grain="day")
    goes_on = Updated.model_validate(
        begins.model_dump(include=set(Updated.model_fields) - {"kind"})
        | {"figures": figures(period=later)}
    )
    alert = fold([
        AlertEvent(alert_id=12, seq=1, at=then, actor=SYSTEM, change=begins),
        AlertEvent(alert_id=12, seq=2, at=NOW, actor=SYSTEM, change=goes_on),
    ])  # fmt: skip
    assert too_old_to_announce(alert, limited.surveillance) == 60
    assert overdue(NOW, [alert], limited.surveillance) == []


def test_the_far_past_is_not_escalated(limited: Configuration) -> None:
    for days, count in ((1, 1), (300, 0)):
        period = (NOW - timedelta(days=days)).date()
        change = opened(figures=figures(period=period), grain="day")
        event = AlertEvent(alert_id=12, seq=1, at=NOW, actor=SYSTEM, change=change)
        later = NOW + timedelta(hours=3)
        assert len(overdue(later, [fold([event])], limited.surveillance)) == count
