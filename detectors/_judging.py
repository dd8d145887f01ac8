"""What every detector does around its own rule: work in blocks of series, and conclude."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from detectors.contract import Reason, Verdicts, judged_positions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Panel, Positions

__all__ = ["BLOCK_FLOATS", "baseline_reasons", "conclude", "judge_in_blocks"]

#: Most float64 numbers of one block's working arrays (16 MiB). Larger blocks leave the cache, and
#: are no faster.
BLOCK_FLOATS = 2 * 1024 * 1024

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


def baseline_reasons(
    *, zero: NDArray[np.bool_] | bool = False, flat: NDArray[np.bool_] | bool = False
) -> NDArray[np.uint8]:
    """Give the codes of points whose baseline holds no case, or else does not vary (`flat`).

    Examples
    --------
    >>> zero, flat = np.array([True, False, False]), np.array([True, True, False])
    >>> [Reason(code).name for code in baseline_reasons(zero=zero, flat=flat)]
    ['all_zero', 'constant_baseline', 'ok']
    """
    unless_zero = np.where(flat, Reason.constant_baseline, Reason.ok)
    return np.where(zero, Reason.all_zero, unless_zero).astype(np.uint8)


def conclude(
    out: Verdicts,
    *,
    observed: FloatArray,
    judgeable: NDArray[np.bool_],
    alarm: NDArray[np.bool_] | None = None,
    reason: NDArray[np.uint8] | None = None,
    falls: bool = False,
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
        Codes of the judged points, from :func:`baseline_reasons`; `ok` by default.
    falls
        Whether the method looks for counts that are too low. All others give no alarm where there
        is no case, whatever their statistic has accumulated.
    """
    missing, unknown = np.isnan(observed), ~judgeable
    unscored = unknown | missing
    for array, gone in (
        (out.expected, unknown),
        (out.upper, unknown),
        (out.score, unscored),
        (out.p_value, unscored),
    ):
        np.copyto(array, np.nan, where=gone)
    with np.errstate(invalid="ignore"):
        decision = observed > out.upper if alarm is None else alarm
    np.logical_and(decision, ~unscored, out=out.alarm)
    if not falls:
        np.copyto(out.alarm, False, where=observed == 0)
    out.reason[:] = Reason.ok if reason is None else reason
    np.copyto(out.reason, np.uint8(Reason.insufficient_history), where=unknown)
    np.copyto(out.reason, np.uint8(Reason.missing_observation), where=missing)
