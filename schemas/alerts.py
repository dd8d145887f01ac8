"""Alerts: what a rule found, what people made of it, and the events that tell both."""

from __future__ import annotations

from datetime import date, datetime  # noqa: TC003 - pydantic needs them at run time
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from schemas.counts import Grain  # noqa: TC001 - pydantic needs it at run time

__all__ = [
    "OPEN_STATUSES",
    "Alert",
    "AlertEvent",
    "AlertStatus",
    "Assessed",
    "Assigned",
    "Change",
    "Closed",
    "Commented",
    "Confirmed",
    "Consequence",
    "Discarded",
    "Ended",
    "Escalated",
    "Explained",
    "Explanation",
    "Figures",
    "Likelihood",
    "Merged",
    "Monitored",
    "Opened",
    "Outcome",
    "Reopened",
    "Revised",
    "RiskLevel",
    "Severity",
    "Updated",
    "Verified",
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


class Contribution(_Model):
    """A facility's or an age group's part of a count, against its own baseline."""

    name: str = Field(description="Facility id, or age group")
    observed: float
    expected: float | None = Field(description="Mean of the same periods before; None: no history")


class Neighbour(_Model):
    """A neighbouring region that is high as well."""

    region: str
    observed: float
    expected: float | None
    upper: float | None


class Explanation(_Model):
    """Why an alert is one, in numbers that can be recounted from the stored counts as of `as_of`.

    Periods are those of the alert's grain.
    """

    as_of: datetime
    period: date = Field(description="The period that is explained: the latest in exceedance")
    excess: float | None = Field(description="Observed less expected")
    growth_per_day: float | None = Field(
        description="Growth rate r of the counts, per day: log-linear over the latest 14 days"
    )
    doubling_days: float | None = Field(description="log 2 / r where r is positive")
    completeness: float | None = Field(
        description="Share of the usual sources that have reported for the period; None: unknown"
    )
    silent_sources: tuple[str, ...] = Field(
        default=(), description="Usual sources without a report, at most ten"
    )
    facilities: tuple[Contribution, ...] = ()
    age_groups: tuple[Contribution, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()


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


class Updated(_Model):
    """New or revised counts changed the numbers of an open alert."""

    kind: Literal["updated"] = "updated"
    first_period: date
    exceedances: int = Field(ge=1)
    peak: float
    figures: Figures
    detector: dict[str, Any]
    config_version: str
    as_of: datetime


class Revised(_Model):
    """Corrections took every exceedance of an open alert back."""

    kind: Literal["revised"] = "revised"
    before: Figures = Field(description="The latest exceedance as it was")
    now: Figures | None = Field(description="The same period as it is now; None: not judged")
    as_of: datetime


class Ended(_Model):
    """Exceedances have ended: the system proposes to close the alert."""

    kind: Literal["ended"] = "ended"
    quiet_since: date = Field(description="First period without exceedance")
    as_of: datetime


class Suppressed(_Model):
    """An exceedance in the quiet period after an alert was closed."""

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


class _ByPerson(_Model):
    note: str | None = Field(default=None, max_length=4000)


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


class Confirmed(_ByPerson):
    """It is an event that calls for a response."""

    kind: Literal["confirmed"] = "confirmed"


class Discarded(_ByPerson):
    """It is none."""

    kind: Literal["discarded"] = "discarded"
    outcome: Literal["explained", "data_error", "false_alarm"]


class Closed(_ByPerson):
    """The response, or the watching, is over."""

    kind: Literal["closed"] = "closed"
    outcome: Outcome


class Merged(_ByPerson):
    """It belongs to the event of another alert, which stands for both from now on."""

    kind: Literal["merged"] = "merged"
    into: int


class Reopened(_ByPerson):
    """Closing it was a mistake."""

    kind: Literal["reopened"] = "reopened"


Change = Annotated[
    Opened
    | Updated
    | Revised
    | Ended
    | Suppressed
    | Explained
    | Escalated
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
    status: AlertStatus
    severity: Severity
    signal: str
    region: str
    rule: str
    grain: Grain
    first_period: date = Field(description="First day of the first period in exceedance")
    last_period: date = Field(description="First day of the latest period in exceedance")
    exceedances: int = Field(
        ge=0, description="Periods in exceedance; 0 when corrections took all of them back"
    )
    observed: float = Field(description="Count of the latest period in exceedance")
    expected: float | None = Field(description="Baseline of that period")
    upper: float | None = Field(description="Alarm threshold of that period")
    score: float | None = None
    p_value: float | None = None
    peak: float = Field(description="Highest count among the periods in exceedance")
    revised: Figures | None = Field(
        default=None, description="The latest period as corrections left it, without exceedance"
    )
    quiet_since: date | None = Field(
        default=None, description="Exceedances have ended: the alert may be closed"
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
    opened_at: datetime
    updated_at: datetime
