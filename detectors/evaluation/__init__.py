"""The evaluation kit: simulated series with known outbreaks, and what a detector makes of them.

- :func:`simulate_weekly` and :func:`simulate_daily` make panels with their truth from a seed;
- :func:`measure` gives the field's figures with intervals, :func:`matched_fpr` and :func:`roc`
  compare detectors at equal false-positive rates, :func:`oracle` is the ceiling;
- :func:`compare` puts our figures beside those of R surveillance 1.20.3;
- :func:`run` and :func:`against` compare `auto` with a single method on the series of
  :data:`DATA_SETS`, in pairs.

Examples
--------
>>> from detectors import Ears
>>> made = simulate_weekly(series=500, seed=1)
>>> verdicts = Ears(method="C2", alpha=0.01).judge(made.panel, made.judged)
>>> found = measure(verdicts.alarm, made.truth)
>>> 0.06 < found.fpr.value < 0.09, 0.6 < found.pod.value < 0.75
(True, True)
"""

from __future__ import annotations

from detectors.evaluation.against import Against, against, run
from detectors.evaluation.compare import Compared, Comparison, compare, markdown
from detectors.evaluation.contenders import Contender, contenders
from detectors.evaluation.curves import Curve, Matched, matched_fpr, roc
from detectors.evaluation.data_sets import DATA_SETS, DataSet
from detectors.evaluation.metrics import Estimate, Metrics, first_alarm, measure
from detectors.evaluation.oracle import oracle
from detectors.evaluation.reference_methods import DAILY_METHODS, WEEKLY_METHODS, ReferenceMethod
from detectors.evaluation.simulate_daily import rolling_week, simulate_daily
from detectors.evaluation.simulate_drawn import simulate_drawn
from detectors.evaluation.simulate_weekly import simulate_weekly
from detectors.evaluation.simulation import Simulation, Truth
from detectors.evaluation.tables import table

__all__ = [
    "DAILY_METHODS",
    "DATA_SETS",
    "WEEKLY_METHODS",
    "Against",
    "Compared",
    "Comparison",
    "Contender",
    "Curve",
    "DataSet",
    "Estimate",
    "Matched",
    "Metrics",
    "ReferenceMethod",
    "Simulation",
    "Truth",
    "against",
    "compare",
    "contenders",
    "first_alarm",
    "markdown",
    "matched_fpr",
    "measure",
    "oracle",
    "roc",
    "rolling_week",
    "run",
    "simulate_daily",
    "simulate_drawn",
    "simulate_weekly",
    "table",
]
