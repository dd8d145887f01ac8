"""What people do with alerts."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from psycopg.rows import class_row

from schemas.alerts import (
    OPEN_STATUSES,
    SYSTEM,
    Absorbed,
    Acknowledged,
    Alert,
    Assigned,
    Change,
    Closed,
    Commented,
    Discarded,
    Merged,
    Reopened,
)
from schemas.privacy import text_looks_personal
from streams.alerts.journal import Journal
from streams.alerts.lifecycle import IllegalTransitionError, check, fold
from streams.errors import FenghuoError
from streams.store.alerts import get_alert, get_history, hold_alerts, write

if TYPE_CHECKING:
    import psycopg

    from schemas.alerts import AlertEvent, AlertStatus

__all__ = ["ConflictError", "MovedError", "NoAlertError", "PersonalDataError", "act"]

#: They contradict nothing that somebody else may have done.
_NEVER_IN_CONFLICT: Final = (Acknowledged, Commented)


class ConflictError(FenghuoError):
    """The alert is not what was seen."""


class MovedError(ConflictError):
    """Somebody else was quicker; the text says who did what.

    Attributes
    ----------
    event
        What they did, last.
    status
        The alert's status by now.
    saw
        The status that was seen.
    """

    def __init__(self, event: AlertEvent, status: AlertStatus, saw: AlertStatus) -> None:
        self.event = event
        self.status = status
        self.saw = saw
        at = event.at.astimezone()
        day = "" if at.date() == datetime.now(at.tzinfo).date() else f" on {at:%Y-%m-%d}"
        super().__init__(
            f"Alert {event.alert_id} was {_told(event, status)} by {event.actor}{day} at "
            f"{at:%H:%M}; you saw {saw}. "
            f"Look again: fenghuo alerts show {event.alert_id}"
        )


class NoAlertError(FenghuoError):
    """There is no alert of this id."""

    def __init__(self, alert_id: int) -> None:
        super().__init__(f"There is no alert {alert_id}. See fenghuo alerts list.")
        self.alert_id = alert_id


class PersonalDataError(FenghuoError):
    """A note holds what identifies a person; the text tells what kind of thing, and not more."""


def act(
    connection: psycopg.Connection,
    alert_id: int,
    change: Change,
    *,
    actor: str,
    seen: int | None = None,
) -> Alert:
    """Let a person change an alert, in a transaction of its own.

    Whether the person may is not checked here: see `streams.store.authorised.act_as`.

    Parameters
    ----------
    actor
        The person's name.
    seen
        Version of the alert that the person saw. What the system has added since is no conflict;
        what another person did, or what changed the status, is. None: whatever it is now.

    Returns
    -------
    Alert
        As it is now.

    Raises
    ------
    ConflictError
        The alert was moved by somebody else after it was seen (MovedError), or cannot have been
        seen so.
    IllegalTransitionError
        The change is not possible now.
    NoAlertError
        There is no such alert.
    PersonalDataError
        The note holds what identifies a person.
    """
    if not actor.strip() or actor == SYSTEM:
        raise FenghuoError(f"{actor!r} is no officer's name. Say who you are.")
    _refuse_personal(change)
    with connection.transaction():
        at = hold_alerts(connection)
        alert = _get(connection, alert_id)
        _refuse_conflict(connection, alert, change, seen)
        check(alert, change)
        known = [alert]
        if isinstance(change, Merged):
            known.append(_head(connection, alert, change.into))
        if isinstance(change, Reopened):
            _refuse_second(connection, alert)
            former = _final_head(connection, alert)
        journal = Journal(at, known)
        after = journal.record(alert_id, _completed(connection, alert, change), actor=actor)
        if isinstance(change, Merged):
            journal.absorb(change.into, alert, actor=actor)
        write(connection, journal)
        # What an alert shows depends on what is merged into it.
        if isinstance(change, Merged):
            _judge_again(connection, journal.alert(change.into))
        if isinstance(change, Reopened):
            _judge_again(connection, after)
            if former is not None:
                _judge_again(connection, former)
    return after


def _refuse_personal(change: Change) -> None:
    found = text_looks_personal(getattr(change, "note", None))
    if found is None and isinstance(change, Assigned):
        found = text_looks_personal(change.to)
    if found is not None:
        what = "The name" if isinstance(change, Assigned) and not change.note else "The note"
        raise PersonalDataError(
            f"{what} holds what looks like a {found}. It would go to every system that follows "
            "alerts, and stay in the history: leave it out, and name the record by its event id."
        )


def _get(connection: psycopg.Connection, alert_id: int) -> Alert:
    alert = get_alert(connection, alert_id)
    if alert is None:
        raise NoAlertError(alert_id)
    return alert


def _refuse_conflict(
    connection: psycopg.Connection, alert: Alert, change: Change, seen: int | None
) -> None:
    if seen is not None and seen > alert.version:
        raise ConflictError(
            f"Alert {alert.alert_id} is at version {alert.version}: you cannot have seen {seen}. "
            f"Look again: fenghuo alerts show {alert.alert_id}"
        )
    if seen is None or seen >= alert.decided_version or isinstance(change, _NEVER_IN_CONFLICT):
        return
    history = get_history(connection, alert.alert_id)
    last = history[alert.decided_version - 1]
    before = fold(history[: max(seen, 1)]).status
    raise MovedError(last, alert.status, before)


def _told(event: AlertEvent, status: AlertStatus) -> str:
    change = event.change
    match change:
        case Assigned():
            return f"assigned to {change.to or 'nobody'}"
        case Commented():
            return "commented on"
        case Acknowledged():
            return "acknowledged"
        case Absorbed():
            return f"joined by alert {change.alert}"
        case Merged():
            return f"merged into alert {change.into}"
        case _:
            return f"moved to {status}"


def _head(connection: psycopg.Connection, alert: Alert, into: int) -> Alert:
    head = _get(connection, into)
    if head.status not in OPEN_STATUSES:
        where = f" into alert {head.merged_into}: name that one" if head.merged_into else ""
        raise IllegalTransitionError(
            f"Alert {into} is {head.status}{where}. Alert {alert.alert_id} can only be merged into "
            "an open one."
        )
    if head.over and not alert.over:
        raise IllegalTransitionError(
            f"The exceedances of alert {into} have ended, those of alert {alert.alert_id} have "
            f"not: merge alert {into} into alert {alert.alert_id} instead."
        )
    return head


def _final_head(connection: psycopg.Connection, alert: Alert) -> Alert | None:
    """Return the alert at the end of a chain of merges; None: it was not merged."""
    head = None
    into = alert.merged_into
    while into is not None:
        head = _get(connection, into)
        into = head.merged_into
    return head


def _refuse_second(connection: psycopg.Connection, alert: Alert) -> None:
    with connection.cursor(row_factory=class_row(Alert)) as cursor:
        other = cursor.execute(
            "SELECT * FROM alerts WHERE signal = %s AND region = %s AND rule = %s "
            "AND status NOT IN ('discarded', 'closed', 'merged')",
            (alert.signal, alert.region, alert.rule),
        ).fetchone()
    if other is not None:
        raise IllegalTransitionError(
            f"Alert {alert.alert_id} cannot be reopened while alert {other.alert_id} of the same "
            f"signal, region and rule is open. Comment on that one, or close it first."
        )


def _completed(connection: psycopg.Connection, alert: Alert, change: Change) -> Change:
    """Add to what ends an alert how far it had been judged: the quiet period counts from there."""
    if not isinstance(change, Closed | Discarded | Merged):
        return change
    row = connection.execute(
        "SELECT max(period) FROM verdicts WHERE rule = %s AND region = %s",
        (alert.rule, alert.region),
    ).fetchone()
    return change.model_copy(update={"judged_to": row[0] if row else None})


def _judge_again(connection: psycopg.Connection, alert: Alert) -> None:
    """Have a judge bring an alert up to date after others were merged into it, or it reopened."""
    connection.execute(
        "INSERT INTO pending_judgements (signal, region, day) VALUES (%s, %s, %s)",
        (alert.signal, alert.region, alert.last_period),
    )
