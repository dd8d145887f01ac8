"""Which days of a series changed, and which of its periods that concerns. Pure."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

from streams.judging.periods import period_of, step_days

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.config import Rule
    from schemas.regions import RegionRegistry
    from streams.judging.periods import EpiWeek
    from streams.store.panels import Extent

__all__ = ["Span", "add_span", "judged_range", "lift", "of_level"]


class Span(NamedTuple):
    """First and last day on which a series changed."""

    first: date
    last: date

    def union(self, other: Span) -> Span:
        """Return the span that covers both."""
        return Span(min(self.first, other.first), max(self.last, other.last))


def add_span(spans: dict[str, Span], region: str, span: Span) -> None:
    """Add a region's changed days to those that are known."""
    known = spans.get(region)
    spans[region] = span if known is None else known.union(span)


def lift(rule: Rule, changed: Mapping[str, Span], registry: RegionRegistry) -> dict[str, Span]:
    """Return the changed days of the regions of the rule's level.

    Parameters
    ----------
    changed
        By counted region; the registry holds all of them.
    """
    spans: dict[str, Span] = {}
    for code, span in changed.items():
        region = registry.parent_at(code, rule.level)
        if region is not None:
            add_span(spans, region.code, span)
    return spans


def of_level(rule: Rule, changed: Mapping[str, Span], registry: RegionRegistry) -> dict[str, Span]:
    """Return the changed days of those regions that are of the rule's level themselves.

    Parameters
    ----------
    changed
        By region of any level; the registry holds all of them.
    """
    return {code: span for code, span in changed.items() if registry[code].level == rule.level}


def judged_range(span: Span, rule: Rule, lookback: int, extent: Extent, system: EpiWeek) -> Span:
    """Return the periods whose verdicts a change can alter, as far as data reach."""
    reach = lookback * step_days(rule.grain) + (6 if rule.grain == "rolling7" else 0)
    # Imported history is baseline: alerts are about the time since events flow.
    first = period_of(max(span.first, extent.counted_from), rule.grain, system)
    last = period_of(min(span.last + timedelta(days=reach), extent.last), rule.grain, system)
    return Span(first, last)
