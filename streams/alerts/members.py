"""Reading what the verdicts say about alerts and all that were merged into them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

from schemas.alerts import Figures
from streams.alerts.combining import Found, Member
from streams.store.standing import Key, Look, find, read_families

if TYPE_CHECKING:
    from collections.abc import Mapping

    from psycopg import AsyncConnection

    from schemas.alerts import Alert
    from schemas.config import Rule
    from schemas.counts import Grain
    from schemas.regions import RegionRegistry
    from streams.store.standing import Relative

__all__ = ["New", "Standing", "is_judged", "read_members"]


class Standing(NamedTuple):
    """An open alert."""

    alert: Alert
    since: date | None = None
    """First period of its own rule, where late counts have moved it; None: as it is known."""


def is_judged(
    rule: str, signal: str, region: str, rules: Mapping[str, Rule], regions: RegionRegistry
) -> bool:
    """Tell whether a rule is configured for this signal and for regions like this one.

    Otherwise no verdict about the alert will ever come: the rule was removed, renamed or given
    another signal or level, or the region has left the registry.
    """
    configured = rules.get(rule)
    known = regions.get(region)
    return (
        configured is not None
        and known is not None
        and (configured.signal, configured.level) == (signal, known.level)
    )


class New(NamedTuple):
    """An alert that is to be opened."""

    key: Key
    since: date


async def read_members(
    connection: AsyncConnection,
    standing: Mapping[int, Standing],
    new: Mapping[Key, New],
    rules: Mapping[str, Rule],
    regions: RegionRegistry,
    *,
    today: date,
) -> tuple[dict[int, list[Member]], dict[Key, Member]]:
    """Return the members of open alerts, and those with which new alerts begin.

    Two statements, or three, whatever the number of alerts.

    Parameters
    ----------
    standing
        By id.
    today
        Local date: periods that hold it or later days are not over.
    rules, regions
        All that are configured. The exceedances of an alert that is not judged any more
        (`is_judged`) are over, and its numbers are those of its row: verdicts under its name may be
        those of a new rule.
    """
    families = await read_families(connection, standing) if standing else {}
    relatives = [relative for head in standing for relative in families[head]]
    judged = [
        relative
        for relative in relatives
        if is_judged(
            relative.alert.rule, relative.alert.signal, relative.alert.region, rules, regions
        )
    ]
    looks = [_look(one, standing[one.head], rules[one.alert.rule], today) for one in judged]
    looks += [
        Look(
            key,
            one.since,
            None,
            one.since,
            rules[key.rule].ended_after_periods,
            _complete_to(rules[key.rule].grain, today),
        )
        for key, one in new.items()
    ]
    found = await find(connection, looks) if looks else []
    members: dict[int, list[Member]] = {head: [] for head in standing}
    states = iter(found[: len(judged)])
    still = {id(relative) for relative in judged}
    for relative in relatives:
        head = standing[relative.head].alert
        if id(relative) in still:
            member = _member(relative, head, rules[relative.alert.rule], next(states))
        else:
            member = _unjudged(relative, head)
        members[relative.head].append(member)
    opening = {
        key: Member(
            rule=key.rule,
            grain=rules[key.rule].grain,
            detector=rules[key.rule].detector,
            severity=rules[key.rule].severity,
            ended_after=rules[key.rule].ended_after_periods,
            found=state,
        )
        for key, state in zip(new, found[len(judged) :], strict=True)
    }
    return members, opening


def _complete_to(grain: Grain, today: date) -> date:
    return today - timedelta(days=7 if grain == "week" else 1)


def _look(relative: Relative, standing: Standing, rule: Rule, today: date) -> Look:
    alert, head = relative.alert, standing.alert
    since = alert.own_first_period
    if alert.alert_id == relative.head and standing.since is not None:
        since = standing.since
    return Look(
        Key(alert.rule, alert.region),
        since,
        alert.alert_id,
        head.last_period,
        rule.ended_after_periods,
        _complete_to(rule.grain, today),
        head.announced.period if head.announced and head.announced.rule == alert.rule else None,
    )


def _member(relative: Relative, head: Alert, rule: Rule, found: Found) -> Member:
    alert = relative.alert
    return Member(
        rule=alert.rule,
        grain=rule.grain,
        detector=rule.detector,
        severity=relative.severity,
        ended_after=rule.ended_after_periods,
        found=found,
        same_series=(alert.signal, alert.region) == (head.signal, head.region),
    )


def _unjudged(relative: Relative, head: Alert) -> Member:
    alert = relative.alert
    exceeded = alert.exceedances > 0
    latest = Figures(period=alert.own_last_period, observed=alert.observed)
    return Member(
        rule=alert.rule,
        grain=relative.grain,
        detector=alert.detector,
        severity=relative.severity,
        ended_after=1,
        found=Found(
            exceedances=alert.exceedances,
            first_period=alert.own_first_period if exceeded else None,
            peak=alert.peak if exceeded else None,
            latest=latest if exceeded else None,
            quiet=0,
            quiet_since=None,
            now=None,
        ),
        same_series=(alert.signal, alert.region) == (head.signal, head.region),
        judged=False,
    )
