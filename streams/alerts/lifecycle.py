"""The lifecycle: which change an alert may undergo, and what it makes of it. Pure.

An alert is the sum of its events: `apply` adds one. Whoever writes an event has it applied first,
so that the history never holds one that was not possible.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from schemas.alerts import (
    OPEN_STATUSES,
    SYSTEM,
    Absorbed,
    Alert,
    AlertEvent,
    Announced,
    Assessed,
    Assigned,
    Change,
    Closed,
    Discarded,
    Ended,
    Escalated,
    Explained,
    Figures,
    Merged,
    Opened,
    Reopened,
    Resumed,
    Revised,
    Severity,
    Suppressed,
    Updated,
    Verified,
    Worsened,
)
from schemas.counts import last_day
from schemas.risk import risk_level
from streams.errors import FenghuoError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from schemas.alerts import AlertStatus

__all__ = [
    "CLOSED_STATUSES",
    "IllegalTransitionError",
    "apply",
    "check",
    "figure_fields",
    "fold",
    "higher",
    "possible",
]

#: An alert in one of these is decided; it takes no further exceedances as its own.
CLOSED_STATUSES: Final[frozenset[AlertStatus]] = frozenset({"discarded", "closed", "merged"})

_ANY: Final = OPEN_STATUSES | CLOSED_STATUSES
_SEVERITIES: Final[tuple[Severity, ...]] = ("info", "warning", "critical")

#: Kind of change: the statuses in which it may happen, and the status that it leads to, if another.
_TABLE: Final[dict[str, tuple[frozenset[AlertStatus], AlertStatus | None]]] = {
    # by the system
    "updated": (OPEN_STATUSES, None),
    "resumed": (OPEN_STATUSES, None),
    "worsened": (OPEN_STATUSES, None),
    "revised": (OPEN_STATUSES, None),
    "ended": (OPEN_STATUSES, None),
    "suppressed": (CLOSED_STATUSES, None),
    "explained": (_ANY, None),
    # Beyond `new`: an alert that resumed is unread again, whatever people had made of it.
    "escalated": (OPEN_STATUSES, None),
    "absorbed": (OPEN_STATUSES, None),
    # by people
    "acknowledged": (OPEN_STATUSES, None),
    "assigned": (OPEN_STATUSES, None),
    "commented": (_ANY, None),
    "verified": (frozenset({"new", "monitoring"}), "verifying"),
    "monitored": (frozenset({"verifying", "assessing"}), "monitoring"),
    "assessed": (frozenset({"verifying", "monitoring", "assessing"}), "assessing"),
    "confirmed": (frozenset({"assessing"}), "confirmed"),
    "discarded": (frozenset({"new", "verifying", "monitoring", "assessing"}), "discarded"),
    "closed": (frozenset({"monitoring", "confirmed"}), "closed"),
    "merged": (OPEN_STATUSES, "merged"),
    "reopened": (CLOSED_STATUSES, "verifying"),
}
#: What people call the changes that they make.
_VERBS: Final = {
    "acknowledged": "acknowledge",
    "assigned": "assign",
    "commented": "comment",
    "verified": "verify",
    "monitored": "monitor",
    "assessed": "assess",
    "confirmed": "confirm",
    "discarded": "discard",
    "closed": "close",
    "merged": "merge",
    "reopened": "reopen",
}


class IllegalTransitionError(FenghuoError):
    """An alert cannot undergo this change now; the text says what is possible."""


def possible(status: AlertStatus) -> list[str]:
    """Return what people can do with an alert of a status.

    Examples
    --------
    >>> possible("closed")
    ['comment', 'reopen']
    """
    return [verb for kind, verb in _VERBS.items() if status in _TABLE[kind][0]]


def higher(one: Severity, other: Severity) -> Severity:
    """Return the graver of two severities."""
    return max(one, other, key=_SEVERITIES.index)


def check(alert: Alert | None, change: Change) -> None:
    """Refuse a change that is not possible now.

    Raises
    ------
    IllegalTransitionError
        The text says what is possible instead.
    """
    if alert is None:
        if not isinstance(change, Opened):
            raise IllegalTransitionError(f"An alert begins as opened, not as {change.kind}.")
        return
    if isinstance(change, Opened):
        raise IllegalTransitionError(f"Alert {alert.alert_id} is opened already.")
    if alert.status not in _TABLE[change.kind][0]:
        verb = _VERBS.get(change.kind)
        wanted = f"so you cannot {verb} it" if verb else f"so it cannot be {change.kind}"
        raise IllegalTransitionError(
            f"Alert {alert.alert_id} is {alert.status}, {wanted}. "
            f"Possible now: {', '.join(possible(alert.status))}."
        )
    if isinstance(change, Escalated) and alert.acknowledged_at:
        raise IllegalTransitionError(
            f"Alert {alert.alert_id} was acknowledged by {alert.acknowledged_by} already."
        )
    if isinstance(change, Merged) and change.into == alert.alert_id:
        raise IllegalTransitionError(
            f"Alert {alert.alert_id} cannot be merged into itself. Name another open alert."
        )


def apply(alert: Alert | None, event: AlertEvent) -> Alert:
    """Return the alert as the event leaves it.

    Raises
    ------
    IllegalTransitionError
        When the event is not possible, or is not the alert's next one.
    """
    check(alert, event.change)
    if event.seq != (alert.version + 1 if alert else 1):
        raise IllegalTransitionError(
            f"Event {event.seq} of alert {event.alert_id} does not follow on "
            f"{alert.version if alert else 0}."
        )
    if alert is None:
        return _opened(event)
    target = _TABLE[event.change.kind][1]
    by_person = event.actor != SYSTEM
    updates: dict[str, Any] = {"version": event.seq, "updated_at": event.at}
    if target or by_person:
        updates["decided_version"] = event.seq
    # Who reopens an alert has seen it, also where it was merged before anybody had.
    seen = alert.status in OPEN_STATUSES or isinstance(event.change, Reopened)
    if by_person and seen and alert.acknowledged_at is None:
        updates |= {"acknowledged_at": event.at, "acknowledged_by": event.actor}
    if target:
        updates["status"] = target
    return alert.model_copy(update=updates | _effects(alert, event))


def fold(events: Iterable[AlertEvent]) -> Alert:
    """Return the alert that a whole history leads to.

    Raises
    ------
    IllegalTransitionError
        When the history is not possible.
    ValueError
        When it is empty.
    """
    alert = None
    for event in events:
        alert = apply(alert, event)
    if alert is None:
        raise ValueError("A history has one event at least")
    return alert


def _opened(event: AlertEvent) -> Alert:
    change = event.change
    assert isinstance(change, Opened)  # noqa: S101 - checked before
    return Alert(
        alert_id=event.alert_id,
        version=event.seq,
        decided_version=event.seq,
        status="new",
        severity=change.severity,
        signal=change.signal,
        region=change.region,
        rule=change.rule,
        grain=change.grain,
        first_period=change.first_period,
        own_first_period=change.first_period,
        own_last_period=change.figures.period,
        exceedances=change.exceedances,
        peak=change.peak,
        **figure_fields(change.figures),
        detector=change.detector,
        config_version=change.config_version,
        as_of=change.as_of,
        begun_to=last_day(change.figures.period, change.grain),
        announced=Announced(
            period=change.figures.period,
            observed=change.figures.observed,
            grain=change.grain,
            rule=change.rule,
        ),
        opened_at=event.at,
        updated_at=event.at,
    )


def figure_fields(figures: Figures) -> dict[str, Any]:
    """Return the fields of an alert that figures fill."""
    return {
        "last_period": figures.period,
        "observed": figures.observed,
        "expected": figures.expected,
        "upper": figures.upper,
        "score": figures.score,
        "p_value": figures.p_value,
        "incomplete": figures.incomplete,
    }


def _effects(alert: Alert, event: AlertEvent) -> dict[str, Any]:
    """Return what a change sets, besides the status and what every event sets."""
    effects: dict[str, Any] = {}
    match event.change:
        case Escalated():
            effects = {"escalated_at": event.at}
        case Resumed() as resumed:
            effects = _numbers(alert, resumed) | {"quiet_since": None, "new_level": None}
            effects |= _announced(alert, resumed) | {"resumed_at": event.at}
        case Worsened() as worse:
            earlier = alert.announced.worsened if alert.announced else ()
            lately = (*(at for at in earlier if at > event.at - timedelta(days=1)), event.at)
            effects = _updated(alert, worse)
            effects |= _announced(alert, worse, lately) | {"worsened_at": event.at}
        case Assigned(to=to):
            effects = {"assigned_to": to}
        case Verified():
            effects = {"assigned_to": alert.assigned_to or event.actor}
        case Assessed(likelihood=likelihood, consequence=consequence, risk=risk):
            risk = risk or risk_level(likelihood, consequence)
            effects = {"likelihood": likelihood, "consequence": consequence, "risk": risk}
        case Discarded() | Closed() as end:
            effects = {"outcome": end.outcome, "closed_at": event.at, "judged_to": end.judged_to}
        case Merged() as end:
            effects = {"merged_into": end.into, "closed_at": event.at, "judged_to": end.judged_to}
        case Reopened():
            undone = ("outcome", "merged_into", "closed_at", "judged_to")
            effects = dict.fromkeys((*undone, "quiet_since", "new_level"))
        case other:
            effects = _system_effects(alert, other)
    return effects


def _system_effects(alert: Alert, change: Change) -> dict[str, Any]:
    effects: dict[str, Any] = {}
    match change:
        case Updated():
            effects = _updated(alert, change)
        case Revised():
            effects = {
                "exceedances": 0,
                "revised": change.now,
                "quiet_since": None,
                "new_level": None,
                "as_of": max(alert.as_of, change.as_of),
            }
        case Ended():
            effects = {"quiet_since": change.quiet_since, "new_level": change.new_level}
        case Suppressed():
            effects = {"suppressed": alert.suppressed + 1}
        case Absorbed():
            effects = {"severity": higher(alert.severity, change.severity)}
        case Explained():
            effects = {"explanation": change.explanation}
    return effects


def _updated(alert: Alert, change: Updated | Worsened) -> dict[str, Any]:
    # Only an exceedance after the quiet began ends it.
    since = alert.quiet_since
    still = since if since and change.figures.period < since else None
    level = alert.new_level if still else None
    return _numbers(alert, change) | {"quiet_since": still, "new_level": level}


def _announced(
    alert: Alert, change: Resumed | Worsened, worsened: tuple[datetime, ...] = ()
) -> dict[str, Any]:
    """Return what announcing numbers sets: they are unread, whoever has read former ones."""
    grain = change.grain or alert.grain
    unread = ("acknowledged_at", "acknowledged_by", "escalated_at")
    return dict.fromkeys(unread) | {
        "begun_to": last_day(change.figures.period, grain),
        "announced": Announced(
            period=change.figures.period,
            observed=change.figures.observed,
            grain=grain,
            rule=change.leading_rule or alert.rule,
            worsened=worsened,
        ),
    }


def _numbers(alert: Alert, change: Updated | Resumed | Worsened) -> dict[str, Any]:
    return {
        "first_period": change.first_period,
        "exceedances": change.exceedances,
        "peak": change.peak,
        **figure_fields(change.figures),
        "grain": change.grain or alert.grain,
        "leading_rule": change.leading_rule,
        "own_first_period": change.own_first_period or change.first_period,
        "own_last_period": change.own_last_period or change.figures.period,
        "severity": change.severity or alert.severity,
        "revised": None,
        "detector": change.detector,
        "config_version": change.config_version,
        "as_of": max(alert.as_of, change.as_of),
    }
