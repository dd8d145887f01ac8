"""Alerts put into the store directly, for tests of what is done with them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import psycopg

from schemas.alerts import Alert, Change, Figures, Opened
from streams.alerts.journal import Journal
from streams.store.alerts import get_alert, hold_alerts, write
from streams.store.decisions import act

if TYPE_CHECKING:
    from schemas.alerts import Alert

__all__ = ["AS_OF", "PERIOD", "alert_of", "decide", "figures", "open_alert", "opened", "tell"]

AS_OF = datetime(2026, 11, 20, 8, tzinfo=UTC)
PERIOD = date(2009, 8, 3)


def figures(observed: float = 45, period: date = PERIOD, **numbers: Any) -> Figures:
    known = {"expected": 20.5, "upper": 38.25, "score": 4.2, "p_value": 0.00001}
    return Figures(period=period, observed=observed, **(known | numbers))


def opened(**fields: Any) -> Opened:
    known = {
        "severity": "critical",
        "signal": "ili",
        "region": "TW-TPE",
        "rule": "ili-week",
        "grain": "week",
        "first_period": date(2009, 7, 27),
        "exceedances": 2,
        "peak": 52,
        "figures": figures(),
        "detector": {"type": "ears"},
        "config_version": "abc",
        "as_of": AS_OF,
    }
    return Opened.model_validate(known | fields)


def open_alert(database: str, **fields: Any) -> int:
    """Open an alert as a judge does, and return its id."""
    with psycopg.connect(database) as connection:
        at = hold_alerts(connection)
        row = connection.execute(
            "SELECT nextval(pg_get_serial_sequence('alerts', 'alert_id'))"
        ).fetchone()
        assert row
        journal = Journal(at)
        journal.record(row[0], opened(**fields))
        write(connection, journal)
        return int(row[0])


def tell(database: str, alert_id: int, *changes: Change) -> Alert:
    """Let the system change an alert."""
    with psycopg.connect(database) as connection:
        at = hold_alerts(connection)
        alert = get_alert(connection, alert_id)
        assert alert
        journal = Journal(at, [alert])
        for change in changes:
            alert = journal.record(alert_id, change)
        write(connection, journal)
        return alert


def decide(
    database: str, alert_id: int, *changes: Change, actor: str = "li", seen: int | None = None
) -> Alert:
    """Let a person change an alert, step by step."""
    with psycopg.connect(database) as connection:
        for change in changes:
            alert = act(connection, alert_id, change, actor=actor, seen=seen)
    return alert


def alert_of(database: str, alert_id: int) -> Alert:
    with psycopg.connect(database) as connection:
        alert = get_alert(connection, alert_id)
    assert alert
    return alert
