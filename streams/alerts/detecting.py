"""From verdicts to changes of alerts. Pure.

The exceedances of a rule in a region belong to its alerts in turn: each alert has those after the
quiet period of the one before it. What lies in between raises no alert, and is noted on the
closed one as suppressed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from schemas.alerts import Ended, Figures, Opened, Resumed, Revised, Updated, Worsened
from schemas.counts import last_day
from streams.alerts.combining import combine
from streams.alerts.levels import new_level
from streams.alerts.lifecycle import figure_fields
from streams.alerts.worsening import has_worsened, much_higher

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

    from schemas.alerts import Alert, Change
    from schemas.config import Rule, Worsening
    from streams.alerts.combining import Combined, Found, Member

__all__ = [
    "Division",
    "Former",
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
    high: float | None = None
    """Highest count by day that whoever closed it knew of, or less after corrections."""


class Division(NamedTuple):
    """Whose the exceedances are that were judged."""

    since: date | None
    """First period of the open alert, or of the one to open; None: there is none to open."""
    suppressed: list[tuple[int, Figures]]
    """Exceedances that raise no alert, by the id of the closed one that they are noted on."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What alerts are told about the judgement that they come from."""

    name: str
    rule: Rule
    config_version: str
    as_of: datetime
    recent_from: date | None = None
    """Exceedances before it are not announced at once; None: all are."""
    worsening: Worsening | None = None
    """When an alert is announced again; None: never."""


def divide(
    exceeded: Sequence[Figures],
    current: Alert | None,
    formers: Sequence[Former],
    *,
    rule: Rule,
    worsening: Worsening | None,
    noted: Collection[tuple[int, date]],
) -> Division:
    """Tell which of the judged exceedances are the open alert's, and which raise none.

    Parameters
    ----------
    exceeded
        All exceedances in the judged periods.
    formers
        In the order of their ids.
    worsening
        A count that is so much higher than what was closed raises an alert in the quiet period too.
    noted
        Suppressed periods that are noted already, by id and period.
    """
    before = [f for f in formers if current is None or f.alert_id < current.alert_id]
    own: list[date] = [current.own_first_period] if current else []
    suppressed: list[tuple[int, Figures]] = []
    for figures in exceeded:
        if current and figures.period >= current.own_first_period:
            continue
        quieting = [f for f in before if _quiets(f, figures, rule, worsening)]
        # After the first that is not quiet all are the same alert's.
        if not quieting or (own and not current):
            own.append(figures.period)
            continue
        known = any(f.first_period <= figures.period <= f.last_period for f in formers)
        if not known and (quieting[-1].alert_id, figures.period) not in noted:
            suppressed.append((quieting[-1].alert_id, figures))
    return Division(min(own, default=None), suppressed)


def _quiets(former: Former, figures: Figures, rule: Rule, worsening: Worsening | None) -> bool:
    if former.lives_on:
        return True
    if figures.period > former.covered_to + timedelta(days=rule.quiet_days):
        return False
    if worsening is None or former.high is None or figures.period < former.last_period:
        return True
    return not much_higher(figures.observed, rule.grain, former.high, worsening)


def open_one(judgement: Judgement, region: str, found: Found) -> Opened | None:
    """Return the change with which an alert begins; None without an exceedance.

    Whether it has ended already is left to `follow_up`, which also sees what is merged into it.
    """
    if found.latest is None or found.first_period is None or found.peak is None:
        return None
    return Opened(
        severity=judgement.rule.severity,
        signal=judgement.rule.signal,
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


def follow_up(judgement: Judgement, alert: Alert, members: Sequence[Member]) -> list[Change]:
    """Return what an open alert has to be told; nothing when its state is as it was.

    Parameters
    ----------
    members
        The alert itself and all that were merged into it, as `combine` takes them.
    """
    combined = combine(members)
    if not combined.exceeds:
        if alert.exceedances == 0:
            return []
        return [Revised(before=_reported(alert), now=_now(alert, members), as_of=judgement.as_of)]
    begins = alert.over and (
        alert.exceedances == 0
        or (combined.latest_day is not None and _since(alert) <= combined.latest_day)
    )
    begins = begins or _becomes_news(judgement, alert, combined)
    numbers = _numbers(judgement, alert, members, combined)
    changes: list[Change] = []
    if begins:
        changes.append(Resumed.model_validate(numbers))
    elif any(getattr(alert, name) != value for name, value in _shown(numbers).items()):
        worse = _worsens(judgement, alert, members, combined)
        changes.append(
            Worsened.model_validate(numbers | {"before": alert.announced})
            if worse
            else Updated.model_validate(numbers)
        )
    since = None if begins else alert.quiet_since
    if combined.quiet_since not in {None, since}:
        assert combined.quiet_since is not None  # noqa: S101 - looked at above
        changes.append(
            Ended(
                quiet_since=combined.quiet_since,
                new_level=new_level(combined.leading),
                as_of=judgement.as_of,
            )
        )
    return changes


def _becomes_news(judgement: Judgement, alert: Alert, combined: Combined) -> bool:
    """Tell whether an alert of which only the far past was known has a recent exceedance."""
    recent, latest = judgement.recent_from, combined.latest_day
    return (
        recent is not None
        and latest is not None
        and last_day(alert.last_period, alert.grain) < recent <= latest
    )


def _worsens(
    judgement: Judgement, alert: Alert, members: Sequence[Member], combined: Combined
) -> bool:
    recent, latest = judgement.recent_from, combined.latest_day
    if judgement.worsening is None or combined.leading is None or latest is None:
        return False
    if recent is not None and latest < recent:
        return False
    return has_worsened(alert, combined.leading, members, judgement.worsening, judgement.as_of)


def _since(alert: Alert) -> date:
    return alert.quiet_since or date.max


def _now(alert: Alert, members: Sequence[Member]) -> Figures | None:
    """Return the period that was shown, as the rule of the numbers judges it now."""
    shown = [m for m in members if m.same_series and m.rule == alert.numbers_rule]
    return (shown[0] if shown else members[0]).found.now


def _numbers(
    judgement: Judgement, alert: Alert, members: Sequence[Member], combined: Combined
) -> dict[str, Any]:
    """Return the fields of `Updated`, `Resumed` and `Worsened`."""
    own, leading = members[0], combined.leading
    numbers = {
        "severity": combined.severity,
        "own_first_period": own.found.first_period or alert.own_first_period,
        "own_last_period": own.found.latest.period if own.found.latest else alert.own_last_period,
        "config_version": judgement.config_version,
        "as_of": max(alert.as_of, judgement.as_of),
    }
    if leading is None:  # only alerts of other series that were merged exceed: their numbers differ
        return numbers | {
            "first_period": alert.first_period,
            "exceedances": max(alert.exceedances, 1),
            "peak": alert.peak,
            "figures": _reported(alert),
            "detector": alert.detector,
            "grain": alert.grain,
            "leading_rule": alert.leading_rule,
        }
    found = leading.found
    return numbers | {
        "first_period": found.first_period,
        "exceedances": found.exceedances,
        "peak": found.peak,
        "figures": found.latest,
        "detector": leading.detector,
        "grain": leading.grain,
        "leading_rule": None if leading is own else leading.rule,
    }


def _shown(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an alert that numbers decide."""
    fields = ("severity", "own_first_period", "own_last_period", "first_period", "exceedances")
    shown = {name: numbers[name] for name in (*fields, "peak", "detector", "grain", "leading_rule")}
    return shown | figure_fields(numbers["figures"])


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
        and (told.leading_rule, told.severity or alert.severity)
        == (alert.leading_rule, alert.severity)
        and alert.incomplete == new.incomplete
        and _near(alert.observed, new.observed)
        and _near(alert.peak, told.peak)
        and _near(alert.expected, new.expected)
        and _near(alert.upper, new.upper)
    )


def _near(before: float | None, now: float | None) -> bool:
    if before is None or now is None:
        return before is now
    return before == now or abs(now - before) < _TELLING * abs(before)


def _reported(alert: Alert) -> Figures:
    return Figures(
        period=alert.last_period,
        observed=alert.observed,
        expected=alert.expected,
        upper=alert.upper,
        score=alert.score,
        p_value=alert.p_value,
        incomplete=alert.incomplete,
    )


def head_for(
    alert: Alert, others: Sequence[Alert], rules: Mapping[str, Rule], recent_from: date | None
) -> Alert | None:
    """Return the open alert that a new one is merged into, if there is one.

    Nothing is merged into an alert that is over, and nothing recent into one of the far past:
    nobody would hear of the new exceedance.

    Parameters
    ----------
    others
        Open alerts of the same signal and region whose rules are judged.
    """
    group = rules[alert.rule].merged_as
    heads = [
        other
        for other in others
        if other.rule != alert.rule
        and rules[other.rule].merged_as == group
        and not other.over
        and (_recent(other, recent_from) or not _recent(alert, recent_from))
    ]
    return min(heads, key=lambda other: other.alert_id, default=None)


def _recent(alert: Alert, since: date | None) -> bool:
    return since is None or last_day(alert.last_period, alert.grain) >= since
