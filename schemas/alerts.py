"""Alerts: what a rule found, with the numbers that explain it."""

from __future__ import annotations

from datetime import date, datetime  # noqa: TC003 - pydantic needs them at run time
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.counts import Grain  # noqa: TC001 - pydantic needs it at run time

__all__ = ["Alert", "AlertStatus", "Severity"]

Severity = Literal["info", "warning", "critical"]
AlertStatus = Literal[
    "new", "verifying", "monitoring", "discarded", "assessing", "confirmed", "closed"
]


class Alert(BaseModel):
    """One open question for a duty officer: an exceedance of a rule in a region.

    Further exceedances of the same signal, region and rule update it as long as it is open.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    alert_id: int
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
    detector: dict[str, Any] = Field(description="Detector and parameters that judged")
    config_version: str
    as_of: datetime = Field(description="The data were read as they were known at this time")
    opened_at: datetime
    updated_at: datetime
