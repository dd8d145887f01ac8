"""Season and trend by loess with robust residuals, on a window that ends before the judged step.

Examples
--------
>>> import numpy as np
>>> from detectors.contract import Panel
>>> counts = np.resize([20.0, 18, 17, 16, 18, 9, 7], 70) + np.resize([0.0, 1, 2, -2], 70)
>>> counts[40:43] = 90  # an old outbreak does not move the threshold
>>> counts[-1] = 25
>>> Stl().judge(Panel(counts[None]), at=slice(-2, None)).alarm
array([[False,  True]])
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.special import stdtr, stdtrit

from detectors._judging import baseline_reasons, conclude, judge_in_blocks
from detectors._moments import sum_in_order
from detectors._seasonal_trend import LEAST_MEAN, decompose, spent_by_trend
from detectors.rolling import values_at

if TYPE_CHECKING:
    from detectors.contract import Grain, Panel, Positions, Verdicts

__all__ = ["Stl"]

_WEEK = 7
# The median absolute deviation knows a normal spread as well as 37 % of the residuals would.
_EFFICIENCY = 0.37
_LEAST_DF = 2.0


class Stl(BaseModel):
    """Prediction from a causal seasonal-trend decomposition (after Cleveland et al. 1990).

    The `window` counts that end `guard` + 1 steps before the judged step t are taken apart,

        Y(s) = T(s) + S(s) + R(s),

    by turns: S(s), the robustly weighted means of Y - T at each phase of the `season`, centred at
    0; and T(s), loess of Y - S: local lines with tricube weights (1 - (d / (`span` + 1))^3)^3 at
    the distance d. After each of three rounds the residuals give the robustness weights
    (1 - (R / 6 MAD)^2)^2, 0 beyond six median absolute deviations, so that past outbreaks and
    holidays neither lift the threshold nor widen it. With the last trend value carried on,

        Y^(t) = T(last) + S(phase of t), at least 0,
        U(t) = (Y(t) - Y^(t)) / (sigma sqrt(1 + l)),

    is compared with Student's t: an alarm if its upper tail is below `alpha`. sigma is
    1.4826 MAD sqrt(n / (n - p)), with n counts and p parameters spent (the season's and the trace
    of the smoother), and at least sqrt(max(Y^(t), 1/4)) with `poisson_floor`; l is the variance of
    T(last) and S with complete counts. The degrees of freedom are 0.37 (n - p), since the MAD is
    that much less informative than a standard deviation.

    Use it for daily counts of some size whose history holds outbreaks, gaps or odd days. It knows
    the season of its `season` only; the year has to fit into the trend.

    Parameters
    ----------
    season
        Steps in a season; 7 for steps of a day and 1 (none) for others unless given.
    window
        Steps taken apart; at least three seasons.
    span
        Steps on either side that count for the trend.
    guard
        Steps between the window and the judged step.
    alpha
        One-sided level.
    poisson_floor
        Whether sigma is at least that of Poisson counts. Without it, sparse counts whose MAD is 0
        have any count above Y^(t) as an alarm.
    min_sigma
        Least sigma, in counts.

    Notes
    -----
    *Differences from the paper.* The window ends before the judged step (the published method
    smooths over the whole series, and would look ahead). The season is the same all through the
    window ("periodic"), so that the low-pass filter falls away. The trend's span does not widen at
    the ends. A floor of Poisson size under the MAD keeps the weights of sparse counts from becoming
    0 for every case; without `poisson_floor` weights stay 1 where the MAD is 0.

    *Verdicts.* `expected` is Y^(t), `upper` is where the tail is `alpha`, `score` is U(t). The
    p-value is approximate. Simulated rates of alarms at `alpha` 0.01: independent normal counts
    0.013 without the floor; Poisson counts with days of the week and means 1, 20 and 500 0.021,
    0.008 and 0.005 with it, 0.028, 0.017 and 0.015 without.

    *Missing and odd input.* Missing counts have the weight 0. A point is judged with more than
    half of the window known and a count at its phase. With the floor there is always a spread;
    `all_zero` and `constant_baseline` tell of windows that do not vary.

    *Memory* beyond the verdicts: about 24 MiB (one and a half times `BLOCK_FLOATS`).

    References
    ----------
    Cleveland RB, Cleveland WS, McRae JE, Terpenning I (1990). STL: a seasonal-trend decomposition
    procedure based on loess. Journal of Official Statistics 6, 3-73.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> weekly = Panel(np.resize([8.0, 6, 4, 4, 5, 1, 0], 70)[None])
    >>> Stl().judge(weekly, at=slice(-7, None)).expected.round(1)
    array([[8., 6., 4., 4., 5., 1., 0.]])
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["stl"] = "stl"
    season: int | None = Field(
        default=None, ge=1, le=366, description="Steps in a season; by default 7 for days, else 1"
    )
    window: int = Field(default=56, ge=10, le=1500, description="Steps taken apart")
    span: int = Field(
        default=21, ge=3, le=1000, description="Steps on either side that count for the trend"
    )
    guard: int = Field(
        default=2, ge=0, le=1000, description="Steps between the window and the judged step"
    )
    alpha: float = Field(default=0.01, gt=0, lt=1, description="One-sided level")
    poisson_floor: bool = Field(
        default=True, description="Whether sigma is at least that of Poisson counts"
    )
    min_sigma: float = Field(default=0.0, ge=0, le=1e9, description="Least sigma, in counts")

    @model_validator(mode="after")
    def _fits_together(self) -> Stl:
        if self.window < 3 * (_WEEK if self.season is None else self.season):
            raise ValueError("window must hold three seasons")
        return self

    def lookback(self, grain: Grain) -> int:  # noqa: ARG002 - counts steps, however wide
        """Say how many steps before a judged one the verdict may depend on.

        Examples
        --------
        >>> Stl().lookback("day")
        58
        """
        return self.window + self.guard

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        """Judge the time positions `at` (default: all) of every series.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel
        >>> Stl().judge(Panel(np.zeros((1, 60))), at=np.array([59])).upper.round(2)
        array([[1.48]])
        """
        return judge_in_blocks(
            panel, at, self._rule, floats_per_series=lambda judged: judged * 16 * self.window
        )

    def _rule(self, panel: Panel, index: Positions, out: Verdicts, series: slice) -> None:
        counts = panel.counts[series]
        season = self.season or (_WEEK if panel.grain == "day" else 1)
        begin = index - self.lookback(panel.grain)
        window = np.stack([values_at(counts, begin + step) for step in range(self.window)])
        parts = decompose(window, season=season, span=self.span, poisson_floor=self.poisson_floor)
        seen = ~np.isnan(window)
        known = sum_in_order(seen.astype(np.float64))
        phase = (self.window + self.guard) % season
        expected = np.maximum(parts.trend[-1] + parts.season[phase], 0.0)
        trace, end = spent_by_trend(self.window, self.span)
        free = np.maximum(known - (season - 1) - trace, 1.0)
        sigma = np.maximum(parts.scale * np.sqrt(known / free), self.min_sigma)
        if self.poisson_floor:
            sigma = np.maximum(sigma, np.sqrt(np.maximum(expected, LEAST_MEAN)))
        widen = np.sqrt(1 + end + season / self.window)
        df = np.maximum(_EFFICIENCY * free, _LEAST_DF)
        observed = values_at(counts, index)
        unit = np.where(sigma > 0, sigma, np.sqrt(np.maximum(expected, 1.0)))
        out.expected[:] = expected
        out.upper[:] = expected - stdtrit(df, self.alpha) * sigma * widen
        out.score[:] = (observed - expected) / (unit * widen)
        out.p_value[:] = stdtr(df, -out.score)
        largest = np.fmax.reduce(window, axis=0)
        flat = largest == np.fmin.reduce(window, axis=0)
        conclude(
            out,
            observed=observed,
            judgeable=(known > self.window // 2) & (sum_in_order(seen[phase::season] * 1.0) > 0),
            reason=baseline_reasons(zero=flat & (largest == 0), flat=flat),
        )
