"""The two rules of China's automated alert system (CIDARS): moving percentile and fixed value.

Examples
--------
>>> import numpy as np
>>> from detectors.contract import Panel
>>> weeks = Panel(np.tile(np.arange(1.0, 53.0), 4)[None], grain="week", period=52)
>>> verdicts = MovingPercentile().judge(weeks, at=slice(-3, -2))
>>> verdicts.upper, verdicts.alarm  # week 50: 80 % of 48, ..., 52, three times
(array([[51.2]]), array([[False]]))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

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
    from detectors.contract import FloatArray, Grain, Panel, Positions, Verdicts

__all__ = ["FixedValue", "MovingPercentile"]

# Seven days in steps of each grain (a month is the least there is).
_SEVEN_DAYS: Final[dict[Grain, int]] = {"day": 7, "rolling7": 1, "week": 1, "month": 1}


class MovingPercentile(BaseModel):
    """The moving percentile method (MPM) of CIDARS (Yang et al. 2011; Wang et al. 2017).

    X0 is the number of cases in the last `steps` steps (7 days). The historical values
    X_1, ..., X_n are the totals of the same 7 days, of the `windows` (2) before and of the
    `windows` after them, in each of the last `years_back` years (3 years: n = 15; CIDARS has
    also used 5: n = 25). With X_(1) <= ... <= X_(n) in order, P the `percentile` as a fraction and
    h = (n - 1) P + 1, the threshold is

        X_P = X_(floor h) + (h - floor h) (X_(floor h + 1) - X_(floor h)),

    the definition of the spreadsheets with which it is worked. The step is an alarm if X0 > X_P.

    Use it for common diseases with a season, as CIDARS does for its second group of diseases: it
    assumes nothing about the distribution and needs three years. The false alarm rate is about
    1 - P at every step, by design: each signal is looked at before it counts as an alarm. With
    n = 15, a P above 1 - 1/15 gives the largest value or one close to it.

    Parameters
    ----------
    percentile
        In percent; 80 by default.
    years_back
        Former years that give historical values.
    steps
        Steps in a total; seven days unless given: 7 days, 1 epi week, 1 rolling sum; 1 month.
    windows
        Totals before and after the comparable one in each year.

    Notes
    -----
    *Verdicts.* The contract asks for a threshold on the judged count, so `upper` is the count with
    which X0 reaches X_P: X_P less the other counts of the total, and at least 0 (a count of 0 is
    never an alarm). `expected` is the median of the historical values divided by `steps`.
    `p_value` is the rank of X0 among them, (1 + number of X_i >= X0) / (n + 1): free of
    distribution, but no smaller than 1 / (n + 1). `score` goes on where ranks end: (X0 - mean) /
    sd of the historical values, with the Poisson value sqrt(max(mean, 1)) for the sd where that is
    larger. `population` is not used.

    *Missing counts.* Totals with more than half of their counts are scaled up to the full number of
    steps, others are missing (in the current one, the judged count only has to be there). More
    than half of the n totals, and at least 3, must be there, or the reason is
    `insufficient_history`. A former total never shares a step with the current one.

    *Equal historical values* have the reason `all_zero` or `constant_baseline`; the rule is the
    same.

    *Memory* beyond the verdicts: about 3 n + 20 arrays of `[series, judged]` in blocks of 16 MiB,
    or of one series if that is larger.

    References
    ----------
    Yang W, Li Z, Lan Y, Wang J, Ma J, Jin L, Sun Q, Lv W, Lai S, Liao Y, Hu W (2011). A nationwide
    web-based automated system for outbreak early detection and rapid response in China. Western
    Pacific Surveillance and Response Journal 2(1), 10-15.

    Wang R, Jiang Y, Michael E, Zhao G (2017). How to select a proper early warning threshold to
    detect infectious disease outbreaks based on the China infectious disease automated alert and
    response system (CIDARS). BMC Public Health 17, 570.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> weeks = Panel(np.array([[2.0, 3, 5, 4, 6] * 32 + [7]]), grain="week", period=52)
    >>> verdicts = MovingPercentile(percentile=90).judge(weeks, at=slice(-1, None))
    >>> verdicts.expected, verdicts.upper, verdicts.p_value, verdicts.alarm
    (array([[4.]]), array([[6.]]), array([[0.0625]]), array([[ True]]))
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["moving_percentile"] = "moving_percentile"
    percentile: float = Field(default=80.0, ge=0, le=100, description="Threshold in percent")
    years_back: int = Field(default=3, ge=1, le=50, description="Former years used")
    steps: int | None = Field(
        default=None, ge=1, le=366, description="Steps in a total; by default seven days"
    )
    windows: int = Field(
        default=2, ge=0, le=26, description="Totals before and after the comparable one"
    )

    def lookback(self, grain: Grain) -> int:
        """Say how many steps before a judged one the verdict may depend on.

        Examples
        --------
        >>> MovingPercentile().lookback("week"), MovingPercentile().lookback("day")
        (161, 1118)
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
        >>> Reason(MovingPercentile().judge(weeks).reason[0, 0]).name
        'insufficient_history'
        """
        return judge_in_blocks(
            panel, at, self._rule, floats_per_series=lambda judged: (3 * self._totals + 20) * judged
        )

    def _steps(self, grain: Grain) -> int:
        return _SEVEN_DAYS[grain] if self.steps is None else self.steps

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
        past.sort(axis=0)  # missing ones last
        observed = (~np.isnan(past)).sum(axis=0).astype(np.float64)
        above = (past >= now.total).sum(axis=0)
        out.expected[:] = _sorted_percentile(past, observed, 0.5) / steps
        limit = _sorted_percentile(past, observed, self.percentile / 100)
        out.upper[:] = needed_for_limit(limit, now, steps)
        out.p_value[:] = (1 + above) / (1 + observed)
        base = moments(lambda: past, out.alarm.shape)
        sd = np.fmax(base.sd, np.sqrt(np.maximum(base.mean, 1.0)))
        out.score[:] = (now.total - base.mean) / sd
        largest = _sorted_percentile(past, observed, 1.0)
        conclude(
            out,
            observed=now.latest,
            judgeable=enough(observed, self._totals),
            reason=baseline_reasons(zero=largest == 0, flat=past[0] == largest),
        )


class FixedValue(BaseModel):
    """The fixed-value rule of CIDARS: so many cases are an alarm, whatever is usual.

    The step t is an alarm if the total of the last `steps` counts, y(t - `steps` + 1) + ... + y(t),
    is at least `cases`, and y(t) > 0.

    Use it where one case is one too many: in CIDARS for the severe and rare diseases of its first
    group (plague, cholera, polio, ...), of which a single case is a signal. It assumes nothing and
    needs no history.

    Parameters
    ----------
    cases
        Fewest cases that are an alarm.
    steps
        Steps over which cases are added up.

    Notes
    -----
    *Verdicts.* `upper` is the largest number below the count that is needed, so that the alarm is
    "count above upper" as the contract has it; it prints as `cases` - 0.0...: with integers, read
    it as "needs `cases`". `expected` is 0: the rule expects none. `score` is the total divided by
    `cases` (1 or more at an alarm). There is no model behind the rule and so no probability:
    `p_value` is 0 at an alarm and 1 elsewhere, so that a control of the false-discovery rate keeps
    such alarms. `population` is not used.

    *Missing counts* before the judged one add nothing to the total; for rolling 7-day sums the
    `steps` are taken 7 steps apart, so that no day counts twice. No history is needed.

    *Memory* beyond the verdicts: about 12 arrays of `[series, judged]` in blocks of 16 MiB, or of
    one series if that is larger.

    References
    ----------
    Yang W, Li Z, Lan Y, Wang J, Ma J, Jin L, Sun Q, Lv W, Lai S, Liao Y, Hu W (2011). A nationwide
    web-based automated system for outbreak early detection and rapid response in China. Western
    Pacific Surveillance and Response Journal 2(1), 10-15.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> days = Panel(np.array([[0.0, 1, 0, 1, 2]]))
    >>> FixedValue(cases=3, steps=3).judge(days).alarm
    array([[False, False, False, False,  True]])
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["fixed_value"] = "fixed_value"
    cases: float = Field(default=1.0, gt=0, le=1e15, description="Fewest cases that are an alarm")
    steps: int = Field(default=1, ge=1, le=366, description="Steps over which cases are added up")

    def lookback(self, grain: Grain) -> int:
        """Say how many steps before a judged one the verdict may depend on.

        Examples
        --------
        >>> FixedValue(steps=7).lookback("day"), FixedValue(steps=2).lookback("rolling7")
        (6, 7)
        """
        return (self.steps - 1) * SPACING[grain]

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        """Judge the time positions `at` (default: all) of every series.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel
        >>> FixedValue().judge(Panel(np.array([[0.0, 1.0]]))).alarm
        array([[False,  True]])
        """
        return judge_in_blocks(panel, at, self._rule, floats_per_series=lambda judged: 12 * judged)

    def _rule(self, panel: Panel, index: Positions, out: Verdicts, series: slice) -> None:
        spacing = SPACING[panel.grain]
        now = current_total(panel.counts[series], index, steps=self.steps, spacing=spacing)
        needed = self.cases - now.former
        out.upper[:] = np.where(needed > 0, np.nextafter(needed, 0.0), 0.0)
        out.expected[:] = 0.0
        out.score[:] = (now.former + now.latest) / self.cases
        out.p_value[:] = np.where(now.latest > out.upper, 0.0, 1.0)
        conclude(out, observed=now.latest, judgeable=np.ones(now.latest.shape, dtype=np.bool_))


def _sorted_percentile(values: FloatArray, observed: FloatArray, share: float) -> FloatArray:
    """Interpolate between the sorted values `[values, series, judged]`; NaN if there are none."""
    last = np.maximum(observed - 1, 0.0)
    place = last * share
    low = np.floor(place)
    high = np.minimum(low + 1, last)
    below, above = (
        np.take_along_axis(values, at.astype(np.intp)[None], axis=0)[0] for at in (low, high)
    )
    percentile: FloatArray = below + (place - low) * (above - below)
    return percentile
