"""The history of an alert: who did what, when and why. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from schemas.alerts import (
    SYSTEM,
    Absorbed,
    Assessed,
    Assigned,
    Closed,
    Discarded,
    Ended,
    Escalated,
    Merged,
    Opened,
    Resumed,
    Revised,
    Suppressed,
    Updated,
    Worsened,
)
from schemas.risk import risk_level

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from schemas.alerts import Alert, AlertEvent, Change
    from streams.web.pages.reader import Reader

__all__ = ["Entry", "timeline"]

#: The system writes these again and again; what counts is how the alert stands.
_OFTEN: Final = frozenset({"updated", "explained"})
#: The latest of them that are shown all the same.
_KEPT: Final = 1


class Entry(NamedTuple):
    """One event as the page tells it."""

    what: str
    who: str
    person: bool
    at: datetime
    at_text: str
    detail: str
    note: str


def timeline(
    history: Sequence[AlertEvent], alert: Alert, reader: Reader, *, whole: bool
) -> tuple[list[Entry], int]:
    """Return the entries, the latest first, and how many were left out.

    Parameters
    ----------
    whole
        Leave nothing out.
    """
    often = [event.seq for event in history if event.change.kind in _OFTEN]
    left_out = set() if whole else set(often[: max(len(often) - _KEPT, 0)])
    shown = [_entry(e, alert, reader) for e in reversed(history) if e.seq not in left_out]
    return shown, len(left_out)


def _entry(event: AlertEvent, alert: Alert, reader: Reader) -> Entry:
    person = event.actor != SYSTEM
    return Entry(
        what=reader.kind(event.change.kind),
        who=event.actor if person else reader.t("history.system"),
        person=person,
        at=event.at,
        at_text=reader.moment(event.at),
        detail=_detail(event.change, alert, reader),
        note=getattr(event.change, "note", None) or "",
    )


def _detail(change: Change, alert: Alert, reader: Reader) -> str:
    t = reader.t
    match change:
        case Opened() | Updated() | Resumed() | Worsened() | Suppressed():
            grain = getattr(change, "grain", None) or alert.grain
            period = reader.period(change.figures.period, grain)
            return t(
                "history.observed",
                period=period,
                n=reader.number(change.figures.observed, incomplete=change.figures.incomplete),
            )
        case Revised():
            after = reader.number(change.now.observed) if change.now else t("history.not_judged")
            return t(
                "history.corrected",
                period=reader.period(change.before.period, alert.grain),
                before=reader.number(change.before.observed, incomplete=change.before.incomplete),
                after=after,
            )
        case Ended():
            return reader.ended(change.quiet_since, change.new_level, alert.grain)
        case Escalated():
            return t("history.after", n=change.after_minutes)
        case Absorbed():
            return t("history.from", id=change.alert)
        case _:
            return _decision(change, reader)


def _decision(change: Change, reader: Reader) -> str:
    t = reader.t
    match change:
        case Assigned():
            return t("history.to", name=change.to) if change.to else t("history.to_nobody")
        case Assessed():
            risk = change.risk or risk_level(change.likelihood, change.consequence)
            level = t(f"risk.{risk}")
            likelihood = t(f"likelihood.{change.likelihood}")
            return f"{level} ({likelihood} × {t(f'consequence.{change.consequence}')})"
        case Closed() | Discarded():
            return t(f"outcome.{change.outcome}")
        case Merged():
            return t("history.into", id=change.into)
        case _:
            return ""
