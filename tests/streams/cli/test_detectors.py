from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from detectors.registry import DETECTORS, FAMILIES
from streams.errors import FenghuoError

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer.testing import Result

    Run = Callable[..., Result]


def test_every_detector_is_listed_with_a_summary(run: Run) -> None:
    found = json.loads(run("detectors", "list", "--json").stdout)
    assert [detector["type"] for detector in found] == list(DETECTORS)
    assert all(detector["summary"] for detector in found)
    shown = run("detectors", "list").stdout
    places = [
        shown.index(f"\n {name} ") for name in ("auto", "ears", "farrington", "cusum", "drop")
    ]
    assert places == sorted(places)
    for family in FAMILIES:
        assert family in shown


@pytest.mark.parametrize("name", list(DETECTORS))
def test_every_page_tells_when_to_use_it_and_the_papers_in_plain_text(run: Run, name: str) -> None:
    shown = run("detectors", "show", name).stdout
    assert re.search(r"\b[Uu]se it\b|\bUse\b", shown)
    assert "\nReferences\n" in shown
    assert not re.search(r":[a-z]+:`|::$|\\[a-z]", shown, re.MULTILINE)


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
    with pytest.raises(FenghuoError, match=r"did you mean 'ears'.* See fenghuo detectors list"):
        run("detectors", "show", "eras")
    with pytest.raises(FenghuoError, match="did you mean 'farrington_flexible'"):
        run("detectors", "show", "farringtonFlexible")
