"""The state of an alert with all alerts that were merged into it. Pure.

An alert that others were merged into stands for all of them: it has ended when all of them have,
its severity is the highest, and its numbers are those of the member that is highest above what was
expected.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from schemas.counts import last_day
from streams.alerts.lifecycle import higher

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from schemas.alerts import Figures, Severity
    from schemas.counts import Grain

__all__ = ["Combined", "Found", "Member", "combine"]


class Found(NamedTuple):
    """What the verdicts say about an alert's periods under one rule."""

    exceedances: int
    first_period: date | None
    peak: float | None
    latest: Figures | None
    """The latest exceedance; None without any."""
    quiet: int
    """Judged periods after it, at most as many as the rule asks for."""
    quiet_since: date | None
    now: Figures | None
    """The period that the alert reported so far, as it is now."""
    announced_now: float | None = None
    """Count of the period that was announced last, as it is now."""
    recent_high: float | None = None
    """Highest count of the two weeks before the latest exceedance."""
    quiet_observed: float | None = None
    """Mean count of the `quiet` periods."""
    quiet_expected: float | None = None
    """Mean of what is expected in them."""
    begun_expected: float | None = None
    """Mean of what was expected when the alert began, on the days of the week of the same."""


@dataclass(frozen=True, slots=True)
class Member:
    """An alert, or one that was merged into it, as its verdicts are now."""

    rule: str
    grain: Grain
    detector: dict[str, Any]
    severity: Severity
    """As it was opened."""
    ended_after: int
    """Quiet periods after which its exceedances have ended."""
    found: Found
    same_series: bool = True
    """It has the signal and region of the alert; only such a member's numbers are shown there."""
    judged: bool = True
    """Its rule is still judged for its signal and region; else its exceedances are over."""

    @property
    def quiet_since(self) -> date | None:
        """First period after its exceedances ended; None: they go on."""
        if not self.judged:
            latest = self.found.latest
            return last_day(latest.period, self.grain) + timedelta(days=1) if latest else None
        return self.found.quiet_since if self.found.quiet >= self.ended_after else None

    @property
    def shown(self) -> bool:
        """Whether the alert may show its numbers: an unjudged member has none of today."""
        return self.same_series and self.judged

    @property
    def height(self) -> tuple[float, float]:
        """How far the latest exceedance is above what was expected: as a ratio, then in cases."""
        latest = self.found.latest
        if latest is None:
            return 0.0, 0.0
        expected = latest.expected or 0.0
        ratio = latest.observed / expected if expected > 0 else float("inf")
        return ratio, latest.observed - expected


class Combined(NamedTuple):
    """What all members say together."""

    severity: Severity
    leading: Member | None
    """Whose numbers are shown; None: no judged member of the alert's signal and region has any."""
    exceeds: bool
    """Some member has an exceedance."""
    quiet_since: date | None
    """First period since which all are quiet; None: some exceedance goes on, or there is none."""
    latest_day: date | None
    """Last day of the latest exceedance of any member."""


def combine(members: Sequence[Member]) -> Combined:
    """Return the state of an alert.

    Parameters
    ----------
    members
        The alert itself first. Their order decides only between members that are equally high.
    """
    severity = members[0].severity
    for member in members:
        severity = higher(severity, member.severity)
    exceeding = [member for member in members if member.found.latest is not None]
    going_on = [member for member in exceeding if member.quiet_since is None]
    ends = [since for member in exceeding if (since := member.quiet_since) is not None]
    shown = [member for member in going_on or exceeding if member.shown]
    shown = shown or [member for member in exceeding if member.shown]
    days = [last_day(m.found.latest.period, m.grain) for m in exceeding if m.found.latest]
    return Combined(
        severity=severity,
        leading=max(shown, key=lambda member: member.height, default=None),
        exceeds=bool(exceeding),
        quiet_since=None if going_on else max(ends, default=None),
        latest_day=max(days, default=None),
    )
