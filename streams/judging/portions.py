"""How much history is judged in one transaction. Pure."""

from __future__ import annotations

from typing import Final

__all__ = ["FIRST_PORTION", "next_portion"]

#: Series in the first portion after a start: some detectors take a second for one.
FIRST_PORTION: Final = 1
#: Seconds that a portion is to take: a live change waits for it to end.
_SECONDS: Final = 1.0
_MOST: Final = 2_000


def next_portion(series: int, seconds: float) -> int:
    """Return the number of series that takes about a second, as the last portion went.

    Parameters
    ----------
    series, seconds
        What the last portion held, and how long it took.

    Examples
    --------
    >>> next_portion(16, 0.1), next_portion(16, 0.8), next_portion(16, 1000.0), next_portion(1, 9.0)
    (32, 20, 4, 1)
    """
    factor = _SECONDS / max(seconds, 0.001)
    return min(max(int(series * min(max(factor, 0.25), 2.0)), 1), _MOST)
