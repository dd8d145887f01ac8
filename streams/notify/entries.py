"""An event and its alert made ready to be told of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from schemas.config import Title
from streams.alerts.small_cells import alert_to_tell, event_to_tell
from streams.defang import defanged_alert, defanged_event
from streams.notify.message import Entry
from streams.notify.tokens import LIFETIME, make_token
from streams.notify.words import (
    SEVERITY_WORDS,
    STATUS_WORDS,
    Fact,
    event_words,
    level_words,
    words_since,
)
from streams.phrases import Sentences, amount, at_least, percent, plain
from streams.wording import alert_sentences, period_label, period_name

if TYPE_CHECKING:
    from collections.abc import Callable
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
    """Put together what a message tells of an event; small cells are left out.

    Names that sources give become no links: the texts go to mail and chat programs.

    Parameters
    ----------
    secret
        Signs the token of the link.
    """
    event = defanged_event(event_to_tell(event))
    alert = defanged_alert(alert_to_tell(alert))
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

    def say(words: Title | Sentences) -> str:
        return words.zh if language == "zh" else words.en

    return {
        "id": alert.alert_id,
        "what": say(event_words(event.change, alert)),
        "since": say(since) if (since := words_since(event.change, alert)) else None,
        "kind": event.change.kind,
        "severity": say(SEVERITY_WORDS[alert.severity]),
        "severity_key": alert.severity,
        "status": say(STATUS_WORDS[alert.status]),
        "region": say(entry.region_name),
        "signal": say(entry.signal_title),
        "sentence": say(entry.sentence),
        "period": say(period_name(alert.last_period, alert.grain, configuration)),
        **_figures(alert, plain if language == "zh" else amount, say),
        "facts": [(say(label), say(text)) for label, text in _facts(alert, configuration)],
        "at": event.at.astimezone(configuration.surveillance.zone).strftime("%Y-%m-%d %H:%M"),
        "actor": event.actor,
        "note": getattr(event.change, "note", None),
        "link": entry.link,
        "alert": alert.model_dump(mode="json"),
        "event": event.model_dump(mode="json"),
    }


def _figures(
    alert: Alert, write: Callable[[float], str], say: Callable[[Sentences], str]
) -> dict[str, str | None]:
    """Return the numbers of a message of one line."""
    observed, upper = write(alert.observed), alert.upper
    threshold = None if upper is None else write(upper)
    if upper is not None and threshold == observed:
        # Rounded, a count may look equal to the threshold that it exceeds.
        threshold = f"{upper:.1f}"
    corrected = None
    if alert.exceedances == 0:
        corrected = write(alert.revised.observed) if alert.revised else "-"
    if alert.incomplete:
        observed = say(at_least(observed))
    return {"observed": observed, "upper": threshold, "corrected": corrected}


def _facts(alert: Alert, configuration: Configuration) -> list[tuple[Title, Sentences]]:
    """Return the numbers of a message with their labels."""
    numbers = _corrected(alert) if alert.exceedances == 0 else _exceeding(alert)
    if alert.new_level is not None:
        words = level_words(alert.new_level)
        numbers.append((Fact.NEW_LEVEL, Sentences(words.en, words.zh)))
    as_of = alert.as_of.astimezone(configuration.surveillance.zone)
    numbers += [
        (Fact.DETECTOR, str(alert.detector.get("type", "-"))),
        (Fact.AS_OF, as_of.strftime("%Y-%m-%d %H:%M")),
    ]
    return [
        (label, text if isinstance(text, Sentences) else Sentences(text, text))
        for label, text in numbers
        if text is not None
    ]


def _corrected(alert: Alert) -> list[tuple[Title, Sentences | str | None]]:
    now = alert.revised
    return [
        (Fact.BEFORE, _amount(alert.observed)),
        (Fact.NOW, Sentences("not judged", "无数据") if now is None else _amount(now.observed)),
        (Fact.UPPER, None if now is None or now.upper is None else _amount(now.upper)),
    ]


def _exceeding(alert: Alert) -> list[tuple[Title, Sentences | str | None]]:
    found: list[tuple[Title, Sentences | str | None]] = [
        (Fact.OBSERVED, _observed(alert)),
        (Fact.EXPECTED, None if alert.expected is None else _amount(alert.expected)),
        (Fact.UPPER, None if alert.upper is None else _amount(alert.upper)),
        (Fact.P_VALUE, None if alert.p_value is None else f"{alert.p_value:.2g}"),
    ]
    why = alert.explanation
    if why is None or why.period != alert.last_period:
        return found  # an explanation of older numbers
    days = why.doubling_days
    return [
        *found,
        (
            Fact.EXCESS,
            None if why.excess is None else _bounded(why.excess, incomplete=why.incomplete),
        ),
        (Fact.DOUBLING, None if days is None else Sentences(f"{days:.1f} days", f"{days:.1f} 天")),
        (Fact.COMPLETENESS, None if why.completeness is None else percent(why.completeness)),
    ]


def _observed(alert: Alert) -> Sentences:
    count = _bounded(alert.observed, incomplete=alert.incomplete)
    if not alert.incomplete:
        return count
    return Sentences(
        f"{count.en} (counts of some days are missing)", f"{count.zh}（部分日期的数据尚未到达）"
    )


def _bounded(value: float, *, incomplete: bool) -> Sentences:
    text = _amount(value)
    return at_least(text) if incomplete else Sentences(text, text)


def _amount(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"
