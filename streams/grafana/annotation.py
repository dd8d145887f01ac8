"""An alert as Grafana's annotation. Pure.

Grafana knows no key of ours: the tag ``alert:<id>`` tells which alert an annotation is of.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime, time, timedelta
from html import escape
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from streams.alerts.small_cells import alert_to_tell
from streams.judging.periods import step_days
from streams.notify.words import STATUS_WORDS
from streams.wording import alert_sentences

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from schemas.alerts import Alert
    from streams.config import Configuration

__all__ = ["TAG", "Annotation", "alert_tag", "annotation_of", "read_annotation"]

#: All annotations of ours have it.
TAG: Final = "fenghuo"
_ALERT: Final = "alert:"
#: Grafana cuts a tag at the first colon and keeps 100 characters of what follows; its limit of
#: 500 characters for all tags of an annotation leaves this to a region's code.
_MOST_CHARACTERS: Final = 80


class Annotation(NamedTuple):
    """A mark on the time axis."""

    #: Milliseconds since 1970.
    time: int
    #: The same as `time` for a point.
    time_end: int
    tags: tuple[str, ...]
    #: HTML.
    text: str

    @property
    def fingerprint(self) -> str:
        """What tells this content from another one."""
        content = json.dumps([self.time, self.time_end, sorted(self.tags), self.text])
        return hashlib.sha256(content.encode()).hexdigest()[:32]


def alert_tag(alert_id: int) -> str:
    """Return the tag that names an alert.

    Examples
    --------
    >>> alert_tag(12)
    'alert:12'
    """
    return f"{_ALERT}{alert_id}"


def annotation_of(alert: Alert, configuration: Configuration, web_url: str) -> Annotation | None:
    """Return what Grafana shows of an alert.

    It begins with the first period in exceedance. While the alert goes on it is a point; a region
    up to the end of the last period in exceedance once that is over, or the alert is decided.

    Parameters
    ----------
    web_url
        Where the triage page is; empty: the text has no link.

    Returns
    -------
    Annotation or None
        None for a merged alert, since the other one stands for both. An alert whose exceedances
        corrections took back keeps a point, and its text says so.
    """
    if alert.status == "merged":
        return None
    begins = _midnight(alert.first_period, configuration)
    over = alert.quiet_since is not None or alert.status in {"closed", "discarded"}
    after = alert.last_period + timedelta(days=step_days(alert.grain))
    return Annotation(
        begins,
        _midnight(after, configuration) if over and alert.exceedances else begins,
        (
            TAG,
            alert_tag(alert.alert_id),
            f"severity:{alert.severity}",
            f"signal:{_value(alert.signal)}",
            f"region:{_value(alert.region)}",
        ),
        _text(alert, configuration, web_url),
    )


def read_annotation(row: Mapping[str, Any]) -> tuple[int | None, Annotation]:
    """Read what Grafana answers: the alert's id, if a tag names one, and the annotation."""
    tags = tuple(str(tag) for tag in row.get("tags") or ())
    begins = int(row.get("time") or 0)
    named = (re.fullmatch(rf"{_ALERT}([1-9]\d{{0,18}})", tag, re.ASCII) for tag in tags)
    alert_id = next((int(found[1]) for found in named if found), None)
    return alert_id, Annotation(
        begins, int(row.get("timeEnd") or begins), tags, str(row.get("text") or "")
    )


def _midnight(day: date, configuration: Configuration) -> int:
    moment = datetime.combine(day, time(), configuration.surveillance.zone)
    return int(moment.timestamp() * 1000)


def _value(text: str) -> str:
    return text.replace(":", "-")[:_MOST_CHARACTERS]


def _text(alert: Alert, configuration: Configuration, web_url: str) -> str:
    sentences = alert_sentences(alert_to_tell(alert), configuration)
    status = STATUS_WORDS[alert.status]
    last = f"{status.zh} / {status.en}"
    if web_url:
        address = escape(f"{web_url.rstrip('/')}/alerts/{alert.alert_id}")
        last += f' · <a href="{address}">预警 {alert.alert_id} / alert {alert.alert_id}</a>'
    return "<br>".join([escape(sentences.zh, quote=False), escape(sentences.en, quote=False), last])
