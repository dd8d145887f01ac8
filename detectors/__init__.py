"""Prospective aberration detection on panels of count series.

Pure functions of their input: a panel of counts in, verdicts out, with no input or output, no
clock and no state. Start with :class:`Panel` and a detector such as :class:`Ears`; the contract
between them is :class:`Detector`.

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
