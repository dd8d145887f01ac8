"""An alert as a line of the inbox tells it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from schemas.alerts import OPEN_STATUSES
from streams.alerts.recency import too_old_to_announce
from streams.web.pictures import spark

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from markupsafe import Markup

    from schemas.alerts import Alert
    from streams.alerts.predictive_value import PredictiveValue
    from streams.store.curves import Point
    from streams.web.pages.reader import Reader

__all__ = ["Headline", "Row", "headline", "make_row"]


class Headline(NamedTuple):
    """What is said of an alert wherever it is named."""

    id: int
    version: int
    severity: str
    severity_words: str
    status: str
    status_words: str
    place: str
    place_other: str
    path: str
    signal: str
    period: str
    sentence: str
    open: bool
    unread: bool
    escalated: bool
    quiet: bool
    new_level: bool
    """Exceedances have ended, but counts have not fallen."""
    quiet_text: str
    taken_back: bool
    too_old: str
    """Says that the alert was too old to be announced; empty: it was announced."""
    risk: str
    risk_words: str
    outcome_words: str


class Row(NamedTuple):
    """A line of the inbox."""

    headline: Headline
    reasons: str
    observed: str
    expected: str
    ratio: str
    spark: Markup
    opened_at: datetime
    opened_text: str
    age: str
    assigned: str
    ppv: str
    ppv_title: str


def headline(alert: Alert, reader: Reader) -> Headline:
    """Tell who, where, what and how it stands."""
    is_open = alert.status in OPEN_STATUSES
    limit = too_old_to_announce(alert, reader.configuration.surveillance)
    return Headline(
        id=alert.alert_id,
        version=alert.version,
        severity=alert.severity,
        severity_words=reader.severity(alert.severity),
        status=alert.status,
        status_words=reader.status(alert.status),
        place=reader.place(alert.region),
        place_other=reader.place_other(alert.region),
        path=reader.path(alert.region),
        signal=reader.signal(alert.signal),
        period=reader.period(alert.last_period, alert.grain),
        sentence=reader.sentence(alert),
        open=is_open,
        unread=is_open and alert.acknowledged_at is None,
        escalated=is_open and alert.escalated_at is not None and alert.acknowledged_at is None,
        quiet=is_open and alert.quiet_since is not None,
        new_level=is_open and alert.new_level is not None,
        quiet_text=reader.ended(alert.quiet_since, alert.new_level, alert.grain)
        if alert.quiet_since
        else "",
        taken_back=alert.exceedances == 0,
        too_old=reader.t("alert.too_old", n=limit) if limit is not None else "",
        risk=alert.risk or "",
        risk_words=reader.t(f"risk.{alert.risk}") if alert.risk else "",
        outcome_words=reader.t(f"outcome.{alert.outcome}") if alert.outcome else "",
    )


def make_row(
    alert: Alert,
    points: Sequence[Point],
    values: Mapping[str, PredictiveValue],
    reader: Reader,
    now: datetime,
) -> Row:
    """Tell an alert in a line."""
    told = headline(alert, reader)
    value = values.get(alert.rule)
    shown = reader.t("alert.ppv_title_none")
    if value is not None and value.value is not None:
        shown = reader.t(
            "alert.ppv_title", n=value.outbreaks, all=value.decided, interval=reader.span(value)
        )
    course = reader.t("alert.chart_text", signal=told.signal, place=told.place)
    return Row(
        headline=told,
        reasons=reader.reasons(alert),
        observed=reader.number(alert.observed, incomplete=alert.incomplete),
        expected="" if alert.expected is None else reader.number(alert.expected),
        ratio=reader.ratio(alert.observed, alert.expected, incomplete=alert.incomplete),
        spark=spark(points, course),
        opened_at=alert.opened_at,
        opened_text=reader.moment(alert.opened_at),
        age=reader.ago(alert.opened_at, now),
        assigned=alert.assigned_to or "",
        ppv=reader.share(value),
        ppv_title=shown,
    )
