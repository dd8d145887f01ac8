"""Real weekly series with simulated outbreaks put in.

Examples
--------
>>> made = simulate_real(series=220, seed=1)
>>> made.panel.counts.shape, made.judged[[0, -1]]
((220, 364), array([312, 363]))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from detectors.contract import Panel
from detectors.evaluation.simulation import Simulation, add_cases, outbreak_size
from detectors.evaluation.tables import real_series

if TYPE_CHECKING:
    from detectors.contract import FloatArray

__all__ = ["REAL_SIZES", "simulate_real"]

_YEAR: Final = 52
#: Spread of the cases over weeks, log-normal of log mean 0, as in the weekly simulator.
_LOG_SD: Final = 0.5
#: An outbreak that starts later is hardly seen.
_LAST_WEEKS: Final = 3
REAL_SIZES: Final = (2.0, 3.0, 5.0, 8.0)
"""Sizes k of the outbreaks."""


def simulate_real(*, series: int, seed: int) -> Simulation:
    r"""Put an outbreak into the last year of each of the real series, over and over.

    Series i is number i modulo 110 of :func:`~detectors.evaluation.tables.real_series`. The
    outbreak starts in one of the last 52 weeks but three and has Poisson(k s) cases, redrawn until
    there are at least 2, at the weeks start + floor(X) with log X normal of mean 0 and standard
    deviation 0.5; k is one of :data:`REAL_SIZES`. The standard deviation of a week is taken from
    the year before, :math:`s = \max(\operatorname{sd}(y_t - y_{t-1}) / \sqrt 2, \sqrt{\bar y})`,
    and at least 0.5.

    Parameters
    ----------
    series
        How many series.
    seed
        Seed of the outbreaks.

    Returns
    -------
    Simulation
        Weekly panel on integer time with period 52; `mean` and `dispersion`, which nobody knows,
        are NaN.

    Examples
    --------
    >>> made = simulate_real(series=110, seed=1)
    >>> bool(((made.panel.counts - made.cases) == real_series()).all())
    True
    """
    rng = np.random.default_rng(seed)
    real = real_series()
    row = np.arange(series) % real.shape[0]
    counts, weeks = real[row], real.shape[1]
    first = weeks - _YEAR
    start = rng.integers(first, weeks - _LAST_WEEKS, size=series).astype(np.intp)
    size = rng.choice(REAL_SIZES, size=series)
    drawn = outbreak_size(rng, size * _sd(counts[:, first - _YEAR : first]))
    cases = np.zeros(counts.shape)
    delay = np.floor(rng.lognormal(0.0, _LOG_SD, int(drawn.sum()))).astype(np.intp)
    add_cases(cases, np.repeat(np.arange(series), drawn), np.repeat(start, drawn) + delay)
    unknown = np.broadcast_to(np.nan, counts.shape)
    return Simulation(
        panel=Panel(counts + cases, grain="week", period=_YEAR),
        judged=np.arange(first, weeks, dtype=np.intp),
        cases=cases,
        contamination=np.broadcast_to(0.0, counts.shape),
        mean=unknown,
        dispersion=unknown,
        start=start,
        scenario=row.astype(np.int64) + 1,
        size=size,
        past_size=np.zeros(series),
    )


def _sd(year: FloatArray) -> FloatArray:
    sd = np.diff(year, axis=1).std(axis=1) / np.sqrt(2)
    found: FloatArray = np.maximum(np.maximum(sd, np.sqrt(year.mean(axis=1))), 0.5)
    return found
