"""The whole of an outbreak in a history, found from the counts in it that are outlying.

An outbreak's rise and decline, or a long plateau, need not be outlying themselves, and would raise
a baseline to their level.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray

__all__ = ["outbreak_runs", "run_of", "total_between"]


def outbreak_runs(
    outlying: NDArray[np.bool_],
    high: NDArray[np.bool_],
    known: NDArray[np.bool_],
    longest: float,
) -> NDArray[np.bool_]:
    """Extend outlying counts to the run of high counts around each.

    Of a run with more than `longest` known counts none is returned, outlying or not.
    Missing counts do not end a run.

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
    first, last = run_of(inside)
    found: NDArray[np.bool_] = (
        inside
        & (total_between(outlying, first, last) > 0)
        & (total_between(known, first, last) <= longest)
    )
    return found


def run_of(inside: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Give the first and the last step of the run that each step inside one lies in.

    Examples
    --------
    >>> run_of(np.array([[True, True, False, True]]))[1][:, [0, 1, 3]]
    array([[1, 1, 3]])
    """
    steps = inside.shape[1]
    step = np.arange(steps)
    before = np.maximum.accumulate(np.where(inside, -1, step), axis=1)
    after = np.minimum.accumulate(np.where(inside, steps, step)[:, ::-1], axis=1)[:, ::-1]
    return before + 1, after - 1


def total_between(
    values: NDArray[np.bool_] | FloatArray, first: NDArray[np.intp], last: NDArray[np.intp]
) -> FloatArray:
    """Add up in each row from `first` to `last`, both included.

    Examples
    --------
    >>> total_between(np.array([[1.0, 2.0, 4.0]]), np.array([[0, 1]]), np.array([[1, 2]]))
    array([[3., 6.]])
    """
    total = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, out=total[:, 1:])
    upper = np.take_along_axis(total, np.maximum(last + 1, first), axis=1)
    # Steps outside any run may point past the end.
    begin = np.minimum(first, values.shape[1])
    found: FloatArray = upper - np.take_along_axis(total, begin, axis=1)
    return found
