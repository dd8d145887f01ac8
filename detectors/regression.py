"""Adaptive multiple regression: a line and days of the week on a few recent weeks.

Examples
--------
>>> import numpy as np
>>> from detectors.contract import Panel
>>> week = [20.0, 18, 17, 16, 18, 9, 7]
>>> noise = np.resize([0.0, 1, -1, 0, 2, -1, 0, -1], 35)
>>> counts = np.resize(week, 35) + noise
>>> counts[-1] = 20
>>> verdicts = Regression().judge(Panel(counts[None]), at=slice(-2, None))
>>> verdicts.expected.round(1), verdicts.alarm
(array([[9. , 7.2]]), array([[False,  True]]))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import stdtr, stdtrit

from detectors._calendar import Holidays, holiday_flags
from detectors._judging import baseline_reasons, conclude, judge_in_blocks
from detectors._recent_regression import BaselineFit, fit_baseline, relative_design
from detectors.rolling import values_at
from detectors.seasons import year_length

if TYPE_CHECKING:
    from detectors.contract import FloatArray, Grain, Panel, Positions, Verdicts

__all__ = ["Regression"]

# A perfect fit leaves rounding, which must not make an alarm.
_ROUNDING = 1e-6
#: The standard error of a prediction is at least so many cases over the quantile of this tail.
_SMALL_CASES, _SMALL_TAIL = 1.01, 0.05


class Regression(BaseModel):
    """Adaptive multiple regression (Burkom 2003; Burkom, Murphy and Shmueli 2007).

    For the judged step t, ordinary least squares on the `baseline` counts that end `guard` + 1
    steps before it,

        Y(s) = b0 + b1 s + sum over six days of the week of c_d [s falls on day d]
               (+ `harmonics` pairs of sine and cosine of the year) (+ h [s is a holiday]),

    predicts Y^(t), at least 0. With x the row of step t, X the rows of the baseline, s^2 the
    residual variance and df its degrees of freedom,

        T(t) = (Y(t) - Y^(t)) / (s sqrt(1 + x (X'X)^-1 x'))

    is compared with Student's t with df degrees of freedom: an alarm if its upper tail is below
    `alpha`. This is the regression of ESSENCE with its 28 days, its guard band of 2 (so that the
    first days of an outbreak do not raise their own baseline) and its levels 0.01 (red) and 0.05
    (yellow; set `alpha` to it, or read `p_value`). As in NSSP's software the denominator is at
    least 1.01 / q with q the 0.95 quantile of the same t, so that with small counts a single case
    more than expected is never yellow.

    Use it for daily counts with clear days of the week and above about 10 a day. It knows no
    season beyond the line unless `harmonics` are asked for, which want a `baseline` of a year or
    more. For sparse signals see :class:`detectors.switch.Switch`.

    Parameters
    ----------
    baseline
        Steps in the baseline.
    guard
        Steps left out between the baseline and the judged step.
    alpha
        One-sided level.
    trend, day_of_week
        Whether the terms are in the model. Days of the week are only used for steps of a day.
    harmonics
        Pairs of sine and cosine with the year's period and its fractions.
    holidays
        Dates (ISO) on dated panels, positions on integer time, which share one effect h. Steps
        of a week or seven days that hold one count as holidays; months never do.
    min_sigma
        Least value of s, in counts.
    small_counts
        Whether the denominator has NSSP's bound, which is in units of one case: set it to False
        where the panel holds rates or shares.

    Notes
    -----
    *Agreement.* Without `harmonics` and holidays, on complete baselines, expected counts, test
    statistics and p-values equal those of NSSP's software (pynssp 0.1.0). Where the bound is
    active, they differ by 0.3 %: the software takes q with one degree of freedom more.

    *Verdicts.* `expected` is Y^(t), `upper` is where the tail is `alpha`, `score` is T(t).

    *Sparse and odd input.* Missing counts, and steps before the panel, are left out. A point is
    judged from more than half of the baseline with at least 3 degrees of freedom, if the baseline
    tells its effects: on a holiday only if there was one before, on a Monday only if a Monday is
    in the baseline; else it has `insufficient_history`. Without `small_counts`, where s = 0 (a
    constant baseline, or one that follows the model exactly), any count above Y^(t) is an alarm,
    and `score` and `p_value` take sqrt(max(Y^(t), 1)) for s. The p-value is exact for independent
    normal errors of equal variance; for small counts it is nominal.

    *Memory* beyond the verdicts: as `BLOCK_FLOATS` in `detectors._judging` says, 16 MiB.

    References
    ----------
    Burkom H (2003). Development, adaptation, and assessment of alerting algorithms for
    biosurveillance. Johns Hopkins APL Technical Digest 24, 335-342.

    Burkom HS, Murphy SP, Shmueli G (2007). Automated time series forecasting for biosurveillance.
    Statistics in Medicine 26, 4202-4218.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> rising = np.arange(40.0) + np.resize([0.0, 1, 0], 40)
    >>> Regression().judge(Panel(rising[None]), at=slice(-1, None)).expected.round(1)
    array([[39.2]])
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["regression"] = "regression"
    baseline: int = Field(default=28, ge=5, le=3653, description="Steps in the baseline")
    guard: int = Field(
        default=2, ge=0, le=1000, description="Steps between the baseline and the judged step"
    )
    alpha: float = Field(
        default=0.01, gt=0, lt=1, description="One-sided level; 0.01 red, 0.05 yellow in ESSENCE"
    )
    trend: bool = Field(default=True, description="Whether there is a linear trend")
    day_of_week: bool = Field(
        default=True, description="Whether days of the week differ (steps of a day only)"
    )
    harmonics: int = Field(
        default=0, ge=0, le=6, description="Sine and cosine pairs of the year; wants long baselines"
    )
    holidays: Holidays = Field(
        default=(), description="Dates, or positions on integer time, that share one effect"
    )
    min_sigma: float = Field(
        default=0.0, ge=0, le=1e9, description="Least residual standard deviation, in counts"
    )
    small_counts: bool = Field(
        default=True,
        description="NSSP's bound for small counts; not for rates",
    )

    def lookback(self, grain: Grain) -> int:  # noqa: ARG002 - counts steps, however wide
        """Say how many steps before a judged one the verdict may depend on.

        Examples
        --------
        >>> Regression().lookback("day")
        30
        """
        return self.baseline + self.guard

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        """Judge the time positions `at` (default: all) of every series.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel, Reason
        >>> verdicts = Regression().judge(Panel(np.zeros((1, 40))))
        >>> [Reason(code).name for code in verdicts.reason[0, [3, 39]]]
        ['insufficient_history', 'all_zero']
        """
        per_point = 3 * self.baseline + 5 * (9 + 2 * self.harmonics)
        return judge_in_blocks(
            panel, at, self._rule, floats_per_series=lambda judged: judged * per_point
        )

    def fit(self, panel: Panel, index: Positions, series: slice) -> BaselineFit:
        """Fit the baselines of some series; what :class:`detectors.switch.Switch` looks at.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel
        >>> counts = np.resize([9.0, 9, 9, 9, 9, 2, 1, 8, 9, 8], (1, 40))
        >>> Regression().fit(Panel(counts), np.array([39]), slice(None)).adjusted_r2.shape
        (1, 1)
        """
        design = relative_design(
            baseline=self.baseline,
            guard=self.guard,
            trend=self.trend,
            week=self.day_of_week and panel.grain == "day",
            harmonics=self.harmonics,
            year=year_length(panel),
        )
        flags = None
        if self.holidays:
            ago = np.concatenate([[0], np.arange(self.guard + 1, self.lookback(panel.grain) + 1)])
            flags = holiday_flags(panel, self.holidays, index[:, None] - ago)
        return fit_baseline(panel.counts[series], index, design, flags)

    def conclude(self, fit: BaselineFit, observed: FloatArray, out: Verdicts) -> None:
        """Turn fits into verdicts.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel, Verdicts
        >>> panel, index = Panel(np.full((1, 40), 3.0)), np.array([39])
        >>> out = Verdicts.blank(1, index)
        >>> Regression().conclude(
        ...     Regression().fit(panel, index, slice(None)), np.array([[3.0]]), out
        ... )
        >>> out.upper.round(2)
        array([[4.48]])
        """
        sigma = np.maximum(fit.sigma, self.min_sigma)
        flat = sigma == 0
        expected = np.maximum(fit.expected, 0.0)
        widen = np.sqrt(1 + fit.leverage)
        df = np.maximum(fit.df, 1.0)
        if self.small_counts:
            error = np.maximum(sigma * widen, _SMALL_CASES / -stdtrit(df, _SMALL_TAIL))
            reach = -stdtrit(df, self.alpha) * error
        else:
            error = np.where(flat, np.sqrt(np.maximum(expected, 1.0)), sigma) * widen
            reach = np.where(flat, _ROUNDING * fit.sd, -stdtrit(df, self.alpha) * error)
        with np.errstate(invalid="ignore"):
            upper = expected + reach
            score = (observed - expected) / error
        out.expected[:] = expected
        out.upper[:] = np.maximum(upper, 0.0)
        out.score[:] = score
        out.p_value[:] = stdtr(df, -score)
        reason = baseline_reasons(zero=flat & (fit.mean == 0), flat=flat)
        conclude(out, observed=observed, judgeable=fit.sufficient, reason=reason)

    def _rule(self, panel: Panel, index: Positions, out: Verdicts, series: slice) -> None:
        observed = values_at(panel.counts[series], index)
        self.conclude(self.fit(panel, index, series), observed, out)
