"""Alerts: what a rule found, what people made of it, and the events that tell both."""

from __future__ import annotations

from datetime import date, datetime  # noqa: TC003 - pydantic needs them at run time
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from schemas.counts import Grain  # noqa: TC001 - pydantic needs it at run time

__all__ = [
    "OPEN_STATUSES",
    "SYSTEM",
    "Absorbed",
    "Acknowledged",
    "Alert",
    "AlertEvent",
    "AlertStatus",
    "Announced",
    "Assessed",
    "Assigned",
    "Change",
    "Closed",
    "Commented",
    "Confirmed",
    "Consequence",
    "Contribution",
    "Discarded",
    "Ended",
    "Escalated",
    "Explained",
    "Explanation",
    "Figures",
    "Likelihood",
    "Merged",
    "Monitored",
    "Neighbour",
    "NewLevel",
    "Opened",
    "Outcome",
    "Reopened",
    "Resumed",
    "Revised",
    "RiskLevel",
    "Severity",
    "Suppressed",
    "Updated",
    "Verified",
    "Worsened",
    "change_adapter",
]

Severity = Literal["info", "warning", "critical"]
AlertStatus = Literal[
    "new", "verifying", "monitoring", "discarded", "assessing", "confirmed", "closed", "merged"
]
#: What an alert turned out to be. `outbreak` counts as true in a rule's positive predictive value.
Outcome = Literal["outbreak", "explained", "data_error", "false_alarm"]
Likelihood = Literal["very_unlikely", "unlikely", "likely", "highly_likely", "almost_certain"]
Consequence = Literal["minimal", "minor", "moderate", "major", "severe"]
RiskLevel = Literal["low", "moderate", "high", "very_high"]

#: The actor of what no person did.
SYSTEM: Final = "system"
#: An alert in one of these takes further exceedances of its signal, region and rule.
OPEN_STATUSES: frozenset[AlertStatus] = frozenset(
    {"new", "verifying", "monitoring", "assessing", "confirmed"}
)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Figures(_Model):
    """One period of a rule in a region as it was judged."""

    period: date = Field(description="First day of the period")
    observed: float
    expected: float | None = Field(default=None, description="Baseline")
    upper: float | None = Field(default=None, description="Alarm threshold")
    score: float | None = None
    p_value: float | None = None
    incomplete: bool = Field(
        default=False,
        description="Days of the period are missing: observed is the sum of those that arrived, "
        "a lower bound",
    )


class Contribution(_Model):
    """A facility's, a region's or an age group's part of a count, against its own baseline."""

    name: str = Field(description="Facility id, region code or age group")
    observed: float
    expected: float | None = Field(
        description="Mean of the periods before; None: it has no history there"
    )

    @property
    def excess(self) -> float:
        """Observed less expected, or all of it without history."""
        return self.observed - (self.expected or 0.0)


class Neighbour(_Model):
    """A neighbouring region that is high as well, under the same rule in the same period."""

    region: str
    observed: float
    expected: float | None
    upper: float | None
    alarm: bool = Field(description="In exceedance; else only well above what is expected")
    incomplete: bool = Field(default=False, description="observed is a lower bound")


class DataQuality(_Model):
    """Gaps in the counts behind an alert: in weeks for a rule of weeks, else in days."""

    baseline: int = Field(description="Days or weeks that the method looks back on")
    data_since: date | None = Field(
        default=None, description="First one with data, where data begin within the baseline"
    )
    missing: int = Field(
        default=0, description="Later ones of the baseline without a known count, as in an outage"
    )
    period_missing: int = Field(
        default=0, description="The same, of the period itself: its count may be too small"
    )

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return self.data_since is None and not self.missing and not self.period_missing


class Explanation(_Model):
    """Why an alert is one, in numbers that can be recounted from the stored counts as of `as_of`.

    Baselines of contributions are means over the periods 1 to 8 weeks before: the same weekday, the
    seven days, or the week. A period that live or imported counts do not wholly cover is left out.
    """

    as_of: datetime
    period: date = Field(description="The period that is explained: the latest in exceedance")
    incomplete: bool = Field(
        default=False,
        description="Days of the period are missing: the excess is a lower bound, and growth is "
        "not computed",
    )
    excess: float | None = Field(description="Observed less expected")
    growth_until: date | None = Field(
        default=None, description="Last whole day of the period; later ones are still coming in"
    )
    latest_week: float | None = Field(
        default=None, description="Count of the 7 days up to growth_until"
    )
    week_before: float | None = Field(default=None, description="Count of the 7 days before those")
    growth_per_day: float | None = Field(
        description="log(latest_week / week_before) / 7; None where too few cases tell"
    )
    doubling_days: float | None = Field(description="log 2 / growth_per_day where that is positive")
    completeness: float | None = Field(
        description="Of the days of the period on which facilities usually report, the share on "
        "which they did; None: unknown"
    )
    usual_facilities: int = Field(
        default=0, description="Facilities that usually report on a day of the period"
    )
    silent: int = Field(
        default=0, description="Of these, the number without any report in the period"
    )
    silent_facilities: tuple[str, ...] = Field(default=(), description="At most ten of the silent")
    quality: DataQuality | None = Field(
        default=None, description="Gaps in the data; None: the rule is not configured any more"
    )
    baseline_periods: int = Field(
        default=0, ge=0, le=8, description="Periods before that counts wholly cover"
    )
    facilities: tuple[Contribution, ...] = Field(
        default=(),
        description="The five of largest excess, in the five counted regions of largest excess",
    )
    regions: tuple[Contribution, ...] = Field(
        default=(), description="The five regions directly below of largest excess"
    )
    age_groups: tuple[Contribution, ...] = Field(default=(), description="By excess")
    tellable_facilities: tuple[str, ...] | None = Field(
        default=None,
        description="Facilities whose counts may be told outside; None: of an explanation from "
        "before this was kept",
    )
    tellable_ages: tuple[str, ...] | None = Field(
        default=None, description="The same of age groups"
    )
    steps: int | None = Field(
        default=None,
        description="Counts of facilities and age groups are told in steps of so many, observed "
        "and expected alike: of steps of five, 10 stands for 10 to 14. None: they are exact",
    )
    named_facilities: tuple[str, ...] = Field(
        default=(),
        description="Facilities that make up a good part of the excess by exact counts, where "
        "these are not told",
    )
    named_ages: tuple[str, ...] = Field(default=(), description="The same of age groups")
    spread: bool = Field(
        default=False, description="No facility makes up a good part, where counts are not exact"
    )
    neighbours: tuple[Neighbour, ...] = Field(
        default=(), description="The high ones, nearest first"
    )
    neighbours_judged: int = Field(default=0, description="Neighbours that could be judged")
    neighbours_awaited: int | None = Field(
        default=None,
        description="Neighbours not judged yet in this period; the alert is explained again when "
        "they are. None: of an explanation from before this was kept",
    )
    neighbours_unknown: int = Field(
        default=0, description="Neighbours that have no data or too little of it to be judged"
    )


# -- what happens to alerts -----------------------------------------------------------------------


class Opened(_Model):
    """A rule found an exceedance, and no alert of its signal and region was open."""

    kind: Literal["opened"] = "opened"
    severity: Severity
    signal: str
    region: str
    rule: str
    grain: Grain
    first_period: date
    exceedances: int = Field(ge=1)
    peak: float
    figures: Figures
    detector: dict[str, Any]
    config_version: str
    as_of: datetime


class _Numbers(_Model):
    """The numbers of an open alert: those of its own rule, or of a merged alert that is higher."""

    first_period: date
    exceedances: int = Field(ge=1)
    peak: float
    figures: Figures
    detector: dict[str, Any]
    config_version: str
    as_of: datetime
    grain: Grain | None = Field(default=None, description="Of the numbers; None: unchanged")
    leading_rule: str | None = Field(
        default=None, description="Rule of the numbers; None: the alert's own"
    )
    own_first_period: date | None = Field(
        default=None, description="First exceedance of the own rule; None: first_period"
    )
    own_last_period: date | None = Field(
        default=None, description="Latest exceedance of the own rule; None: that of figures"
    )
    severity: Severity | None = Field(
        default=None, description="Highest of the alert and those merged into it; None: unchanged"
    )


class Updated(_Numbers):
    """New or revised counts changed the numbers of an open alert."""

    kind: Literal["updated"] = "updated"


class Announced(_Model):
    """The figures of an alert that were announced last: when it opened, resumed or worsened."""

    period: date = Field(description="First day of the period")
    observed: float
    grain: Grain
    rule: str = Field(description="Rule of the figures")
    worsened: tuple[datetime, ...] = Field(
        default=(), description="When it worsened within the day before the last time"
    )


class Worsened(_Numbers):
    """The count of an open alert is a multiple of what was last announced.

    The alert is to be looked at again, as after `resumed`; its status stays.
    """

    kind: Literal["worsened"] = "worsened"
    before: Announced = Field(description="The figures that were announced last")


class Resumed(_Numbers):
    """An exceedance began on an open alert whose exceedances had ended, or were taken back.

    The alert is to be looked at again: who has read it, and that it was escalated, no longer count.
    """

    kind: Literal["resumed"] = "resumed"


class Revised(_Model):
    """Corrections took every exceedance of an open alert back."""

    kind: Literal["revised"] = "revised"
    before: Figures = Field(description="The latest exceedance as it was")
    now: Figures | None = Field(description="The same period as it is now; None: not judged")
    as_of: datetime


class NewLevel(_Model):
    """Exceedances ended while counts stayed high: not the counts changed, but what is usual."""

    rule: str = Field(description="Rule of the numbers")
    grain: Grain
    since: date = Field(description="First day of the alert's first period in exceedance")
    before: float = Field(
        ge=0,
        description="Expected then, on the same days of the week as the periods without exceedance",
    )
    now: float = Field(ge=0, description="Mean count of the latest periods without exceedance")
    expected: float | None = Field(description="Mean of what is expected in these periods")


class Ended(_Model):
    """Exceedances have ended: the system proposes to close the alert."""

    kind: Literal["ended"] = "ended"
    quiet_since: date = Field(description="First period without exceedance")
    new_level: NewLevel | None = Field(
        default=None,
        description="Where counts are still far above what was expected when the alert began",
    )
    as_of: datetime


class Suppressed(_Model):
    """An exceedance that raised no alert.

    It lies in the quiet period after this one was closed, or belongs to the open alert that this
    one was merged into.
    """

    kind: Literal["suppressed"] = "suppressed"
    figures: Figures
    as_of: datetime


class Explained(_Model):
    """The explanation of the latest numbers."""

    kind: Literal["explained"] = "explained"
    explanation: Explanation


class Escalated(_Model):
    """Nobody has looked at the alert in time."""

    kind: Literal["escalated"] = "escalated"
    after_minutes: int = Field(ge=1)


class Absorbed(_Model):
    """Another alert was merged into this one, whose severity is from now on the higher of both."""

    kind: Literal["absorbed"] = "absorbed"
    alert: int
    severity: Severity = Field(description="Of the alert that was merged")
    raised_from: Severity | None = Field(
        default=None, description="Severity until then, where the merged alert's is higher"
    )


class _ByPerson(_Model):
    note: str | None = Field(default=None, max_length=4000)


class _Ending(_ByPerson):
    judged_to: date | None = Field(
        default=None, description="Latest period judged by then: the quiet period counts from it"
    )


class Acknowledged(_ByPerson):
    """Somebody has seen the alert."""

    kind: Literal["acknowledged"] = "acknowledged"


class Assigned(_ByPerson):
    """Somebody is responsible from now on; None: nobody."""

    kind: Literal["assigned"] = "assigned"
    to: str | None


class Commented(_ByPerson):
    """A remark."""

    kind: Literal["commented"] = "commented"
    note: str = Field(min_length=1, max_length=4000)


class Verified(_ByPerson):
    """Verification has begun: whether it is real and the data are right."""

    kind: Literal["verified"] = "verified"


class Monitored(_ByPerson):
    """Neither discarded nor assessed yet: it is watched."""

    kind: Literal["monitored"] = "monitored"


class Assessed(_ByPerson):
    """Risk was assessed; the level follows from likelihood and consequence."""

    kind: Literal["assessed"] = "assessed"
    likelihood: Likelihood
    consequence: Consequence
    risk: RiskLevel | None = Field(
        default=None,
        description="Level by the matrix that was configured then; None: by the default one",
    )


class Confirmed(_ByPerson):
    """It is an event that calls for a response."""

    kind: Literal["confirmed"] = "confirmed"


class Discarded(_Ending):
    """It is none."""

    kind: Literal["discarded"] = "discarded"
    outcome: Literal["explained", "data_error", "false_alarm"]


class Closed(_Ending):
    """The response, or the watching, is over."""

    kind: Literal["closed"] = "closed"
    outcome: Outcome


class Merged(_Ending):
    """It belongs to the event of another alert, which stands for both from now on."""

    kind: Literal["merged"] = "merged"
    into: int


class Reopened(_ByPerson):
    """Closing it was a mistake."""

    kind: Literal["reopened"] = "reopened"


Change = Annotated[
    Opened
    | Updated
    | Resumed
    | Worsened
    | Revised
    | Ended
    | Suppressed
    | Explained
    | Escalated
    | Absorbed
    | Acknowledged
    | Assigned
    | Commented
    | Verified
    | Monitored
    | Assessed
    | Confirmed
    | Discarded
    | Closed
    | Merged
    | Reopened,
    Field(discriminator="kind"),
]
change_adapter: TypeAdapter[Change] = TypeAdapter(Change)


class AlertEvent(_Model):
    """One entry of an alert's history: a row of `alert_events`, a record of the topic `alerts`."""

    alert_id: int
    seq: int = Field(ge=1, description="1, 2, ... for each alert")
    at: datetime
    actor: str = Field(description="Who: a user's name, or system")
    change: Change


class Alert(_Model):
    """One open question for a duty officer: the sum of its events.

    Further exceedances of the same signal, region and rule update it as long as it is open.
    """

    alert_id: int
    version: int = Field(ge=1, description="Number of its latest event")
    decided_version: int = Field(
        ge=1, description="Number of the latest event by a person, or that changed the status"
    )
    status: AlertStatus
    severity: Severity
    signal: str
    region: str
    rule: str
    grain: Grain
    leading_rule: str | None = Field(
        default=None,
        description="Rule that the numbers come from where it is not the alert's own: that of a "
        "merged alert which stands higher above what is expected",
    )
    first_period: date = Field(description="First day of the first period in exceedance")
    last_period: date = Field(description="First day of the latest period in exceedance")
    own_first_period: date = Field(description="The first period of the alert's own rule")
    own_last_period: date = Field(description="The latest period of the alert's own rule")
    exceedances: int = Field(
        ge=0, description="Periods in exceedance; 0 when corrections took all of them back"
    )
    observed: float = Field(description="Count of the latest period in exceedance")
    expected: float | None = Field(description="Baseline of that period")
    upper: float | None = Field(description="Alarm threshold of that period")
    score: float | None = None
    p_value: float | None = None
    incomplete: bool = Field(
        default=False,
        description="Days of that period are missing: observed is the sum of those that arrived, "
        "a lower bound",
    )
    peak: float = Field(description="Highest count among the periods in exceedance")
    revised: Figures | None = Field(
        default=None, description="The latest period as corrections left it, without exceedance"
    )
    quiet_since: date | None = Field(
        default=None, description="Exceedances have ended: the alert may be closed"
    )
    new_level: NewLevel | None = Field(
        default=None,
        description="They ended although counts are still far above what was expected at first",
    )
    suppressed: int = Field(default=0, description="Exceedances in the quiet period after closing")
    detector: dict[str, Any] = Field(description="Detector and parameters that judged")
    config_version: str
    as_of: datetime = Field(description="The data were read as they were known at this time")
    explanation: Explanation | None = None
    assigned_to: str | None = None
    acknowledged_at: datetime | None = None
    acknowledged_by: str | None = None
    escalated_at: datetime | None = None
    likelihood: Likelihood | None = None
    consequence: Consequence | None = None
    risk: RiskLevel | None = None
    outcome: Outcome | None = None
    merged_into: int | None = None
    closed_at: datetime | None = None
    judged_to: date | None = Field(
        default=None, description="Latest period judged when it was closed"
    )
    opened_at: datetime
    resumed_at: datetime | None = Field(
        default=None, description="When an exceedance began again after an end, the last time"
    )
    begun_to: date | None = Field(
        default=None,
        description="Last day of the latest exceedance when it opened, resumed or worsened the "
        "last time: by its age then it was announced or not",
    )
    worsened_at: datetime | None = Field(
        default=None, description="When its count became a multiple of what was announced"
    )
    announced: Announced | None = Field(
        default=None, description="The figures that were announced last"
    )
    updated_at: datetime

    @property
    def numbers_rule(self) -> str:
        """Rule whose verdicts the numbers are."""
        return self.leading_rule or self.rule

    @property
    def over(self) -> bool:
        """Whether all exceedances have ended, or were taken back."""
        return self.exceedances == 0 or self.quiet_since is not None

    @property
    def unread_since(self) -> datetime:
        """When it was announced, the last time."""
        again = [at for at in (self.resumed_at, self.worsened_at) if at is not None]
        return max(again, default=self.opened_at)
