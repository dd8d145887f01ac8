"""From verdicts to changes of alerts. Pure.

The exceedances of a rule in a region belong to its alerts in turn: each alert has those after the
quiet period of the one before it. What lies in between raises no alert, and is noted on the
closed one as suppressed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

from schemas.alerts import Ended, Figures, Opened, Revised, Updated

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from schemas.alerts import Alert, Change
    from schemas.config import Rule

__all__ = [
    "Division",
    "Former",
    "Found",
    "Judgement",
    "divide",
    "follow_up",
    "head_for",
    "may_wait",
    "open_one",
]

#: A change of a count or a threshold by this part of what it was is told at once.
_TELLING = 0.1


class Former(NamedTuple):
    """An alert of the rule and region that is closed, discarded or merged."""

    alert_id: int
    first_period: date
    last_period: date
    covered_to: date
    """Latest period that whoever closed it knew of; for a merged one, its head's as well."""
    lives_on: bool
    """It was merged into an alert that is open."""


class Division(NamedTuple):
    """Whose the exceedances are that were judged."""

    since: date | None
    """First period of the open alert, or of the one to open; None: there is none to open."""
    suppressed: list[tuple[int, Figures]]
    """Exceedances that raise no alert, by the id of the closed one that they are noted on."""


class Found(NamedTuple):
    """What the verdicts say about an alert's periods."""

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


@dataclass(frozen=True, slots=True)
class Judgement:
    """What alerts are told about the judgement that they come from."""

    name: str
    rule: Rule
    config_version: str
    as_of: datetime


def divide(
    exceeded: Sequence[Figures],
    current: Alert | None,
    formers: Sequence[Former],
    *,
    quiet_days: int,
    noted: Collection[tuple[int, date]],
) -> Division:
    """Tell which of the judged exceedances are the open alert's, and which raise none.

    Parameters
    ----------
    exceeded
        All exceedances in the judged periods.
    formers
        In the order of their ids.
    noted
        Suppressed periods that are noted already, by id and period.
    """
    before = [f for f in formers if current is None or f.alert_id < current.alert_id]
    own: list[date] = [current.first_period] if current else []
    suppressed: list[tuple[int, Figures]] = []
    for figures in exceeded:
        if current and figures.period >= current.first_period:
            continue
        quieting = [f for f in before if _quiet_at(f, figures.period, quiet_days)]
        if not quieting:
            own.append(figures.period)
            continue
        known = any(f.first_period <= figures.period <= f.last_period for f in formers)
        if not known and (quieting[-1].alert_id, figures.period) not in noted:
            suppressed.append((quieting[-1].alert_id, figures))
    return Division(min(own, default=None), suppressed)


def _quiet_at(former: Former, period: date, quiet_days: int) -> bool:
    return former.lives_on or period <= former.covered_to + timedelta(days=quiet_days)


def open_one(judgement: Judgement, signal: str, region: str, found: Found) -> list[Change]:
    """Return the changes with which an alert begins; none without an exceedance."""
    if found.latest is None or found.first_period is None or found.peak is None:
        return []
    opened = Opened(
        severity=judgement.rule.severity,
        signal=signal,
        region=region,
        rule=judgement.name,
        grain=judgement.rule.grain,
        first_period=found.first_period,
        exceedances=found.exceedances,
        peak=found.peak,
        figures=found.latest,
        detector=judgement.rule.detector,
        config_version=judgement.config_version,
        as_of=judgement.as_of,
    )
    return [opened, *_ended(judgement, None, found)]


def follow_up(judgement: Judgement, alert: Alert, found: Found) -> list[Change]:
    """Return what an open alert has to be told; nothing when its numbers are as they were."""
    if found.latest is None or found.first_period is None or found.peak is None:
        if alert.exceedances == 0:
            return []
        return [Revised(before=_reported(alert), now=found.now, as_of=judgement.as_of)]
    changes: list[Change] = []
    since = alert.quiet_since
    if (found.first_period, found.exceedances, found.peak, found.latest) != (
        alert.first_period,
        alert.exceedances,
        alert.peak,
        _reported(alert),
    ) or alert.detector != judgement.rule.detector:
        changes.append(
            Updated(
                first_period=found.first_period,
                exceedances=found.exceedances,
                peak=found.peak,
                figures=found.latest,
                detector=judgement.rule.detector,
                config_version=judgement.config_version,
                as_of=max(alert.as_of, judgement.as_of),
            )
        )
        since = since if since and found.latest.period < since else None
    return changes + _ended(judgement, since, found)


def may_wait(alert: Alert, changes: Sequence[Change]) -> bool:
    """Tell whether nothing but counts and thresholds have changed, each by less than a tenth.

    Under a steady stream an open alert's count changes with every judgement. What is told at once
    is bounded: by the number of periods, and for each by how often a count can grow by a tenth.
    """
    if len(changes) != 1 or not isinstance(changes[0], Updated):
        return False
    told, new = changes[0], changes[0].figures
    return (
        (told.first_period, told.exceedances, new.period)
        == (alert.first_period, alert.exceedances, alert.last_period)
        and (told.detector, told.config_version) == (alert.detector, alert.config_version)
        and _near(alert.observed, new.observed)
        and _near(alert.peak, told.peak)
        and _near(alert.expected, new.expected)
        and _near(alert.upper, new.upper)
    )


def _near(before: float | None, now: float | None) -> bool:
    if before is None or now is None:
        return before is now
    return before == now or abs(now - before) < _TELLING * abs(before)


def _ended(judgement: Judgement, since: date | None, found: Found) -> list[Change]:
    if found.quiet < judgement.rule.ended_after_periods or found.quiet_since in {None, since}:
        return []
    assert found.quiet_since is not None  # noqa: S101 - looked at above
    return [Ended(quiet_since=found.quiet_since, as_of=judgement.as_of)]


def _reported(alert: Alert) -> Figures:
    return Figures(
        period=alert.last_period,
        observed=alert.observed,
        expected=alert.expected,
        upper=alert.upper,
        score=alert.score,
        p_value=alert.p_value,
    )


def head_for(rule: str, others: Sequence[Alert], rules: Mapping[str, Rule]) -> Alert | None:
    """Return the open alert that a new one is merged into, if there is one.

    Parameters
    ----------
    others
        Open alerts of the same signal and region.
    """
    group = rules[rule].merged_as
    heads = [
        alert
        for alert in others
        if alert.rule != rule and alert.rule in rules and rules[alert.rule].merged_as == group
    ]
    return min(heads, key=lambda alert: alert.alert_id, default=None)
