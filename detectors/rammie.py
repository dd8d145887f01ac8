"""RAMMIE-style regression of two years of days, with thresholds that follow recent activity.

Examples
--------
>>> import numpy as np
>>> from detectors.contract import Panel
>>> rng = np.random.default_rng(1)
>>> counts = rng.poisson(np.resize([20.0, 18, 17, 16, 18, 9, 7], 420)).astype(float)
>>> counts[-1] = 40
>>> Rammie(window=400).judge(Panel(counts[None]), at=slice(-2, None)).alarm
array([[False,  True]])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import betainc, gammainc, ndtr, ndtri

from detectors._calendar import Holidays, dates_at, holiday_flags
from detectors._judging import baseline_reasons, conclude, judge_in_blocks
from detectors._penalised_poisson import PenalisedFit, fit_penalised
from detectors.rolling import values_at
from detectors.seasons import year_length

if TYPE_CHECKING:
    from detectors.contract import FloatArray, Grain, Panel, Positions, Verdicts

__all__ = ["Rammie"]

#: Steps of two years, by grain.
_TWO_YEARS: Final[dict[Grain, int]] = {"day": 730, "rolling7": 730, "week": 104, "month": 24}
_WEEK: Final = 7
_MONTHS: Final = 12
# Precision of the intercept: a is normal about the log of the window's mean with sd 3.
_FAINT = 1 / 9
# Above this mean, and for tails, the normal distribution serves.
_LARGE = 1e7
_BISECTIONS = 60


class Rammie(BaseModel):
    """Regression on days of the week, months, holidays and trend (after Morbey et al. 2015).

    For the judged step t, the `window` counts that end `guard` + 1 steps before it are fitted by

        log mu(s) = a + b s + day of the week + month + holiday,    Var Y(s) = phi mu(s),

    where b and the effects are random, normal with mean 0 and standard deviation `effect_sd` (by
    penalised iteratively reweighted least squares; a is kept about the log of the mean count by
    a standard deviation of 3, which only matters where there are hardly any cases). With x the row
    of step t and A the penalised information, the *historical* threshold is the 1 - `alpha`
    quantile of the negative binomial distribution with mean mu(t) and variance
    phi mu(t) + mu(t)^2 phi x A^-1 x'. The threshold after the *recency reset* has mu(t)
    multiplied by

        r = (sum of Y + phi) / (sum of mu + phi) over the last `recent` steps of the window,

    and phi / (sum of mu + phi) added to the variance of log mu(t), so that it tells of *rising*
    activity: it asks whether today is high for these weeks, not for the time of the year.

    Use it for daily counts with a year or two of history, days of the week and a season that
    comes at about the same time. What comes slowly, the reset forgives; set `recent` to 0 for
    alarms while activity stays above what is usual for the season.

    Parameters
    ----------
    window, guard
        In steps; the window is two years of the panel's grain unless it is given.
    recent
        Steps of the recency reset; 0 for historical thresholds.
    alpha
        One-sided level; 0.01 gives the 99 % limits of RAMMIE.
    trend
        Whether b is in the model.
    effect_sd
        Standard deviation of the effects, on the log scale.
    holidays
        Dates (ISO) on dated panels, positions on integer time, which share one effect.

    Notes
    -----
    *Simplified against the published method.* There the model is a negative binomial one with
    random effects for places, estimated over all of them at once and now and then; here each
    series is fitted by itself and for each judged step anew, the standard deviation of the effects
    is given, and the variance is proportional to the mean. The "indicator emphasis", which ranks
    alarms by how often the indicator alarms, is left to the ranking of alerts. The reset is our
    reading of "rising activity".

    *Verdicts.* `expected` is mu(t) (after the reset), `upper` the quantile, continued between
    whole numbers, `score` is (Y - mu) over the standard deviation, and `p_value` the probability
    of a count of at least Y(t); above a mean of 1e7 that of the normal distribution.

    *Level.* Simulated rates of alarms at `alpha` 0.01, Poisson counts with days of the week and a
    sine season, means 0.2, 3, 20 and 500 (400 points each): 0.0025, 0.01, 0.015, 0.0075 with the
    reset and 0.0025, 0.0075, 0.015, 0.0375 without, since months are coarse for large counts.

    *Months* are those of the calendar on dated panels and twelfths of the year, counted back from
    the judged step, on integer time.

    *Missing and odd input.* Missing counts are left out; more than half of the window must be
    known. mu(t) is at least 0.5 over the number of known counts, so that all-zero series have a
    threshold, too, and phi is at least 1. Numbers agree to 1e-6 whichever series and positions
    are judged together; bit for bit they may differ.

    *Memory* beyond the verdicts: as `BLOCK_FLOATS` in `detectors._judging` says, 16 MiB. The work
    is a fit for each judged point, about half a millisecond.

    References
    ----------
    Morbey RA, Elliot AJ, Charlett A, Verlander NQ, Andrews N, Smith GE (2015). The application of
    a novel 'rising activity, multi-level mixed effects, indicator emphasis' (RAMMIE) method for
    syndromic surveillance in England. Bioinformatics 31, 3660-3665.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> rng = np.random.default_rng(1)
    >>> mean = np.where(np.arange(420) < 406, 20.0, 30.0)  # a rise for a fortnight
    >>> panel = Panel(rng.poisson(mean).astype(float)[None])
    >>> [
    ...     Rammie(window=360, recent=n).judge(panel, slice(-1, None)).expected.round().item()
    ...     for n in (0, 14)
    ... ]
    [24.0, 28.0]
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["rammie"] = "rammie"
    window: int | None = Field(
        default=None, ge=24, le=3653, description="Steps the model is fitted to; by default 2 years"
    )
    guard: int = Field(
        default=2, ge=0, le=1000, description="Steps between the window and the judged step"
    )
    recent: int = Field(
        default=14, ge=0, le=365, description="Steps of the recency reset; 0 for none"
    )
    alpha: float = Field(default=0.01, ge=1e-9, lt=1, description="One-sided level")
    trend: bool = Field(default=True, description="Whether there is a trend")
    effect_sd: float = Field(
        default=1.0, gt=0.001, le=100, description="Standard deviation of the effects (log scale)"
    )
    holidays: Holidays = Field(
        default=(), description="Dates, or positions on integer time, that share one effect"
    )

    def lookback(self, grain: Grain) -> int:
        """Say how many steps before a judged one the verdict may depend on.

        Examples
        --------
        >>> Rammie().lookback("day"), Rammie().lookback("week")
        (732, 106)
        """
        return self._window(grain) + self.guard

    def _window(self, grain: Grain) -> int:
        return self.window or _TWO_YEARS[grain]

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        """Judge the time positions `at` (default: all) of every series.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel
        >>> Rammie(window=60).judge(Panel(np.zeros((1, 70))), at=np.array([69])).upper.round(2)
        array([[0.94]])
        """
        terms, window = 2 + _WEEK + _MONTHS + 1, self._window(panel.grain)
        return judge_in_blocks(
            panel,
            at,
            self._rule,
            floats_per_series=lambda judged: 10 * window + 4 * terms**2 + 12 * judged,
        )

    def _rule(self, panel: Panel, index: Positions, out: Verdicts, series: slice) -> None:
        counts = panel.counts[series]
        shape = (counts.shape[0], index.size)
        mean, variance = np.zeros(shape), np.zeros(shape)
        judgeable, zero = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
        for column, position in enumerate(index):
            back = position - np.arange(self.guard + 1, self.lookback(panel.grain) + 1)
            values = values_at(counts, back)
            design, precision = self._design(panel, np.concatenate([[position], back]))
            fit = fit_penalised(values, design[1:], design[0], precision)
            enough = (~np.isnan(values)).sum(axis=1) > self._window(panel.grain) // 2
            mean[:, column], variance[:, column] = self._predict(values, fit)
            judgeable[:, column] = enough & np.isfinite(mean[:, column])
            zero[:, column] = np.fmax.reduce(values, axis=1, initial=0.0) == 0
        mean[~judgeable], variance[~judgeable] = 1.0, 1.0
        observed = values_at(counts, index)
        out.expected[:] = mean
        out.upper[:] = _quantile(mean, variance, self.alpha)
        out.score[:] = (observed - mean) / np.sqrt(variance)
        out.p_value[:] = _tail(np.where(np.isnan(observed), 0.0, observed), mean, variance)
        reason = baseline_reasons(zero=zero)
        conclude(out, observed=observed, judgeable=judgeable, reason=reason)

    def _design(self, panel: Panel, positions: Positions) -> tuple[FloatArray, FloatArray]:
        """Rows of the judged step and of its window, and the precisions of the effects."""
        ago = positions[0] - positions
        dates = dates_at(panel, positions)
        if dates is None:
            year = year_length(panel)
            month = ((ago % year) * _MONTHS / year).astype(np.int64) % _MONTHS
        else:
            month = dates.astype("datetime64[M]").astype(np.int64) % _MONTHS
        columns = [np.ones(ago.size)]
        precision = [_FAINT]
        if self.trend:
            columns.append(0.5 - ago / self.lookback(panel.grain))
        if panel.grain == "day":
            columns.extend((ago % _WEEK == day) * 1.0 for day in range(_WEEK))
        columns.extend((month == number) * 1.0 for number in range(_MONTHS))
        if self.holidays:
            columns.append(holiday_flags(panel, self.holidays, positions) * 1.0)
        precision.extend([self.effect_sd**-2] * (len(columns) - 1))
        return np.stack(columns, axis=1), np.array(precision)

    def _predict(self, values: FloatArray, fit: PenalisedFit) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of the judged count, after the recency reset if there is one."""
        mean, log_variance = fit.mean, fit.log_variance
        if self.recent:
            latest = slice(0, min(self.recent, values.shape[1]))
            known = ~np.isnan(values[:, latest])
            seen = np.where(known, values[:, latest], 0.0).sum(axis=1)
            wanted = np.where(known, fit.fitted[:, latest], 0.0).sum(axis=1) + fit.phi
            mean = mean * (seen + fit.phi) / wanted
            log_variance = log_variance + fit.phi / wanted
        mean = np.maximum(mean, fit.least)
        return mean, fit.phi * mean + mean * mean * log_variance


def _tail(count: FloatArray, mean: FloatArray, variance: FloatArray) -> FloatArray:
    """Probability of at least `count`, continued between whole numbers."""
    normal = ndtr(-(count - mean) / np.sqrt(variance))
    small = mean < _LARGE
    safe_mean = np.where(small, mean, 1.0)
    excess = np.where(small, variance - mean, 0.0)
    clumped = excess > 1e-6 * safe_mean
    size = safe_mean**2 / np.where(clumped, excess, 1.0)
    k = np.maximum(np.where(small, np.minimum(count, 1e12), 1.0), 1e-300)
    binomial = betainc(k, size, safe_mean / (safe_mean + size))
    tail = np.where(clumped, binomial, gammainc(k, safe_mean))
    tail = np.where(small & np.isfinite(tail), tail, normal)
    return np.asarray(np.where(count <= 0, 1.0, np.clip(tail, 0.0, 1.0)))


def _quantile(mean: FloatArray, variance: FloatArray, alpha: float) -> FloatArray:
    """Where the tail is `alpha`, by bisection."""
    low = np.zeros(mean.shape)
    # Cantelli's inequality bounds the quantile of any distribution.
    high = mean + np.sqrt(variance / alpha) + 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        above = _tail(middle, mean, variance) > alpha
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    normal = mean - ndtri(alpha) * np.sqrt(variance)
    return np.where(mean < _LARGE, high, np.maximum(normal, 0.0))
