"""The moving epidemic method: thresholds of a seasonal epidemic from its past seasons.

Examples
--------
>>> import numpy as np
>>> from detectors.contract import Panel
>>> week = np.arange(52)
>>> season = np.round(10 + week % 3 + 200 * np.exp(-(((week - 20) / 4) ** 2)))
>>> panel = Panel(np.tile(season, 5)[None], grain="week", period=52)
>>> verdicts = Mem(season_start=1).judge(panel, at=np.array([208 + 5, 208 + 17, 208 + 20]))
>>> verdicts.upper.round(1), verdicts.alarm
(array([[43.6, 43.6, 43.6]]), array([[False,  True,  True]]))
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import ndtr

from detectors._judging import BLOCK_FLOATS, conclude, judge_in_blocks
from detectors._reference_values import gather
from detectors._seasonal_epidemic import (
    PooledMoments,
    epidemic_period,
    highest,
    pooled_moments,
    season_matrix,
    season_numbers,
)
from detectors.contract import Reason, judged_positions
from detectors.seasons import longest_year, steps_per_year

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Grain, Panel, Positions, Verdicts

__all__ = ["Mem", "MemThresholds"]

_Season: TypeAlias = tuple["FloatArray", "NDArray[np.bool_]"]

# Fewest values with a mean and a spread.
_FEWEST = 3


class MemThresholds(NamedTuple):
    """Thresholds for the season of each judged step, arrays of shape `[series, judged]`.

    NaN where the past seasons do not suffice.
    """

    epidemic: FloatArray
    """Pre-epidemic threshold: above it the epidemic has begun."""
    medium: FloatArray
    """Intensity threshold: above it the intensity is medium, below it low."""
    high: FloatArray
    """Intensity threshold: above it the intensity is high."""
    very_high: FloatArray
    """Intensity threshold: above it the intensity is very high."""


# Of the geometric mean of epidemic values; one-sided (Vega et al. 2015).
_INTENSITY_LEVELS: Final = {"medium": 0.40, "high": 0.90, "very_high": 0.975}


class Mem(BaseModel):
    """Moving epidemic method, MEM (Vega et al. 2013, 2015).

    For the N complete seasons before that of the judged week (at most `seasons`):

    1. *Epidemic period.* With y_1, ..., y_S the weeks of a season, the maximum accumulated
       percentage of r consecutive weeks is MAP(r) = 100 max_k (y_k + ... + y_(k+r-1)) / sum y_i.
       The epidemic lasts r* weeks, the smallest r with MAP(r + 1) - MAP(r) < `delta`, and is the
       run of r* weeks that has the maximum (the first one of equals). The weeks before it are
       pre-epidemic.
    2. *Pre-epidemic threshold.* Of each season the n highest pre-epidemic values are taken, n being
       `highest` / N, rounded and at least 1. With m and s the mean and standard deviation
       (divisor: number less 1) of them all together, the threshold is T = m + z s, z being the
       `level` quantile of the standard normal distribution: the upper limit of the one-sided 95 %
       interval of such values.
    3. *Intensity thresholds.* Of each season the n highest epidemic values are taken. With m' and
       s' the mean and standard deviation of the logarithms of those above 0, the thresholds of
       medium, high and very high intensity are exp(m' + z' s'), z' being the 40 %, 90 % and 97.5 %
       quantile: :meth:`thresholds`.

    A week is an alarm if its count is above the threshold that `alarm_at` names.

    Use it for influenza and other diseases with one epidemic a season, as WHO and ECDC do, with
    weekly counts of five to ten seasons. It tells when the epidemic has begun and how severe it is,
    not whether something unexpected happens; in the months after the epidemic it is of little use.

    Parameters
    ----------
    seasons
        Most past seasons that are used; 10 as in the paper.
    min_seasons
        Fewest past seasons that suffice.
    season_start
        Week of the year in which a season begins: epi week 40 in the northern hemisphere. On
        integer time week 1 begins with position 0; set 1 there for a panel that begins with a
        season.
    delta
        Least weekly gain, in percent of the season's total, within an epidemic; the papers'
        software has 2.8.
    highest
        How many values of all seasons together a threshold is made of; 30 in the paper.
    level
        One-sided level of the pre-epidemic threshold.
    alarm_at
        Threshold above which there is an alarm.

    Notes
    -----
    *Verdicts.* `upper` is the threshold, `expected` the mean of the values it is made of (m, or
    exp(m')). `score` is (y - m) / s, for intensity thresholds (log y - m') / s' (a count below 1e-9
    counts as that); `p_value` is the upper tail of the standard normal distribution there: below
    1 - `level` exactly where there is an alarm, and nominal, since the n highest values are neither
    normal nor a sample of ordinary weeks. `population` is not used: give rates as counts.

    *Time axis.* Weeks with dates. A week belongs to the year of its fourth day, which numbers both
    ISO weeks (from Monday) and epi weeks (from Sunday) rightly. On other grains a season begins
    with the first step of that week, and `delta` is still a percentage per step: lower it to a
    seventh for daily counts. On integer time seasons are counted from position 0 of the panel, so a
    panel without dates must be cut by whole years only.

    *Missing values.* A missing week adds nothing to the accumulated percentage and is not among
    the values. A season is used if at least three quarters of its steps are known and not all are
    0; it is missing otherwise. With fewer than `min_seasons` seasons, or fewer than 3 values, the
    reason is `insufficient_history`.

    *No spread*: for s = 0 the reason is `all_zero` or `constant_baseline`, the threshold is m, and
    `score` takes sqrt(max(m, 1)) for s (for intensity 1 / sqrt(max(exp m', 1)) for s'), so that it
    only ranks.

    *Memory* beyond the verdicts: about 8 arrays of `[series, year]`, 3 `highest` of
    `[series, seasons]` and 12 of `[series, judged]`, in blocks of 16 MiB, or of one series if that
    is larger. The work is done once for each season that judged weeks lie in.

    References
    ----------
    Vega T, Lozano JE, Meerhoff T, Snacken R, Mott J, Ortiz de Lejarazu R, Nunes B (2013). Influenza
    surveillance in Europe: establishing epidemic thresholds by the moving epidemic method.
    Influenza and Other Respiratory Viruses 7, 546-558.

    Vega T, Lozano JE, Meerhoff T, Snacken R, Beaute J, Jorgensen P, Ortiz de Lejarazu R, Domegan L,
    Mossong J, Nielsen J, Born R, Larrauri A, Brown C (2015). Influenza surveillance in Europe:
    comparing intensity levels calculated using the moving epidemic method. Influenza and Other
    Respiratory Viruses 9, 234-246.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> week = np.arange(52)
    >>> season = np.round(10 + week % 3 + 200 * np.exp(-(((week - 20) / 4) ** 2)))
    >>> panel = Panel(np.tile(season, 5)[None], grain="week", period=52)
    >>> found = Mem(season_start=1).thresholds(panel, at=slice(-1, None))
    >>> [float(threshold[0, 0].round()) for threshold in found]
    [44.0, 143.0, 225.0, 274.0]
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["mem"] = "mem"
    seasons: int = Field(default=10, ge=1, le=50, description="Most past seasons used")
    min_seasons: int = Field(default=2, ge=1, le=50, description="Fewest past seasons that suffice")
    season_start: int = Field(
        default=40, ge=1, le=53, description="Week of the year in which a season begins"
    )
    delta: float = Field(
        default=2.8, gt=0, le=100, description="Least gain within an epidemic, % of the season"
    )
    highest: int = Field(
        default=30, ge=3, le=1000, description="Values of all seasons that make a threshold"
    )
    level: float = Field(
        default=0.95, gt=0.5, lt=1, description="One-sided level of the pre-epidemic threshold"
    )
    alarm_at: Literal["epidemic", "medium", "high", "very_high"] = Field(
        default="epidemic", description="Threshold above which there is an alarm"
    )

    def lookback(self, grain: Grain) -> int:
        """Say how many steps before a judged one the verdict may depend on.

        Examples
        --------
        >>> Mem(seasons=5).lookback("week")
        318
        """
        return (self.seasons + 1) * longest_year(grain)

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        """Judge the time positions `at` (default: all) of every series.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel, Reason
        >>> verdicts = Mem().judge(Panel(np.ones((1, 60)), grain="week"), at=slice(-1, None))
        >>> Reason(verdicts.reason[0, 0]).name
        'insufficient_history'
        """
        return judge_in_blocks(
            panel, at, self._rule, floats_per_series=lambda judged: self._floats(panel, judged)
        )

    def thresholds(self, panel: Panel, at: Positions | slice | None = None) -> MemThresholds:
        """Give all thresholds for the seasons of the time positions `at` (default: all).

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel
        >>> Mem().thresholds(Panel(np.ones((2, 60)), grain="week")).epidemic.shape
        (2, 60)
        """
        index = judged_positions(at, panel.counts.shape[1])
        shape = (panel.counts.shape[0], index.size)
        found = MemThresholds(*(np.full(shape, np.nan) for _ in MemThresholds._fields))
        rows = max(1, BLOCK_FLOATS // self._floats(panel, index.size))
        for start in range(0, shape[0] if index.size else 0, rows):
            block = slice(start, start + rows)
            for name in ("epidemic", *_INTENSITY_LEVELS):
                base = self._moments(panel, index, block, epidemic=name != "epidemic")
                limit = base.mean + self._width(name) * base.sd
                values = limit if name == "epidemic" else np.exp(limit)
                getattr(found, name)[block] = np.where(self._suffices(base), values, np.nan)
        return found

    def _rule(self, panel: Panel, index: Positions, out: Verdicts, series: slice) -> None:
        logs = self.alarm_at != "epidemic"
        base = self._moments(panel, index, series, epidemic=logs)
        observed = gather(panel.counts[series], index)
        limit = base.mean + self._width(self.alarm_at) * base.sd
        level = np.exp(base.mean) if logs else base.mean
        out.expected[:] = level
        out.upper[:] = np.exp(limit) if logs else limit
        flat = base.sd == 0
        # The logarithm of a Poisson count varies by 1 / sqrt(mean).
        ordinary = np.sqrt(np.maximum(level, 1.0)) ** (-1 if logs else 1)
        scaled = np.log(np.maximum(observed, 1e-9)) if logs else observed
        out.score[:] = (scaled - base.mean) / np.where(flat, ordinary, base.sd)
        out.p_value[:] = ndtr(-out.score)
        reason = np.where(flat, Reason.constant_baseline, Reason.ok)
        reason[flat & (level == 0)] = Reason.all_zero
        conclude(
            out,
            observed=observed,
            judgeable=self._suffices(base),
            reason=reason.astype(np.uint8),
        )

    def _suffices(self, base: PooledMoments) -> NDArray[np.bool_]:
        enough: NDArray[np.bool_] = (base.seasons >= self.min_seasons) & (base.values >= _FEWEST)
        return enough

    def _width(self, name: str) -> float:
        return NormalDist().inv_cdf(_INTENSITY_LEVELS.get(name, self.level))

    def _floats(self, panel: Panel, judged: int) -> int:
        year = max(longest_year(panel.grain), steps_per_year(panel))
        return 8 * year + (self.seasons + 1) * (3 * self.highest + 4) + 12 * judged

    def _moments(
        self, panel: Panel, index: Positions, series: slice, *, epidemic: bool
    ) -> PooledMoments:
        """Moments of the values that make the threshold of each judged step's season."""
        counts = panel.counts[series]
        length = steps_per_year(panel)
        reach = (self.seasons + 1) * max(length, longest_year(panel.grain))
        first = max(0, int(index.min()) - reach)
        numbers = season_numbers(panel, first, int(index.max()) + 1, self.season_start)
        wanted, places = np.unique(numbers[index - first], return_inverse=True)
        cache: dict[int, _Season] = {}
        found = []
        for season in wanted:
            past = range(int(season) - self.seasons, int(season))
            for number in past:
                if number not in cache:
                    steps = first + np.flatnonzero(numbers == number)
                    cache[number] = self._values(counts, steps, length, epidemic=epidemic)
            found.append(self._pool([cache[number] for number in past]))
            # Seasons come in order; what lies before the next one's past is not needed again.
            cache.pop(int(season) - self.seasons, None)
        return PooledMoments(
            *(np.stack(parts, axis=1)[:, places] for parts in zip(*found, strict=True))
        )

    def _values(
        self, counts: FloatArray, steps: Positions, length: int, *, epidemic: bool
    ) -> _Season:
        """Highest values of one season, largest first, and whether the season is used."""
        year, usable = season_matrix(counts, steps, length)
        start, duration = epidemic_period(year, self.delta)
        column = np.arange(year.shape[1])
        if epidemic:
            end = (start + duration)[:, None]
            inside = (column >= start[:, None]) & (column < end) & (year > 0)
            with np.errstate(divide="ignore"):
                year = np.log(year)
        else:
            inside = column < start[:, None]
        return highest(np.where(inside & usable[:, None], year, np.nan), self.highest), usable

    def _pool(self, past: list[_Season]) -> PooledMoments:
        used = np.sum([usable for _, usable in past], axis=0)
        each = np.maximum(1, np.rint(self.highest / np.maximum(used, 1)))
        return pooled_moments([values for values, _ in past], each, used.astype(np.float64))
