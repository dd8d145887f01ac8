"""Drops: a source that falls silent, or sends half of what it used to.

This is about the data, not about disease: a fall in counts is first of all a broken interface, a
closed ward or a holiday.

Examples
--------
>>> import numpy as np
>>> from detectors.contract import Panel
>>> daily = np.resize([40.0, 38, 41, 39, 42, 12, 9], 70)
>>> daily[-1], daily[-3] = 8, 3
>>> verdicts = Drop().judge(Panel(daily[None]), at=slice(-3, None))
>>> verdicts.expected, verdicts.alarm
(array([[42., 12.,  9.]]), array([[ True, False, False]]))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from detectors._judging import baseline_reasons, conclude, judge_in_blocks
from detectors._moments import median
from detectors._negative_binomial import (
    nb_lower_tail,
    nb_quantile,
    nb_size,
    nb_tail,
    normal_score,
)
from detectors.rolling import values_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Grain, Panel, Positions, Verdicts

__all__ = ["Drop"]

_WEEK = 7
# Of a normal sample, the standard deviation over the median absolute deviation.
_MAD = 1.4826
_LEAST = 3


class Drop(BaseModel):
    """Drop detection against a robust baseline of the same day of the week.

    The baseline of step t is the `baseline` counts at t - p, t - 2 p, ..., where p is 7 for
    steps of a day (or of seven days), so that a Sunday is compared with Sundays, and 1 for weeks
    and months; the first `guard` of them are left out. With m their median and d = 1.4826 times
    the median absolute deviation from it, a count X is taken to be negative binomial with the mean
    m and the variance max(m, d^2). There is an alarm where

        P(X <= Y(t)) < `alpha`   and   Y(t) <= `share` m,

    and with `direction` `both` also where P(X >= Y(t)) <= `alpha`; the two tails have `alpha` / 2
    each then. Median and deviation stand up to a past outbreak, or a past silence, of less than
    half of the baseline.

    Use it for data quality, per source and not per region, and treat its alarms as questions to
    the source. Small sources cannot be seen to fall silent at once: with the default level m must
    be 7 or more (`expected`) for a count of 0 to be an alarm.

    Parameters
    ----------
    baseline
        Counts in the baseline.
    guard
        Latest counts of the same day left out, so that a slow decay does not become the norm.
    alpha
        Level.
    share
        A drop must go below this part of m; 1 leaves it to `alpha` alone.
    direction
        `down`, or `both` for two-sided limits (doubled deliveries).

    Notes
    -----
    *Verdicts.* **An alarm for a drop is a count below the lower limit, not above `upper`.**
    `expected` is m. `upper` is the upper limit: the largest count that is not too high at the
    level in use, also with `down`, where counts above it are no alarm. The lower limit is had from
    :meth:`lower`. `p_value` is P(X <= Y(t)) with `down` (small for drops), and twice the smaller
    tail, at most 1, with `both`; `score` is the normal quantile that the (smaller) tail stands
    for, large where the point is unusual.

    *Missing counts* are left out of the baseline; more than half of it, and 3, must be known. A
    source that sends nothing must be told as a count of 0 to be judged: a missing count is a
    `missing_observation` here as everywhere. A baseline with a median of 0 (`all_zero` if it holds
    no case) has no drops; in the distribution it is taken as 1 / n. `population` is not used.

    *Memory* beyond the verdicts: 16 MiB (`BLOCK_FLOATS`), or one series.

    References
    ----------
    Hampel FR (1974). The influence curve and its role in robust estimation. Journal of the
    American Statistical Association 69, 383-393.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> weeks = Panel(np.array([[20.0, 25, 18, 22, 90, 21, 24, 19, 8]]), grain="week")
    >>> verdicts = Drop().judge(weeks, at=slice(-1, None))
    >>> verdicts.expected, Drop().lower(weeks, at=slice(-1, None)), verdicts.alarm
    (array([[21.5]]), array([[9.]]), array([[ True]]))
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["drop"] = "drop"
    baseline: int = Field(default=8, ge=3, le=520, description="Counts in the baseline")
    guard: int = Field(default=0, ge=0, le=520, description="Latest of these counts left out")
    alpha: float = Field(default=0.001, gt=0, lt=1, description="Level")
    share: float = Field(
        default=0.5, gt=0, le=1, description="A drop is at most this part of the median"
    )
    direction: Literal["down", "both"] = Field(
        default="down", description="Drops only, or too high counts as well"
    )

    def lookback(self, grain: Grain) -> int:
        """Say how many steps before a judged one the verdict may depend on.

        Examples
        --------
        >>> Drop().lookback("day"), Drop(guard=2).lookback("week")
        (56, 10)
        """
        return (self.baseline + self.guard) * _stride(grain)

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        """Judge the time positions `at` (default: all) of every series.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel, Reason
        >>> verdicts = Drop().judge(Panel(np.zeros((1, 60))), at=slice(-1, None))
        >>> Reason(verdicts.reason[0, 0]).name, verdicts.alarm
        ('all_zero', array([[False]]))
        """
        return judge_in_blocks(panel, at, self._rule, floats_per_series=self._floats)

    def lower(self, panel: Panel, at: Positions | slice | None = None) -> FloatArray:
        """Give the lower limits: a count below is an alarm. Shape `[series, judged]`.

        NaN where the baseline does not suffice, 0 where no count is low enough.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel
        >>> Drop().lower(Panel(np.full((1, 57), 100.0)), at=slice(-1, None))
        array([[51.]])
        """

        def rule(panel: Panel, index: Positions, out: Verdicts, rows: slice) -> None:
            out.upper[:] = self._lower(self._learn(panel, index, rows))

        return judge_in_blocks(panel, at, rule, floats_per_series=self._floats).upper

    @property
    def _tail(self) -> float:
        return self.alpha if self.direction == "down" else self.alpha / 2

    def _floats(self, judged: int) -> int:
        return judged * (5 * self.baseline + 24)

    def _rule(self, panel: Panel, index: Positions, out: Verdicts, rows: slice) -> None:
        base = self._learn(panel, index, rows)
        observed = values_at(panel.counts[rows], index)
        out.expected[:] = base.median
        out.upper[:] = nb_quantile(base.mean, base.size, self._tail)
        low = nb_lower_tail(observed, base.mean, base.size)
        alarm = observed < self._lower(base)
        tail = low
        out.p_value[:] = low
        if self.direction == "both":
            high = nb_tail(observed, base.mean, base.size)
            tail = np.minimum(low, high)
            out.p_value[:] = np.minimum(1.0, 2.0 * tail)
            alarm |= observed > out.upper
        out.score[:] = normal_score(tail)
        conclude(
            out,
            observed=observed,
            judgeable=base.sufficient,
            alarm=alarm,
            reason=baseline_reasons(zero=base.zero),
            falls=True,
        )

    def _lower(self, base: _Robust) -> FloatArray:
        """Least count that is no drop."""
        # The least q with P(X > q) <= 1 - alpha is the least with P(X <= q) >= alpha.
        by_level = nb_quantile(base.mean, base.size, 1.0 - self._tail)
        by_share = np.floor(self.share * base.median) + 1.0
        return np.where(base.median > 0, np.minimum(by_level, by_share), by_level * 0.0)

    def _learn(self, panel: Panel, index: Positions, rows: slice) -> _Robust:
        """Median, spread and the negative binomial they stand for."""
        stride = _stride(panel.grain)
        back = [
            values_at(panel.counts[rows], index - stride * (self.guard + k))
            for k in range(1, self.baseline + 1)
        ]
        past = np.stack(back)
        number = (~np.isnan(past)).sum(axis=0)
        sufficient = number >= max(_LEAST, self.baseline // 2 + 1)
        centre = np.where(sufficient, median(past), np.nan)
        spread = _MAD * median(np.abs(past - centre))
        mean = np.where(centre > 0, centre, 1.0 / np.maximum(number, 1))
        mean = np.where(sufficient, mean, np.nan)
        size = nb_size(mean, spread**2)
        zero = sufficient & (np.nan_to_num(past).max(axis=0, initial=0.0) == 0)
        return _Robust(centre, mean, size, sufficient, zero)


class _Robust(NamedTuple):
    """Baselines, arrays of shape `[series, judged]`."""

    median: FloatArray
    mean: FloatArray
    size: FloatArray
    sufficient: NDArray[np.bool_]
    zero: NDArray[np.bool_]


def _stride(grain: Grain) -> int:
    return _WEEK if grain in {"day", "rolling7"} else 1
