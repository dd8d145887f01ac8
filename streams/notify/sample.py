"""A message to try a channel with: it says that it is a trial."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from schemas.alerts import SYSTEM, Alert, AlertEvent, Commented

if TYPE_CHECKING:
    from datetime import datetime

    from streams.config import Configuration

__all__ = ["sample"]

_NOTE = "测试消息，并非预警。 / This is a trial, not an alert."


def sample(configuration: Configuration, now: datetime) -> tuple[AlertEvent, Alert]:
    """Return an event of an alert that does not exist: number 0, of this installation's names."""
    surveillance = configuration.surveillance
    signal = next(iter(surveillance.signals))
    region = next(iter(configuration.regions))
    today = now.astimezone(surveillance.zone).date()
    alert = Alert(
        alert_id=0,
        version=1,
        decided_version=1,
        status="new",
        severity="info",
        signal=signal,
        region=region.code,
        rule="trial",
        grain="day",
        first_period=today - timedelta(days=1),
        last_period=today - timedelta(days=1),
        own_first_period=today - timedelta(days=1),
        own_last_period=today - timedelta(days=1),
        exceedances=1,
        observed=45,
        expected=20.5,
        upper=38.2,
        peak=45,
        detector={"type": "trial"},
        config_version=configuration.version,
        as_of=now,
        opened_at=now,
        updated_at=now,
    )
    event = AlertEvent(alert_id=0, seq=1, at=now, actor=SYSTEM, change=Commented(note=_NOTE))
    return event, alert
