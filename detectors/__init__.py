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

from detectors.contract import Detector, Grain, Panel, Reason, Verdicts, judged_positions
from detectors.ears import Ears
from detectors.registry import (
    DETECTORS,
    BrokenDetectorError,
    UnknownDetectorError,
    config_schema,
    parse_detector,
)

__all__ = [
    "DETECTORS",
    "BrokenDetectorError",
    "Detector",
    "Ears",
    "Grain",
    "Panel",
    "Reason",
    "UnknownDetectorError",
    "Verdicts",
    "config_schema",
    "judged_positions",
    "parse_detector",
]
