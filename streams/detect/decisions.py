"""What an alarm compares: with most methods the count lies above `upper`, with some it does not."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

__all__ = ["ABOVE", "DECISIONS", "decision"]

ABOVE: Final = "the count is above `upper`"
"""The rule of methods that are not listed below."""

_REACHES: Final = (
    "the count is at least `upper` and not 0; `upper` is the count at which the chart's statistic, "
    "which adds up the steps before, reaches its limit"
)
DECISIONS: Final = MappingProxyType(
    {
        "change_point": (
            "the probability of a recent upward change is above `threshold`; `upper` is about this "
            "count alone and decides nothing"
        ),
        "cusum": _REACHES,
        "drop": (
            "the count is below a lower limit that is not written; `upper` is the limit on the "
            "other side"
        ),
        "glr_nb": _REACHES,
        "glr_poisson": _REACHES,
        "outbreak_p": _REACHES,
    }
)
"""Methods whose alarms are another comparison than `ABOVE`."""


def decision(kind: str) -> str:
    """Say when a method of this type gives an alarm.

    Examples
    --------
    >>> decision("ears")
    'the count is above `upper`'
    """
    return DECISIONS.get(kind, ABOVE)
