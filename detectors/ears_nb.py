"""EARS C1, C2 and C3 with negative binomial limits in place of normal ones.

Examples
--------
>>> import numpy as np
>>> from detectors.contract import Panel
>>> days = Panel(np.array([[0.0, 1, 0, 0, 2, 0, 0, 2]]))
>>> verdicts = EarsNb(method="C1").judge(days, at=slice(-1, None))
>>> verdicts.upper, verdicts.p_value.round(4), verdicts.alarm
(array([[5.]]), array([[0.0904]]), array([[False]]))
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import ndtr, ndtri

from detectors._judging import baseline_reasons, conclude, judge_in_blocks
from detectors._negative_binomial import nb_quantile, nb_size, nb_tail
from detectors.ears import Ears
from detectors.rolling import judged_and_baseline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Grain, Panel, Positions, Verdicts

__all__ = ["EarsNb"]

# C3 sums over the judged step and the two before it.
_FORMER_STEPS = (1, 2)
# A normal score below 1 counts for nothing in C3.
_SLACK = 1.0
# Smallest tail probability that has a finite normal score; the score is then 37.
_SMALLEST = 1e-300
# Mean of an all-zero baseline of n steps, times n (Jeffreys' prior of a Poisson mean).
_ZERO_TOTAL = 0.5


class EarsNb(BaseModel):
    """EARS with negative binomial limits, after Noufaily et al. 2019.

    Noufaily et al. compare the normal limits of EARS (:class:`detectors.ears.Ears`) with negative
    binomial ones. The equations used here are these. Y(t) is the count, m(t) and s2(t) are the mean
    and the variance (divisor n - 1) of the `baseline` counts that end `lag` + 1 steps before t. The
    count without an outbreak is X(t), negative binomial with that mean and variance:

    - size r(t) = m^2 / (s2 - m), so that Var X = m + m^2 / r = s2, where s2 > m;
    - the Poisson distribution with mean m where s2 <= m.

    Then

    - **C1** (lag 0) and **C2** (lag 2): the limit U(t) is the smallest whole number with
      P(X(t) > U(t)) <= `alpha`, and there is an alarm if Y(t) > U(t), which is to say if
      P(X(t) >= Y(t)) <= `alpha`;
    - **C3**: with the normal score z(t) = Phi^-1(1 - P(X(t) >= Y(t))) of C2, an alarm if
      S(t) = sum over i = 0, 1, 2 of max(0, z(t - i) - 1) is at least z, the 1 - `alpha` quantile of
      the standard normal distribution: the published C3 with z in place of the standardised count.

    Use it where EARS would be used, on small or overdispersed daily counts: the limit is a whole
    number, about that of the Poisson distribution at least, and a quiet week does not make the
    next case an alarm. It knows no season, day of the week or trend, as
    :class:`detectors.ears.Ears` does not. The variance of seven counts is a rough estimate; a
    `baseline` of 28 or more steadies it.

    Parameters
    ----------
    method
        C1, C2 or C3.
    baseline
        Steps in the baseline, at least 3.
    lag
        Steps left out between the baseline and the judged step; 0 for C1 and 2 for C2 and C3
        unless given.
    alpha
        One-sided level; 0.001 for C1 and C2 and 0.025 for C3 unless given, as in EARS.

    Notes
    -----
    *Verdicts.* `expected` is m(t). For C1 and C2 `score` is (Y - m) / sqrt(max(s2, m)) and
    `p_value` is P(X >= Y), at most `alpha` exactly where there is an alarm; a fraction counts as
    the next whole number there. It allows for the spread of counts but not for m and s2 being
    estimates, so that alarms are more frequent than `alpha`, the more so the shorter the baseline.

    For C3 `score` is S(t), `p_value` the upper tail of the standard normal distribution there
    (nominal, as for EARS), and `upper` the count up to which S(t) stays below z: the smallest whole
    number with P(X > upper) <= 1 - Phi(z + 1 - S0), S0 being the part of the two former steps, or 0
    where S0 alone reaches z (then any case is an alarm). `population` is not used.

    *Missing counts* are left out of the baseline. It must hold at least max(3, `baseline` // 2 + 1)
    counts, or the reason is `insufficient_history`; for C3 this is asked of the baselines of all
    three steps. A missing former count adds nothing to the sum of C3.

    *All-zero baselines* have the reason `all_zero`. Mean 0 would make every case an alarm; m is
    taken as 1 / (2 n) instead, the estimate from n zeros with Jeffreys' prior, so that one case
    after seven zeros is not an alarm at 0.001 and two are not either (P(X >= 2) = 0.0024), but
    three are. Constant baselines are Poisson and have the reason `ok`.

    *Numbers.* Tail and quantile are exact (incomplete beta and gamma functions) up to a mean of
    1e8, beyond which the gamma or normal distribution of the same moments is used.

    *Memory* beyond the verdicts: about 40 arrays of `[series, judged]`, three times that for C3,
    and 4 of `[series, time]`, in blocks of 16 MiB, or of one series if that is larger.

    References
    ----------
    Noufaily A, Morbey RA, Colon-Gonzalez FJ, Elliot AJ, Smith GE, Lake IR, McCarthy N (2019).
    Comparison of statistical algorithms for daily syndromic surveillance aberration detection.
    Bioinformatics 35, 3110-3118.

    Hutwagner L, Thompson W, Seeman GM, Treadwell T (2003). The bioterrorism preparedness and
    response Early Aberration Reporting System (EARS). Journal of Urban Health 80, i89-i96.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> days = Panel(np.array([[2.0, 1, 2, 3, 1, 2, 1, 2, 3, 1, 2, 7, 9, 3]]))
    >>> EarsNb(method="C2").judge(days).alarm[0].nonzero()[0]
    array([12])
    >>> EarsNb(method="C3").judge(days, at=np.array([12, 13])).score.round(2)
    array([[4.25, 4.25]])
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["ears_nb"] = "ears_nb"
    method: Literal["C1", "C2", "C3"] = Field(default="C1", description="Which of the three charts")
    baseline: int = Field(default=7, ge=3, le=1000, description="Steps in the baseline")
    lag: int | None = Field(
        default=None,
        ge=0,
        le=1000,
        description="Steps between baseline and judged step; by default 0 for C1, 2 for C2 and C3",
    )
    alpha: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Nominal one-sided level; by default 0.001 for C1 and C2, 0.025 for C3",
    )

    @property
    def effective_lag(self) -> int:
        """The lag in use: as given, or the default of the method.

        Examples
        --------
        >>> EarsNb(method="C3").effective_lag
        2
        """
        return self._normal.effective_lag

    @property
    def effective_alpha(self) -> float:
        """The level in use: as given, or the default of the method.

        Examples
        --------
        >>> EarsNb(method="C3").effective_alpha
        0.025
        """
        return self._normal.effective_alpha

    def lookback(self, grain: Grain) -> int:
        """Say how many steps before a judged one the verdict may depend on.

        Examples
        --------
        >>> EarsNb(method="C1").lookback("day"), EarsNb(method="C3").lookback("week")
        (7, 11)
        """
        return self._normal.lookback(grain)

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        """Judge the time positions `at` (default: all) of every series.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel, Reason
        >>> verdicts = EarsNb().judge(Panel(np.zeros((1, 9))))
        >>> [Reason(code).name for code in verdicts.reason[0, [3, 4]]]
        ['insufficient_history', 'all_zero']
        """
        span = 4 * panel.counts.shape[1]
        rule, arrays = (self._sum, 120) if self.method == "C3" else (self._point, 40)
        return judge_in_blocks(
            panel, at, rule, floats_per_series=lambda judged: arrays * judged + span
        )

    @property
    def _normal(self) -> Ears:
        """The same chart with normal limits: steps and default levels are told there."""
        return Ears(method=self.method, baseline=self.baseline, lag=self.lag, alpha=self.alpha)

    def _point(self, panel: Panel, index: Positions, out: Verdicts, series: slice) -> None:
        chart = self._chart(panel.counts[series], index)
        out.expected[:] = chart.mean
        out.upper[:] = nb_quantile(chart.law_mean, chart.size, self.effective_alpha)
        sd = np.sqrt(np.maximum(chart.variance, chart.law_mean))
        out.score[:] = (chart.observed - chart.mean) / sd
        out.p_value[:] = chart.tail
        self._conclude(out, chart, judgeable=chart.sufficient, zero=chart.mean == 0)

    def _sum(self, panel: Panel, index: Positions, out: Verdicts, series: slice) -> None:
        charts = [self._chart(panel.counts[series], index - k) for k in (0, *_FORMER_STEPS)]
        today = charts[0]
        former = sum((_excess(chart.tail) for chart in charts[1:]), start=np.zeros(out.alarm.shape))
        z = -NormalDist().inv_cdf(self.effective_alpha)
        room = z - former
        # Where the former steps suffice any case is an alarm: the level is put to 1/2 for a while.
        level = np.where(room > 0, ndtr(-(room + _SLACK)), 0.5)
        quantile = nb_quantile(today.law_mean, today.size, np.maximum(level, _SMALLEST))
        out.expected[:] = today.mean
        out.upper[:] = np.where(room > 0, quantile, 0.0)
        out.score[:] = former + _excess(today.tail)
        out.p_value[:] = ndtr(-out.score)
        self._conclude(
            out,
            today,
            judgeable=np.logical_and.reduce([chart.sufficient for chart in charts]),
            zero=today.mean == 0,
        )

    @staticmethod
    def _conclude(
        out: Verdicts, chart: _Chart, *, judgeable: NDArray[np.bool_], zero: NDArray[np.bool_]
    ) -> None:
        reason = baseline_reasons(zero=zero)
        conclude(out, observed=chart.observed, judgeable=judgeable, reason=reason)

    def _chart(self, counts: FloatArray, index: Positions) -> _Chart:
        """Fit the distribution of the counts at `index` and take its upper tail there."""
        observed, base = judged_and_baseline(
            counts, index, length=self.baseline, lag=self.effective_lag
        )
        sufficient = base.observed >= max(3, self.baseline // 2 + 1)
        variance = base.sd * base.sd
        lone = _ZERO_TOTAL / np.maximum(base.observed, 1.0)
        mean = np.where(base.mean == 0, lone, base.mean)
        size = nb_size(mean, variance)
        tail = nb_tail(observed, mean, size)
        return _Chart(observed, base.mean, variance, mean, size, tail, sufficient)


class _Chart(NamedTuple):
    """C1 or C2 at some positions, arrays of shape `[series, judged]`."""

    observed: FloatArray
    mean: FloatArray
    variance: FloatArray
    law_mean: FloatArray
    """Mean of the distribution: that of the baseline, or a little above 0 where that is 0."""
    size: FloatArray
    """Size r of the distribution; infinite for Poisson."""
    tail: FloatArray
    """P(X >= Y)."""
    sufficient: NDArray[np.bool_]


def _excess(tail: FloatArray) -> FloatArray:
    """Give what a step adds to C3: its normal score less 1, at least 0, and 0 where missing."""
    normal = -ndtri(np.clip(tail, _SMALLEST, 1.0))
    excess: FloatArray = np.fmax(0.0, normal - _SLACK)
    return excess
