"""The whole of an outbreak in a history, found from the counts in it that are outlying.

An outbreak's rise and decline, or a long plateau, need not be outlying themselves, and would raise
a baseline to their level.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["outbreak_runs"]


def outbreak_runs(
    outlying: NDArray[np.bool_],
    high: NDArray[np.bool_],
    known: NDArray[np.bool_],
    longest: float,
) -> NDArray[np.bool_]:
    """Extend outlying counts to the run of high counts around each.

    A run with more than `longest` known counts is no outbreak but a new level: none of its counts
    is returned, outlying or not. Missing counts do not end a run.

    Parameters
    ----------
    outlying, high, known
        Shape `[problem, step]`.

    Examples
    --------
    >>> high = np.array([[True, True, False, True, True, True]])
    >>> outlying = np.array([[False, True, False, True, False, False]])
    >>> outbreak_runs(outlying, high, np.ones_like(high), 2).astype(int)
    array([[1, 1, 0, 0, 0, 0]])
    """
    inside = outlying | high | ~known
    first, last = _runs(inside)
    found: NDArray[np.bool_] = (
        inside & (_between(outlying, first, last) > 0) & (_between(known, first, last) <= longest)
    )
    return found


def _runs(inside: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give the first and the last step of the run that each step inside one lies in."""
    steps = inside.shape[1]
    step = np.arange(steps)
    before = np.maximum.accumulate(np.where(inside, -1, step), axis=1)
    after = np.minimum.accumulate(np.where(inside, steps, step)[:, ::-1], axis=1)[:, ::-1]
    return before + 1, after - 1


def _between(
    where: NDArray[np.bool_], first: NDArray[np.intp], last: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Count in each row from `first` to `last`, both included."""
    total = np.zeros((where.shape[0], where.shape[1] + 1), dtype=np.intp)
    np.cumsum(where, axis=1, out=total[:, 1:])
    upper = np.take_along_axis(total, np.maximum(last + 1, first), axis=1)
    # Steps outside any run may point past the end.
    begin = np.minimum(first, where.shape[1])
    found: NDArray[np.intp] = upper - np.take_along_axis(total, begin, axis=1)
    return found
