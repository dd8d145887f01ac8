"""Historical limits: four weeks against the same season of the last five years (CDC, MMWR).

Examples
--------
>>> import numpy as np
>>> from detectors.contract import Panel
>>> counts = np.tile([10.0, 12.0, 11.0, 9.0], 80)
>>> counts[-4:] = 20.0
>>> weeks = Panel(counts[None], grain="week", period=52)
>>> verdicts = HistoricalLimits().judge(weeks, at=slice(-1, None))
>>> verdicts.expected, verdicts.alarm  # expected per week
(array([[10.5]]), array([[ True]]))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import ndtr

from detectors._judging import baseline_reasons, conclude, judge_in_blocks
from detectors._moments import moments
from detectors._period_totals import (
    SPACING,
    current_total,
    former_totals,
    needed_for_limit,
    totals_lookback,
)
from detectors._reference_values import enough

if TYPE_CHECKING:
    from detectors.contract import Grain, Panel, Positions, Verdicts

__all__ = ["HistoricalLimits"]

# Four weeks in steps of each grain.
_FOUR_WEEKS: Final[dict[Grain, int]] = {"day": 28, "rolling7": 4, "week": 4, "month": 1}


class HistoricalLimits(BaseModel):
    """Historical limits of Stroup et al. 1989, as in the figure of notifiable diseases in MMWR.

    With X0 the total of the last `steps` counts (four weeks), X_1, ..., X_n the totals of the
    comparable, the preceding and the following four weeks in each of the last `years_back` years
    (5 years: n = 15), mu their mean and sigma their standard deviation (divisor n - 1), the
    historical limits of the ratio X0 / mu are 1 +- z sigma / mu, z being `limit` (2). The step is
    an alarm if X0 is above the upper limit, X0 > mu + z sigma.

    Use it for reportable diseases with five years of history, as a stable picture of four weeks
    rather than an early warning. It assumes that the season repeats, that there is no trend, and
    that the totals are about normal and independent; past outbreaks raise the limit. Totals of
    neighbouring judged steps overlap, so one outbreak gives several alarms.

    Parameters
    ----------
    years_back
        Former years that are compared.
    steps
        Steps in a total; four weeks unless given: 28 days, 4 epi weeks, 4 rolling sums taken every
        7 days, 1 month.
    windows
        Totals before and after the comparable one in each year: 1 gives three in a year.
    limit
        Width z of the limits in standard deviations.

    Notes
    -----
    *Verdicts.* The contract asks for a threshold on the judged count, so `upper` is the count with
    which X0 reaches the limit, mu + z sigma less the other counts of the total, and at least 0: if
    the other counts are above the limit by themselves, any case is an alarm, and a count of 0 is
    not. `expected` is mu / `steps`. `score` is (X0 - mu) / sigma and `p_value` the upper tail of
    the standard normal distribution there, nominal as above; it is below that of z exactly where
    there is an alarm (save for a count of 0 and for sigma = 0). `population` is not used.

    *Missing counts.* Totals with more than half of their counts are scaled up to the full number of
    steps, others are missing (in the current one, the judged count only has to be there). More
    than half of the n totals, and at least 3, must be there, or the reason is
    `insufficient_history`. A former total never shares a step with the current one.

    *No spread*: for sigma = 0 the reason is `all_zero` or `constant_baseline`, the limit is mu, and
    `score` takes sqrt(max(mu, 1)) for sigma, so that it only ranks.

    *Memory* beyond the verdicts: about n + 20 arrays of `[series, judged]` in blocks of 16 MiB, or
    of one series if that is larger.

    References
    ----------
    Stroup DF, Williamson GD, Herndon JL, Karon JM (1989). Detection of aberrations in the
    occurrence of notifiable diseases surveillance data. Statistics in Medicine 8, 323-329.

    Centers for Disease Control (1991). Update: graphic method for presentation of notifiable
    disease data - United States, 1990. MMWR 40, 124-125.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> months = Panel(np.array([[4.0, 6, 5] * 13]), grain="month", period=12)
    >>> verdicts = HistoricalLimits(years_back=2).judge(months, at=slice(-1, None))
    >>> verdicts.expected, verdicts.upper.round(3), verdicts.alarm
    (array([[5.]]), array([[6.789]]), array([[False]]))
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["historical_limits"] = "historical_limits"
    years_back: int = Field(default=5, ge=1, le=50, description="Former years compared")
    steps: int | None = Field(
        default=None, ge=1, le=366, description="Steps in a total; by default four weeks"
    )
    windows: int = Field(
        default=1, ge=0, le=26, description="Totals before and after the comparable one"
    )
    limit: float = Field(
        default=2.0, gt=0, le=100, description="Width of the limits in standard deviations"
    )

    def lookback(self, grain: Grain) -> int:
        """Say how many steps before a judged one the verdict may depend on.

        Examples
        --------
        >>> HistoricalLimits().lookback("week"), HistoricalLimits().lookback("day")
        (272, 1885)
        """
        return totals_lookback(
            grain, years=self.years_back, steps=self._steps(grain), windows=self.windows
        )

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        """Judge the time positions `at` (default: all) of every series.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel, Reason
        >>> weeks = Panel(np.ones((1, 300)), grain="week")
        >>> Reason(HistoricalLimits().judge(weeks).reason[0, -1]).name
        'constant_baseline'
        """
        return judge_in_blocks(
            panel, at, self._rule, floats_per_series=lambda judged: (self._totals + 20) * judged
        )

    def _steps(self, grain: Grain) -> int:
        return _FOUR_WEEKS[grain] if self.steps is None else self.steps

    @property
    def _totals(self) -> int:
        return self.years_back * (2 * self.windows + 1)

    def _rule(self, panel: Panel, index: Positions, out: Verdicts, series: slice) -> None:
        steps = self._steps(panel.grain)
        spacing = SPACING[panel.grain]
        now = current_total(panel.counts[series], index, steps=steps, spacing=spacing)
        past = former_totals(
            panel, series, index, years=self.years_back, steps=steps, windows=self.windows
        )
        _, mean, sd, observed = moments(lambda: past, out.alarm.shape)
        out.expected[:] = mean / steps
        out.upper[:] = needed_for_limit(mean + self.limit * sd, now, steps)
        flat = sd == 0
        out.score[:] = (now.total - mean) / np.where(flat, np.sqrt(np.maximum(mean, 1.0)), sd)
        out.p_value[:] = ndtr(-out.score)
        conclude(
            out,
            observed=now.latest,
            judgeable=enough(observed, self._totals),
            reason=baseline_reasons(zero=flat & (mean == 0), flat=flat),
        )
