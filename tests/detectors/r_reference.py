"""The cases of R surveillance in tests/reference, for the detectors' agreement tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from detectors.contract import Detector, Panel, Verdicts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from detectors.contract import FloatArray, Positions

__all__ = ["FILES", "RCase", "judge_case", "load_case"]

FILES: Final = sorted((Path(__file__).parents[1] / "reference" / "r_surveillance").glob("*.json"))


class RCase(NamedTuple):
    """One run of R on one series."""

    panel: Panel
    control: dict[str, Any]
    positions: Positions
    upper: FloatArray
    alarm: NDArray[np.bool_]


def load_case(file: Path, case: str) -> RCase | None:
    """Read one case; None where R was not run (too short a series)."""
    cases: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["cases"]
    found = [entry for entry in cases if entry["case"] == case]
    if not found:
        return None
    entry = found[0]
    counts = np.array([entry["counts"]], dtype=np.float64)
    return RCase(
        panel=Panel(counts, period=int(entry["frequency"])),
        control=entry["control"],
        positions=np.array(entry["index"]) - 1,
        upper=np.array(entry["upperbound"], dtype=np.float64),
        alarm=np.array(entry["alarm"], dtype=np.bool_),
    )


def judge_case(case: RCase, detector: Detector) -> Verdicts:
    """Judge what R judged."""
    return detector.judge(case.panel, case.positions)
