"""A message to try a channel with: it says that it is a trial."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from schemas.alerts import SYSTEM, Alert, AlertEvent, Commented
from schemas.config import Title

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from schemas.notify import Language
    from streams.config import Configuration
    from streams.notify.message import Message

__all__ = ["as_trial", "sample"]

#: Before every text of the message.
_MARK: Final[Mapping[Language, str]] = {"zh": "【测试，并非预警】", "en": "[TRIAL, not an alert] "}
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


def as_trial(message: Message) -> Message:
    """Return a message that says in each of its texts that it is a trial.

    Whatever the templates say, for they may be the installation's own, and whichever of the texts
    the channel sends.
    """
    mark = _MARK[message.language]
    begin = re.search(r"<body[^>]*>", message.html, re.IGNORECASE)
    place = begin.end() if begin else 0
    return message.model_copy(
        update={
            "subject": f"{mark}{message.subject}",
            "text": f"{mark}{message.text}",
            "html": f"{message.html[:place]}<p><b>{mark}</b></p>{message.html[place:]}",
            "short": f"{mark}{message.short}",
            "entries": tuple(
                entry.model_copy(
                    update={
                        "sentence": Title(
                            en=f"{_MARK['en']}{entry.sentence.en}",
                            zh=f"{_MARK['zh']}{entry.sentence.zh}",
                        )
                    }
                )
                for entry in message.entries
            ),
        }
    )
