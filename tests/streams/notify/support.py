"""Configurations with a section `notify`, and alerts to tell of."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from schemas.alerts import SYSTEM, Alert, AlertEvent, Change, Figures, Opened, Severity
from streams.alerts.journal import Journal
from streams.alerts.lifecycle import apply
from streams.config import load_configuration
from streams.store.alerts import get_alert, hold_alerts, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.config import Configuration

__all__ = ["NOW", "alert_of", "change", "configured", "open_alert", "opened"]

BASE = (Path(__file__).parents[2] / "data" / "taiwan.yaml").read_text(encoding="utf-8")
#: A Wednesday, 09:00 in Taipei.
NOW = datetime(2026, 11, 18, 1, 0, tzinfo=UTC)


def configured(folder: Path, notify: str) -> Configuration:
    """The configuration of the tests, with a section `notify`."""
    path = folder / "fenghuo.yaml"
    # What is told lies far back.
    unlimited = "alerts: {announce_within_days: null}\n"
    path.write_text(BASE + unlimited + "notify:\n" + notify, encoding="utf-8")
    return load_configuration(path)


def opened(
    *,
    severity: Severity = "warning",
    signal: str = "ili",
    region: str = "TW-TPE",
    rule: str = "ili-week",
    observed: float = 45,
) -> Opened:
    return Opened(
        severity=severity,
        signal=signal,
        region=region,
        rule=rule,
        grain="week",
        first_period=date(2009, 8, 3),
        exceedances=1,
        peak=observed,
        figures=Figures(
            period=date(2009, 8, 3), observed=observed, expected=20.5, upper=38.25, p_value=0.0012
        ),
        detector={"type": "ears", "method": "C2"},
        config_version="abc",
        as_of=NOW,
    )


def alert_of(
    changes: Sequence[Change], *, alert_id: int = 12, actor: str = SYSTEM
) -> tuple[AlertEvent, Alert]:
    """The last event of an alert with this history, and the alert."""
    alert: Alert | None = None
    event: AlertEvent | None = None
    for seq, one in enumerate(changes, 1):
        event = AlertEvent(alert_id=alert_id, seq=seq, at=NOW, actor=actor, change=one)
        alert = apply(alert, event)
    assert event
    assert alert
    return event, alert


def open_alert(database: str, alert_id: int, **options: Any) -> None:
    """Open an alert in the database."""
    # One open alert of a signal, region and rule: others have another rule.
    options.setdefault("rule", f"rule-{alert_id}")
    change(database, alert_id, opened(**options))


def change(database: str, alert_id: int, one: Change, *, actor: str = SYSTEM) -> None:
    """Add an event to an alert in the database."""
    with psycopg.connect(database) as connection:
        at = hold_alerts(connection)
        known = get_alert(connection, alert_id)
        journal = Journal(at, [known] if known else [])
        journal.record(alert_id, one, actor=actor)
        write(connection, journal)
