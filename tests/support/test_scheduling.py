"""`make test` makes expensive data once: the files that need them go to one process."""

from __future__ import annotations

from pathlib import Path

from tests.support.scheduling import unit_of

_TESTS = Path(__file__).resolve().parents[1]


def test_files_that_share_the_dashboards_data_are_one_unit() -> None:
    folder = _TESTS / "dashboards"
    units = {
        unit_of(f"{file.relative_to(_TESTS.parent)}::test_it[a::b]")
        for file in folder.glob("test_*.py")
        if "Filled" in file.read_text("utf-8")
    }
    assert units == {"tests/dashboards/"}


def test_other_files_are_units_of_their_own() -> None:
    file = "tests/integration/test_crashes.py"
    assert unit_of(f"{file}::test_it[a::b]") == file
    assert unit_of("detectors/ears.py::detectors.ears.C2") == "detectors/ears.py"
