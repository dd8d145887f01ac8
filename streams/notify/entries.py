"""An event and its alert made ready to be told of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from schemas.config import Title
from streams.notify.message import Entry
from streams.notify.tokens import LIFETIME, make_token
from streams.notify.words import KIND_WORDS, SEVERITY_WORDS, STATUS_WORDS, Fact
from streams.wording import alert_sentences, period_label

if TYPE_CHECKING:
    from datetime import datetime

    from schemas.alerts import Alert, AlertEvent
    from schemas.notify import Language
    from streams.config import Configuration

__all__ = ["make_entry", "variables"]


def make_entry(
    event: AlertEvent,
    alert: Alert,
    configuration: Configuration,
    *,
    channel: str,
    secret: str | None,
    now: datetime,
) -> Entry:
    """Put together what a message tells of an event.

    Parameters
    ----------
    secret
        Signs the token of the link.
    """
    surveillance = configuration.surveillance
    region = configuration.regions.get(alert.region)
    signal = surveillance.signals.get(alert.signal)
    sentences = alert_sentences(alert, configuration)
    link = None
    if surveillance.notify.link is not None:
        token = make_token(alert.alert_id, channel, secret, now + LIFETIME) if secret else ""
        link = surveillance.notify.link.replace("{alert_id}", str(alert.alert_id))
        link = link.replace("{token}", quote(token, safe=""))
    return Entry(
        event=event,
        alert=alert,
        sentence=Title(en=sentences.en, zh=sentences.zh),
        region_name=Title(
            en=(region and (region.name_en or region.name_zh)) or alert.region,
            zh=(region and (region.name_zh or region.name_en)) or alert.region,
        ),
        signal_title=signal.title if signal else Title(en=alert.signal, zh=alert.signal),
        period=period_label(alert.last_period, alert.grain, configuration),
        link=link,
    )


def variables(entry: Entry, language: Language, configuration: Configuration) -> dict[str, Any]:
    """Return an entry as templates see it."""
    alert, event = entry.alert, entry.event

    def say(title: Title) -> str:
        return title.zh if language == "zh" else title.en

    return {
        "id": alert.alert_id,
        "what": say(KIND_WORDS[event.change.kind]),
        "kind": event.change.kind,
        "severity": say(SEVERITY_WORDS[alert.severity]),
        "severity_key": alert.severity,
        "status": say(STATUS_WORDS[alert.status]),
        "region": say(entry.region_name),
        "signal": say(entry.signal_title),
        "sentence": say(entry.sentence),
        "period": entry.period,
        "observed": _amount(alert.observed),
        "upper": None if alert.upper is None else _amount(alert.upper),
        "facts": [(say(label), text) for label, text in _facts(alert, configuration, language)],
        "at": event.at.astimezone(configuration.surveillance.zone).strftime("%Y-%m-%d %H:%M"),
        "actor": event.actor,
        "note": getattr(event.change, "note", None),
        "link": entry.link,
        "alert": alert.model_dump(mode="json"),
        "event": event.model_dump(mode="json"),
    }


def _facts(
    alert: Alert, configuration: Configuration, language: Language
) -> list[tuple[Title, str]]:
    zone, zh = configuration.surveillance.zone, language == "zh"
    why = alert.explanation
    found: list[tuple[Title, str | None]] = [
        (Fact.OBSERVED, _amount(alert.observed)),
        (Fact.EXPECTED, None if alert.expected is None else _amount(alert.expected)),
        (Fact.UPPER, None if alert.upper is None else _amount(alert.upper)),
        (Fact.P_VALUE, None if alert.p_value is None else f"{alert.p_value:.2g}"),
    ]
    if why:
        days = why.doubling_days
        found += [
            (Fact.EXCESS, None if why.excess is None else _amount(why.excess)),
            (Fact.DOUBLING, None if days is None else f"{days:.1f} {'天' if zh else 'days'}"),
            (Fact.COMPLETENESS, None if why.completeness is None else f"{why.completeness:.0%}"),
        ]
    found += [
        (Fact.DETECTOR, str(alert.detector.get("type", "-"))),
        (Fact.AS_OF, alert.as_of.astimezone(zone).strftime("%Y-%m-%d %H:%M")),
    ]
    return [(label, text) for label, text in found if text is not None]


def _amount(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"
