"""Numbers and facts of an alert, by their names. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlencode

from streams.notify.words import Fact as Words
from streams.phrases import unit
from streams.web.pages.course import shown_from

if TYPE_CHECKING:
    from datetime import date

    from schemas.alerts import Alert
    from streams.alerts.predictive_value import PredictiveValue
    from streams.web.pages.reader import Reader

__all__ = ["Fact", "Figure", "facts", "figures", "grafana_link"]

_SMALLEST: Final = 1e-6


class Figure(NamedTuple):
    """A number that is told large."""

    name: str
    text: str
    unit: str = ""
    main: bool = False


class Fact(NamedTuple):
    """Something told in words."""

    name: str
    text: str
    more: str = ""


def figures(alert: Alert, reader: Reader) -> list[Figure]:
    """Return the numbers on top of an alert's page."""
    counted = unit(alert, reader.configuration)
    word = counted.zh if reader.lang == "zh" else counted.en(alert.observed)
    t = reader.t
    grain = t("figure.weeks" if alert.grain == "week" else "figure.days")
    excess = None if alert.expected is None else alert.observed - alert.expected
    return [
        Figure(reader.of(Words.OBSERVED),
               reader.number(alert.observed, incomplete=alert.incomplete), word, main=True),
        Figure(reader.of(Words.EXPECTED), reader.number(alert.expected)),
        Figure(reader.of(Words.UPPER), reader.number(alert.upper)),
        Figure(reader.of(Words.EXCESS), reader.number(excess, incomplete=alert.incomplete),
               reader.ratio(alert.observed, alert.expected, incomplete=alert.incomplete)),
        Figure(t("figure.exceedances"), str(alert.exceedances), grain),
        Figure(t("figure.peak"), reader.number(alert.peak, incomplete=alert.incomplete
               and alert.peak == alert.observed)),
    ]  # fmt: skip


def facts(alert: Alert, value: PredictiveValue | None, reader: Reader) -> list[Fact]:
    """Return what else is known of an alert."""
    t = reader.t
    method = " ".join(str(alert.detector[k]) for k in ("type", "method") if k in alert.detector)
    return [
        Fact(t("facts.rule"), alert.rule, "" if alert.leading_rule else t(f"grain.{alert.grain}")),
        *_leading(alert, reader),
        Fact(t("facts.right"), _right(value, reader),
             reader.span(value) if value is not None and value.value is not None else ""),
        Fact(t("facts.detector"), method),
        Fact(t("facts.first"), reader.period(alert.first_period, alert.grain)),
        Fact(t("facts.latest"), reader.period(alert.last_period, alert.grain)),
        Fact(t("facts.assigned"), alert.assigned_to or t("alert.assigned_nobody")),
        Fact(t("facts.read"), _read(alert, reader)),
        *_decided(alert, reader),
        Fact(t("facts.opened"), reader.moment(alert.opened_at)),
        Fact(t("facts.updated"), reader.moment(alert.updated_at)),
        Fact(t("facts.as_of"), reader.moment(alert.as_of)),
        Fact(t("facts.version"), str(alert.version)),
        Fact(t("facts.config"), alert.config_version),
    ]  # fmt: skip


def _leading(alert: Alert, reader: Reader) -> list[Fact]:
    """Return the rule of the numbers where it is that of a merged alert."""
    if alert.leading_rule is None:
        return []
    t = reader.t
    return [Fact(t("facts.leading"), alert.leading_rule, t(f"grain.{alert.grain}"))]


def _right(value: PredictiveValue | None, reader: Reader) -> str:
    if value is None or value.value is None:
        return reader.t("alert.ppv_none")
    return reader.share(value)


def _read(alert: Alert, reader: Reader) -> str:
    if alert.acknowledged_at is None:
        return reader.t("facts.unread")
    return reader.t(
        "facts.by", who=alert.acknowledged_by, when=reader.moment(alert.acknowledged_at)
    )


def _decided(alert: Alert, reader: Reader) -> list[Fact]:
    t = reader.t
    found = []
    if alert.risk:
        scales = f"{t(f'likelihood.{alert.likelihood}')} × {t(f'consequence.{alert.consequence}')}"
        found.append(Fact(t("facts.risk"), t(f"risk.{alert.risk}"), scales))
    if alert.outcome:
        at = reader.moment(alert.closed_at) if alert.closed_at else ""
        found.append(Fact(t("facts.outcome"), t(f"outcome.{alert.outcome}"), at))
    if alert.suppressed:
        text = t("facts.suppressed_text", n=alert.suppressed)
        found.append(Fact(t("facts.suppressed"), text))
    return found


def grafana_link(address: str, alert: Alert) -> str | None:
    """Return the address of the alert's signal and region in Grafana; None without a Grafana."""
    if not address:
        return None
    query = urlencode(
        {
            "var-signal": alert.signal,
            "var-region": alert.region,
            "from": _ms(shown_from(alert.last_period, alert.grain)),
            "to": _ms(alert.last_period + timedelta(days=14)),
        }
    )
    return f"{address}/d/fenghuo-signal?{query}"


def _ms(day: date) -> int:
    return int(datetime.combine(day, time(), UTC).timestamp() * 1000)
