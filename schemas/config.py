"""What an epidemiologist configures: signals, rules, time and place.

These models hold the shape and the checks that need nothing but the file itself. Whether a rule's
detector exists and whether the region registry loads is decided where they are known
(`streams.config`).
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from schemas.alerts import Severity  # noqa: TC001 - pydantic needs it at run time
from schemas.counts import Grain  # noqa: TC001 - pydantic needs it at run time
from schemas.events import EventKind  # noqa: TC001 - pydantic needs it at run time
from schemas.notify import Notify
from schemas.regions import RegionLevel  # noqa: TC001 - pydantic needs it at run time
from schemas.risk import RISK_MATRIX, RiskMatrix
from schemas.zones import ZoneName  # noqa: TC001 - pydantic needs it at run time

__all__ = ["AlertHandling", "EventTime", "Match", "Rule", "Signal", "Surveillance", "Title"]

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
Term = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
AgeBand = Annotated[str, StringConstraints(pattern=r"^([0-9]{1,3}-[0-9]{1,3}|[0-9]{1,3}\+)$")]

#: Match fields that each kind of event has.
MATCH_FIELDS: Final[dict[EventKind, frozenset[str]]] = {
    "visits": frozenset({"icd10", "complaint", "temperature_at_least"}),
    "sales": frozenset({"atc", "product", "category", "otc"}),
}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Title(_Model):
    """What people read instead of an identifier."""

    en: str
    zh: str


class EventTime(_Model):
    """Which event times are believed."""

    max_age_days: int = Field(
        default=400, ge=1, description="Revision horizon: older events are refused"
    )
    max_future_minutes: int = Field(
        default=10, ge=0, le=1440, description="Clock skew allowed to sources"
    )
    keep_years: int | None = Field(
        default=None,
        ge=2,
        description="Events and counts older than this are deleted (TimescaleDB)",
    )

    @model_validator(mode="after")
    def _keeps_what_may_be_revised(self) -> Self:
        if self.keep_years is not None and self.keep_years * 365 <= self.max_age_days:
            least = max(2, self.max_age_days // 365 + 1)
            raise ValueError(
                f"keep_years: {self.keep_years} deletes events that may still be revised "
                f"(max_age_days: {self.max_age_days}); write keep_years: {least} or more"
            )
        return self


class Match(_Model):
    """Which events belong to a signal: any of the codes and terms, and all of the conditions."""

    icd10: tuple[str, ...] = Field(
        default=(), description="ICD-10 codes, prefixes (J11) or ranges (J09-J11)"
    )
    complaint: tuple[Term, ...] = Field(
        default=(), description="Terms searched in the complaint, any case"
    )
    atc: tuple[str, ...] = Field(default=(), description="ATC codes or prefixes (N02B)")
    product: tuple[Term, ...] = Field(
        default=(), description="Terms searched in the product name, any case"
    )
    category: tuple[Term, ...] = Field(default=(), description="Product categories, exact")
    temperature_at_least: float | None = Field(
        default=None, ge=30, le=45, description="Condition: body temperature in °C"
    )
    otc: bool | None = Field(default=None, description="Condition: sold without prescription")

    @field_validator("icd10")
    @classmethod
    def _icd10_prefixes(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        for code in codes:
            span = re.fullmatch(r"([A-Z])(\d\d)-([A-Z])(\d\d)", code, re.ASCII)
            if span and (span[1] != span[3] or span[2] > span[4]):
                raise ValueError(
                    f"{code!r}: a range goes upwards and stays within one letter, like J09-J11"
                )
            if not span and not re.fullmatch(
                r"[A-Z]\d[\dA-Z](\.[\dA-Z]{1,4}(x\d{3})?)?", code, re.ASCII
            ):
                raise ValueError(
                    f"{code!r} is no ICD-10 code or range; write J11, J11.1 or J09-J11"
                )
        return codes

    @field_validator("atc")
    @classmethod
    def _atc_prefixes(cls, codes: tuple[str, ...]) -> tuple[str, ...]:
        for code in codes:
            if not re.fullmatch(r"[A-Z](\d\d([A-Z]([A-Z](\d\d)?)?)?)?", code):
                raise ValueError(f"{code!r} is no ATC code or prefix; write for example N02B")
        return codes

    @property
    def fields(self) -> frozenset[str]:
        """Names of the fields that are used."""
        return frozenset(name for name, value in self if value not in ((), None))


class Signal(_Model):
    """A syndrome or product group that is counted: the case definition."""

    title: Title
    of: EventKind = Field(description="Kind of events: visits or sales")
    match: Match | None = Field(default=None, description="Omitted: every event of the kind")
    measure: Literal["events", "quantity"] = Field(
        default="events", description="Count events, or add up the quantity sold"
    )

    @model_validator(mode="after")
    def _fits_kind(self) -> Self:
        if self.match and (foreign := self.match.fields - MATCH_FIELDS[self.of]):
            fields = ", ".join(sorted(MATCH_FIELDS[self.of]))
            raise ValueError(
                f"match uses {', '.join(sorted(foreign))}, which {self.of} do not have; "
                f"use {fields}"
            )
        if self.of == "visits" and self.measure == "quantity":
            raise ValueError("visits have no quantity; remove measure or write events")
        return self


class Rule(_Model):
    """Which detector judges which signal, where and how often."""

    signal: Slug
    level: RegionLevel
    grain: Grain = "day"
    detector: dict[str, Any] = Field(description="type and parameters; see fenghuo detectors list")
    min_cases: float = Field(
        default=0, ge=0, description="No alert below this count, whatever the detector says"
    )
    severity: Severity = "warning"
    quiet_days: int = Field(
        default=7,
        ge=0,
        le=366,
        description="After an alert was closed, so many days raise no new one",
    )
    ended_after: int | None = Field(
        default=None,
        ge=1,
        le=366,
        description="Judged periods without exceedance after which closing is proposed; "
        "default: 3, weeks 2",
    )
    group: Slug | None = Field(
        default=None,
        description="Alerts of one region under rules of one group are merged; "
        "default: the signal's name",
    )
    escalate_after_minutes: int | None = Field(
        default=None,
        ge=1,
        description="Minutes until an unread alert is escalated; default: as alerts.escalate says",
    )

    @property
    def ended_after_periods(self) -> int:
        """Judged periods without exceedance after which an alert has ended."""
        return self.ended_after or (2 if self.grain == "week" else 3)

    @property
    def merged_as(self) -> str:
        """Name of the group whose alerts of one region are merged."""
        return self.group or self.signal


class Worsening(_Model):
    """When a count is so much higher than an earlier one that people must hear of it."""

    times: float = Field(default=2, gt=1, description="Multiple of the earlier count")
    cases: float = Field(default=10, ge=1, description="More cases than before, at least")
    per_day: int = Field(
        default=6, ge=1, description="An alert worsens at most so often within 24 hours"
    )


class AlertHandling(_Model):
    """What holds for the alerts of all rules."""

    escalate: dict[Severity, Annotated[int, Field(ge=1)]] = Field(
        default={"critical": 15, "warning": 120},
        description="Minutes until an alert that nobody has read is escalated, by severity; "
        "a severity that is left out is never escalated",
    )
    update_seconds: float = Field(
        default=60,
        ge=0,
        description="Numbers of an open alert that change by less than a tenth are told at most so "
        "often; 0: each change",
    )
    announce_within_days: int | None = Field(
        default=60,
        ge=1,
        description="Exceedances that are older when they are found are stored but not announced "
        "at once: only digests take them, and they are not escalated; null: no limit",
    )
    worsening: Worsening | None = Field(
        default=Worsening(),
        description="An open alert is announced again when its count is a multiple of what was "
        "last announced; such a count also ends the quiet period after closing; null: never",
    )
    risk_matrix: RiskMatrix = Field(
        default=RISK_MATRIX,
        description="Level of risk by likelihood (rows) and consequence (minimal, minor, moderate, "
        "major, severe)",
    )


class DeadLetters(_Model):
    """What becomes of refused records."""

    keep_days: int | None = Field(
        default=90,
        ge=1,
        description="Days after which refused records that were handed over are deleted from the "
        "database; null: never",
    )


class Surveillance(_Model):
    """The whole configuration file."""

    name: Slug
    regions: str = Field(
        default="cn", description="Built-in registry (cn, tw, us) or path of a CSV"
    )
    time_zone: ZoneName = Field(
        default="Asia/Shanghai", description="Decides where days and weeks begin"
    )
    epi_week: Literal["iso", "mmwr"] = Field(
        default="iso", description="iso: from Monday; mmwr: from Sunday"
    )
    event_time: EventTime = EventTime()
    age_groups: tuple[AgeBand, ...] = Field(
        default=("0-4", "5-14", "15-24", "25-59", "60+"),
        description="Strata of visits; visits of unknown age count as unknown",
    )
    signals: dict[Slug, Signal] = Field(min_length=1)
    rules: dict[Slug, Rule] = {}
    notify: Notify = Notify()
    alerts: AlertHandling = AlertHandling()
    dead_letters: DeadLetters = DeadLetters()

    @field_validator("age_groups")
    @classmethod
    def _bands_in_order(cls, bands: tuple[str, ...]) -> tuple[str, ...]:
        end = -1
        for band in bands:
            low, _, high = band.removesuffix("+").partition("-")
            if int(low) != end + 1:
                raise ValueError(f"{band!r} must start at {end + 1}: bands leave no gap or overlap")
            end = int(high) if high else 999
            if end < int(low):
                raise ValueError(f"{band!r} ends before it starts")
        if bands and not bands[-1].endswith("+"):
            raise ValueError(f"the last band {bands[-1]!r} must be open, like 65+")
        return bands

    @model_validator(mode="after")
    def _rules_name_signals(self) -> Self:
        # Raised with its place, as pydantic's own errors are: whoever reports it names the line.
        wrong = [
            InitErrorDetails(
                type=PydanticCustomError(
                    "unknown_signal",
                    "{signal} is no signal; defined are {known}",
                    {"signal": repr(rule.signal), "known": ", ".join(self.signals)},
                ),
                loc=("rules", name, "signal"),
                input=rule.signal,
            )
            for name, rule in self.rules.items()
            if rule.signal not in self.signals
        ]
        if wrong:
            raise ValidationError.from_exception_data(type(self).__name__, wrong)
        return self

    @model_validator(mode="after")
    def _groups_hold_one_signal(self) -> Self:
        signals: dict[str, str] = {}
        # Those that name a group come last: it is theirs that is wrong.
        for name, rule in sorted(self.rules.items(), key=lambda one: one[1].group is not None):
            known = signals.setdefault(rule.merged_as, rule.signal)
            if known != rule.signal:
                detail = InitErrorDetails(
                    type=PydanticCustomError(
                        "mixed_group",
                        "{group} is the group of rules of signal {known}; alerts of different "
                        "signals are not merged: write another name",
                        {"group": repr(rule.merged_as), "known": known},
                    ),
                    loc=("rules", name, "group"),
                    input=rule.group,
                )
                raise ValidationError.from_exception_data(type(self).__name__, [detail])
        return self

    def escalated_after(self, rule: str, severity: Severity) -> int | None:
        """Return the minutes after which an unread alert is escalated; None: never."""
        configured = self.rules.get(rule)
        if configured and configured.escalate_after_minutes:
            return configured.escalate_after_minutes
        return self.alerts.escalate.get(severity)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone that decides where days begin."""
        return ZoneInfo(self.time_zone)

    @property
    def version(self) -> str:
        """Short fingerprint of what verdicts depend on; equal content has an equal version."""
        content = self.model_dump(mode="json", exclude={"notify", "alerts", "dead_letters"})
        text = json.dumps(content, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]
