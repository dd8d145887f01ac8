"""How much of a long queue is dealt with in one transaction. Pure."""

from __future__ import annotations

from typing import Final

__all__ = ["next_portion"]

#: Seconds that a portion is to take: what is urgent waits for it to end, and the server ends a
#: session that says nothing for ten.
_SECONDS: Final = 1.0
_MOST: Final = 2_000


def next_portion(last: int, seconds: float) -> int:
    """Return the number of items that takes about a second, as the last portion went.

    Parameters
    ----------
    last, seconds
        How many items the last portion held, and how long it took.

    Examples
    --------
    >>> next_portion(16, 0.1), next_portion(16, 0.8), next_portion(16, 1000.0), next_portion(1, 9.0)
    (32, 20, 4, 1)
    """
    factor = _SECONDS / max(seconds, 0.001)
    return min(max(int(last * min(max(factor, 0.25), 2.0)), 1), _MOST)
