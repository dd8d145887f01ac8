"""Which methods come nearest to `auto`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from detectors.evaluation.matched import BETTER

if TYPE_CHECKING:
    from detectors.evaluation.against import Against
    from streams.evaluation.running import SetResult

__all__ = ["best", "lines", "tally"]


def best(result: SetResult, most: int) -> list[Against]:
    """Return the methods with the highest mean probability of detection, best first.

    Of the variants of a method only the best one.
    """
    kept: dict[tuple[object, bool], Against] = {}
    for one in sorted(result.others, key=_pod, reverse=True):
        kept.setdefault((one.detector["type"], one.sums), one)
    return list(kept.values())[:most]


def lines(result: SetResult, figure: str, verdict: str) -> list[tuple[float, Against]]:
    """Return rates and methods at which `auto` has this verdict in a figure.

    Comparisons of a median that neither has are left out.
    """
    return [
        (point.rate, one)
        for one in result.others
        for point in one.matched
        if point.verdicts[figure] == verdict and not math.isnan(point.differences[figure].value)
    ]


def tally(result: SetResult) -> dict[str, dict[str, int]]:
    """Count won, open and lost comparisons by figure, over all methods and rates."""
    return {
        figure: {
            verdict: len(lines(result, figure, verdict)) for verdict in ("won", "open", "lost")
        }
        for figure in BETTER
    }


def _pod(one: Against) -> float:
    return sum(point.figures["pod"].value for point in one.matched)
