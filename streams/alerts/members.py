"""Reading what the verdicts say about alerts and all that were merged into them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

from streams.alerts.combining import Member
from streams.store.standing import Key, Look, find, read_families

if TYPE_CHECKING:
    from collections.abc import Mapping

    from psycopg import AsyncConnection

    from schemas.alerts import Alert
    from schemas.config import Rule
    from schemas.counts import Grain
    from streams.alerts.combining import Found
    from streams.store.standing import Relative

__all__ = ["New", "Standing", "read_members"]

#: For an alert whose rule is not configured any more.
_ENDED_AFTER = 3


class Standing(NamedTuple):
    """An open alert."""

    alert: Alert
    since: date | None = None
    """First period of its own rule, where late counts have moved it; None: as it is known."""


class New(NamedTuple):
    """An alert that is to be opened."""

    key: Key
    since: date


async def read_members(
    connection: AsyncConnection,
    standing: Mapping[int, Standing],
    new: Mapping[Key, New],
    rules: Mapping[str, Rule],
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
    rules
        All that are configured. What was merged under a rule that is no more has no part: nobody
        judges it.
    """
    families = await read_families(connection, standing) if standing else {}
    relatives = [
        relative
        for head in standing
        for relative in families[head]
        if relative.alert.alert_id == head or relative.alert.rule in rules
    ]
    looks = [_look(one, standing[one.head], rules, today) for one in relatives]
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
    for relative, look, state in zip(relatives, looks, found, strict=False):
        head = standing[relative.head].alert
        members[relative.head].append(_member(relative, head, look, state, rules))
    opening = {
        key: Member(
            rule=key.rule,
            grain=rules[key.rule].grain,
            detector=rules[key.rule].detector,
            severity=rules[key.rule].severity,
            ended_after=rules[key.rule].ended_after_periods,
            found=state,
        )
        for key, state in zip(new, found[len(relatives) :], strict=True)
    }
    return members, opening


def _complete_to(grain: Grain, today: date) -> date:
    return today - timedelta(days=7 if grain == "week" else 1)


def _look(relative: Relative, standing: Standing, rules: Mapping[str, Rule], today: date) -> Look:
    alert = relative.alert
    since = alert.own_first_period
    if alert.alert_id == relative.head and standing.since is not None:
        since = standing.since
    rule = rules.get(alert.rule)
    return Look(
        Key(alert.rule, alert.region),
        since,
        alert.alert_id,
        standing.alert.last_period,
        rule.ended_after_periods if rule else _ENDED_AFTER,
        _complete_to(rule.grain if rule else alert.grain, today),
    )


def _member(
    relative: Relative, head: Alert, look: Look, found: Found, rules: Mapping[str, Rule]
) -> Member:
    alert = relative.alert
    rule = rules.get(alert.rule)
    return Member(
        rule=alert.rule,
        grain=rule.grain if rule else alert.grain,
        detector=rule.detector if rule else alert.detector,
        severity=relative.severity,
        ended_after=look.ended_after,
        found=found,
        same_series=(alert.signal, alert.region) == (head.signal, head.region),
    )
