"""Events that are written together, and the alerts that they lead to. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.alerts import SYSTEM, Absorbed, AlertEvent
from streams.alerts.lifecycle import apply, higher

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from schemas.alerts import Alert, Change

__all__ = ["Journal"]


class Journal:
    """Collects changes of any number of alerts, to be written in one go.

    Parameters
    ----------
    at
        Time of all of them.
    alerts
        The alerts that may change, as they are.
    """

    def __init__(self, at: datetime, alerts: Iterable[Alert] = ()) -> None:
        self.at = at
        self.events: list[AlertEvent] = []
        self._alerts = {alert.alert_id: alert for alert in alerts}
        self._touched: dict[int, None] = {}

    def record(self, alert_id: int, change: Change, *, actor: str = SYSTEM) -> Alert:
        """Add an event, and return the alert that it leads to.

        Raises
        ------
        IllegalTransitionError
            When the change is not possible; nothing is added.
        """
        before = self._alerts.get(alert_id)
        event = AlertEvent(
            alert_id=alert_id,
            seq=before.version + 1 if before else 1,
            at=self.at,
            actor=actor,
            change=change,
        )
        after = apply(before, event)
        self.events.append(event)
        self._alerts[alert_id] = after
        self._touched[alert_id] = None
        return after

    def absorb(self, head: int, merged: Alert, *, actor: str = SYSTEM) -> Alert:
        """Add to an alert that another one was merged into it."""
        before = self._alerts[head].severity
        raised = higher(before, merged.severity) != before
        absorbed = Absorbed(
            alert=merged.alert_id,
            severity=merged.severity,
            raised_from=before if raised else None,
        )
        return self.record(head, absorbed, actor=actor)

    def alert(self, alert_id: int) -> Alert:
        """Return an alert as it is now."""
        return self._alerts[alert_id]

    @property
    def changed(self) -> list[Alert]:
        """The alerts that changed, as they are now."""
        return [self._alerts[alert_id] for alert_id in self._touched]
