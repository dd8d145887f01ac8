"""Commands that write files say in one line what is wrong with a place, before their work."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from streams.cli.places import check_file, check_folder
from streams.errors import FenghuoError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    Run = Callable[..., Result]

COUNTS = "week,region,count\n" + "".join(f"2023-W{week:02},TPE,3\n" for week in range(1, 50))
DETECT = ["detect", "COUNTS", "--detector", "ears"]
COMPARE = ["evaluate", "compare", "--sets", "weekly", "--detectors", "ears"]

#: Commands that write one file, with the file named last.
FILES = {
    "init": ["init"],
    "detect": [*DETECT, "--out"],
    "simulate --out": ["simulate", "--out"],
    "simulate --truth": ["simulate", "--publish", "--truth"],
    "evaluate noise": ["evaluate", "noise", "--out"],
    "evaluate": ["evaluate", "--series", "100000", "--out"],
}
#: Commands that fill a folder, which they make themselves.
FOLDERS = {
    "detect --plot": [*DETECT, "--out", "-", "--plot"],
    "detectors docs": ["detectors", "docs"],
    "schema export": ["schema", "export", "--out"],
    "evaluate compare": [*COMPARE, "--out"],
    "demo": ["demo", "--output"],
    "up": ["up", "--folder"],
}


@pytest.fixture
def counts(tmp_path: Path) -> str:
    file = tmp_path / "counts.csv"
    file.write_text(COUNTS)
    return str(file)


def placed(arguments: list[str], counts: str) -> list[str]:
    return [counts if text == "COUNTS" else text for text in arguments]


@pytest.mark.parametrize("command", FILES)
def test_a_folder_that_is_missing(run: Run, counts: str, tmp_path: Path, command: str) -> None:
    with pytest.raises(FenghuoError, match=r"there is no folder .*none; make it first\.$"):
        run(*placed(FILES[command], counts), tmp_path / "none" / "out.csv")
    assert [one.name for one in tmp_path.iterdir()] == ["counts.csv"]


@pytest.mark.parametrize("command", sorted(set(FILES) - {"simulate --out"}))  # adds an ending
def test_a_folder_in_place_of_a_file(run: Run, counts: str, tmp_path: Path, command: str) -> None:
    with pytest.raises(FenghuoError, match=r": this is a folder; name a file in it\.$"):
        run(*placed(FILES[command], counts), tmp_path)


@pytest.mark.parametrize("command", FOLDERS)
@pytest.mark.parametrize("below", ["", "/below"])
def test_a_file_in_place_of_a_folder(run: Run, counts: str, command: str, below: str) -> None:
    with pytest.raises(FenghuoError, match=r"is no folder; name a folder\.$"):
        run(*placed(FOLDERS[command], counts), f"{counts}{below}")


def test_places_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_file(tmp_path / "v.csv", "--out")
    check_folder(tmp_path / "a" / "b", "--plot")
    # Tests may run as root, who may write everywhere.
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(FenghuoError, match=r"^--out .*v\.csv: this may not be written"):
        check_file(tmp_path / "v.csv", "--out")
    with pytest.raises(FenghuoError, match=r"^--plot .*/a/b: .* may not be written"):
        check_folder(tmp_path / "a" / "b", "--plot")
