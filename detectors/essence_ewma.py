"""The EWMA chart of ESSENCE: a smoothed count against a recent baseline.

Examples
--------
>>> import numpy as np
>>> from detectors.contract import Panel
>>> counts = np.concatenate([np.resize([3.0, 5, 4, 2], 30), [5, 6, 8]])
>>> EssenceEwma().judge(Panel(counts[None]), at=slice(-3, None)).p_value.round(2)
array([[0.11, 0.01, 0.  ]])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import stdtr, stdtrit

from detectors._judging import baseline_reasons, conclude, judge_in_blocks
from detectors._smoothed_counts import SmoothedCounts, standard_error
from detectors.contract import Verdicts
from detectors.rolling import judged_and_baseline

if TYPE_CHECKING:
    from detectors.contract import FloatArray, Grain, Panel, Positions
    from detectors.rolling import RollingBaseline

__all__ = ["EssenceEwma"]

#: Fewest observed counts of a baseline, as in NSSP's software.
_LEAST = 11


class EssenceEwma(BaseModel):
    r"""EWMA chart of ESSENCE with a guard band and Student's t (Burkom 2003; Elbert, Burkom 2009).

    With Y(t) the count, w = `smoothing`, g = `guard`, and m(t), s(t) the mean and the standard
    deviation (divisor n - 1) of the n observed counts among the `baseline` that end g + 1 steps
    before t, the smoothed count, its standard error and its standardised value are

        E(t) = w Y(t) + (1 - w) E(t - 1),
        c^2  = w / (2 - w) + 1 / n - 2 (1 - w)^(g + 1) (1 - (1 - w)^n) / n,
        v(t) = max(least, c s(t) + small),
        T(t) = (E(t) - m(t)) / v(t),

    with an alarm if the upper tail of Student's t with n - 1 degrees of freedom at T(t) is below
    `alpha`: 0.01 is red and 0.05 yellow in ESSENCE. c is the standard error of E(t) - m(t) for
    counts of standard deviation 1. An E(t) beyond the limits at 0.01 on either side enters E(t + 1)
    as that limit, so that a single outlying count does not raise the next days.

    With q the 0.975 quantile of the same t, NSSP adds to the standard error, and bounds it below
    by, two constants for small counts, without which sparse series would be red twice as often:

        small = (0.1289 - (0.2414 - 0.1826 (1 - w)^4) log(0.5)) w / q,
        least = (1 + 0.5 (1 - w)^2) w / q.

    w = 0.4 tells outbreaks that build up over days; a second chart with w = 0.9 (`sudden`), close
    to EARS C2, tells sudden ones. The more unusual of the two charts counts.

    Use it for daily counts without clear days of the week, above all small ones (below about 10 a
    day). With days of the week see :class:`detectors.switch.Switch`.

    Parameters
    ----------
    smoothing
        w, in (0, 1].
    sudden
        w of the second chart; None for none.
    baseline, guard
        In steps.
    alpha
        One-sided level.
    min_sigma
        Least s(t), in counts.
    small_counts
        Whether the two constants for small counts are used. They are in units of one case: set it
        to False where the panel holds rates or shares.

    Notes
    -----
    *Agreement.* Test statistics and p-values equal those of NSSP's software (pynssp 0.1.0), with
    the n that it uses. Its `B=28` has baselines of 29 counts once 31 days have passed; the 28 of
    ESSENCE, and of this chart, is its `B=27`.

    *Verdicts.* `expected` is m(t), `upper` is the count at which E(t) reaches its limit,
    [m + t(alpha) v - (1 - w) E(t - 1)] / w, at least 0. `score` is T(t), `p_value` its tail; with
    `sudden` those of the chart with the smaller p-value, and the lower `upper`.

    *Start.* The recursion begins with the first count known among the `baseline` + `guard` before
    t, for every t anew, so that a verdict depends on a limited window. What came before has the
    weight (1 - w)^(`baseline` + `guard`), 2e-7 with the defaults.

    *Missing and odd input.* A missing count leaves E as it is and is left out of m and s; at least
    11 counts (or the whole of a shorter baseline) must be there. Where v(t) = 0 (a constant
    baseline without `small_counts`), any E(t) above m(t) is an alarm, and `score` and `p_value`
    take c sqrt(max(m(t), 1)) for v(t). The p-value treats counts as independent and normal: it is
    nominal.

    *Memory* beyond the verdicts: as `BLOCK_FLOATS` in `detectors._judging` says, 16 MiB.

    References
    ----------
    Burkom H (2003). Development, adaptation, and assessment of alerting algorithms for
    biosurveillance. Johns Hopkins APL Technical Digest 24, 335-342.

    Elbert Y, Burkom HS (2009). Development and evaluation of a data-adaptive alerting algorithm
    for univariate temporal biosurveillance data. Statistics in Medicine 28, 3226-3248.

    CDC National Syndromic Surveillance Program. pynssp 0.1.0 (Apache-2.0): the constants, and the
    numbers that this chart is tested against.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> panel = Panel(np.append(np.resize([3.0, 5, 4, 2], 30), 6.8)[None])
    >>> [EssenceEwma(sudden=w).judge(panel, slice(-1, None)).alarm.item() for w in (None, 0.9)]
    [False, True]
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["essence_ewma"] = "essence_ewma"
    smoothing: float = Field(default=0.4, gt=0, le=1, description="Weight of the latest count")
    sudden: float | None = Field(
        default=0.9, gt=0, le=1, description="Weight in a second chart, for sudden outbreaks"
    )
    baseline: int = Field(default=28, ge=3, le=1000, description="Steps in the baseline")
    guard: int = Field(
        default=2, ge=0, le=1000, description="Steps between the baseline and the judged step"
    )
    alpha: float = Field(
        default=0.01, gt=0, lt=1, description="One-sided level; 0.01 red, 0.05 yellow in ESSENCE"
    )
    min_sigma: float = Field(
        default=0.0, ge=0, le=1e9, description="Least standard deviation, in counts"
    )
    small_counts: bool = Field(
        default=True, description="Constants for small counts in the standard error; not for rates"
    )

    def lookback(self, grain: Grain) -> int:  # noqa: ARG002 - counts steps, however wide
        """Say how many steps before a judged one the verdict may depend on.

        Examples
        --------
        >>> EssenceEwma().lookback("day")
        60
        """
        return 2 * (self.baseline + self.guard)

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        """Judge the time positions `at` (default: all) of every series.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel, Reason
        >>> verdicts = EssenceEwma().judge(Panel(np.ones((1, 40))))
        >>> [Reason(code).name for code in verdicts.reason[0, [3, 39]]]
        ['insufficient_history', 'constant_baseline']
        """
        times = panel.counts.shape[1]
        return judge_in_blocks(
            panel, at, self.judge_block, floats_per_series=lambda judged: self.floats(judged, times)
        )

    def floats(self, judged: int, times: int) -> int:
        """Say how many numbers are alive for one series of `times` steps.

        Examples
        --------
        >>> EssenceEwma().floats(1, 100)
        1008
        """
        depth = self.baseline + self.guard
        return 48 * judged + 16 * min(judged * depth + depth, times + depth)

    def judge_block(self, panel: Panel, index: Positions, out: Verdicts, series: slice) -> None:
        """Judge some series and fill in their verdicts.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel, Verdicts
        >>> index = np.array([30])
        >>> out = Verdicts.blank(1, index)
        >>> EssenceEwma().judge_block(Panel(np.full((1, 31), 4.0)), index, out, slice(0, 1))
        >>> out.upper.round(2)
        array([[5.21]])
        """
        counts = panel.counts[series]
        observed, base = judged_and_baseline(counts, index, length=self.baseline, lag=self.guard)
        past = SmoothedCounts.before(
            counts, index, length=self.baseline, guard=self.guard, least=self._least
        )
        self._chart(self.smoothing, observed, base, past, out)
        if self.sudden is not None:
            other = Verdicts.blank(counts.shape[0], index)
            self._chart(self.sudden, observed, base, past, other)
            with np.errstate(invalid="ignore"):
                stronger = other.p_value < out.p_value
            np.copyto(out.score, other.score, where=stronger)
            np.copyto(out.p_value, other.p_value, where=stronger)
            np.fmin(out.upper, other.upper, out=out.upper)
        flat = np.maximum(base.sd, self.min_sigma) == 0
        conclude(
            out,
            observed=observed,
            judgeable=base.observed >= self._least,
            reason=baseline_reasons(zero=flat & (base.mean == 0), flat=flat),
        )

    @property
    def _least(self) -> int:
        return min(_LEAST, self.baseline)

    def _chart(
        self,
        weight: float,
        observed: FloatArray,
        base: RollingBaseline,
        past: SmoothedCounts,
        out: Verdicts,
    ) -> None:
        """Write expected, upper, score and p_value of the chart with one weight into `out`."""
        mean, df = base.mean, np.maximum(base.observed - 1, 1.0)
        error, per_sd = standard_error(
            base, weight, self.guard, min_sigma=self.min_sigma, small_counts=self.small_counts
        )
        former = past.smoothed(weight, self.min_sigma, small_counts=self.small_counts) - mean
        with np.errstate(invalid="ignore"):
            excess = weight * (observed - mean) + (1 - weight) * former
            limit = -stdtrit(df, self.alpha) * error
            upper = mean + (limit - (1 - weight) * former) / weight
            score = excess / np.where(error > 0, error, per_sd * np.sqrt(np.maximum(mean, 1.0)))
        out.expected[:] = mean
        out.upper[:] = np.maximum(upper, 0.0)
        out.score[:] = score
        out.p_value[:] = stdtr(df, -score)
