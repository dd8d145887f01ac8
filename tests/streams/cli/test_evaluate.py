from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import typer
from typer.testing import CliRunner

from streams.cli import evaluate

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    monkeypatch.delenv("COLUMNS", raising=False)
    made = typer.Typer()
    made.callback()(lambda: None)
    evaluate.register(made)
    return made


def test_a_table_with_the_figures_of_r(app: typer.Typer, tmp_path: Path) -> None:
    out = tmp_path / "table.md"
    found = CliRunner().invoke(
        app, ["evaluate", "--series", "210", "--detectors", "EARS_C2", "--out", str(out)]
    )
    assert found.exit_code == 0, found.output
    assert "EARS_C2" in found.stdout
    assert "0.076" in found.stdout
    assert out.read_text(encoding="utf-8").startswith("| method | k | fpr |")


def test_a_detector_that_does_not_exist_is_refused(app: typer.Typer) -> None:
    found = CliRunner().invoke(app, ["evaluate", "--series", "210", "--detectors", "EARS_C2,eras"])
    assert found.exit_code == 1
    assert str(found.exception).startswith("--detectors eras: no such detector or method; did you")


def test_false_alarms_on_noise(app: typer.Typer, tmp_path: Path) -> None:
    out = tmp_path / "noise.md"
    command = ["evaluate", "noise", "--detectors", "shewhart,ears", "--scale", "0.05"]
    found = CliRunner().invoke(app, [*command, "--workers", "1", "--out", str(out)])
    assert found.exit_code == 0, found.output
    page = out.read_text(encoding="utf-8")
    assert "**Levels are not comparable.**" in page
    assert "| [shewhart](../detectors/shewhart.md) | `alpha` 0.00135 | 6 | " in page
    assert "`method: C2`, `baseline: 84`, `lag: 7`" in page
    rows = json.loads(CliRunner().invoke(app, [*command, "--workers", "1", "--json"]).stdout)
    assert {row["grain"] for row in rows} == {"day", "rolling7", "week"}
    for row in rows:
        low, high = row["interval"]
        assert low <= row["alerts_per_series_year"] <= high
    wrong = CliRunner().invoke(app, ["evaluate", "noise", "--detectors", "eras"])
    assert str(wrong.exception).startswith("--detectors eras: there are auto, ")


def test_json(app: typer.Typer) -> None:
    found = CliRunner().invoke(
        app,
        ["evaluate", "--simulator", "daily", "--series", "16", "--detectors", "C1", "--json"],
    )
    rows = json.loads(found.stdout)
    assert [row["size"] for row in rows] == [2, 3, 5, 10]
    assert rows[0]["figures"]["pod"]["reference"] == 0.919375
