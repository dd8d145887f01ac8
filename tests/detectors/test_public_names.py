from __future__ import annotations

import detectors


def test_public_names() -> None:
    assert detectors.__all__ == [
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
    assert all(hasattr(detectors, name) for name in detectors.__all__)
