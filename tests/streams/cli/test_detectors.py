from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from detectors.registry import DETECTORS
from streams.errors import FenghuoError

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer.testing import Result

    Run = Callable[..., Result]


def test_every_detector_is_listed_with_a_summary(run: Run) -> None:
    found = json.loads(run("detectors", "list", "--json").stdout)
    assert [detector["type"] for detector in found] == list(DETECTORS)
    assert all(detector["summary"] for detector in found)
    assert "ears" in run("detectors", "list").stdout


@pytest.mark.parametrize("name", list(DETECTORS))
def test_every_parameter_is_shown_with_its_meaning(run: Run, name: str) -> None:
    shown = run("detectors", "show", name).stdout
    schema = json.loads(run("detectors", "show", name, "--json").stdout)
    table = shown[shown.index("Parameters") :].partition("\nNotes\n")[0].splitlines()
    for parameter in schema["properties"].keys() - {"type"}:
        (row,) = [line for line in table if line.split()[:1] == [parameter]]
        assert len(row.split()) > 3, f"{parameter} has no meaning: {row}"


def test_bounds_and_defaults(run: Run) -> None:
    table = run("detectors", "show", "ears").stdout.splitlines()
    (baseline,) = [line.split() for line in table if line.strip().startswith("baseline ")]
    assert baseline[:5] == ["baseline", "integer", "≥", "3,", "≤"]
    assert "7" in baseline


def test_a_name_that_is_close(run: Run) -> None:
    with pytest.raises(FenghuoError, match="did you mean 'ears'"):
        run("detectors", "show", "eras")
