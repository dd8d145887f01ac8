"""RKI 1, 2 and 3: the rules of the Robert Koch Institute, from few reference values.

Examples
--------
>>> import numpy as np
>>> from detectors.contract import Panel
>>> weeks = Panel(np.array([[2.0, 1, 3, 2, 0, 1, 9]]), grain="week", period=52)
>>> verdicts = Rki(variant=1).judge(weeks, at=slice(-1, None))
>>> verdicts.expected, verdicts.upper, verdicts.alarm
(array([[1.5]]), array([[5.323]]), array([[ True]]))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.special import ndtr

from detectors._judging import baseline_reasons, conclude, judge_in_blocks
from detectors._reference_values import enough, gather, reference_moments, reference_positions
from detectors.seasons import longest_year

if TYPE_CHECKING:
    from detectors.contract import Grain, Panel, Positions, Verdicts

__all__ = ["Rki"]

# Largest mean that is looked up in the table of Poisson limits.
_SMALL = 20.0
# The limit lies this many standard deviations above the mean.
_WIDTH = 2.0
# Fewest reference values that have a spread to speak of.
_FEWEST = 3
# Upper 95 % confidence limits of a Poisson mean when 0, 1, ..., 20 cases are observed, to three
# places (Crow & Gardner 1959).
_CROW_GARDNER: Final = np.array(
    [
        [3.285, 5.323, 6.686, 8.102, 9.598, 11.177, 12.817],
        [13.765, 14.921, 16.768, 17.633, 19.050, 20.335, 21.364],
        [22.945, 23.762, 25.400, 26.306, 27.735, 28.966, 30.017],
    ]
).ravel()


class _Reference(NamedTuple):
    years_back: int
    half_window: int
    current_year: bool


_VARIANTS: Final = {
    1: _Reference(years_back=0, half_window=6, current_year=True),
    2: _Reference(years_back=1, half_window=6, current_year=True),
    3: _Reference(years_back=2, half_window=4, current_year=False),
}


class Rki(BaseModel):
    """RKI 1, 2 and 3 (Robert Koch Institute; Riebler 2004, Hoehle 2007).

    The n reference values of the step t are y(t - w), ..., y(t - 1) if `current_year`, and for
    each year i = 1, ..., b the 2 w + 1 values y(t_i - w), ..., y(t_i + w) around the same season
    t_i of that year, w being `half_window` and b `years_back`. With m their mean and s their
    standard deviation (divisor n - 1), the limit is

    - U = m + 2 s if m > 20,
    - U = c(floor(m)) if m <= 20, where c(k) is the upper end of the 95 % confidence interval of a
      Poisson mean after k cases, as tabulated by Crow and Gardner (1959),

    and the step is an alarm if y(t) > U.

    | variant | `years_back` b | `half_window` w | `current_year` | reference values n |
    |---|---|---|---|---|
    | 1 | 0 | 6 | yes | 6 |
    | 2 | 1 | 6 | yes | 6 + 13 |
    | 3 | 2 | 4 | no | 9 + 9 |

    Use it as a simple rule where little history is at hand (1) or where the season matters and
    there are two years (2, 3). It assumes that the season repeats and knows no trend; an outbreak
    among the reference values raises the limit, and the false alarm rate is not controlled: the
    limit for small means is for the mean, not for a new count.

    Parameters
    ----------
    variant
        1, 2 or 3: sets the other parameters where they are not given.
    years_back
        Former years that give reference values.
    half_window
        Steps on either side of the same season, and steps before t in the current year.
    current_year
        Whether the steps just before t are reference values.

    Notes
    -----
    *Verdicts.* `expected` is m. `score` is 2 (y(t) - m) / (U - m), which is (y(t) - m) / s for
    m > 20: above 2 exactly where there is an alarm. `p_value` is the upper tail of the standard
    normal distribution at `score`, nominal throughout: below 0.02275 exactly where there is an
    alarm. `population` is not used.

    *Missing values* are left out, and so are steps before the panel. More than half of the n
    values, and at least 3, must be there, or the reason is `insufficient_history`. A window that
    reaches the judged step (possible only where a year is not longer than `half_window`) ends
    before it.
    Where a year is so short that the windows overlap (months), a step counts once in each of them.

    *No spread*: for m > 20 and s = 0 the reason is `constant_baseline`, U = m, and `score` takes
    the Poisson value sqrt(m) for s, so that `p_value` only ranks.

    *Memory* beyond the verdicts: about 12 arrays of `[series, judged]` in blocks of 16 MiB, or of
    one series if that is larger.

    References
    ----------
    Hoehle M (2007). surveillance: an R package for the monitoring of infectious diseases.
    Computational Statistics 22, 571-582.

    Riebler A (2004). Empirischer Vergleich von statistischen Methoden zur Ausbruchserkennung bei
    Surveillance Daten. Bachelor's thesis, University of Munich.

    Crow EL, Gardner RS (1959). Confidence intervals for the expectation of a Poisson variable.
    Biometrika 46, 441-453.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> months = Panel(np.array([[40.0, 44, 48, 44] * 9 + [60]]), grain="month", period=12)
    >>> verdicts = Rki(variant=3, half_window=1).judge(months, at=slice(-1, None))
    >>> verdicts.expected.round(2), verdicts.upper.round(2), verdicts.alarm
    (array([[42.67]]), array([[46.8]]), array([[ True]]))
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["rki"] = "rki"
    variant: Literal[1, 2, 3] = Field(default=1, description="Which of the three rules")
    years_back: int | None = Field(
        default=None, ge=0, le=50, description="Former years used; by default 0, 1, 2"
    )
    half_window: int | None = Field(
        default=None, ge=0, le=180, description="Steps on either side; by default 6, 6, 4"
    )
    current_year: bool | None = Field(
        default=None, description="Whether the last steps are used; by default yes, yes, no"
    )

    @model_validator(mode="after")
    def _some_reference_values(self) -> Rki:
        if self._wanted < _FEWEST:
            raise ValueError(
                f"half_window, years_back and current_year leave {self._wanted} reference values: "
                f"at least {_FEWEST} are needed"
            )
        return self

    def lookback(self, grain: Grain) -> int:
        """Say how many steps before a judged one the verdict may depend on.

        Examples
        --------
        >>> Rki(variant=1).lookback("week"), Rki(variant=3).lookback("week")
        (6, 110)
        """
        years, half_window, _ = self._reference
        return years * longest_year(grain) + half_window

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        """Judge the time positions `at` (default: all) of every series.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel
        >>> Rki().judge(Panel(np.zeros((1, 9)))).upper[0]
        array([  nan,   nan,   nan,   nan, 3.285, 3.285, 3.285, 3.285, 3.285])
        """
        return judge_in_blocks(panel, at, self._rule, floats_per_series=lambda judged: 12 * judged)

    @property
    def _reference(self) -> _Reference:
        default = _VARIANTS[self.variant]
        return _Reference(
            default.years_back if self.years_back is None else self.years_back,
            default.half_window if self.half_window is None else self.half_window,
            default.current_year if self.current_year is None else self.current_year,
        )

    @property
    def _wanted(self) -> int:
        years, half_window, current = self._reference
        return years * (2 * half_window + 1) + (half_window if current else 0)

    def _rule(self, panel: Panel, index: Positions, out: Verdicts, series: slice) -> None:
        years, half_window, current = self._reference
        positions = reference_positions(
            panel, index, years=years, half_window=half_window, current=current
        )
        counts = panel.counts[series]
        base = reference_moments(counts, positions)
        observed = gather(counts, index)
        large = base.mean > _SMALL
        row = np.where(large | np.isnan(base.mean), 0.0, base.mean).astype(np.intp)
        out.expected[:] = base.mean
        out.upper[:] = np.where(large, base.mean + _WIDTH * base.sd, _CROW_GARDNER[row])
        flat = large & (base.sd == 0)
        width = np.where(flat, _WIDTH * np.sqrt(base.mean), out.upper - base.mean)
        out.score[:] = _WIDTH * (observed - base.mean) / width
        out.p_value[:] = ndtr(-out.score)
        conclude(
            out,
            observed=observed,
            judgeable=enough(base.observed, self._wanted),
            reason=baseline_reasons(flat=flat),
        )
