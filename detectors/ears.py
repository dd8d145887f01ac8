"""EARS C1, C2 and C3: control charts on a baseline of a few recent days.

The Early Aberration Reporting System of the CDC was made for signals without history, as at a
mass gathering: seven counts suffice.

Examples
--------
>>> import numpy as np
>>> from detectors.contract import Panel
>>> panel = Panel(np.array([[3.0, 5.0, 4.0, 4.0, 6.0, 3.0, 5.0, 12.0]]))
>>> verdicts = Ears(method="C1").judge(panel, at=slice(-1, None))
>>> verdicts.upper.round(2), verdicts.alarm
(array([[7.72]]), array([[ True]]))
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import ndtr

from detectors._outlying_baseline import baseline_without_outliers
from detectors.contract import (
    FloatArray,
    Grain,
    Panel,
    Positions,
    Reason,
    Verdicts,
    judged_positions,
)
from detectors.rolling import judged_and_baseline

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Ears"]

# Numbers per temporary array: small enough that a block stays in the processor's cache.
_BLOCK = 2**16
# C3 sums over the judged step and the two before it.
_FORMER_STEPS = (1, 2)
# An excess of less than one standard deviation counts for nothing in C3.
_SLACK = 1.0


class Ears(BaseModel):
    """EARS C1, C2 and C3 (Hutwagner et al. 2003).

    With Y(t) the count, m(t) and s(t) the mean and the standard deviation (divisor n - 1) of the
    `baseline` counts that end `lag` + 1 steps before t, and z the 1 - `alpha` quantile of the
    standard normal distribution,

    - **C1** (lag 0) and **C2** (lag 2, so that the first days of an outbreak do not raise their
      own baseline) are C(t) = (Y(t) - m(t)) / s(t), with an alarm if Y(t) > m(t) + z s(t);
    - **C3** sums what C2 exceeds 1 by, max(0, C2 - 1), over three steps and gives an alarm if the
      sum is above z. See `c3_rule` for which three steps.

    Use it for daily counts with little history, or as a first look at a new signal. It knows no
    season, no day of the week and no trend beyond its baseline: give it rolling 7-day sums (with
    `lag` 6 or more, since neighbouring sums share days) or epi weeks where the day of the week
    matters. It is early but noisy, above all on small counts; there set `min_sigma` to 0.5 or 1.

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
        One-sided nominal level; 0.001 for C1 and C2 (z = 3.09; the original has 3) and 0.025 for
        C3 (z = 1.96; the original has 2) unless given.
    min_sigma
        Least value of s(t), in counts. With more than 0 there is no special case for baselines
        that do not vary.
    outliers
        Leaves counts out of the baseline that lie further above its median than this many robust
        standard deviations, max(1.4826 MAD, sqrt(max(median, 1))) (Hampel's identifier; Davies and
        Gather 1993). C1 to C3 as published leave none out: after an outbreak m(t) and s(t) stay
        high, and a second wave goes unseen, for as long as the baseline is. Set it to 4 with
        baselines of some weeks; with 7 counts there is little to tell an outlier by.
    c3_rule
        `surveillance` does what the R package of that name (1.20.3) does, deduced from its
        numbers: `upper` is Y(t) + s(t) [z - S(t)], at least 0, with S(t) the sum over t - 1 and
        t - 2. Y(t) cancels out of the comparison, so that an alarm tells of the two former steps
        and the judged count only has to be above 0. `published` is the formula of Hutwagner et
        al. 2003 and of Fricker et al. 2008, with the sum over t, t - 1 and t - 2;
        `upper` is m(t) + s(t) [z + 1 - S(t)], at least 0, and 0 where S(t) alone is above z.

    Notes
    -----
    *Verdicts.* `expected` is m(t). `score` is C(t) for C1 and C2, and for C3 the sum that is
    compared with z. `p_value` is the upper tail of the standard normal distribution at `score`.
    It is nominal: counts are not normal, s(t) is an estimate from few of them, and the sum of C3
    is not even approximately normal; but it is below `alpha` exactly where there is an alarm
    (save for constant baselines, and for C3 at a count of 0). `population` is not used.

    *Missing counts* are left out of the baseline. It must hold at least max(3, `baseline` // 2
    + 1) counts, or the reason is `insufficient_history`; for C3 this is asked of the baselines of
    all three steps. Steps before the panel are missing counts. A missing Y(t) is a
    `missing_observation` (`expected` and `upper` are given if the baseline allows); a missing
    former count adds nothing to the sum of C3.

    *Baselines that do not vary*, s(t) = 0, have the reason `all_zero` or `constant_baseline` (C3:
    if it is so for any of the three steps). The rule is the limit for s(t) towards 0: any count
    above m(t) is an alarm, and adds more than z to later sums of C3. A count equal to m(t) is
    not, and adds nothing; there the reference software gives a missing value for C3. A score
    cannot be had from s(t) = 0, so `score` and `p_value` use the Poisson value sqrt(max(m(t), 1))
    instead, which ranks 1 after zeros below 20 after zeros. They may miss `alpha` then.

    *Memory* beyond the verdicts (34 bytes for each judged point): about 20 arrays of 65,536
    numbers, 10 MiB, or of one series if that is longer.

    References
    ----------
    Hutwagner L, Thompson W, Seeman GM, Treadwell T (2003). The bioterrorism preparedness and
    response Early Aberration Reporting System (EARS). Journal of Urban Health 80, i89-i96.

    Davies L, Gather U (1993). The identification of multiple outliers. Journal of the American
    Statistical Association 88, 782-792.

    Fricker RD, Hegler BL, Dunfee DA (2008). Comparing syndromic surveillance detection methods:
    EARS' versus a CUSUM-based methodology. Statistics in Medicine 27, 3407-3429.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> days = Panel(np.array([[0.0, 2, 1, 0, 1, 1, 2, 0, 1, 1, 2, 4, 5, 6]]))
    >>> Ears(method="C2").judge(days).alarm[0].nonzero()[0]
    array([11, 12, 13])
    >>> Ears(method="C3", c3_rule="published").judge(days, at=np.array([12])).score.round(2)
    array([[8.78]])
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["ears"] = "ears"
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
    min_sigma: float = Field(
        default=0.0,
        ge=0,
        le=1e9,
        description="Least standard deviation of the baseline, in counts; 0.5 or 1 if sparse",
    )
    outliers: float | None = Field(
        default=None,
        ge=2,
        le=100,
        description="Robust standard deviations above the baseline's median from which its counts "
        "are left out; by default none are, as published",
    )
    c3_rule: Literal["surveillance", "published"] = Field(
        default="surveillance",
        description="C3 as in R surveillance (sum over the two former steps) or as published "
        "(judged step and two former ones)",
    )

    @property
    def effective_lag(self) -> int:
        """The lag in use: as given, or the default of the method.

        Examples
        --------
        >>> Ears(method="C3").effective_lag
        2
        """
        if self.lag is not None:
            return self.lag
        return 0 if self.method == "C1" else 2

    @property
    def effective_alpha(self) -> float:
        """The level in use: as given, or the default of the method.

        Examples
        --------
        >>> Ears(method="C3").effective_alpha
        0.025
        """
        if self.alpha is not None:
            return self.alpha
        return 0.025 if self.method == "C3" else 0.001

    def lookback(self, grain: Grain) -> int:  # noqa: ARG002 - EARS counts steps, however wide
        """Say how many steps before a judged one the verdict may depend on.

        Examples
        --------
        >>> Ears(method="C1").lookback("day"), Ears(method="C3").lookback("week")
        (7, 11)
        """
        former = max(_FORMER_STEPS) if self.method == "C3" else 0
        return self.baseline + self.effective_lag + former

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        """Judge the time positions `at` (default: all) of every series.

        Parameters
        ----------
        panel
            Counts of shape `[series, time]`; any grain, any time axis.
        at
            As in :meth:`detectors.contract.Detector.judge`.

        Returns
        -------
        Verdicts
            Arrays of shape `[series, judged]`.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel, Reason
        >>> verdicts = Ears().judge(Panel(np.ones((1, 9))))
        >>> [Reason(code).name for code in verdicts.reason[0, [3, 4]]]
        ['insufficient_history', 'constant_baseline']
        """
        series, times = panel.counts.shape
        index = judged_positions(at, times)
        if index.size == 0:
            return Verdicts.blank(series, index)
        verdicts = _unwritten(series, index)
        span = int(index.max() - index.min()) + 1 + self.lookback(panel.grain)
        rows = max(1, _BLOCK // max(span, index.size))
        rule = self._judge_sum if self.method == "C3" else self._judge_point
        for start in range(0, series, rows):
            block = slice(start, start + rows)
            rule(panel.counts[block], index, verdicts.rows(block))
        return verdicts

    def _judge_point(self, counts: FloatArray, index: Positions, out: Verdicts) -> None:
        """C1 and C2 of one block, written into `out`."""
        chart = self._chart(counts, index)
        out.expected[:] = chart.mean
        np.multiply(chart.sd, self._z, out=out.upper)
        out.upper[:] += chart.mean
        out.score[:] = chart.score
        _conclude(
            out,
            observed=chart.observed,
            judgeable=chart.sufficient,
            flat=chart.flat,
            flat_zero=chart.flat & (chart.mean == 0),
        )

    def _judge_sum(self, counts: FloatArray, index: Positions, out: Verdicts) -> None:
        """C3 of one block, written into `out`."""
        wanted = np.stack([index, *(index - k for k in _FORMER_STEPS)])
        needed, places = np.unique(wanted, return_inverse=True)
        steps = places.reshape(wanted.shape)
        today, former = steps[0], steps[1:]
        chart = self._chart(counts, needed)

        excess = np.fmax(0.0, chart.limit_score - _SLACK)
        finite_excess = np.fmax(0.0, chart.score - _SLACK)
        former_sum = excess[:, former].sum(axis=1)
        score = finite_excess[:, former].sum(axis=1)
        observed, mean, sd = (array[:, today] for array in (chart.observed, chart.mean, chart.sd))
        room = self._z - former_sum
        with np.errstate(invalid="ignore"):  # 0 times infinity, where 0 is put instead
            if self.c3_rule == "published":
                score += finite_excess[:, today]
                upper = np.where(room < 0, 0.0, mean + sd * (room + _SLACK))
            else:
                # The count to be judged is unknown where it is missing; m(t) stands in for it.
                start = np.where(np.isnan(observed), mean, observed)
                upper = np.where(np.isneginf(room), 0.0, start + sd * room)
        out.expected[:] = mean
        out.upper[:] = np.maximum(upper, 0.0)
        out.score[:] = score
        flat_above_zero = chart.flat & (chart.mean > 0)
        _conclude(
            out,
            observed=observed,
            judgeable=np.logical_and.reduce(chart.sufficient[:, steps], axis=1),
            flat=np.logical_or.reduce(chart.flat[:, steps], axis=1),
            flat_zero=~np.logical_or.reduce(flat_above_zero[:, steps], axis=1),
        )

    @property
    def _z(self) -> float:
        return -NormalDist().inv_cdf(self.effective_alpha)

    def _chart(self, counts: FloatArray, index: Positions) -> _Chart:
        """Standardise the counts at `index` by their baselines."""
        length, lag = self.baseline, self.effective_lag
        if self.outliers is None:
            observed, base = judged_and_baseline(counts, index, length=length, lag=lag)
        else:
            observed, base = baseline_without_outliers(
                counts, index, length=length, lag=lag, limit=self.outliers
            )
        sufficient = base.observed >= max(3, self.baseline // 2 + 1)
        sd = np.maximum(base.sd, self.min_sigma)
        flat = sd == 0
        excess = observed - base.mean
        if not flat.any():
            score = excess / sd
            return _Chart(observed, base.mean, sd, sufficient, flat, score, score)
        score = excess / np.where(flat, np.sqrt(np.maximum(base.mean, 1.0)), sd)
        limit_score = np.where(flat & (excess > 0), np.inf, np.where(flat, 0.0, score))
        return _Chart(observed, base.mean, sd, sufficient, flat, score, limit_score)


class _Chart(NamedTuple):
    """C1 or C2 at some positions, arrays of shape `[series, judged]`."""

    observed: FloatArray
    mean: FloatArray
    sd: FloatArray
    sufficient: NDArray[np.bool_]
    flat: NDArray[np.bool_]
    score: FloatArray
    limit_score: FloatArray


def _conclude(
    out: Verdicts,
    *,
    observed: FloatArray,
    judgeable: NDArray[np.bool_],
    flat: NDArray[np.bool_],
    flat_zero: NDArray[np.bool_],
) -> None:
    """Fill in alarm, p_value and reason, and blank what could not be judged."""
    missing, unknown = np.isnan(observed), ~judgeable
    if unknown.any():
        for array in (out.expected, out.upper, out.score):
            np.copyto(array, np.nan, where=unknown)
    np.copyto(out.score, np.nan, where=missing)
    ndtr(np.negative(out.score, out=out.p_value), out=out.p_value)
    # Comparisons with NaN are False: no alarm comes from what could not be judged.
    np.greater(observed, out.upper, out=out.alarm)
    out.reason.fill(Reason.ok)
    if flat.any():
        np.copyto(out.reason, np.uint8(Reason.constant_baseline), where=flat)
        np.copyto(out.reason, np.uint8(Reason.all_zero), where=flat & flat_zero)
    np.copyto(out.reason, np.uint8(Reason.insufficient_history), where=unknown)
    np.copyto(out.reason, np.uint8(Reason.missing_observation), where=missing)


def _unwritten(series: int, index: Positions) -> Verdicts:
    """Verdicts to be written into everywhere: what is in them now is arbitrary."""
    shape = (series, index.size)
    return Verdicts(
        index=index,
        expected=np.empty(shape),
        upper=np.empty(shape),
        score=np.empty(shape),
        p_value=np.empty(shape),
        alarm=np.empty(shape, dtype=np.bool_),
        reason=np.empty(shape, dtype=np.uint8),
    )
