"""Alerts brought into step with verdicts, all that were judged together in one go."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from schemas.alerts import Merged, Suppressed
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
from streams.store.alerts import hold_alerts_async, read_alerts, write_async
from streams.store.held_updates import hold_updates
from streams.store.standing import (
    Key,
    Look,
    find,
    new_ids,
    read_exceedances,
    read_formers,
    read_noted,
    read_open,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime, timedelta

    from psycopg import AsyncConnection

    from schemas.alerts import Alert, Change
    from schemas.config import Rule
    from streams.store.verdicts import JudgedSeries

__all__ = ["Judged", "raise_alerts"]


class Judged(NamedTuple):
    """What was judged under a rule."""

    name: str
    rule: Rule
    series: Sequence[JudgedSeries]


class _Plan(NamedTuple):
    """What is to be done, before it is known at which time."""

    opened: dict[Key, list[Change]]
    told: list[tuple[int, Change]]
    #: Alerts whose numbers have changed a little, and when they are told.
    held: dict[int, datetime]


async def raise_alerts(
    connection: AsyncConnection,
    judged: Sequence[Judged],
    rules: Mapping[str, Rule],
    *,
    as_of: datetime,
    config_version: str,
    update_every: timedelta,
) -> list[Alert]:
    """Open, update, revise, suppress and merge alerts as the stored verdicts demand.

    The caller's transaction has written the verdicts and holds `streams.store.locks.JUDGING`, so
    that no other judge's verdicts come in between. The number of statements does not depend on the
    number of alerts.

    Parameters
    ----------
    rules
        All that are configured.
    update_every
        Small changes of an alert's numbers are told at most so often.

    Returns
    -------
    list of Alert
        The alerts that changed, as they are now.
    """
    judgements = {one.name: Judgement(one.name, one.rule, config_version, as_of) for one in judged}
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
    current = {
        Key(alert.rule, alert.region): alert for alerts in standing.values() for alert in alerts
    }
    exceeded = {
        Key(one.name, series.region)
        for one in judged
        for series in one.series
        if series.alarm.any()
    }
    divided = await _divide(
        connection, {key: ranges[key] for key in exceeded}, signals, current, rules
    )
    plan = await _plan(connection, ranges, current, divided, judgements, update_every=update_every)
    await hold_updates(connection, plan.held)
    if not plan.opened and not plan.told:
        return []
    ids = await new_ids(connection, len(plan.opened)) if plan.opened else []
    suppressed = {i for i, change in plan.told if isinstance(change, Suppressed)}
    formers = await read_alerts(connection, suppressed) if suppressed else []
    journal = Journal(at, [*current.values(), *formers])
    for alert_id, change in plan.told:
        journal.record(alert_id, change)
    _open(journal, dict(zip(plan.opened, ids, strict=True)), plan.opened, standing, rules)
    await write_async(connection, journal)
    return journal.changed


async def _divide(
    connection: AsyncConnection,
    ranges: Mapping[Key, tuple[date, date]],
    signals: Mapping[Key, str],
    current: Mapping[Key, Alert],
    rules: Mapping[str, Rule],
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
            quiet_days=rules[key.rule].quiet_days,
            noted=noted,
        )
        for key, found in exceedances.items()
    }


async def _plan(
    connection: AsyncConnection,
    judged: Mapping[Key, tuple[date, date]],
    current: Mapping[Key, Alert],
    divided: Mapping[Key, Division],
    judgements: Mapping[str, Judgement],
    *,
    update_every: timedelta,
) -> _Plan:
    looks = []
    # In the order of the configuration: which of two new alerts is merged into the other.
    for key in judged:
        alert = current.get(key)
        division = divided.get(key)
        since = division.since if division else alert.first_period if alert else None
        if since is not None:
            ended_after = judgements[key.rule].rule.ended_after_periods
            reported = alert.last_period if alert else since
            looks.append(Look(key, since, alert.alert_id if alert else None, reported, ended_after))
    found = await find(connection, looks) if looks else {}
    told: list[tuple[int, Change]] = [
        (alert_id, Suppressed(figures=figures, as_of=judgements[key.rule].as_of))
        for key, division in divided.items()
        for alert_id, figures in division.suppressed
    ]
    opened: dict[Key, list[Change]] = {}
    held: dict[int, datetime] = {}
    for look in looks:
        key, judgement = look.key, judgements[look.key.rule]
        if alert := current.get(key):
            changes = follow_up(judgement, alert, found[key])
            # The verdicts are written: whoever looks again later finds the latest numbers.
            if may_wait(alert, changes) and judgement.as_of < (due := alert.as_of + update_every):
                held[alert.alert_id] = due
            else:
                told += [(alert.alert_id, change) for change in changes]
        elif changes := open_one(judgement, judgement.rule.signal, key.region, found[key]):
            opened[key] = changes
    return _Plan(opened, told, held)


def _open(
    journal: Journal,
    ids: Mapping[Key, int],
    opened: Mapping[Key, list[Change]],
    standing: Mapping[tuple[str, str], list[Alert]],
    rules: Mapping[str, Rule],
) -> None:
    """Open alerts, and merge each that is about what an open one is about already."""
    others = defaultdict(list, {series: list(alerts) for series, alerts in standing.items()})
    for key, changes in opened.items():
        for change in changes:
            alert = journal.record(ids[key], change)
        beside = others[alert.signal, alert.region]
        head = head_for(key.rule, beside, rules)
        if head is None:
            beside.append(alert)
            continue
        journal.record(alert.alert_id, Merged(into=head.alert_id))
        journal.absorb(head.alert_id, alert)
