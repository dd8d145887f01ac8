"""Judging periods of which only some days have arrived: their sum is a lower bound. Pure.

A baseline never holds an incomplete sum, which would lower it: there the period is missing. As the
judged count the sum can only be too low. If a detector says alarm for it, the whole count is an
exceedance too; if not, nothing is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from detectors.contract import Panel, Verdicts
from detectors.reporting import judge_reports

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import Detector

__all__ = ["PanelJudged", "judge_panel"]


class PanelJudged(NamedTuple):
    """A panel's verdicts, with those reached for lower bounds; arrays `[series, judged]`."""

    verdicts: Verdicts
    observed: NDArray[np.float64]
    """The judged counts; NaN where missing."""
    incomplete: NDArray[np.bool_]
    """An alarm for a lower bound, which `observed` then holds."""


def judge_panel(
    detector: Detector,
    panel: Panel,
    lookback: int,
    *,
    at_least: NDArray[np.float64],
    wanted: NDArray[np.bool_],
    min_cases: float = 0,
) -> PanelJudged:
    """Judge all positions from `lookback` on, and the lower bounds of missing counts among them.

    Each lower bound is judged with all other incomplete periods missing. Bounds at one position are
    judged in one call, on a panel that is cut to `lookback` steps before it. Only a bound above the
    expected count is evidence of an exceedance: charts that accumulate may also be in alarm below
    it, and `drop` is because of it.

    Parameters
    ----------
    at_least
        Lower bounds of the missing counts, shape `[series, time]`; NaN elsewhere.
    wanted
        Verdicts that will be used, shape `[series, judged]`.
    min_cases
        The rule's minimum: smaller counts are no exceedance.
    """
    verdicts = judge_reports(detector, panel, slice(lookback, None))
    observed = panel.counts[:, lookback:]
    incomplete = np.zeros(observed.shape, dtype=np.bool_)
    bounds = at_least[:, lookback:]
    # `expected` does not depend on the judged count. NaN compares as False: not known to be below.
    candidates = wanted & np.isnan(observed) & (bounds > 0) & (bounds >= min_cases)
    candidates &= ~(bounds <= verdicts.expected)
    if not candidates.any():
        return PanelJudged(verdicts, observed, incomplete)
    observed, verdicts = observed.copy(), _copied(verdicts)
    for column in np.flatnonzero(candidates.any(axis=0)):
        rows = np.flatnonzero(candidates[:, column])
        found = _judge_at(detector, panel, rows, slice(column, column + lookback + 1), at_least)
        alarm = found.alarm[:, 0] & ~(bounds[rows, column] <= found.expected[:, 0])
        above = rows[alarm]
        for name in ("expected", "upper", "score", "p_value", "alarm", "reason"):
            getattr(verdicts, name)[above, column] = getattr(found, name)[alarm, 0]
        observed[above, column] = bounds[above, column]
        incomplete[above, column] = True
    return PanelJudged(verdicts, observed, incomplete)


def _judge_at(
    detector: Detector,
    panel: Panel,
    rows: NDArray[np.intp],
    cut: slice,
    at_least: NDArray[np.float64],
) -> Verdicts:
    """Judge the last position of a cut of the panel, with the lower bounds as its counts."""
    counts = panel.counts[rows, cut]
    counts[:, -1] = at_least[rows, cut.stop - 1]
    dates = None if panel.dates is None else panel.dates[cut]
    shown = Panel(counts, dates=dates, grain=panel.grain)
    return judge_reports(detector, shown, slice(-1, None))


def _copied(verdicts: Verdicts) -> Verdicts:
    """Return verdicts that may be changed: a detector may share its arrays with others."""
    return Verdicts(
        index=verdicts.index,
        expected=verdicts.expected.copy(),
        upper=verdicts.upper.copy(),
        score=verdicts.score.copy(),
        p_value=verdicts.p_value.copy(),
        alarm=verdicts.alarm.copy(),
        reason=verdicts.reason.copy(),
    )
