"""The counts that lie in a window before each judged step, and rules that read nothing else.

Examples
--------
>>> import numpy as np
>>> history(np.array([[1.0, 2.0, 3.0]]), np.array([2]), 2)
array([[1., 2.]])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from detectors.rolling import values_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Positions

__all__ = ["POSITIONS", "Read", "history", "read_windows"]

#: Judged positions whose windows are worked on at a time.
POSITIONS = 16

Reader: TypeAlias = Callable[
    ["FloatArray", "NDArray[np.bool_]", "FloatArray"], Sequence["FloatArray"]
]
"""Reads windows `[points, length]` (0 where missing), which counts of them are known and the judged
counts; gives arrays of shape `[points]`."""


class Read(NamedTuple):
    """What is known of the windows, arrays of shape `[series, judged]`."""

    judgeable: NDArray[np.bool_]
    """Whether they hold enough counts."""
    zero: NDArray[np.bool_]
    """Whether they hold no case."""


def history(counts: FloatArray, index: Positions, length: int, lag: int = 1) -> FloatArray:
    """Copy the `length` counts that end `lag` steps before each position, oldest first.

    Returns
    -------
    ndarray
        Shape `[series * judged, length]`, NaN before the panel; point `i * judged + j` belongs to
        series i and position `index[j]`.

    Examples
    --------
    >>> history(np.array([[1.0, 2.0, 3.0]]), np.array([1, 2]), 2)
    array([[nan,  1.],
           [ 1.,  2.]])
    """
    steps = index[:, None] - lag + np.arange(1 - length, 1)
    if counts.shape[1] == 0:
        return np.full((counts.shape[0] * index.size, length), np.nan)
    taken = counts[:, np.clip(steps, 0, None)]
    taken[:, steps < 0] = np.nan
    return np.ascontiguousarray(taken.reshape(-1, length))


def read_windows(
    counts: FloatArray,
    index: Positions,
    reader: Reader,
    targets: Sequence[FloatArray],
    *,
    length: int,
    least: int,
    lag: int = 1,
) -> Read:
    """Read the window of each judged position, 16 positions at a time.

    Parameters
    ----------
    counts, index
        Series and judged positions.
    reader
        Called with the windows that hold at least `least` counts.
    targets
        Arrays of shape `[series, judged]`, filled in with what it gives; NaN elsewhere.
    length, lag
        Steps of the windows, which end `lag` steps before the judged position.

    Examples
    --------
    >>> mean = np.empty((1, 2))
    >>> counts, index = np.array([[1.0, 3.0, 5.0]]), np.array([0, 2])
    >>> read = read_windows(
    ...     counts, index, lambda past, *_: [past.mean(axis=1)], [mean], length=2, least=2
    ... )
    >>> mean, read.judgeable
    (array([[nan,  2.]]), array([[False,  True]]))
    """
    shape = (counts.shape[0], index.size)
    read = Read(np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_))
    for first in range(0, index.size, POSITIONS):
        part = slice(first, first + POSITIONS)
        past = history(counts, index[part], length, lag)
        known = ~np.isnan(past)
        enough = known.sum(axis=-1) >= least
        past[~known] = 0.0
        block = read.zero[:, part].shape
        read.judgeable[:, part] = enough.reshape(block)
        read.zero[:, part] = ~past.any(axis=-1).reshape(block)
        observed = values_at(counts, index[part]).ravel()[enough]
        found = reader(past[enough], known[enough], observed)
        for target, values in zip(targets, found, strict=True):
            column = np.full(enough.size, np.nan)
            column[enough] = values
            target[:, part] = column.reshape(block)
    return read
