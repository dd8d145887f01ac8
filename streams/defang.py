"""Identifiers of sources in texts for people: none becomes a link. Pure.

A source names its facilities freely. Mail and chat programs make a link of anything that looks like
an address, and a link in an alarm is followed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from schemas.alerts import Alert, AlertEvent, Explanation

__all__ = ["defang", "defanged_alert", "defanged_event"]

_BEFORE_A_LETTER: Final = re.compile(r"\.(?=[A-Za-z])")


def defang(identifier: str) -> str:
    """Write an identifier so that no program takes it for an address.

    Examples
    --------
    >>> defang("https://evil.example/login"), defang("clinic-1.2")
    ('https[:]//evil[.]example/login', 'clinic-1.2')
    """
    return _BEFORE_A_LETTER.sub("[.]", identifier.replace("://", "[:]//"))


def defanged_alert(alert: Alert) -> Alert:
    """Return an alert whose facilities' names are no links."""
    if alert.explanation is None:
        return alert
    return alert.model_copy(update={"explanation": _explanation(alert.explanation)})


def defanged_event(event: AlertEvent) -> AlertEvent:
    """Return an event whose facilities' names are no links."""
    explanation: Explanation | None = getattr(event.change, "explanation", None)
    if explanation is None:
        return event
    change = event.change.model_copy(update={"explanation": _explanation(explanation)})
    return event.model_copy(update={"change": change})


def _explanation(explanation: Explanation) -> Explanation:
    facilities = tuple(
        part.model_copy(update={"name": defang(part.name)}) for part in explanation.facilities
    )
    silent = tuple(map(defang, explanation.silent_facilities))
    named = tuple(map(defang, explanation.named_facilities))
    return explanation.model_copy(
        update={
            "facilities": facilities,
            "silent_facilities": silent,
            "named_facilities": named,
        }
    )
