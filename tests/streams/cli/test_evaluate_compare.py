from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING

import pytest
import typer
from typer.testing import CliRunner

from detectors.evaluation import run as run_one
from detectors.evaluation.compare import compare
from streams.cli import evaluate
from streams.errors import FenghuoError
from streams.evaluation import running
from streams.evaluation.pages import set_page
from streams.evaluation.running import Plan, compare_sets
from streams.evaluation.storing import load_beside_r, load_set, store_beside_r, store_set

if TYPE_CHECKING:
    from pathlib import Path

    from streams.evaluation.running import SetResult

PLAN = Plan(sets=("weekly",), detectors=("ears", "rki"), scale=0.02, draws=20, workers=1)


@pytest.fixture(scope="module")
def result() -> SetResult:
    (found,) = compare_sets(PLAN)
    return found


def invoke(*arguments: str) -> object:
    app = typer.Typer()
    app.callback()(lambda: None)
    evaluate.register(app)
    return CliRunner().invoke(app, ["evaluate", "compare", *arguments])


def test_results_survive_their_file(result: SetResult, tmp_path: Path) -> None:
    store_set(result, tmp_path)
    again = load_set("weekly", tmp_path)
    assert again is not None
    for one, other in zip(again.others, result.others, strict=True):
        assert one.name == other.name
        for point, same in zip(one.matched, other.matched, strict=True):
            assert point.verdicts == same.verdicts
            for name, found in point.differences.items():
                expected = tuple(same.differences[name])
                assert tuple(found) == pytest.approx(expected, abs=1e-6, nan_ok=True)
    store_set(again, tmp_path)
    once_more = load_set("weekly", tmp_path)
    assert once_more is not None
    assert set_page(once_more) == set_page(again)
    times = [one.matched[0].figures["half_time"] for one in again.others]
    assert any(math.isinf(each.value) for each in times)
    assert load_set("daily-seen", tmp_path) is None


def test_the_csv_has_a_row_for_each_figure(result: SetResult, tmp_path: Path) -> None:
    store_set(result, tmp_path)
    rows = list(csv.DictReader((tmp_path / "weekly.csv").read_text("utf-8").splitlines()))
    ears = [row for row in rows if row["method"] == "ears C1" and row["figure"] == "pod"]
    assert [row["alarms"] for row in ears] == ["matched"] * 3 + ["own"]
    assert {row["auto"] for row in ears} <= {"won", "open", "lost"}
    assert float(ears[0]["low"]) <= float(ears[0]["value"]) <= float(ears[0]["high"])


def test_figures_beside_r_survive_their_file(tmp_path: Path) -> None:
    rows = compare("weekly", series=42, seed=1, detectors=["EARS_C1", "shewhart", "eras"])
    store_beside_r("weekly", rows, tmp_path)
    again = load_beside_r("weekly", tmp_path)
    assert again is not None
    assert [(row.method, row.skipped, row.size) for row in again] == [
        (row.method, row.skipped, row.size) for row in rows
    ]
    assert again[0].figures["pod_k10"].reference == pytest.approx(0.9143)
    assert again[1].figures["fpr"].reference is None


def test_pages_pictures_and_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "BESIDE_R", {})
    options = ("--out", str(tmp_path), "--workers", "1", "--scale", "0.02", "--draws", "20")
    chosen = ("--sets", "weekly", "--detectors", "ears", "--no-beside-r")
    found = invoke(*options, *chosen)
    assert found.exit_code == 0, found.output  # type: ignore[attr-defined]
    assert "weekly" in found.stdout  # type: ignore[attr-defined]
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {
        "README.md",
        "weekly.md",
        "weekly.csv",
        "weekly.json",
        "weekly-roc.png",
        "weekly-amoc.png",
    }
    page = (tmp_path / "weekly.md").read_text("utf-8")
    assert "## At a false-positive rate of 2.6 %" in page
    assert "| **auto** |" in page
    (tmp_path / "weekly.md").unlink()
    again = invoke("--out", str(tmp_path), "--redraw")
    assert again.exit_code == 0, again.output  # type: ignore[attr-defined]
    assert (tmp_path / "weekly.md").read_text("utf-8") == page


def test_mistakes_are_told(tmp_path: Path) -> None:
    for arguments in (("--sets", "yearly"), ("--redraw",)):
        found = invoke(*arguments)
        assert isinstance(found.exception, FenghuoError)  # type: ignore[attr-defined]


def test_a_broken_method_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ValueError("no season\nat all")

    monkeypatch.setattr(
        running,
        "run",
        lambda one, *a, **k: run_one(one, *a, **k) if one.name == "auto" else broken(),
    )
    (found,) = compare_sets(
        Plan(sets=("weekly",), detectors=("mem",), scale=0.02, draws=20, workers=1)
    )
    assert found.failed == {"mem": "ValueError: no season"}
    assert "- mem: ValueError: no season" in set_page(found)
