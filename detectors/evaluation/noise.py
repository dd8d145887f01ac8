"""How many false alarms a method raises on series that hold nothing but noise.

A method's level is about one judged step, and means another thing in each method. What an officer
meets is the number of alerts: runs of alarms, in which a pause of a few steps makes no new one, as
alerts do.

Examples
--------
>>> from detectors import Ears
>>> c2 = Ears(method="C2", baseline=14, lag=7)
>>> found = false_alarms(c2, NOISES["poisson 5"], "rolling7", series=20, steps=365)
>>> found.alerts_a_year > 4
True
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from detectors.contract import Panel
from detectors.reporting import judge_reports
from detectors.seasons import longest_year

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from detectors.contract import Detector, FloatArray, Grain

__all__ = ["NOISES", "SEED", "FalseAlarms", "Noise", "false_alarms", "noise_panel", "opened"]

SEED: Final = 1_000
#: Judged steps without an alarm after which the next one opens a new alert, as rules have them.
_ENDED_AFTER: Final[Mapping[str, int]] = {"day": 3, "rolling7": 3, "week": 2, "month": 2}
_STEPS_A_YEAR: Final[Mapping[str, float]] = {
    "day": 365.25,
    "rolling7": 365.25,
    "week": 52.18,
    "month": 12.0,
}
_WEEK: Final = 7
#: Share of a week's cases by day from Monday, times 7: busy Mondays, quiet week-ends.
_WEEKDAYS: Final = (1.5, 1.2, 1.1, 1.0, 1.1, 0.6, 0.5)
_MONDAY: Final = np.datetime64("2000-01-03")


@dataclass(frozen=True, slots=True)
class Noise:
    """What a step's counts are drawn from.

    Parameters
    ----------
    mean
        Cases of a step on average (of a day, for sums of seven days).
    dispersion
        Variance over mean; 1 is Poisson, more negative binomial.
    weekdays
        Whether days of the week differ (1.5 on Mondays, 0.5 on Sundays).

    Examples
    --------
    >>> Noise(5.0).dispersion
    1.0
    """

    mean: float
    dispersion: float = 1.0
    weekdays: bool = False


NOISES: Final[Mapping[str, Noise]] = {
    "poisson 1": Noise(1.0),
    "poisson 5": Noise(5.0),
    "poisson 50": Noise(50.0),
    "negative binomial 5": Noise(5.0, dispersion=2.5),
    "weekdays 20": Noise(20.0, dispersion=1.3, weekdays=True),
}
"""The kinds of noise that the table has; weeks have no weekdays."""


@dataclass(frozen=True, slots=True)
class FalseAlarms:
    """What a method made of noise.

    Examples
    --------
    >>> FalseAlarms(alerts=6, alarms=9, judged=1000, years=3.0).alerts_a_year
    2.0
    """

    #: Runs of alarms.
    alerts: int
    #: Judged steps in alarm, and judged steps.
    alarms: int
    judged: int
    #: Years of all series together.
    years: float

    @property
    def alerts_a_year(self) -> float:
        """Alerts for each series and year.

        Examples
        --------
        >>> FalseAlarms(alerts=0, alarms=0, judged=0, years=0.0).alerts_a_year
        0.0
        """
        return self.alerts / self.years if self.years else 0.0

    @property
    def share(self) -> float:
        """Share of the judged steps that are in alarm.

        Examples
        --------
        >>> FalseAlarms(alerts=6, alarms=9, judged=1000, years=3.0).share
        0.009
        """
        return self.alarms / self.judged if self.judged else 0.0


def noise_panel(noise: Noise, grain: Grain, *, series: int, steps: int, seed: int) -> Panel:
    """Draw series of one noise, beginning on a Monday.

    Examples
    --------
    >>> panel = noise_panel(NOISES["poisson 5"], "week", series=2, steps=3, seed=1)
    >>> panel.counts.shape, str(panel.dates[-1])
    ((2, 3), '2000-01-17')
    """
    sums = grain == "rolling7"
    length = steps + (_WEEK - 1 if sums else 0)
    mean = np.full(length, noise.mean)
    if noise.weekdays and grain != "week":
        mean *= np.resize(np.array(_WEEKDAYS), length)
    rng = np.random.default_rng(seed)
    counts = _draw(rng, np.broadcast_to(mean, (series, length)), noise.dispersion)
    first, step = _MONDAY, 1
    if sums:
        counts = np.lib.stride_tricks.sliding_window_view(counts, _WEEK, axis=1).sum(axis=-1)
        first = _MONDAY + (_WEEK - 1)
    elif grain == "week":
        step = _WEEK
    return Panel(counts, dates=first + step * np.arange(steps), grain=grain)


def false_alarms(
    detector: Detector,
    noise: Noise,
    grain: Grain,
    *,
    series: int = 40,
    steps: int | None = None,
    min_cases: float = 0.0,
    seed: int = SEED,
) -> FalseAlarms:
    """Count the alerts that a detector opens on noise.

    Parameters
    ----------
    detector, noise, grain
        What judges what, in which steps (days, sums of seven days or weeks).
    series, steps
        Number of series, and of judged steps of each; two years by default. Before them the
        detector has all the history that it looks back to.
    min_cases
        As in a rule: no alarm below.
    seed
        Same seed, same series.

    Examples
    --------
    >>> from detectors import FixedValue
    >>> false_alarms(FixedValue(cases=100), NOISES["poisson 5"], "day", series=2, steps=50).alerts
    0
    """
    judged = steps or 2 * longest_year(grain)
    before = detector.lookback(grain)
    panel = noise_panel(noise, grain, series=series, steps=before + judged, seed=seed)
    verdicts = judge_reports(detector, panel, slice(before, None))
    alarm = verdicts.alarm & (panel.counts[:, before:] >= min_cases)
    return FalseAlarms(
        alerts=opened(alarm, _ENDED_AFTER[grain]),
        alarms=int(alarm.sum()),
        judged=alarm.size,
        years=series * judged / _STEPS_A_YEAR[grain],
    )


def opened(alarm: NDArray[np.bool_], ended_after: int) -> int:
    """Count runs of alarms, shape `[series, step]`, that more than `ended_after` steps separate.

    Examples
    --------
    >>> opened(np.array([[True, False, True, False, False, False, True]]), 2)
    2
    """
    total = 0
    for row in alarm:
        at = np.flatnonzero(row)
        total += int(at.size > 0) + int((np.diff(at) > ended_after).sum())
    return total


def _draw(rng: np.random.Generator, mean: FloatArray, dispersion: float) -> FloatArray:
    if dispersion <= 1:
        return rng.poisson(mean).astype(np.float64)
    size = mean / (dispersion - 1)
    return rng.negative_binomial(size, 1 / dispersion).astype(np.float64)
