"""What is sent: texts for people, and the alerts themselves for systems."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from schemas.alerts import Alert, AlertEvent, Severity  # noqa: TC001 - pydantic needs them
from schemas.config import Title  # noqa: TC001 - pydantic needs it at run time
from schemas.notify import Language  # noqa: TC001 - pydantic needs it at run time

__all__ = ["Entry", "Message"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class Entry(_Model):
    """One event of an alert, with the alert as it was when the message was written."""

    event: AlertEvent
    alert: Alert
    sentence: Title = Field(description="What the alert is about")
    region_name: Title
    signal_title: Title
    period: str = Field(description="The latest period in exceedance, by name")
    link: str | None = None


class Message(_Model):
    """One message to one channel; written once, and the same at each attempt."""

    key: str = Field(description="Idempotency key: the same at each attempt, and for no other")
    channel: str
    digest: bool
    language: Language
    severity: Severity = Field(description="The highest of the alerts")
    subject: str
    text: str
    html: str
    short: str
    entries: tuple[Entry, ...]
