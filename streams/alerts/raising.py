"""Alerts brought into step with verdicts, all that were judged together in one go."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from schemas.alerts import Merged, Opened, Suppressed
from streams.alerts.detecting import (
    Division,
    Judgement,
    divide,
    follow_up,
    head_for,
    may_wait,
    open_one,
)
from streams.alerts.journal import Journal
from streams.alerts.members import New, Standing, is_judged, read_members
from streams.store.alerts import hold_alerts_async, read_alerts, write_async
from streams.store.held_updates import hold_updates
from streams.store.standing import (
    Key,
    new_ids,
    read_exceedances,
    read_formers,
    read_heads,
    read_noted,
    read_open,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime, timedelta

    from psycopg import AsyncConnection

    from schemas.alerts import Alert, Change
    from schemas.config import Rule, Worsening
    from schemas.regions import RegionRegistry
    from streams.alerts.combining import Member
    from streams.store.verdicts import JudgedSeries

__all__ = ["Judged", "raise_alerts"]


class Judged(NamedTuple):
    """What was judged under a rule."""

    name: str
    rule: Rule
    series: Sequence[JudgedSeries]


class _Plan(NamedTuple):
    """What is to be done, before it is known at which time."""

    opened: dict[Key, Opened]
    told: list[tuple[int, Change]]
    held: dict[int, datetime]
    """Alerts whose numbers have changed a little, and when they are told."""
    members: dict[int, list[Member]]
    """Of the open alerts that were looked at."""
    new: dict[Key, Member]


async def raise_alerts(
    connection: AsyncConnection,
    judged: Sequence[Judged],
    rules: Mapping[str, Rule],
    regions: RegionRegistry,
    *,
    as_of: datetime,
    config_version: str,
    today: date,
    recent_from: date | None,
    update_every: timedelta,
    worsening: Worsening | None,
) -> list[Alert]:
    """Open, update, resume, revise, suppress and merge alerts as the stored verdicts demand.

    The caller's transaction has written the verdicts and holds `streams.store.locks.JUDGING`, so
    that no other judge's verdicts come in between. The number of statements does not depend on the
    number of alerts.

    Parameters
    ----------
    rules, regions
        All that are configured.
    today
        Local date at `as_of`: only periods before it count towards an end.
    recent_from
        First day of what is announced at once; None: everything is.
    update_every
        Small changes of an alert's numbers are told at most so often.
    worsening
        When an alert is announced again; None: never.

    Returns
    -------
    list of Alert
        The alerts that changed, as they are now.
    """
    ranges = {
        Key(one.name, series.region): (series.periods[0], series.periods[-1])
        for one in judged
        for series in one.series
        if len(series.periods)
    }
    if not ranges:
        return []
    signals = {key: rules[key.rule].signal for key in ranges}
    at = await hold_alerts_async(connection)
    standing = await read_open(connection, {(signals[key], key.region) for key in ranges})
    # An alert of a rule's former signal is not the rule's any more.
    current = {
        key: alert
        for alerts in standing.values()
        for alert in alerts
        if signals.get(key := Key(alert.rule, alert.region)) == alert.signal
    }
    exceeded = {
        Key(one.name, series.region)
        for one in judged
        for series in one.series
        if series.alarm.any()
    }
    divided = await _divide(
        connection,
        {key: ranges[key] for key in exceeded},
        signals,
        current,
        rules=rules,
        worsening=worsening,
    )
    # Alerts that something of what was judged was merged into, be it in another region.
    heads = await read_heads(connection, signals)
    judgements = {
        name: Judgement(name, rule, config_version, as_of, recent_from, worsening)
        for name, rule in rules.items()
    }
    plan = await _plan(
        connection,
        ranges,
        current,
        beside=[*heads, *(alert for alerts in standing.values() for alert in alerts)],
        divided=divided,
        judgements=judgements,
        regions=regions,
        today=today,
        update_every=update_every,
    )
    await hold_updates(connection, plan.held)
    if not plan.opened and not plan.told:
        return []
    ids = await new_ids(connection, len(plan.opened)) if plan.opened else []
    suppressed = {i for i, change in plan.told if isinstance(change, Suppressed)}
    formers = await read_alerts(connection, suppressed) if suppressed else []
    journal = Journal(at, [*(a for alerts in standing.values() for a in alerts), *heads, *formers])
    for alert_id, change in plan.told:
        journal.record(alert_id, change)
    numbered = dict(zip(plan.opened, ids, strict=True))
    beside = {
        series: [
            journal.alert(alert.alert_id)
            for alert in alerts
            if is_judged(alert.rule, alert.signal, alert.region, rules, regions)
        ]
        for series, alerts in standing.items()
    }
    _open(journal, numbered, plan, beside, judgements)
    await write_async(connection, journal)
    return journal.changed


async def _divide(
    connection: AsyncConnection,
    ranges: Mapping[Key, tuple[date, date]],
    signals: Mapping[Key, str],
    current: Mapping[Key, Alert],
    *,
    rules: Mapping[str, Rule],
    worsening: Worsening | None,
) -> dict[Key, Division]:
    if not ranges:
        return {}
    exceedances = await read_exceedances(connection, ranges)
    formers = await read_formers(connection, {key: signals[key] for key in exceedances})
    noted = await read_noted(
        connection, [former.alert_id for known in formers.values() for former in known]
    )
    return {
        key: divide(
            found,
            current.get(key),
            formers.get(key, ()),
            rule=rules[key.rule],
            worsening=worsening,
            noted=noted,
        )
        for key, found in exceedances.items()
    }


async def _plan(
    connection: AsyncConnection,
    judged: Mapping[Key, tuple[date, date]],
    current: Mapping[Key, Alert],
    *,
    beside: Sequence[Alert],
    divided: Mapping[Key, Division],
    judgements: Mapping[str, Judgement],
    regions: RegionRegistry,
    today: date,
    update_every: timedelta,
) -> _Plan:
    # A new alert may be merged into any of them, also where its rule was not judged this time.
    standing: dict[int, Standing] = {alert.alert_id: Standing(alert) for alert in beside}
    new: dict[Key, New] = {}
    # In the order of the configuration: which of two new alerts is merged into the other.
    for key in judged:
        division = divided.get(key)
        since = division.since if division else None
        if alert := current.get(key):
            standing[alert.alert_id] = Standing(alert, since)
        elif since is not None:
            new[key] = New(key, since)
    rules = {name: judgement.rule for name, judgement in judgements.items()}
    members, opening = await read_members(connection, standing, new, rules, regions, today=today)
    told: list[tuple[int, Change]] = [
        (alert_id, Suppressed(figures=figures, as_of=judgements[key.rule].as_of))
        for key, division in divided.items()
        for alert_id, figures in division.suppressed
    ]
    plan = _Plan({}, told, {}, members, opening)
    judgement = next(iter(judgements.values()))
    for alert_id, one in standing.items():
        changes = follow_up(judgement, one.alert, members[alert_id])
        # The verdicts are written: whoever looks again later finds the latest numbers.
        due = one.alert.as_of + update_every
        if may_wait(one.alert, changes) and judgement.as_of < due:
            plan.held[alert_id] = due
        else:
            told += [(alert_id, change) for change in changes]
    for key, member in opening.items():
        if (begins := open_one(judgements[key.rule], key.region, member.found)) is not None:
            plan.opened[key] = begins
    return plan


def _open(
    journal: Journal,
    ids: Mapping[Key, int],
    plan: _Plan,
    standing: Mapping[tuple[str, str], list[Alert]],
    judgements: Mapping[str, Judgement],
) -> None:
    """Open alerts, and merge each that is about what an open one is about already."""
    rules = {name: judgement.rule for name, judgement in judgements.items()}
    others = defaultdict(list, {series: list(alerts) for series, alerts in standing.items()})
    members = plan.members | {ids[key]: [plan.new[key]] for key in plan.opened}
    heads: dict[int, None] = {}
    judgement = next(iter(judgements.values()))
    for key, opened in plan.opened.items():
        alert = journal.record(ids[key], opened)
        beside = others[alert.signal, alert.region]
        beside[:] = [journal.alert(other.alert_id) for other in beside]
        head = head_for(alert, beside, rules, judgements[key.rule].recent_from)
        if head is None:
            beside.append(alert)
            heads[alert.alert_id] = None
            continue
        journal.record(alert.alert_id, Merged(into=head.alert_id))
        journal.absorb(head.alert_id, alert)
        members[head.alert_id].extend(members[alert.alert_id])
        heads[head.alert_id] = None
    # Only now: an alert that opens and ends at once may have a member that goes on.
    for head_id in heads:
        head = journal.alert(head_id)
        for change in follow_up(judgement, head, members[head_id]):
            journal.record(head_id, change)
