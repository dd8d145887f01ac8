"""Counts: how many, of what, where and when."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ALL_STRATA", "UNKNOWN_STRATUM", "Count", "Grain", "ImportGrain", "last_day"]

#: The stratum of events that have no age, such as sales.
ALL_STRATA = "all"
#: The stratum of visits whose age is not known or not comparable with the age groups.
UNKNOWN_STRATUM = "unknown"

#: How a rule looks at a series: per day, the seven days up to each day, or per epi week.
Grain = Literal["day", "rolling7", "week"]
ImportGrain = Literal["day", "week"]


class Count(BaseModel):
    """An aggregated count, as imported for baselines or given out."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    signal: str
    region: str
    stratum: str = ALL_STRATA
    grain: ImportGrain
    period: date = Field(description="The day, or the first day of the epi week")
    value: float = Field(ge=0, allow_inf_nan=False)


def last_day(period: date, grain: Grain) -> date:
    """Return the last day that a period's count holds.

    Examples
    --------
    >>> from datetime import date
    >>> last_day(date(2026, 11, 23), "week"), last_day(date(2026, 11, 23), "rolling7")
    (datetime.date(2026, 11, 29), datetime.date(2026, 11, 23))
    """
    return period + timedelta(days=6) if grain == "week" else period
