"""Bayes 1, 2 and 3: a count against what its reference values predict.

Examples
--------
>>> import numpy as np
>>> from detectors.contract import Panel
>>> weeks = Panel(np.array([[2.0, 1, 3, 2, 0, 1, 6]]), grain="week", period=52)
>>> verdicts = Bayes(years_back=0).judge(weeks, at=slice(-1, None))
>>> verdicts.upper, verdicts.p_value.round(4), verdicts.alarm
(array([[4.]]), array([[0.0111]]), array([[ True]]))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from detectors._judging import conclude, judge_in_blocks
from detectors._negative_binomial import nb_quantile, nb_tail
from detectors._reference_values import enough, gather, reference_moments, reference_positions
from detectors.seasons import longest_year

if TYPE_CHECKING:
    from detectors.contract import Grain, Panel, Positions, Verdicts

__all__ = ["Bayes"]

# Shape of Jeffreys' prior Gamma(1/2, 0) of a Poisson mean.
_PRIOR_SHAPE = 0.5


class Bayes(BaseModel):
    """The Bayesian rule for few reference values (Riebler 2004; Hoehle 2007).

    The n reference values y_1, ..., y_n of the step t are y(t - w), ..., y(t - 1) if
    `current_year`, and the 2 w + 1 values around the same season of each of the last b years, w
    being `half_window` and b `years_back`. They and y(t) are taken as independent Poisson counts
    with one mean lambda, which has Jeffreys' prior, Gamma(1/2, 0). Then

    - lambda given the reference values is Gamma(1/2 + sum y_i, n),
    - y(t) given them is negative binomial with size 1/2 + sum y_i and probability n / (n + 1):
      mean mu = (1/2 + sum y_i) / n, variance mu (n + 1) / n.

    The limit U is the smallest count with P(y(t) <= U) >= 1 - `alpha`, and the step is an alarm if
    y(t) > U.

    The variants of the literature are Bayes 1 (`years_back` 0, `half_window` 6, `current_year`),
    Bayes 2 (1, 6, `current_year`) and Bayes 3 (2, 4, not `current_year`).

    Use it for small counts with little history: it is exact for few values and never has a
    threshold of zero width. It assumes Poisson counts, so that it gives many false alarms where
    counts vary more than that or have a trend.

    Parameters
    ----------
    years_back
        Former years b that give reference values.
    half_window
        Steps w on either side of the same season, and before t in the current year.
    current_year
        Whether the steps just before t are reference values.
    alpha
        One-sided level.

    Notes
    -----
    *Verdicts.* `expected` is mu. `p_value` is P(X >= y(t)) under the predictive distribution, not
    randomised: at most `alpha` exactly where there is an alarm, and conservative (stochastically
    larger than uniform) since counts are whole numbers. A fraction counts as the next whole number
    there. `score` is (y(t) - mu) / sqrt(mu (n + 1) / n). `population` is not used.

    *Missing values* are left out, and so are steps before the panel. More than half of the n
    values, and at least 3 (all if n < 3), must be there, or the reason is `insufficient_history`.
    Where a year is so short that the windows overlap (months), a step counts once in each of them.

    *All-zero and constant reference values* are nothing special: the reason is `ok`.

    *Numbers.* Tail and quantile are exact (incomplete beta function) up to a mean of 1e8, beyond
    which the gamma or normal distribution of the same moments is used.

    *Memory* beyond the verdicts: about 24 arrays of `[series, judged]` in blocks of 16 MiB, or of
    one series if that is larger.

    References
    ----------
    Riebler A (2004). Empirischer Vergleich von statistischen Methoden zur Ausbruchserkennung bei
    Surveillance Daten. Bachelor's thesis, University of Munich.

    Hoehle M (2007). surveillance: an R package for the monitoring of infectious diseases.
    Computational Statistics 22, 571-582.

    Examples
    --------
    >>> import numpy as np
    >>> from detectors.contract import Panel
    >>> weeks = Panel(np.zeros((1, 8)), grain="week", period=52)
    >>> verdicts = Bayes(years_back=0).judge(weeks, at=slice(-1, None))
    >>> verdicts.expected.round(4), verdicts.upper  # zeros: Gamma(1/2, 6)
    (array([[0.0833]]), array([[1.]]))
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["bayes"] = "bayes"
    years_back: int = Field(default=0, ge=0, le=50, description="Former years used")
    half_window: int = Field(
        default=6, ge=0, le=180, description="Steps on either side of the same season"
    )
    current_year: bool = Field(default=True, description="Whether the last steps are used")
    alpha: float = Field(default=0.05, gt=0, lt=1, description="One-sided level")

    @model_validator(mode="after")
    def _some_reference_values(self) -> Bayes:
        if self._wanted == 0:
            raise ValueError(
                "half_window, years_back and current_year leave no reference values: "
                "give years_back at least 1, or half_window at least 1 with current_year"
            )
        return self

    def lookback(self, grain: Grain) -> int:
        """Say how many steps before a judged one the verdict may depend on.

        Examples
        --------
        >>> Bayes().lookback("week"), Bayes(years_back=2).lookback("month")
        (6, 30)
        """
        return self.years_back * longest_year(grain) + self.half_window

    def judge(self, panel: Panel, at: Positions | slice | None = None) -> Verdicts:
        """Judge the time positions `at` (default: all) of every series.

        Examples
        --------
        >>> import numpy as np
        >>> from detectors.contract import Panel
        >>> Bayes().judge(Panel(np.zeros((1, 7)))).upper[0]
        array([nan, nan, nan, nan,  1.,  1.,  1.])
        """
        return judge_in_blocks(panel, at, self._rule, floats_per_series=lambda judged: 24 * judged)

    @property
    def _wanted(self) -> int:
        current = self.half_window if self.current_year else 0
        return self.years_back * (2 * self.half_window + 1) + current

    def _rule(self, panel: Panel, index: Positions, out: Verdicts, series: slice) -> None:
        positions = reference_positions(
            panel,
            index,
            years=self.years_back,
            half_window=self.half_window,
            current=self.current_year,
        )
        counts = panel.counts[series]
        base = reference_moments(counts, positions)
        observed = gather(counts, index)
        known = np.where(base.observed > 0, base.observed, np.nan)
        size = _PRIOR_SHAPE + base.total
        mean = size / known
        out.expected[:] = mean
        out.upper[:] = nb_quantile(mean, size, self.alpha)
        out.score[:] = (observed - mean) / np.sqrt(mean * (1 + 1 / known))
        out.p_value[:] = nb_tail(observed, mean, size)
        conclude(out, observed=observed, judgeable=enough(base.observed, self._wanted))
