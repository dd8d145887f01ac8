"""The EWMA chart of ESSENCE: a smoothed count against a recent baseline.

Examples
--------
>>> import numpy as np
>>> from detectors.contract import Panel
>>> counts = np.concatenate([np.resize([3.0, 5, 4, 2], 30), [5, 6, 8]])
>>> EssenceEwma().judge(Panel(counts[None]), at=slice(-3, None)).p_value.round(4)
array([[0.0827, 0.0073, 0.    ]])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import stdtr, stdtrit

from detectors._judging import baseline_reasons, conclude, judge_in_blocks
from detectors.contract import Verdicts
from detectors.rolling import judged_and_baseline, values_at

if TYPE_CHECKING:
    from detectors.contract import FloatArray, Grain, Panel, Positions
    from detectors.rolling import RollingBaseline

__all__ = ["EssenceEwma"]


class EssenceEwma(BaseModel):
    """EWMA chart of ESSENCE with a guard band and Student's t (Burkom 2003; Elbert, Burkom 2009).

    With Y(t) the count, w = `smoothing`, and m(t), s(t) the mean and the standard deviation
    (divisor n - 1) of the n observed counts among the `baseline` that end `guard` + 1 steps before
    t, the smoothed count and its standardised value are

        E(t) = w Y(t) + (1 - w) E(t - 1),
        T(t) = (E(t) - m(t)) / (s(t) sqrt(w / (2 - w))),

    with an alarm if the upper tail of Student's t with n - 1 degrees of freedom at T(t) is below
    `alpha`: 0.01 is red and 0.05 yellow in ESSENCE. w = 0.4 tells outbreaks that build up over
    days; ESSENCE looks at a second chart with w near 0.9, close to EARS C2, for sudden ones, which
    `sudden` adds: the more unusual of the two charts counts, so that the level nearly doubles.

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

    Notes
    -----
    *Verdicts.* `expected` is m(t), `upper` is the count at which E(t) reaches its limit,
    [m + t(alpha) s sqrt(w / (2 - w)) - (1 - w) E(t - 1)] / w, at least 0, so that a count of 0 is
    never an alarm. `score` is T(t), `p_value` its tail; with `sudden` those of the chart with the
    smaller p-value, and the lower `upper`.

    *Start.* The recursion begins at m(t) `baseline` + `guard` steps before t, for every t anew, so
    that a verdict depends on that window only. What came before has the weight
    (1 - w)^(`baseline` + `guard`), 2e-7 with the defaults.

    *Missing and odd input.* A missing count leaves E as it is and is left out of m and s; more than
    half of the baseline (and three counts) must be there. Where s(t) = 0, any E(t) above m(t) is an
    alarm, and `score` and `p_value` take sqrt(max(m(t), 1)) for s(t). The p-value treats m(t) as
    known and counts as independent and normal: it is nominal.

    *Memory* beyond the verdicts: as `BLOCK_FLOATS` in `detectors._judging` says, 16 MiB.

    References
    ----------
    Burkom H (2003). Development, adaptation, and assessment of alerting algorithms for
    biosurveillance. Johns Hopkins APL Technical Digest 24, 335-342.

    Elbert Y, Burkom HS (2009). Development and evaluation of a data-adaptive alerting algorithm
    for univariate temporal biosurveillance data. Statistics in Medicine 28, 3226-3248.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> panel = Panel(np.append(np.resize([3.0, 5, 4, 2], 30), 6.4)[None])
    >>> [EssenceEwma(sudden=w).judge(panel, slice(-1, None)).alarm.item() for w in (None, 0.9)]
    [False, True]
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["essence_ewma"] = "essence_ewma"
    smoothing: float = Field(default=0.4, gt=0, le=1, description="Weight of the latest count")
    sudden: float | None = Field(
        default=None, gt=0, le=1, description="Weight in a second chart, for sudden outbreaks: 0.9"
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

    def lookback(self, grain: Grain) -> int:  # noqa: ARG002 - counts steps, however wide
        """Say how many steps before a judged one the verdict may depend on.

        Examples
        --------
        >>> EssenceEwma().lookback("day")
        30
        """
        return self.baseline + self.guard

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
        return judge_in_blocks(
            panel, at, self.judge_block, floats_per_series=lambda judged: judged * 64
        )

    def judge_block(self, panel: Panel, index: Positions, out: Verdicts, series: slice) -> None:
        """Judge some series and fill in their verdicts.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel, Verdicts
        >>> index = np.array([30])
        >>> out = Verdicts.blank(1, index)
        >>> EssenceEwma().judge_block(Panel(np.full((1, 31), 4.0)), index, out, slice(0, 1))
        >>> out.upper
        array([[4.]])
        """
        counts = panel.counts[series]
        observed, base = judged_and_baseline(counts, index, length=self.baseline, lag=self.guard)
        sigma = np.maximum(base.sd, self.min_sigma)
        self._chart(self.smoothing, counts, index, base, sigma, out)
        if self.sudden is not None:
            other = Verdicts.blank(counts.shape[0], index)
            self._chart(self.sudden, counts, index, base, sigma, other)
            with np.errstate(invalid="ignore"):
                stronger = other.p_value < out.p_value
            np.copyto(out.score, other.score, where=stronger)
            np.copyto(out.p_value, other.p_value, where=stronger)
            np.fmin(out.upper, other.upper, out=out.upper)
        flat = sigma == 0
        conclude(
            out,
            observed=observed,
            judgeable=base.observed >= max(3, self.baseline // 2 + 1),
            reason=baseline_reasons(zero=flat & (base.mean == 0), flat=flat),
        )

    def _chart(  # noqa: PLR0917 - the parts of one chart
        self,
        weight: float,
        counts: FloatArray,
        index: Positions,
        base: RollingBaseline,
        sigma: FloatArray,
        out: Verdicts,
    ) -> None:
        """Write expected, upper, score and p_value of the chart with one weight into `out`."""
        mean, flat = base.mean, sigma == 0
        df = np.maximum(base.observed - 1, 1.0)
        former = self._smoothed(weight, counts, index, mean)
        observed = values_at(counts, index)
        shrink = np.sqrt(weight / (2 - weight))
        with np.errstate(invalid="ignore"):
            excess = weight * (observed - mean) + (1 - weight) * former
            limit = np.where(flat, 0.0, -stdtrit(df, self.alpha) * sigma * shrink)
            upper = mean + (limit - (1 - weight) * former) / weight
            score = excess / (np.where(flat, np.sqrt(np.maximum(mean, 1.0)), sigma) * shrink)
        out.expected[:] = mean
        out.upper[:] = np.maximum(upper, 0.0)
        out.score[:] = score
        out.p_value[:] = stdtr(df, -score)

    def _smoothed(
        self, weight: float, counts: FloatArray, index: Positions, mean: FloatArray
    ) -> FloatArray:
        """E(t - 1) - m(t), begun at m(t); as a difference it is exactly 0 for equal counts."""
        smoothed = np.zeros(mean.shape)
        for lag in range(self.lookback("day"), 0, -1):
            with np.errstate(invalid="ignore"):
                step = weight * (values_at(counts, index - lag) - mean - smoothed)
            step[np.isnan(step)] = 0.0
            smoothed += step
        return smoothed
