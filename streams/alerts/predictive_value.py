"""How often a rule's alerts turned out to be true. Pure."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

__all__ = ["PredictiveValue", "predictive_value"]

#: Quantile of the normal distribution for 95 % between both ends.
_Z: Final = 1.959963984540054


class PredictiveValue(NamedTuple):
    """Positive predictive value of a rule, with Wilson's 95 % interval."""

    outbreaks: int
    decided: int
    """Alerts that were closed or discarded; merged ones do not count."""
    value: float | None
    """None while nothing is decided."""
    lower: float | None
    upper: float | None


def predictive_value(outbreaks: int, decided: int) -> PredictiveValue:
    """Return the share of outbreaks among decided alerts.

    Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference.
    Journal of the American Statistical Association 22, 209-212.

    Examples
    --------
    >>> found = predictive_value(3, 10)
    >>> found.value, round(found.lower, 3), round(found.upper, 3)
    (0.3, 0.108, 0.603)
    """
    if not 0 <= outbreaks <= decided:
        raise ValueError(f"{outbreaks} of {decided} is no share")
    if decided == 0:
        return PredictiveValue(0, 0, None, None, None)
    share = outbreaks / decided
    spread = _Z * math.sqrt(share * (1 - share) / decided + (_Z / (2 * decided)) ** 2)
    middle = share + _Z**2 / (2 * decided)
    scale = 1 + _Z**2 / decided
    # By definition the interval reaches 0 or 1 where the share does; rounding must not hide it.
    lower = 0.0 if outbreaks == 0 else (middle - spread) / scale
    upper = 1.0 if outbreaks == decided else (middle + spread) / scale
    return PredictiveValue(outbreaks, decided, share, lower, upper)
