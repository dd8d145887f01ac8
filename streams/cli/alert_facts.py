"""What commands tell of one alert: names, numbers, decisions; the same as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from streams.alerts.lifecycle import CLOSED_STATUSES
from streams.cli.output import moment, number

if TYPE_CHECKING:
    from schemas.alerts import Alert
    from streams.alerts.predictive_value import PredictiveValue
    from streams.config import Configuration

__all__ = ["alert_json", "decisions", "numbers", "region_name", "signal_name"]


def numbers(alert: Alert, configuration: Configuration) -> list[tuple[str, str]]:
    """Return what was judged, by name."""
    from streams.alerts.recency import too_old_to_announce  # noqa: PLC0415 - keeps --help fast
    from streams.wording import period_label  # noqa: PLC0415

    def label(period: Any) -> str:
        return period_label(period, alert.grain, configuration)

    facts = [
        ("alert", str(alert.alert_id)),
        ("severity", alert.severity),
        ("status", alert.status),
        ("region", f"{alert.region} {region_name(alert, configuration)}"),
        ("signal", f"{alert.signal} {signal_name(alert, configuration)}"),
        ("rule", _rule(alert)),
        ("first exceedance", label(alert.first_period)),
        ("last exceedance", label(alert.last_period)),
        ("exceedances", str(alert.exceedances)),
        ("observed", _observed(alert)),
        ("expected", number(alert.expected)),
        ("threshold", number(alert.upper)),
        ("score", "-" if alert.score is None else f"{alert.score:.2f}"),
        ("p-value", "-" if alert.p_value is None else f"{alert.p_value:.3g}"),
        ("highest count", number(alert.peak)),
        ("detector", json.dumps(alert.detector, ensure_ascii=False)),
        ("config version", alert.config_version),
        ("data as of", moment(alert.as_of)),
    ]
    if alert.exceedances == 0:
        was = number(alert.observed)
        now = number(alert.revised.observed) if alert.revised else "nothing"
        facts.append(("corrected", f"{label(alert.last_period)}: from {was} to {now}"))
    limit = too_old_to_announce(alert, configuration.surveillance)
    if limit is not None:
        facts.append(("not announced", f"older than {limit} days when it was found"))
    if alert.quiet_since:
        facts.append(("ended", f"no exceedance since {label(alert.quiet_since)}; may be closed"))
    if alert.new_level:
        from streams.notify.words import level_words  # noqa: PLC0415 - quick --help

        facts.append(("new level", level_words(alert.new_level).en))
    return facts


def _observed(alert: Alert) -> str:
    count = number(alert.observed)
    return f"at least {count} (counts of some days are missing)" if alert.incomplete else count


def _rule(alert: Alert) -> str:
    if alert.leading_rule is None:
        return f"{alert.rule} ({alert.grain})"
    return f"{alert.rule}; numbers of {alert.leading_rule} ({alert.grain}), which is higher"


def decisions(alert: Alert) -> list[tuple[str, str]]:
    """Return what people decided, by name."""
    facts = [("assigned to", alert.assigned_to or "nobody")]
    if alert.acknowledged_at:
        facts.append(("read", f"{moment(alert.acknowledged_at)} by {alert.acknowledged_by}"))
    if alert.escalated_at:
        facts.append(("escalated", moment(alert.escalated_at)))
    if alert.risk:
        facts.append(("risk", f"{alert.risk} ({alert.likelihood}, {alert.consequence})"))
    if alert.closed_at:
        facts.append((alert.status, moment(alert.closed_at)))
    if alert.outcome:
        facts.append(("outcome", alert.outcome))
    if alert.merged_into:
        facts.append(("merged into", f"alert {alert.merged_into}"))
    if alert.suppressed and alert.status in CLOSED_STATUSES:
        times = "exceedance" if alert.suppressed == 1 else "exceedances"
        facts.append(("after that", f"{alert.suppressed} {times} that raised no alert"))
    return facts


def region_name(alert: Alert, configuration: Configuration) -> str:
    """Return the name of an alert's region in both languages."""
    region = configuration.regions.get(alert.region)
    if region is None:
        return alert.region
    return " ".join(filter(None, (region.name_zh, region.name_en)))


def signal_name(alert: Alert, configuration: Configuration) -> str:
    """Return the name of an alert's signal in both languages."""
    signal = configuration.surveillance.signals.get(alert.signal)
    return alert.signal if signal is None else f"{signal.title.zh} {signal.title.en}"


def alert_json(
    alert: Alert, configuration: Configuration, values: dict[str, PredictiveValue]
) -> dict[str, Any]:
    """Return an alert with its names, sentences and how often its rule was right."""
    from streams.alerts.predictive_value import predictive_value  # noqa: PLC0415 - quick --help
    from streams.alerts.recency import too_old_to_announce  # noqa: PLC0415
    from streams.wording import alert_sentences, period_label  # noqa: PLC0415

    region = configuration.regions.get(alert.region)
    signal = configuration.surveillance.signals.get(alert.signal)
    return {
        **alert.model_dump(mode="json"),
        "not_announced_older_than_days": too_old_to_announce(alert, configuration.surveillance),
        "first_label": period_label(alert.first_period, alert.grain, configuration),
        "last_label": period_label(alert.last_period, alert.grain, configuration),
        "region_name": {"zh": region.name_zh, "en": region.name_en} if region else None,
        "signal_title": signal.title.model_dump() if signal else None,
        "sentence": alert_sentences(alert, configuration)._asdict(),
        "rule_predictive_value": values.get(alert.rule, predictive_value(0, 0))._asdict(),
    }
