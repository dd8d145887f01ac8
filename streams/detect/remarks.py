"""What looks odd in a table of counts, for people to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from streams.detect.gathering import described

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray
    from streams.detect.reading import CountTable

__all__ = ["last_counts", "odd_series"]

#: Counts that a series needs before it is called cumulative, and how often it must rise.
_TELLING: Final = 10
_RISES: Final = 5
#: A series with such a mean that was never 0 before has no 0 by chance.
_NEVER_ZERO_MEAN: Final = 5.0


def last_counts(counts: FloatArray) -> NDArray[np.int64]:
    """Return the place of each series' last count; the last step where it has none."""
    there = np.isfinite(counts)
    last: NDArray[np.int64] = counts.shape[1] - 1 - np.argmax(there[:, ::-1], axis=1)
    return last


def odd_series(table: CountTable) -> list[str]:
    """Say which series look cumulative, end before the others, or end with zeros."""
    remarks = []
    names = [one.region or one.signal or "the series" for one in table.series]
    totals = [names[row] for row, counts in enumerate(table.counts) if _is_cumulative(counts)]
    if totals:
        remarks.append(
            f"{len(totals):,} of {len(names):,} series never fall ({described(totals)}): are these "
            "totals since the beginning? --cumulative turns them into new cases."
        )
    last = last_counts(table.counts)
    labels = table.axis.labels
    end = int(last.max())
    late = np.flatnonzero(last < end).tolist()
    if late:
        shown = [f"{names[row]} at {labels[last[row]]}" for row in late]
        remarks.append(
            f"{len(late):,} of {len(names):,} series end before {labels[end]}: {described(shown)}."
        )
    if zeros := [names[row] for row in range(len(names)) if _ends_with_zeros(table.counts[row])]:
        remarks.append(
            f"{len(zeros):,} series end with 0 but have none before ({described(zeros)}): leave "
            "the count empty where nothing was reported yet."
        )
    return remarks


def _is_cumulative(counts: FloatArray) -> bool:
    known = counts[np.isfinite(counts)]
    rises = np.diff(known)
    return bool(known.size >= _TELLING and (rises >= 0).all() and (rises > 0).sum() >= _RISES)


def _ends_with_zeros(counts: FloatArray) -> bool:
    known = counts[np.isfinite(counts)]
    above = np.flatnonzero(known > 0)
    if above.size < _TELLING or above[-1] == known.size - 1:
        return False
    before = known[: above[-1] + 1]
    return bool((before > 0).all() and before.mean() >= _NEVER_ZERO_MEAN)
