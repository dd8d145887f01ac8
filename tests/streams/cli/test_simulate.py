from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from streams.errors import FenghuoError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    Run = Callable[..., Result]

SMALL = ("--days", 5, "--seed", 3, "--start", "2009-07-01", "--regions", 2)


def test_files_that_publish_takes(run: Run, tmp_path: Path) -> None:
    run("simulate", *SMALL, "--out", tmp_path / "sim.ndjson")
    for kind in ("visits", "sales"):
        file = tmp_path / f"sim.{kind}.ndjson"
        lines = file.read_bytes().splitlines()
        assert len(lines) > 50
        checked = run("publish", file, "--kind", kind, "--dry-run")
        assert checked.exit_code == 0
        assert f"{len(lines)} events could be sent" in checked.stderr


def test_the_same_seed_gives_the_same_bytes(run: Run, tmp_path: Path) -> None:
    for name in ("a", "b"):
        run("simulate", *SMALL, "--out", tmp_path / f"{name}.ndjson")
    run("simulate", *SMALL[:2], "--seed", 4, *SMALL[4:], "--out", tmp_path / "c.ndjson")
    a, b, c = ((tmp_path / f"{name}.visits.ndjson").read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_the_truth_tells_the_outbreaks(run: Run, tmp_path: Path) -> None:
    truth = tmp_path / "truth.json"
    run(
        "simulate", "--days", 30, "--start", "2009-07-01", "--regions", 3, "--outbreaks", 3,
        "--out", tmp_path / "sim", "--truth", truth,
    )  # fmt: skip
    document = json.loads(truth.read_text())
    assert document["plan"]["time_zone"] == "Asia/Taipei"
    assert len({outbreak["region"] for outbreak in document["outbreaks"]}) == 3
    assert all(sum(outbreak["cases"]["visits"]) == 560 for outbreak in document["outbreaks"])


@pytest.mark.parametrize("days", [1, 2, 3, 28])
def test_outbreaks_fit_into_any_time(run: Run, tmp_path: Path, days: int) -> None:
    result = run(
        "simulate", "--days", days, "--regions", 1, "--outbreaks", 2, "--start", "2009-07-01",
        "--out", tmp_path / "sim",
    )  # fmt: skip
    assert "2 outbreaks" in result.stderr


def test_both_kinds_are_published(run: Run, topics: Any, consumed: Any, tmp_path: Path) -> None:
    run("simulate", *SMALL, "--out", tmp_path / "sim")
    result = run("simulate", *SMALL, "--publish")
    for kind in ("visits", "sales"):
        lines = (tmp_path / f"sim.{kind}.ndjson").read_bytes().splitlines()
        records = consumed(getattr(topics, kind))
        assert sorted(value for _, value in records) == sorted(lines)
        assert all(json.loads(value)["region"].encode() == key for key, value in records)
    assert "records sent to" in result.stderr


def test_a_plan_of_ones_own(run: Run, tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        "start: 2009-07-01\ndays: 9\nregions: [TW-TPE]\ntime_zone: Asia/Taipei\n"
        "sales: {daily_mean: 0}\nvisits: {daily_mean: 10}\n"
    )
    result = run("simulate", "--plan", plan, "--days", 2, "--out", tmp_path / "sim")
    assert "2009-07-01 to 2009-07-02, 1 regions" in result.stderr
    assert (tmp_path / "sim.sales.ndjson").read_bytes() == b""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("start: 2009-07-01\ndays: 0\n", r"plan\.yaml: days: "),
        ("start: 2009-07-01\nregions: [A, A]\n", r"plan\.yaml: regions: a code is named twice"),
        ("- a\n", "must hold keys"),
        ("a: [", "not valid YAML"),
    ],
)
def test_a_plan_with_a_fault(run: Run, tmp_path: Path, text: str, message: str) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(text)
    with pytest.raises(FenghuoError, match=message):
        run("simulate", "--plan", plan, "--out", tmp_path / "sim")


@pytest.mark.parametrize("options", [[], ["--publish", "--out", "x"]])
def test_where_to_must_be_said(run: Run, options: list[str]) -> None:
    with pytest.raises(FenghuoError, match="--out FILE or --publish"):
        run("simulate", *SMALL, *options)
