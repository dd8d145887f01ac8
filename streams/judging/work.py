"""What is to be judged now, what waits for its next attempt, and what cannot be judged. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from streams.judging.spans import Span, add_span, lift, of_level
from streams.store.quarantine import EVERY_RULE, Deferred, Failure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from streams.config import Configuration
    from streams.store.quarantine import Quarantined

__all__ = ["Work", "failure", "plan_history", "plan_work"]

#: Most series that were set aside and are retried in one look: after an import or a restart there
#: may be thousands, and live changes wait for the look to end.
_RETRIED_AT_ONCE: Final = 200


class Work(NamedTuple):
    """One look at a queue."""

    spans: dict[str, dict[str, Span]]
    """Changed days by rule and region, in the order of the configuration."""
    retried: list[Quarantined]
    """What was set aside and is due."""
    deferred: list[Deferred]
    """Changes of series that are set aside and not due."""
    failures: list[Failure]
    """Changes to which no rule can be applied."""


def plan_work(
    changed: Mapping[str, Mapping[str, Span]],
    quarantined: Sequence[Quarantined],
    configuration: Configuration,
    now: datetime,
) -> Work:
    """Decide what of the live changes is judged, and what is retried.

    Parameters
    ----------
    changed
        Changed days by signal and counted region.
    quarantined
        Everything that is set aside.
    """
    due = sorted((one for one in quarantined if one.retry_at <= now), key=lambda one: one.retry_at)
    work = Work({}, due[:_RETRIED_AT_ONCE], [], [])
    waiting = _waiting(quarantined, now)
    by_signal = {signal: dict(regions) for signal, regions in changed.items()}
    for one in work.retried:
        if one.rule == EVERY_RULE:
            known = by_signal.setdefault(one.signal, {})
            add_span(known, one.region, Span(one.first_day, one.last_day))
    rules = configuration.surveillance.rules
    for signal in {rule.signal for rule in rules.values()} & by_signal.keys():
        _leave_out_unknown(signal, by_signal[signal], waiting, configuration, work)
    for name, rule in rules.items():
        spans = lift(rule, by_signal.get(rule.signal, {}), configuration.regions)
        for one in work.retried:
            if (one.rule, one.signal) == (name, rule.signal):
                add_span(spans, one.region, Span(one.first_day, one.last_day))
        _plan_rule(name, rule.signal, spans, waiting, work)
    return work


def plan_history(
    changed: Mapping[str, Mapping[str, Span]],
    quarantined: Sequence[Quarantined],
    configuration: Configuration,
    now: datetime,
) -> Work:
    """Decide what of a portion of history is judged; the look at live changes retries.

    Parameters
    ----------
    changed
        Changed days by signal and region. A region stands for itself: those above have their own.
    quarantined
        Everything that is set aside.
    """
    work = Work({}, [], [], [])
    waiting = _waiting(quarantined, now)
    by_signal = {signal: dict(regions) for signal, regions in changed.items()}
    rules = configuration.surveillance.rules
    for signal in {rule.signal for rule in rules.values()} & by_signal.keys():
        _leave_out_unknown(signal, by_signal[signal], waiting, configuration, work)
    for name, rule in rules.items():
        spans = of_level(rule, by_signal.get(rule.signal, {}), configuration.regions)
        _plan_rule(name, rule.signal, spans, waiting, work)
    return work


def _waiting(quarantined: Sequence[Quarantined], now: datetime) -> set[tuple[str, str, str]]:
    return {(one.signal, one.rule, one.region) for one in quarantined if one.retry_at > now}


def _plan_rule(
    name: str,
    signal: str,
    spans: dict[str, Span],
    waiting: set[tuple[str, str, str]],
    work: Work,
) -> None:
    for region in [code for code in spans if (signal, name, code) in waiting]:
        work.deferred.append(Deferred(signal, name, region, *spans.pop(region)))
    if spans:
        work.spans[name] = spans


def _leave_out_unknown(
    signal: str,
    regions: dict[str, Span],
    waiting: set[tuple[str, str, str]],
    configuration: Configuration,
    work: Work,
) -> None:
    registry = configuration.regions
    for region in [code for code in regions if code not in registry]:
        span = regions.pop(region)
        if (signal, EVERY_RULE, region) in waiting:
            work.deferred.append(Deferred(signal, EVERY_RULE, region, *span))
            continue
        reason = f"region {region!r} is not in the registry {registry.name}"
        work.failures.append(Failure(signal, EVERY_RULE, region, *span, reason))


def failure(signal: str, rule: str, region: str, span: Span, error: Exception) -> Failure:
    """Return a judgement that raised an error."""
    return Failure(signal, rule, region, *span, f"{type(error).__name__}: {error}")
