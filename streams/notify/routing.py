"""Which event of an alert goes to which channels, and when. Pure: the moment is passed in."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from schemas.alerts import SYSTEM, Absorbed, Ended
from streams.alerts.recency import event_is_news
from streams.notify.schedule import end_of_window, in_window, next_multiple, next_of, on_call

if TYPE_CHECKING:
    from schemas.alerts import Alert, AlertEvent, Severity
    from schemas.notify import Channel, Route
    from streams.config import Configuration

__all__ = ["FOR_EXPLANATION", "Planned", "plan"]

#: An alert is explained a moment after it opened: news of it waits at most so long for that.
FOR_EXPLANATION: Final = timedelta(seconds=2)


class Planned(NamedTuple):
    """One event that one channel is to be told of."""

    channel: str
    #: Not before then.
    due: datetime
    #: Together with others, in one message.
    digest: bool
    route: str


def plan(
    event: AlertEvent, alert: Alert, configuration: Configuration, now: datetime
) -> tuple[Planned, ...]:
    """Decide who is told of an event.

    Each channel is told at most once. Where several routes lead to it, a message of its own comes
    before a digest, then the earlier one, then the first in the file.

    Parameters
    ----------
    alert
        As it is now.
    """
    if _stands_elsewhere(event, alert):
        return ()
    notify = configuration.surveillance.notify
    news = event_is_news(event, alert, configuration.surveillance)
    found: dict[str, Planned] = {}
    for name, route in notify.routes.items():
        # Exceedances of the far past, from data that came late, wait for a digest.
        if not (news or route.is_digest) or not _fits(route, event, alert, configuration, now):
            continue
        for target in _targets(route, configuration, now):
            due = _due(route, target, event, alert, configuration, now=now)
            planned = Planned(target, due, route.is_digest, name)
            best = found.get(target)
            if best is None or (planned.digest, planned.due) < (best.digest, best.due):
                found[target] = planned
    return tuple(found.values())


def _stands_elsewhere(event: AlertEvent, alert: Alert) -> bool:
    """Tell whether an alert was merged as soon as it opened: the other one speaks for both."""
    return event.change.kind == "opened" and alert.status == "merged" and event.actor == SYSTEM


def _fits(
    route: Route, event: AlertEvent, alert: Alert, configuration: Configuration, now: datetime
) -> bool:
    windows, zone = configuration.surveillance.notify.windows, configuration.surveillance.zone
    return (
        not _kinds(event).isdisjoint(route.on)
        and (not route.severities or alert.severity in route.severities)
        and (not route.signals or alert.signal in route.signals)
        and (not route.rules or not {alert.rule, alert.numbers_rule}.isdisjoint(route.rules))
        and (not route.regions or _within(alert.region, route, configuration))
        and (route.during is None or in_window(windows[route.during], now, zone))
        and (route.outside is None or not in_window(windows[route.outside], now, zone))
    )


def _kinds(event: AlertEvent) -> set[str]:
    """Return what routes know an event by.

    An exceedance that begins again after an end is as new as the first: routes of new alerts hear
    of it, also those that were configured before there was `resumed`. So they do of a count that
    is a multiple of what was announced.

    Whoever asks for new alerts of a severity asks for those as well that merging has raised to it:
    the alert that brought it is not told, since it was merged as soon as it opened.

    An end with counts as high as before goes to routes of `revised` too: else alarms would stop
    without a word, and silence would pass for the end of the outbreak.
    """
    raised = isinstance(event.change, Absorbed) and event.change.raised_from is not None
    if isinstance(event.change, Ended) and event.change.new_level is not None:
        return {event.change.kind, "revised"}
    begins = raised or event.change.kind in {"resumed", "worsened"}
    return {event.change.kind, "opened"} if begins else {event.change.kind}


def _within(code: str, route: Route, configuration: Configuration) -> bool:
    if code in route.regions:
        return True
    registry = configuration.regions
    above = registry.ancestors(code) if code in registry else ()
    return any(region.code in route.regions for region in above)


def _targets(route: Route, configuration: Configuration, now: datetime) -> tuple[str, ...]:
    surveillance = configuration.surveillance
    if route.on_call is None:
        return route.to
    rota = surveillance.notify.rotas[route.on_call]
    return (*route.to, *on_call(rota, now, surveillance.zone, surveillance.epi_week))


def _due(
    route: Route,
    target: str,
    event: AlertEvent,
    alert: Alert,
    configuration: Configuration,
    *,
    now: datetime,
) -> datetime:
    surveillance = configuration.surveillance
    due = now
    if route.digest:
        due = next_of(route.digest, now, surveillance.zone)
    elif route.digest_every_minutes:
        due = next_multiple(route.digest_every_minutes, now, surveillance.zone)
    elif event.change.kind in {"resumed", "worsened"} or (
        event.change.kind == "opened" and alert.explanation is None
    ):
        due = now + FOR_EXPLANATION
    channel = surveillance.notify.channels[target]
    return _after_quiet_hours(channel, alert.severity, due, configuration)


def _after_quiet_hours(
    channel: Channel, severity: Severity, due: datetime, configuration: Configuration
) -> datetime:
    quiet = channel.quiet_hours
    if quiet is None or severity in quiet.except_:
        return due
    # Where the clock is put forward, the end of one night may lie in the next one.
    while (end := end_of_window(quiet, due, configuration.surveillance.zone)) is not None:
        due = end
    return due
