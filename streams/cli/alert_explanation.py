"""The lines of `fenghuo alerts show` that explain an alert."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.cli.output import number
from streams.phrases import percent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.alerts import Alert, Contribution, Explanation
    from streams.config import Configuration

__all__ = ["explanation_facts"]


def explanation_facts(alert: Alert, configuration: Configuration) -> list[tuple[str, str]]:
    """Return the facts by name; one that tells so for an alert not explained yet."""
    from streams.clauses import quality_note  # noqa: PLC0415 - keeps --help fast

    told = alert.explanation
    if told is None:
        return [("explanation", "not yet; it follows within seconds while a worker runs")]

    def named(code: str) -> str:
        region = configuration.regions.get(code)
        return " ".join(filter(None, (region.name_zh, region.name_en))) if region else code

    neighbours = "; ".join(
        f"{named(one.region)} {number(one.observed)} (expected {number(one.expected)})"
        for one in told.neighbours
    )
    facts = [
        ("excess", f"{'at least ' if told.incomplete else ''}{number(told.excess)}"),
        ("growth", _growth(told)),
        ("completeness", _completeness(told)),
        ("facilities", _parts(told.facilities)),
        ("age groups", _parts(told.age_groups)),
        ("areas below", _parts(told.regions, names={r.name: named(r.name) for r in told.regions})),
        (
            "neighbours high",
            f"{len(told.neighbours)} of {told.neighbours_judged}"
            + (f"; {told.neighbours_awaited} not judged yet" if told.neighbours_awaited else "")
            + (f"; {told.neighbours_unknown} without data" if told.neighbours_unknown else "")
            + (f": {neighbours}" if neighbours else ""),
        ),
    ]
    note = quality_note(told.quality, alert.grain, configuration)
    facts.append(("data quality", note.en if note else ""))
    return [(name, text) for name, text in facts if text]


def _parts(parts: Sequence[Contribution], names: dict[str, str] | None = None) -> str:
    return "; ".join(
        f"{(names or {}).get(part.name, part.name)} {number(part.observed)} "
        + (f"(usually {number(part.expected)})" if part.expected is not None else "(new)")
        for part in parts
    )


def _growth(told: Explanation) -> str:
    if told.growth_per_day is None or told.latest_week is None or told.week_before is None:
        return "-"
    days = f"7 days to {told.growth_until}" if told.growth_until else "latest 7 whole days"
    text = f"{number(told.latest_week)} in the {days}, {number(told.week_before)} in the 7 before"
    return text + (f"; doubling in {told.doubling_days:.0f} days" if told.doubling_days else "")


def _completeness(told: Explanation) -> str:
    if told.completeness is None:
        return "-"
    text = (
        f"{percent(told.completeness)} of the usual reports of {told.usual_facilities} facilities"
    )
    if not told.silent:
        return text
    listed = ", ".join(told.silent_facilities)
    more = told.silent - len(told.silent_facilities)
    return f"{text}; silent: {listed}" + (f" and {more} more" if more else "")
