from __future__ import annotations

from typing import TYPE_CHECKING

from typer.testing import CliRunner

from streams.cli.main import app
from tests.conftest import CONFIG

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_worker_says_at_its_start_what_is_doubtful_in_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = CONFIG.read_text(encoding="utf-8")
    head, _, _ = text.partition("\nrules:")
    rule = "{signal: ili, level: county, grain: day, detector: {type: mem}}"
    file = tmp_path / "doubtful.yaml"
    file.write_text(f"{head}\nrules:\n  daily: {rule}\n", encoding="utf-8")
    monkeypatch.setenv("FENGHUO_DATABASE", "postgresql://localhost:1/nowhere")

    result = CliRunner().invoke(app, ["worker", "--config", str(file)])

    assert result.exit_code != 0  # nobody is at that port
    assert "rules.daily.detector: mem is made for weeks" in result.stderr
    assert result.stderr.count("Warning: ") == 1
