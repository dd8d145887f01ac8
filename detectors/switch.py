"""The regression/EWMA switch of ESSENCE: each baseline gets the chart that fits it.

Examples
--------
>>> import numpy as np
>>> from detectors.contract import Panel
>>> weekly = np.resize([40.0, 36, 34, 32, 36, 12, 9], 40) + np.resize([0, 2, 1], 40)
>>> flat = np.resize([3.0, 5, 4, 2, 6], 40)
>>> Switch().uses_regression(Panel(np.stack([weekly, flat])), np.array([39]))
array([[ True],
       [False]])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from detectors._calendar import Holidays  # noqa: TC001 - pydantic reads it
from detectors._judging import judge_in_blocks
from detectors.contract import Grain, Panel, Positions, Verdicts
from detectors.essence_ewma import EssenceEwma
from detectors.regression import Regression
from detectors.rolling import values_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors._recent_regression import BaselineFit

__all__ = ["Switch"]

_FIELDS = ("expected", "upper", "score", "p_value", "alarm", "reason")


class Switch(BaseModel):
    """Regression where it explains the baseline, EWMA elsewhere (Burkom; Elbert, Burkom 2009).

    For each judged step the adaptive regression of :class:`detectors.regression.Regression` is
    fitted to its baseline. With RSS its residual and TSS the total sum of squares about the mean,
    n counts and df residual degrees of freedom,

        adjusted R^2 = 1 - (RSS / df) / (TSS / (n - 1)).

    Where it is at least `min_r_squared` (0.60 in ESSENCE) the days of the week and the trend
    explain the baseline and the regression judges; elsewhere, as with sparse counts, the chart of
    :class:`detectors.essence_ewma.EssenceEwma` does. An alarm is a p-value below `alpha`: 0.01 is
    red, 0.05 yellow in ESSENCE.

    Use it as the default for daily syndromic counts of mixed size whose behaviour is not known
    beforehand and that have a month of history.

    Parameters
    ----------
    min_r_squared
        Least adjusted R^2 for the regression.
    baseline, guard, alpha, min_sigma, small_counts
        Of both charts.
    smoothing, sudden
        Of the EWMA.
    ewma_baseline
        Of the EWMA, if it is another one.
    holidays
        Of the regression. With a baseline of 28 days a holiday seldom has a forerunner in it; the
        EWMA judges such a day.

    Notes
    -----
    *Agreement.* From the 31st day on, verdicts on complete daily series equal those of NSSP's
    software (`alert_switch` of pynssp 0.1.0) with `ewma_baseline=29`: with `B=28` its EWMA has
    baselines of 29 counts. The default is the 28 of ESSENCE.

    A point is judged by the EWMA, too, where the counts do not suffice for the regression or the
    baseline does not vary. Missing counts, thresholds and reasons are as those two say.

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
    >>> weekly = np.resize([40.0, 36, 34, 32, 36, 12, 9], 40) + np.resize([0, 2, 1], 40)
    >>> weekly[-2:] = 36  # as much as on the other days, but on a Tuesday and a Saturday
    >>> Switch().judge(Panel(weekly[None]), at=slice(-2, None)).alarm
    array([[False, False]])
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["switch"] = "switch"
    min_r_squared: float = Field(
        default=0.6, ge=-1, le=1, description="Least adjusted R^2 for the regression to judge"
    )
    baseline: int = Field(default=28, ge=5, le=1000, description="Steps in the baseline")
    guard: int = Field(
        default=2, ge=0, le=1000, description="Steps between the baseline and the judged step"
    )
    alpha: float = Field(
        default=0.01, gt=0, lt=1, description="One-sided level; 0.01 red, 0.05 yellow in ESSENCE"
    )
    smoothing: float = Field(
        default=0.4, gt=0, le=1, description="Weight of the latest count in the EWMA"
    )
    sudden: float | None = Field(
        default=0.9, gt=0, le=1, description="Weight in a second EWMA, for sudden outbreaks"
    )
    ewma_baseline: int | None = Field(
        default=None, ge=3, le=1000, description="Steps in the baseline of the EWMA, if others"
    )
    holidays: Holidays = Field(
        default=(), description="Dates, or positions on integer time, that share one effect"
    )
    min_sigma: float = Field(
        default=0.0, ge=0, le=1e9, description="Least standard deviation, in counts"
    )
    small_counts: bool = Field(
        default=True, description="NSSP's constants for small counts; not for rates"
    )

    def lookback(self, grain: Grain) -> int:
        """Say how many steps before a judged one the verdict may depend on.

        Examples
        --------
        >>> Switch().lookback("day")
        60
        """
        return max(self._regression.lookback(grain), self._ewma.lookback(grain))

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        """Judge the time positions `at` (default: all) of every series.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel
        >>> Switch().judge(Panel(np.zeros((1, 40))), at=np.array([39])).upper.round(2)
        array([[1.21]])
        """
        times = panel.counts.shape[1]
        return judge_in_blocks(
            panel, at, self._rule, floats_per_series=lambda judged: self._floats(judged, times)
        )

    def uses_regression(self, panel: Panel, index: Positions) -> NDArray[np.bool_]:
        """Say where the regression judges, shape `[series, judged]`; elsewhere the EWMA does.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel
        >>> Switch().uses_regression(Panel(np.zeros((1, 40))), np.array([39]))
        array([[False]])
        """
        return self._fits(self._regression.fit(panel, index, slice(None)))

    @property
    def _regression(self) -> Regression:
        return Regression(
            baseline=self.baseline,
            guard=self.guard,
            alpha=self.alpha,
            holidays=self.holidays,
            min_sigma=self.min_sigma,
            small_counts=self.small_counts,
        )

    @property
    def _ewma(self) -> EssenceEwma:
        return EssenceEwma(
            baseline=self.ewma_baseline or self.baseline,
            guard=self.guard,
            alpha=self.alpha,
            smoothing=self.smoothing,
            sudden=self.sudden,
            min_sigma=self.min_sigma,
            small_counts=self.small_counts,
        )

    def _fits(self, fit: BaselineFit) -> NDArray[np.bool_]:
        with np.errstate(invalid="ignore"):
            good: NDArray[np.bool_] = fit.adjusted_r2 >= self.min_r_squared
        return good & fit.sufficient & (fit.sd > 0)

    def _floats(self, judged: int, times: int) -> int:
        return judged * (3 * self.baseline + 80) + self._ewma.floats(judged, times)

    def _rule(self, panel: Panel, index: Positions, out: Verdicts, series: slice) -> None:
        self._ewma.judge_block(panel, index, out, series)
        regression = self._regression
        fit = regression.fit(panel, index, series)
        fits = self._fits(fit)
        other = Verdicts.blank(fits.shape[0], index)
        regression.conclude(fit, values_at(panel.counts[series], index), other)
        for name in _FIELDS:
            np.copyto(getattr(out, name), getattr(other, name), where=fits)
