"""Rules that would open many alerts where nothing happens, by simulation. Pure, but slow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from detectors.evaluation.noise import NOISES, false_alarms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from detectors.contract import Detector
    from schemas.config import Rule

__all__ = ["MOST_A_YEAR", "noisy_rules"]

#: Alerts per series-year on noise above which a rule is worth a warning.
MOST_A_YEAR: Final = 3.0
#: Methods that judge a simulation of years in a second at most.
_FAST: Final = frozenset(
    {
        "bayes",
        "cusum",
        "ears",
        "ears_nb",
        "essence_ewma",
        "ewma",
        "historical_limits",
        "holt_winters",
        "outbreak_p",
        "regression",
        "rki",
        "shewhart",
        "switch",
    }
)
_NOISES: Final = ("poisson 1", "poisson 5", "poisson 50")
_SERIES: Final = 20
_YEAR: Final[Mapping[str, int]] = {"day": 365, "rolling7": 365, "week": 104, "month": 60}


def noisy_rules(rules: Mapping[str, Rule], detectors: Mapping[str, Detector]) -> list[str]:
    """Say which rules open more than `MOST_A_YEAR` alerts per series-year on Poisson noise.

    Rules with slow methods are not simulated.
    """
    return [
        text
        for name, rule in rules.items()
        if (detector := detectors.get(name)) is not None
        and detector.type in _FAST
        and (text := _of_rule(name, rule, detector)) is not None
    ]


def _of_rule(name: str, rule: Rule, detector: Detector) -> str | None:
    rates = {
        noise: false_alarms(
            detector,
            NOISES[noise],
            rule.grain,
            series=_SERIES,
            steps=_YEAR[rule.grain],
            min_cases=rule.min_cases,
        ).alerts_a_year
        for noise in _NOISES
    }
    worst = max(rates, key=lambda noise: rates[noise])
    if rates[worst] <= MOST_A_YEAR:
        return None
    cases = worst.removeprefix("poisson ")
    step = "week" if rule.grain == "week" else "day"
    return (
        f"rule {name}: about {rates[worst]:.0f} alerts a year in each region on noise alone "
        f"(simulated Poisson counts, {cases} a {step}): {_remedy(detector)}; "
        "docs/evaluation/noise.md has the figures of all methods"
    )


def _remedy(detector: Detector) -> str:
    parts = []
    if getattr(detector, "baseline", None) is not None and detector.type in {"ears", "ears_nb"}:
        parts.append("lengthen baseline (ears on rolling7: 112)")
    if hasattr(detector, "alpha"):
        parts.append("lower alpha")
    return " or ".join([*parts, "take auto on weeks"])
