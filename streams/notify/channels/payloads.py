"""Documents for systems: our own, and the one of Prometheus Alertmanager. Pure."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from schemas.alerts import OPEN_STATUSES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streams.notify.message import Entry, Message

__all__ = ["alertmanager_payload", "webhook_payload"]

#: How Go writes the zero of its time: an alert that has not ended.
_NOT_ENDED: Final = "0001-01-01T00:00:00Z"
_ALERT_NAME: Final = "FenghuoAlert"


def webhook_payload(message: Message) -> dict[str, Any]:
    """Return the whole message: texts, and events with their alerts."""
    return {"version": 1, **message.model_dump(mode="json", exclude={"html"})}


def alertmanager_payload(message: Message) -> dict[str, Any]:
    """Return what Alertmanager posts to webhook receivers (its version 4).

    An alert fires as long as its question is open: until it is discarded, closed or merged. Its
    labels, but for the severity, and its fingerprint stay the same to the end.

    Receivers tell groups by their key and take a group for over when it is resolved. Each alert is
    therefore a group of its own to the end; alerts that are told together are a group of that one
    message.
    """
    latest: dict[int, Entry] = {}
    for entry in sorted(message.entries, key=lambda entry: entry.alert.version):
        latest[entry.alert.alert_id] = entry
    alerts = [_alert(entry, message) for entry in latest.values()]
    firing = any(alert["status"] == "firing" for alert in alerts)
    group = {"alertname": _ALERT_NAME}
    if len(alerts) == 1:
        group["alert_id"] = alerts[0]["labels"]["alert_id"]
    key = f"{{}}/{message.channel}:{{{_labels_text(group)}}}"
    return {
        "version": "4",
        "groupKey": key if len(alerts) == 1 else f"{key}:{message.key}",
        "truncatedAlerts": 0,
        "status": "firing" if firing else "resolved",
        "receiver": message.channel,
        "groupLabels": group,
        "commonLabels": _common([alert["labels"] for alert in alerts]),
        "commonAnnotations": _common([alert["annotations"] for alert in alerts]),
        "externalURL": _base(message.entries[0].link) if message.entries else "",
        "alerts": alerts,
    }


def _alert(entry: Entry, message: Message) -> dict[str, Any]:
    alert = entry.alert
    firing = alert.status in OPEN_STATUSES
    labels = {
        "alertname": _ALERT_NAME,
        "severity": alert.severity,
        "signal": alert.signal,
        "region": alert.region,
        "rule": alert.rule,
        "grain": alert.grain,
        "alert_id": str(alert.alert_id),
    }
    zh = message.language == "zh"
    annotations = {
        "summary": message.subject if len(message.entries) == 1 else _title(entry, zh=zh),
        "description": entry.sentence.zh if zh else entry.sentence.en,
        "description_zh": entry.sentence.zh,
        "description_en": entry.sentence.en,
        "region_name": entry.region_name.zh if zh else entry.region_name.en,
        "signal_title": entry.signal_title.zh if zh else entry.signal_title.en,
        "status": alert.status,
        "event": entry.event.change.kind,
        "period": entry.period,
    }
    ended = (alert.closed_at or entry.event.at).isoformat()
    return {
        "status": "firing" if firing else "resolved",
        "labels": labels,
        "annotations": annotations,
        "startsAt": alert.opened_at.isoformat(),
        "endsAt": _NOT_ENDED if firing else ended,
        "generatorURL": entry.link or "",
        "fingerprint": _fingerprint(alert.alert_id, alert.signal, alert.region, alert.rule),
    }


def _title(entry: Entry, *, zh: bool) -> str:
    if zh:
        return f"{entry.region_name.zh}{entry.signal_title.zh}"
    return f"{entry.region_name.en}, {entry.signal_title.en}"


def _fingerprint(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _common(all_of: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return what is the same everywhere."""
    first, *others = all_of
    return {k: v for k, v in first.items() if all(other.get(k) == v for other in others)}


def _labels_text(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={json.dumps(value)}" for name, value in labels.items())


def _base(link: str | None) -> str:
    parts = urlsplit(link or "")
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
