"""Prospective aberration detection on panels of count series.

Pure functions of their input: a panel of counts in, verdicts out, with no input or output, no
clock and no state. Start with :class:`Panel` and a detector such as :class:`Ears`; the contract
between them is :class:`Detector`.

Each method has a module of its own, named as its `type` (`glr` and `percentile` hold two). What
several of them need is in

- `contract`, `registry`: what a detector is, and how one is found by its name;
- `reporting`: counts of sources that come to report less often, judged as sums;
- `seasons`, `rolling`, `glm`: years on a time axis, rolling baselines, batched regressions;
- `_judging`: blocks of series, and the end of every rule: alarm, reason, what stays blank;
- `_calendar`, `_panel_checks`: dates and holidays of steps; what a panel must be;
- `_windows`, `_moments`, `_outlying_baseline`: the counts before a judged step, and their moments
  and medians;
- `_reference_values`, `_period_totals`: the same season of former years, single counts or totals;
- `_seasonal_terms`, `_recent_regression`, `_penalised_poisson`, `_negbin_regression`,
  `_glm_solver`: designs relative to the judged step, and fits to them;
- `_negative_binomial`: tails and quantiles of counts, and of mixtures of them;
- `_control_charts`: charts that accumulate, and the mean that they are compared with.

Other names with an underscore are parts of one method: `_farrington*`, `_hidden_markov` of `hmm`,
`_run_lengths` of `change_point`, `_seasonal_trend` of `stl`, `_seasonal_epidemic` of `mem`,
`_isotonic` of `outbreak_p`, `_smoothed_counts` of `essence_ewma`; `_likelihood_ratio`,
`_negbin_ratio` and `_negbin_runs` of `glr`;
`_robust_season`, `_log_linear`, `_lasting_outbreaks`, `_first_year`, `_level_drift`,
`_recurring_days`, `_outbreak_runs` and `_outbreak_filter` of `auto`; `_population` is that of
`auto` and the Farringtons.

Examples
--------
>>> import numpy as np
>>> week = Panel(np.array([[3.0, 5.0, 4.0, 4.0, 6.0, 3.0, 5.0, 12.0]]))
>>> verdicts = parse_detector({"type": "ears", "method": "C1"}).judge(week, slice(-1, None))
>>> bool(verdicts.alarm[0, 0]), Reason(verdicts.reason[0, 0]).name
(True, 'ok')
"""

from __future__ import annotations

from detectors.auto import Auto
from detectors.bayes import Bayes
from detectors.bayes_glm import Boda
from detectors.change_point import ChangePoint
from detectors.contract import Detector, Grain, Panel, Reason, Verdicts, judged_positions
from detectors.cusum import Cusum
from detectors.drop import Drop
from detectors.ears import Ears
from detectors.ears_nb import EarsNb
from detectors.essence_ewma import EssenceEwma
from detectors.ewma import Ewma
from detectors.farrington import Farrington
from detectors.farrington_flexible import FarringtonFlexible
from detectors.glr import GlrNb, GlrPoisson
from detectors.historical_limits import HistoricalLimits
from detectors.hmm import NbHmm
from detectors.holt_winters import HoltWinters
from detectors.mem import Mem
from detectors.outbreak_p import OutbreakP
from detectors.percentile import FixedValue, MovingPercentile
from detectors.rammie import Rammie
from detectors.registry import (
    DETECTORS,
    BrokenDetectorError,
    UnknownDetectorError,
    config_schema,
    parse_detector,
)
from detectors.regression import Regression
from detectors.rki import Rki
from detectors.shewhart import Shewhart
from detectors.stl import Stl
from detectors.switch import Switch

__all__ = [
    "DETECTORS",
    "Auto",
    "Bayes",
    "Boda",
    "BrokenDetectorError",
    "ChangePoint",
    "Cusum",
    "Detector",
    "Drop",
    "Ears",
    "EarsNb",
    "EssenceEwma",
    "Ewma",
    "Farrington",
    "FarringtonFlexible",
    "FixedValue",
    "GlrNb",
    "GlrPoisson",
    "Grain",
    "HistoricalLimits",
    "HoltWinters",
    "Mem",
    "MovingPercentile",
    "NbHmm",
    "OutbreakP",
    "Panel",
    "Rammie",
    "Reason",
    "Regression",
    "Rki",
    "Shewhart",
    "Stl",
    "Switch",
    "UnknownDetectorError",
    "Verdicts",
    "config_schema",
    "judged_positions",
    "parse_detector",
]
