"""Whether what was found is news: old data that arrive late page nobody. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from schemas.alerts import Absorbed, Escalated, Opened, Resumed, Worsened
from schemas.counts import last_day

if TYPE_CHECKING:
    from datetime import date, datetime

    from schemas.alerts import Alert, AlertEvent
    from schemas.config import Surveillance

__all__ = ["event_is_news", "too_old_to_announce"]


def too_old_to_announce(alert: Alert, surveillance: Surveillance) -> int | None:
    """Return the limit in days beyond which an alert was not announced; None: it was.

    What counts is how old the latest exceedance was when the alert opened, resumed or worsened
    the last time: older periods that come in later announce nothing, and take nothing back.
    """
    begun_to = alert.begun_to or last_day(alert.last_period, alert.grain)
    if _is_recent(begun_to, alert.unread_since, surveillance):
        return None
    return surveillance.alerts.announce_within_days


def event_is_news(event: AlertEvent, alert: Alert, surveillance: Surveillance) -> bool:
    """Tell whether an event is to be announced at once; only what begins can be old.

    What begins is recent if its period ended at most `alerts.announce_within_days` before it was
    found.
    """
    change = event.change
    match change:
        case Opened() | Resumed() | Worsened():
            until = last_day(change.figures.period, change.grain or alert.grain)
        case Absorbed() | Escalated():
            until = last_day(alert.last_period, alert.grain)
        case _:
            return True
    return _is_recent(until, event.at, surveillance)


def _is_recent(until: date, found_at: datetime, surveillance: Surveillance) -> bool:
    within = surveillance.alerts.announce_within_days
    if within is None:
        return True
    found_on = found_at.astimezone(surveillance.zone).date()
    return until >= found_on - timedelta(days=within)
