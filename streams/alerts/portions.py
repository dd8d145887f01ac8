"""How many alerts are explained in one transaction. Pure."""

from __future__ import annotations

from typing import Final

__all__ = ["FIRST_PORTION", "next_portion"]

#: Events in the first portion: how long one takes is not known yet.
FIRST_PORTION: Final = 16
#: Seconds that a portion is to take. The server ends a session that says nothing for ten.
_SECONDS: Final = 1.0
_MOST: Final = 500


def next_portion(portion: int, seconds: float) -> int:
    """Return the number that takes about a second, as the last portion went.

    Parameters
    ----------
    portion, seconds
        How many the last portion held, and how long it took.

    Examples
    --------
    >>> next_portion(16, 0.1), next_portion(16, 0.8), next_portion(16, 100.0), next_portion(1, 9.0)
    (32, 20, 4, 1)
    """
    factor = min(max(_SECONDS / max(seconds, 0.001), 0.25), 2.0)
    return min(max(int(portion * factor), 1), _MOST)
