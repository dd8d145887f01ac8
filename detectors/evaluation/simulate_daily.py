"""The daily simulator of Noufaily, Morbey et al. 2019: sixteen syndromic signals.

Examples
--------
>>> made = simulate_daily(series=16, seed=1, size=3)
>>> made.panel.counts.shape, made.judged[[0, -1]]
((16, 2548), array([2205, 2547]))
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from detectors.contract import Panel
from detectors.evaluation.simulation import (
    Simulation,
    add_cases,
    negative_binomial,
    outbreak_size,
)
from detectors.evaluation.tables import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Positions

__all__ = ["BANK_HOLIDAYS", "DAILY_SIGNALS", "DAILY_SIZES", "rolling_week", "simulate_daily"]

_WEEKS_A_YEAR: Final = 52
_YEARS: Final = 7
_DAYS: Final = _YEARS * _WEEKS_A_YEAR * 7
_JUDGED_WEEKS: Final = 49
#: The paper's days 2206-2548, counted from 0.
_JUDGED: Final = (_DAYS - _JUDGED_WEEKS * 7, _DAYS)
#: Spread of the cases over time, log-normal of log mean 0; a case at x falls on day x / interval.
_LOG_SD: Final = 0.5
_INTERVAL: Final = 0.25
_PEAK_INTERVAL: Final = 0.02
#: By weekday from Monday.
_WEIGHTS: Final = {
    5: np.array([1.5, 1.1, 1.0, 1.0, 1.1, 0.0, 0.0]),
    7: np.array([1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0]),
}
_AFTER_HOLIDAY: Final = 1.5
_HOLIDAY_7: Final = 2.0

DAILY_SIGNALS: Final[tuple[int, ...]] = tuple(
    int(number) for number in table("noufaily2019_signals")["sigid"]
)
"""Numbers of the signals (`sigid`)."""
DAILY_SIZES: Final = (2.0, 3.0, 5.0, 10.0)
"""Sizes k of outbreaks for which the package has figures of R."""
BANK_HOLIDAYS: Final = (0, 88, 91, 119, 147, 238, 357, 358)
"""Days of the 364-day year that are bank holidays, from 0 = Monday: eight, as in England.

New Year, Good Friday, Easter Monday, two in May, one in August, two at Christmas.
"""

_Integers: TypeAlias = "NDArray[np.int64]"


@dataclass(frozen=True, slots=True)
class _Signal:
    """One row of the table; lower case as in the paper, its misspelt `gama` mended."""

    days: int
    k_annual: int
    k_week: int
    alpha: float
    beta: float
    gamma: tuple[float, float, float, float]
    phi: float
    shift: float
    divide_by: float

    def mean(self, step: _Integers) -> FloatArray:
        """Give mu at the steps t = 1, 2, ... (working days of a 5-day signal)."""
        t = step + self.shift
        log_mean = self.alpha + self.beta * t
        g1, g2, g3, g4 = self.gamma
        for j in range(1, self.k_annual + 1):
            angle = 2 * np.pi * j * t / (_WEEKS_A_YEAR * self.days)
            log_mean = log_mean + g1 * np.cos(angle) + g2 * np.sin(angle)
        for j in range(1, self.k_week + 1):
            angle = 2 * np.pi * j * t / self.days
            log_mean = log_mean + g3 * np.cos(angle) + g4 * np.sin(angle)
        mean: FloatArray = np.exp(log_mean)
        return mean

    def sd(self, step: _Integers) -> FloatArray:
        sd: FloatArray = np.sqrt(self.phi * self.mean(step))
        return sd


@dataclass(frozen=True, slots=True)
class _Peak:
    """A yearly peak: `size` standard deviations of signal `sd_of`, from one of some days on."""

    first: int
    stop: int
    size: float
    sd_of: int


#: The three signals with yearly peaks; days of their own year (260 or 364), from 0.
_PEAKS: Final = {
    6: _Peak(0, 20, 3 * 5 * 80, 6),
    7: _Peak(0, 20, 3 * 5 * 50, 7),
    16: _Peak(209, 230, 3 * 7 * 150, 7),
}


def _signal(number: int) -> _Signal:
    rows = table("noufaily2019_signals")
    row = int(np.flatnonzero(rows["sigid"] == number)[0])
    cell = {name: float(rows[name][row]) for name in rows if name != "seasonal_peak"}
    return _Signal(
        days=int(cell["days_per_week"]),
        k_annual=int(cell["k_annual"]),
        k_week=int(cell["k_week"]),
        alpha=cell["alpha"],
        beta=cell["beta"],
        gamma=(cell["gama1"], cell["gama2"], cell["gama3"], cell["gama4"]),
        phi=cell["phi"],
        shift=cell["shift"],
        divide_by=cell["divide_by"],
    )


def _size_signal(number: int) -> _Signal:
    """Return the signal whose standard deviation sets the size of an outbreak."""
    if number == 14:  # noqa: PLR2004 - as the table says
        return _signal(1)
    if number == 15:  # noqa: PLR2004
        return replace(_signal(14), beta=0.0)
    return _signal(number)


def simulate_daily(
    *,
    series: int,
    seed: int | np.random.Generator,
    size: float,
    signals: Sequence[int] = DAILY_SIGNALS,
) -> Simulation:
    r"""Simulate daily syndromic counts with one outbreak (Noufaily, Morbey et al. 2019).

    Seven years of 364 days that begin on a Monday. Signals of N = 7 days a week step every day,
    those of N = 5 on working days only (zero at the week-end). The baseline at step t is negative
    binomial with mean mu(t) and variance phi mu(t) (Poisson if phi = 1); with u = t + shift

    .. math:: \log \mu(t) = \alpha + \beta u
              + \sum_{j=1}^{k_1} [\gamma_1 \cos(2 \pi j u / 52N) + \gamma_2 \sin(2 \pi j u / 52N)]
              + \sum_{j=1}^{k_2} [\gamma_3 \cos(2 \pi j u / N) + \gamma_4 \sin(2 \pi j u / N)]

    and the parameters of `scenarios/noufaily2019_signals.csv`. An outbreak starts at a step s of
    the last 49 weeks, which are the judged ones (days 2206-2548). It has Poisson(k N sqrt(phi
    mu(s))) cases, redrawn until there are at least 2, at the steps s + floor(X / 0.25) with log X
    normal of mean 0 and standard deviation 0.5. Cases count more on some weekdays (5-day signals:
    Monday 1.5, Tuesday and Friday 1.1; 7-day signals: week-end 2), and the sum of a day is
    rounded. Three signals have a yearly peak made in the same way, spread over
    fiftieths instead of quarters. Baseline and peak of a signal, but not its outbreak, are divided
    by its `divide_by` (only so do the figures of R come out). Bank holidays are doubled in 7-day
    signals; in 5-day signals they are 0, and the working day after a bank holiday (or two in a
    row) is multiplied by 1.5.

    The sources leave open on which days the bank holidays are: see :data:`BANK_HOLIDAYS`.

    Parameters
    ----------
    series
        How many series; series i is of the signal `signals[i % len(signals)]`.
    seed
        A seed, or a generator to go on with.
    size
        Size k of the outbreak.
    signals
        Numbers (`sigid`) of the signals to use.

    Returns
    -------
    Simulation
        Daily panel on integer time with period 364. `mean` holds the yearly peak as it was drawn.
        Memory: 6 arrays of 20 kB a series.

    References
    ----------
    Noufaily A, Morbey RA, Colon-Gonzalez FJ, Elliot AJ, Smith GE, Lake IR, McCarthy N (2019).
    Comparison of statistical algorithms for daily syndromic surveillance aberration detection.
    Bioinformatics 35, 3110-3118.

    Examples
    --------
    >>> made = simulate_daily(series=2, seed=7, size=10, signals=[9])
    >>> made.panel.counts[0, 1:8]  # Tuesday to Monday
    array([9., 7., 2., 7., 0., 0., 4.])
    """
    if not signals or not set(signals) <= set(DAILY_SIGNALS):
        raise ValueError(f"signals must be of {DAILY_SIGNALS}, got {tuple(signals)}")
    rng = np.random.default_rng(seed)
    number = np.resize(np.array(signals, dtype=np.int64), series)
    shape = (series, _DAYS)
    counts, cases, mean, dispersion = (np.zeros(shape) for _ in range(4))
    start = np.zeros(series, dtype=np.intp)
    for one in dict.fromkeys(signals):
        rows = np.flatnonzero(number == one)
        baseline, extra, start[rows], mean[rows], dispersion[rows] = _draw(
            rng, one, rows.size, size
        )
        counts[rows], cases[rows] = baseline + extra, extra
    return Simulation(
        panel=Panel(counts, grain="day", period=_WEEKS_A_YEAR * 7),
        judged=np.arange(*_JUDGED, dtype=np.intp),
        cases=cases,
        contamination=np.broadcast_to(0.0, shape),
        mean=mean,
        dispersion=dispersion,
        start=start,
        scenario=number,
        size=np.full(series, float(size)),
        past_size=np.zeros(series),
    )


def rolling_week(simulation: Simulation) -> Simulation:
    """Replace the counts by sums over seven days up to and including each day.

    The truth stays that of the days; `mean` and `dispersion` are those of the sums. The first six
    sums are missing.

    Examples
    --------
    >>> sums = rolling_week(simulate_daily(series=1, seed=7, size=10, signals=[9]))
    >>> sums.panel.grain, sums.panel.counts[0, 5:8]
    ('rolling7', array([nan, 25., 29.]))
    """
    panel = simulation.panel
    mean = _sums(simulation.mean)
    variance = _sums(simulation.mean * simulation.dispersion)
    with np.errstate(invalid="ignore", divide="ignore"):
        dispersion = np.where(mean > 0, variance / mean, 1.0)
    summed = Panel(_sums(panel.counts), grain="rolling7", period=panel.period)
    return replace(simulation, panel=summed, mean=mean, dispersion=dispersion)


def _sums(days: FloatArray) -> FloatArray:
    sums = np.full(days.shape, np.nan)
    sums[:, 6:] = np.lib.stride_tricks.sliding_window_view(days, 7, axis=1).sum(axis=2)
    return sums


def _draw(
    rng: np.random.Generator, number: int, series: int, size: float
) -> tuple[FloatArray, FloatArray, Positions, FloatArray, FloatArray]:
    """Baseline, outbreak cases, start, mean and dispersion of series of one signal."""
    signal = _signal(number)
    day = np.flatnonzero(np.arange(_DAYS) % 7 < signal.days)
    step = np.arange(1, day.size + 1)
    mu = np.broadcast_to(signal.mean(step), (series, day.size))
    baseline = negative_binomial(rng, mu, np.full(series, signal.phi))
    peak = _yearly_peak(rng, number, baseline.shape, day)
    first = day.size - _JUDGED_WEEKS * signal.days
    start = rng.integers(first, day.size, size=series)
    expected = size * signal.days * _size_signal(number).sd(step[start])
    cases = _spread(rng, outbreak_size(rng, expected), start, _INTERVAL, day)
    holiday = _holiday_factor(signal.days)[day]
    factor = holiday / signal.divide_by
    variance = signal.phi * mu * factor**2
    centre = (mu + peak) * factor
    with np.errstate(invalid="ignore"):
        phi = np.where(centre > 0, variance / centre, 1.0)
    wide = (np.zeros((series, _DAYS)) for _ in range(4))
    columns = np.rint((baseline + peak) * factor), np.rint(cases * holiday), centre, phi
    made: list[FloatArray] = []
    for whole, part in zip(wide, columns, strict=True):
        whole[:, day] = part
        made.append(whole)
    return made[0], made[1], day[start], made[2], made[3]


def _yearly_peak(
    rng: np.random.Generator, number: int, shape: tuple[int, ...], day: Positions
) -> FloatArray:
    cases = np.zeros(shape)
    peak = _PEAKS.get(number)
    if peak is None:
        return cases
    year = shape[1] // _YEARS
    sd = _signal(peak.sd_of).sd(np.arange(1, shape[1] + 1))
    for begin in range(0, shape[1], year):
        start = rng.integers(begin + peak.first, begin + peak.stop, size=shape[0])
        size = outbreak_size(rng, peak.size * sd[start])
        cases += _spread(rng, size, start, _PEAK_INTERVAL, day)
    return cases


def _spread(
    rng: np.random.Generator,
    size: _Integers,
    start: Positions,
    interval: float,
    day: Positions,
) -> FloatArray:
    """Spread `size` cases over the steps from `start` on, weighted by weekday."""
    cases = np.zeros((size.size, day.size))
    delay = np.floor(rng.lognormal(0.0, _LOG_SD, int(size.sum())) / interval).astype(np.intp)
    add_cases(cases, np.repeat(np.arange(size.size), size), np.repeat(start, size) + delay)
    days = 7 if (day % 7 >= 5).any() else 5  # noqa: PLR2004 - Saturday and Sunday
    weighted: FloatArray = cases * _WEIGHTS[days][day % 7]
    return weighted


def _holiday_factor(days: int) -> FloatArray:
    """By how much a day's counts are multiplied, shape `[time]`."""
    in_year = np.arange(_DAYS) % (_WEEKS_A_YEAR * 7)
    holiday = np.isin(in_year, BANK_HOLIDAYS)
    if days == 7:  # noqa: PLR2004
        return np.where(holiday, _HOLIDAY_7, 1.0)
    factor = np.where(holiday, 0.0, 1.0)
    working = np.flatnonzero(np.arange(_DAYS) % 7 < days)
    after = working[1:][holiday[working[:-1]] & ~holiday[working[1:]]]
    factor[after] = _AFTER_HOLIDAY
    return factor
