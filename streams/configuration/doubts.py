"""Rules that can be made but are unlikely to do what was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from streams.judging.periods import step_days

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from detectors.contract import Detector
    from schemas.config import Rule, Surveillance
    from streams.configuration.plain import Problem

__all__ = ["doubts"]

_YEAR_DAYS: Final = 365
#: Methods that take what history there is; they do not need all that they look at.
_MODEST: Final = frozenset({"auto", "bayes", "rki"})
#: Methods for weeks (and months), and methods for days.
_WEEKLY: Final = frozenset(
    {"farrington", "farrington_flexible", "bayes", "rki", "mem", "historical_limits"}
)
_DAILY: Final = frozenset({"rammie", "switch", "essence_ewma"})
_WEEK: Final = 7
#: Parameters that keep steps before the judged one out of the baseline.
_GAPS: Final = ("lag", "guard", "exclude_recent")


def doubts(surveillance: Surveillance, detectors: Mapping[str, Detector]) -> list[Problem]:
    """List rules whose history is not kept, or whose method is not made for their grain."""
    found: list[Problem] = []
    for name, rule in surveillance.rules.items():
        if (detector := detectors.get(name)) is None:
            continue
        place = ("rules", name, "detector")
        if texts := list(_of_rule(surveillance, rule, detector)):
            found.append((place, ". Also: ".join(texts)))
    return found


def _of_rule(surveillance: Surveillance, rule: Rule, detector: Detector) -> Iterator[str]:
    keep = surveillance.event_time.keep_years
    days = detector.lookback(rule.grain) * step_days(rule.grain)
    if keep is not None and days > keep * _YEAR_DAYS and detector.type not in _MODEST:
        years = -(-days // _YEAR_DAYS)
        back = getattr(detector, "years_back", None)
        less = f", or years_back to {keep - 1} or less" if back else ""
        yield (
            f"{detector.type} looks back {back or round(days / _YEAR_DAYS, 1)} years, and {keep} "
            f"are kept; set event_time.keep_years to {years}{less}"
        )
    if detector.type in _WEEKLY and rule.grain != "week":
        yield (
            f"{detector.type} is made for weeks: with grain {rule.grain} it knows no days of the "
            "week; write grain: week, or take a method for days such as auto"
        )
    if detector.type in _DAILY and rule.grain == "week":
        yield (
            f"{detector.type} is made for days; write grain: day, or take a method for weeks such "
            "as auto or farrington_flexible"
        )
    if rule.grain == "rolling7" and (text := _overlap(detector)) is not None:
        yield text


def _overlap(detector: Any) -> str | None:
    """Tell whether the sums of seven days before a judged one share days with it."""
    if detector.type == "auto" or detector.type in _WEEKLY:
        return None
    there = [name for name in _GAPS if name in type(detector).model_fields]
    if not there:
        return (
            f"{detector.type} takes steps for independent, but sums of seven days share days from "
            "one to the next; write grain: day"
        )
    gap = getattr(detector, "effective_lag", None) or getattr(detector, there[0]) or 0
    if gap >= _WEEK - 1:
        return None
    return (
        f"sums of seven days share days with the {_WEEK - 1} before them; write {there[0]}: "
        f"{_WEEK}, so that no judged day is in the baseline, or grain: day"
    )
