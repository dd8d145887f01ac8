from __future__ import annotations

import detectors


def test_public_names() -> None:
    assert detectors.__all__ == [
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
    assert all(hasattr(detectors, name) for name in detectors.__all__)
