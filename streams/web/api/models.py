"""What the API answers with and takes."""

from __future__ import annotations

from datetime import date, datetime  # noqa: TC003 - pydantic needs them at run time
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.alerts import (
    Alert,
    Change,
    Consequence,
    Likelihood,
    Outcome,
    Severity,
)
from schemas.config import Title  # noqa: TC001
from schemas.counts import Grain  # noqa: TC001
from schemas.notify import Language  # noqa: TC001
from streams.people.users import Role  # noqa: TC001

__all__ = [
    "AlertEventView",
    "AlertPage",
    "AlertView",
    "Assessing",
    "Assigning",
    "Closing",
    "Commenting",
    "CountView",
    "Deciding",
    "Discarding",
    "FacilityCountView",
    "HistoryView",
    "HourCountView",
    "LinesView",
    "Me",
    "Merging",
    "PointView",
    "PredictiveValueView",
    "RegionView",
    "RuleView",
    "Seeing",
    "SeriesView",
]


class _View(BaseModel):
    model_config = ConfigDict(frozen=True)


class PredictiveValueView(_View):
    """How often a rule's decided alerts were outbreaks, with Wilson's 95 % interval."""

    outbreaks: int
    decided: int
    value: float | None = Field(description="None while nothing is decided")
    lower: float | None
    upper: float | None


class AlertView(Alert):
    """An alert with what people call its parts.

    Viewers are not given facilities and age groups of an explanation with less than five cases, and
    are given the others in steps of five. Only epidemiologists and admins are given the detector's
    parameters.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    region_name: Title
    signal_title: Title
    first_label: str = Field(description="Name of the first period: a date or an epi week")
    last_label: str
    sentence: Title = Field(description="What it is about, in one sentence")
    q_value: float | None = Field(
        description="p-value adjusted for the number of series that are judged (Benjamini and "
        "Hochberg): of the open alerts up to this value, the share that chance explains"
    )
    rank: int | None = Field(description="Among all open alerts; 1: look at it first")
    rule_predictive_value: PredictiveValueView
    not_announced_older_than_days: int | None = Field(
        description="The limit (alerts.announce_within_days) beyond which it was too old to be "
        "announced when it was found; null: it was announced"
    )
    possible: list[str] = Field(description="What you can do with it now")


class AlertPage(_View):
    """Some of the alerts that fit."""

    items: list[AlertView]
    total: int = Field(description="All that fit")
    limit: int
    offset: int


class AlertEventView(_View):
    """One entry of an alert's history."""

    seq: int
    at: datetime
    actor: str = Field(description="A user's name, or system")
    change: Change


class HistoryView(_View):
    """All that has happened to an alert, the first event first."""

    alert_id: int
    events: list[AlertEventView]


class PointView(_View):
    """One period of the alert's rule in its region."""

    period: date
    label: str
    observed: float | None
    expected: float | None
    upper: float | None
    p_value: float | None
    alarm: bool
    reason: str | None = Field(
        description="As the detector says; incomplete: the days that arrived exceed alone, and "
        "observed is their sum; none: counted, but not judged"
    )


class SeriesView(_View):
    """Observed and expected counts around an alert, the earliest first."""

    alert_id: int
    signal: str
    region: str
    rule: str
    grain: Grain
    points: list[PointView]


class CountView(_View):
    """Count of an age group or a region."""

    name: str
    day: date | None = Field(description="null: the whole week, as viewers are told of ages")
    value: float = Field(
        description="Of an age group, to viewers: the multiple of five at or below it; of regions "
        "with regions below, rounded at random to one of the two nearest tens"
    )


class FacilityCountView(_View):
    """Count of a facility."""

    facility: str
    region: str
    day: date | None = Field(description="null: the whole week, as viewers are told")
    value: float = Field(description="To viewers, the multiple of five at or below it")


class HourCountView(_View):
    """Count of an hour."""

    hour: datetime
    value: float


class LinesView(_View):
    """The counts that make up an alert's latest period.

    Viewers are not given facilities and age groups below five, nor hours.
    """

    alert_id: int
    first: date
    last: date
    facilities: list[FacilityCountView]
    more_facilities: int = Field(description="Facilities with fewer cases that `most` left out")
    ages: list[CountView]
    regions: list[CountView] = Field(description="Regions directly below")
    hours: list[HourCountView]


class RuleView(_View):
    """A rule of the configuration, and how often its alerts were outbreaks."""

    rule: str
    signal: str
    signal_title: Title
    level: str
    grain: Grain
    severity: Severity
    min_cases: float
    quiet_days: int
    detector: dict[str, Any] = Field(
        description="Method; its parameters for epidemiologists and admins"
    )
    predictive_value: PredictiveValueView


class RegionView(_View):
    """A region of yours."""

    code: str
    level: str
    parent: str | None
    name: Title
    path: Title = Field(description="Name with those of the regions above")


class Me(_View):
    """Who asks."""

    name: str
    display_name: str
    role: Role
    region: str
    region_name: Title
    locale: Language
    may_act: bool
    version: str


# -- what is sent ---------------------------------------------------------------------------------


class Seeing(BaseModel):
    """What contradicts nothing that somebody else may have done."""

    model_config = ConfigDict(extra="forbid")

    note: str | None = Field(default=None, max_length=4000, description="Why")


class Deciding(Seeing):
    """What moves an alert on."""

    seen: int = Field(ge=1, description="`version` of the alert on which the decision rests")


class Assessing(Deciding):
    """How likely it is to spread, and how grave that would be; the risk follows."""

    likelihood: Likelihood
    consequence: Consequence


class Discarding(Deciding):
    """What it was, if no event."""

    outcome: Literal["explained", "data_error", "false_alarm"]


class Closing(Deciding):
    """What it was."""

    outcome: Outcome


class Assigning(Deciding):
    """Who is responsible."""

    to: str | None = Field(description="A user's name; null: nobody")


class Merging(Deciding):
    """The alert that stays open."""

    into: int


class Commenting(BaseModel):
    """A remark."""

    model_config = ConfigDict(extra="forbid")

    note: str = Field(min_length=1, max_length=4000)
