"""Terms of a regression's design, written relative to the judged step.

Step k before the judged one then has the same row whatever the step is: one design is shared by
all series and positions, and it does not change when a panel is cut.

Examples
--------
>>> import numpy as np
>>> sine, cosine = harmonic_waves(np.array([0.0, 3.0]), year=12.0, harmonics=1)
>>> sine.round(3), cosine.round(3)
(array([0., 1.]), array([1., 0.]))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from detectors.seasons import year_length

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Panel

__all__ = ["Column", "harmonic_waves", "wave_columns"]

_WEEK: Final = 7
# Fewer steps in a year cannot be days.
_DAILY_YEAR: Final = 300
# Prior standard deviations of the waves on the log scale; the h-th of the year has a part of it.
_SEASON_SD: Final = 1.0
_WEEKDAY_SD: Final = 0.7


class Column(NamedTuple):
    """One column of a design."""

    values: FloatArray
    judged: float
    """Its value in the judged step."""
    prior_sd: float


def harmonic_waves(
    steps: NDArray[np.float64] | NDArray[np.int64], *, year: float, harmonics: int
) -> list[FloatArray]:
    """Return the sine and cosine of the year's period and of its fractions, in pairs.

    Examples
    --------
    >>> len(harmonic_waves(np.arange(52), year=52.0, harmonics=2))
    4
    """
    waves: list[FloatArray] = []
    for harmonic in range(1, harmonics + 1):
        phase = 2 * np.pi * harmonic * steps / year
        waves.extend((np.sin(phase), np.cos(phase)))
    return waves


def wave_columns(
    panel: Panel, lags: FloatArray, *, harmonics: int, day_of_week: bool
) -> list[Column]:
    """Return the waves of the year, and for daily panels the three that make up any week.

    Parameters
    ----------
    panel
        Its grain and time axis tell the length of the year.
    lags
        Steps before the judged one, shape `[steps]`.
    harmonics
        Pairs of waves in the year.
    day_of_week
        Whether to add the week to panels of days (with a year of 300 or more of them).

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> months = Panel(np.ones((1, 3)), grain="month")
    >>> cos, sin = wave_columns(months, np.array([6.0, 3.0]), harmonics=1, day_of_week=True)
    >>> cos.values.round(3), cos.judged
    (array([-1.,  0.]), 1.0)
    """
    year = year_length(panel)
    waves = [(h / year, _SEASON_SD / h) for h in range(1, harmonics + 1)]
    if day_of_week and panel.grain == "day" and year >= _DAILY_YEAR:
        waves += [(h / _WEEK, _WEEKDAY_SD) for h in range(1, _WEEK // 2 + 1)]
    columns = []
    for frequency, sd in waves:
        angle = 2.0 * np.pi * frequency * lags
        columns += [Column(np.cos(angle), 1.0, sd), Column(np.sin(angle), 0.0, sd)]
    return columns
