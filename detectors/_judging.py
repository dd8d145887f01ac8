"""What every detector does around its own rule: work in blocks of series, and conclude."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from detectors.contract import Reason, Verdicts, judged_positions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Panel, Positions

__all__ = ["BLOCK_FLOATS", "conclude", "judge_in_blocks"]

#: Most float64 numbers of one block's working arrays (128 MiB).
BLOCK_FLOATS = 16 * 1024 * 1024

Rule: TypeAlias = Callable[["Panel", "Positions", Verdicts, slice], None]
"""Judges the series `slice` of a panel at some positions and fills in their verdicts."""


def judge_in_blocks(
    panel: Panel,
    at: Positions | slice | None,
    rule: Rule,
    *,
    floats_per_series: Callable[[int], int],
) -> Verdicts:
    """Judge a panel block of series by block of series, so that memory stays bounded.

    Parameters
    ----------
    panel, at
        As in :meth:`detectors.contract.Detector.judge`.
    rule
        Called with the panel, the judged positions, the verdicts of the block and its series. It is
        not called when nothing is to be judged.
    floats_per_series
        How many numbers the rule keeps alive for one series, given how many positions are judged.
        A block holds at most `BLOCK_FLOATS` of them, or one series.
    """
    series, times = panel.counts.shape
    index = judged_positions(at, times)
    verdicts = Verdicts.blank(series, index)
    if index.size == 0:
        return verdicts
    rows = max(1, BLOCK_FLOATS // max(1, floats_per_series(index.size)))
    for start in range(0, series, rows):
        block = slice(start, min(start + rows, series))
        rule(panel, index, verdicts.rows(block), block)
    return verdicts


def conclude(
    out: Verdicts,
    *,
    observed: FloatArray,
    judgeable: NDArray[np.bool_],
    alarm: NDArray[np.bool_] | None = None,
    reason: NDArray[np.uint8] | None = None,
) -> None:
    """Fill in `alarm` and `reason`, and blank what could not be judged.

    Parameters
    ----------
    out
        With `expected`, `upper`, `score` and `p_value` filled in.
    observed
        Counts at the judged positions, shape `[series, judged]`; NaN = missing.
    judgeable
        Whether the baseline suffices.
    alarm
        The method's own decision; by default `observed > upper`.
    reason
        Codes of the judged points where they are not `ok` (`all_zero`, `constant_baseline`).
    """
    missing = np.isnan(observed)
    for array in (out.expected, out.upper):
        np.copyto(array, np.nan, where=~judgeable)
    for array in (out.score, out.p_value):
        np.copyto(array, np.nan, where=~judgeable | missing)
    with np.errstate(invalid="ignore"):
        decision = observed > out.upper if alarm is None else alarm
    out.alarm[:] = decision & judgeable & ~missing
    out.reason[:] = Reason.ok if reason is None else reason
    out.reason[~judgeable] = Reason.insufficient_history
    out.reason[missing] = Reason.missing_observation
