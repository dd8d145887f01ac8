"""The original Farrington method: quasi-Poisson regression on the same weeks of past years.

Examples
--------
>>> import numpy as np
>>> from detectors.contract import Panel
>>> weeks = np.random.default_rng(1).poisson(9.0, (1, 300)).astype(float)
>>> weeks[0, -1] = 40
>>> panel = Panel(weeks, grain="week", period=52)
>>> Farrington().judge(panel, slice(-1, None)).alarm
array([[ True]])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field
from scipy.special import ndtri

from detectors._farrington import (
    POWERS,
    Bound,
    Design,
    Prediction,
    judge_farrington,
    power_bound,
)

if TYPE_CHECKING:
    from detectors.contract import FloatArray, Grain, Panel, Positions, Verdicts

__all__ = ["Farrington"]

# The trend must be significant at this level (Farrington et al. 1996, section 3.4).
_TREND_ALPHA = 0.05
# Anscombe residuals above it lose weight (section 3.5).
_REWEIGHT_THRESHOLD = 1.0


class Farrington(BaseModel):
    """The outbreak detection algorithm of Farrington et al. (1996), used at CDSC and elsewhere.

    The baseline y_i are the counts in windows of `half_window` steps to each side of the judged
    step in each of `years_back` past years. They are fitted with a quasi-Poisson model, log mu_i =
    alpha + beta t_i, var y_i = phi mu_i, phi the Pearson statistic over n - p but at least 1; past
    outbreaks are given low weights, gamma s_i^(-2) where the standardised Anscombe residual s_i =
    3/2 (y_i^(2/3) mu_i^(-1/6) - mu_i^(1/2)) / (phi (1 - h_ii))^(1/2) is above 1 and gamma
    elsewhere, and the model is fitted again. With mu_0 the mean predicted for the judged step, the
    threshold is

        U = mu_0 {1 + 2/3 z (phi mu_0 + var(mu_0))^(1/2) / mu_0}^(3/2),

    z the 1 - `alpha` / 2 quantile of the standard normal distribution (the bound of a two-sided
    interval, of which only the upper end is looked at). There is an alarm if the count is above U.

    Use it for weekly (or monthly) counts with some years of history. It needs no model of the
    season, since it compares with the same season only; a trend is found from few counts, and
    is noisy for small ones. `farrington_flexible` uses all of the past and has fewer false alarms.

    Parameters
    ----------
    years_back
        Years b in the baseline.
    half_window
        Steps w to each side of the same step in past years.
    alpha
        Two-sided nominal level; the tail that gives alarms has half of it.
    reweight
        Whether past outbreaks lose weight.
    trend
        Whether a linear trend is tried. It is kept if it is significant at 0.05 (Student's t with
        n - p degrees of freedom), if at least 3 years are in the baseline, and if mu_0 is not
        above the largest count of the baseline.
    power
        Power transformation that makes counts normal: `two_thirds` for Poisson-like counts, `sqrt`
        to stabilise the variance, `none`. U is the inverse of the bound on that scale.
    min_cases, min_periods
        No alarm unless the last `min_periods` steps, the judged one included, have at least
        `min_cases` cases. 0 cases switches the rule off.
    population_offset
        Whether the panel's population, if it has one, is an offset: mu_i is then proportional to
        it. A missing population is taken to be that of the step before it, or else of the first
        step after it, as with `auto`. The paper has none.

    Notes
    -----
    *Verdicts.* `expected` is mu_0. `score` is the exceedance score (y - mu_0) / (U - mu_0), above 1
    at alarms. `p_value` is the upper tail of the normal distribution on the transformed scale; it
    is below `alpha` / 2 exactly where the count is above U. Where `min_cases` forbids an alarm,
    `upper` is raised to the count that would be enough, if U is below it; the reference software
    (R surveillance 1.20.3) writes 0 there. `score` and `p_value` are not touched by that rule.

    *Reference.* The rules were deduced from numbers of R surveillance 1.20.3, with which all
    bounds agree to 1e-12 relative (the stopping rule of the iteration is the same, too).

    *Missing counts* are left out; missing past counts add nothing to `min_cases`. The windows
    must hold at least `half_window` + 1 counts and leave 2 degrees of freedom, or the reason is
    `insufficient_history`. If all counts are 0 the reason is `all_zero`, and mu_0 the tiny value
    at which Fisher scoring stops; any count that satisfies `min_cases` is then an alarm.

    *Time.* On integer time a year is `period` steps; on dates a calendar year.

    *Memory* beyond the verdicts: 16 MiB or three copies of one series, and about 30 arrays of 256
    baselines (4 MiB for 5 years of weeks).

    References
    ----------
    Farrington CP, Andrews NJ, Beale AD, Catchpole MA (1996). A statistical algorithm for the early
    detection of outbreaks of infectious disease. Journal of the Royal Statistical Society A 159,
    547-563.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> panel = Panel(np.full((1, 120), 16.0), grain="week", period=52)
    >>> verdicts = Farrington(years_back=2, power="none").judge(panel, slice(-1, None))
    >>> verdicts.upper.round(3)  # 16 + 1.96 (16 + 16 / 14)^(1/2)
    array([[24.115]])
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["farrington"] = "farrington"
    years_back: int = Field(default=5, ge=1, le=30, description="Years in the baseline")
    half_window: int = Field(
        default=3, ge=0, le=60, description="Steps to each side of the same step in past years"
    )
    alpha: float = Field(
        default=0.05, gt=0, lt=1, description="Two-sided level; alarms have half of it"
    )
    reweight: bool = Field(default=True, description="Whether past outbreaks lose weight")
    trend: bool = Field(default=True, description="Whether a trend is tried (kept if significant)")
    power: Literal["two_thirds", "sqrt", "none"] = Field(
        default="two_thirds", description="Power transformation of the counts"
    )
    min_cases: int = Field(
        default=5, ge=0, le=10**6, description="Fewest cases in recent steps for an alarm"
    )
    min_periods: int = Field(
        default=4, ge=1, le=1000, description="Recent steps that `min_cases` are counted in"
    )
    population_offset: bool = Field(
        default=False, description="Whether means are proportional to the population"
    )

    def lookback(self, grain: Grain) -> int:
        """Say how many steps before a judged one the verdict may depend on.

        Examples
        --------
        >>> Farrington(years_back=2, half_window=3).lookback("week")
        109
        """
        return self._design.lookback(grain)

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        """Judge the time positions `at` (default: all) of every series.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel
        >>> Farrington().judge(Panel(np.ones((2, 9)))).alarm.any()
        np.False_
        """
        return judge_farrington(panel, at, self._design, self._bound)

    @property
    def _design(self) -> Design:
        return Design(
            years=self.years_back,
            half_window=self.half_window,
            periods=1,
            exclude=0,
            trend_alpha=_TREND_ALPHA if self.trend else None,
            reweight_threshold=_REWEIGHT_THRESHOLD if self.reweight else None,
            population=self.population_offset,
            min_cases=self.min_cases,
            min_periods=self.min_periods,
        )

    def _bound(self, fit: Prediction, observed: FloatArray) -> Bound:
        # The paper's var(mu_0) is phi mu_0^2 times the unscaled variance of log mu_0.
        return power_bound(
            fit.mean,
            fit.dispersion,
            fit.dispersion * fit.variance,
            POWERS[self.power],
            -float(ndtri(self.alpha / 2)),
            observed,
        )
