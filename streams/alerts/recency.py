"""Whether what was found is news: old data that arrive late page nobody. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from schemas.alerts import Opened, Resumed
from streams.alerts.combining import last_day

if TYPE_CHECKING:
    from datetime import datetime

    from schemas.alerts import Alert, AlertEvent
    from schemas.config import Surveillance

__all__ = ["event_is_news", "is_news"]


def is_news(alert: Alert, found_at: datetime, surveillance: Surveillance) -> bool:
    """Tell whether the latest exceedance was recent when it was found.

    Recent means that its period ended at most `alerts.announce_within_days` before.
    """
    within = surveillance.alerts.announce_within_days
    if within is None:
        return True
    found_on = found_at.astimezone(surveillance.zone).date()
    return last_day(alert.last_period, alert.grain) >= found_on - timedelta(days=within)


def event_is_news(event: AlertEvent, alert: Alert, surveillance: Surveillance) -> bool:
    """Tell whether an event is to be announced at once; only what begins can be old."""
    change = event.change
    if isinstance(change, Opened | Resumed):
        grain = change.grain or alert.grain
        then = alert.model_copy(update={"last_period": change.figures.period, "grain": grain})
        return is_news(then, event.at, surveillance)
    return change.kind not in {"absorbed", "escalated"} or is_news(alert, event.at, surveillance)
