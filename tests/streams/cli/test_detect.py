from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from detectors import Ears, Panel
from streams.cli import detect as detect_module
from streams.detect import plots as plots_module
from streams.detect import running
from streams.errors import FenghuoError

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer.testing import Result

    Run = Callable[..., Result]

REFERENCE = Path(__file__).parents[2] / "reference" / "r_surveillance" / "rods_taipei.json"
HEADER = "time,region,signal,observed,expected,upper,score,p_value,alarm,onset,reason"


def reference(case: str) -> dict[str, Any]:
    cases = json.loads(REFERENCE.read_text(encoding="utf-8"))["cases"]
    return next(one for one in cases if one["case"] == case)


@pytest.fixture
def taipei(tmp_path: Path) -> Path:
    """The reference series with whole-number times from 1."""
    path = tmp_path / "taipei.csv"
    rows = [f"{i},台北市,ili,{n}" for i, n in enumerate(reference("ears_C1")["counts"], start=1)]
    path.write_text("\n".join(["time,region,signal,count", *rows]) + "\n", encoding="utf-8")
    return path


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_reference_comes_out_of_the_command(run: Run, taipei: Path, tmp_path: Path) -> None:
    expected, out = reference("ears_C1"), tmp_path / "verdicts.csv"
    result = run(
        "detect", taipei, "--detector", "ears", "--param", "method=C1", "--param", "alpha=0.001",
        "--period", 52, "--from", expected["index"][0], "--out", out,
    )  # fmt: skip
    found = rows_of(out)
    assert [int(row["time"]) for row in found] == expected["index"]
    assert [row["alarm"] == "true" for row in found] == [bool(a) for a in expected["alarm"]]
    assert {row["alarm"] for row in found} == {"true", "false"}
    assert [float(row["observed"]) for row in found] == expected["observed"]
    np.testing.assert_allclose(
        [float(row["upper"]) for row in found], expected["upperbound"], rtol=1e-12
    )
    assert {(row["region"], row["signal"], row["reason"]) for row in found} == {
        ("台北市", "ili", "ok")
    }
    alarms = sum(expected["alarm"])
    assert f"1 series, 104 points judged, {alarms} alarms in 1 series." in result.stderr


def test_numbers_are_written_without_loss(run: Run, taipei: Path, tmp_path: Path) -> None:
    out = tmp_path / "verdicts.csv"
    run("detect", taipei, "--detector", "ears", "--period", "52", "--out", out)
    panel = Panel(np.array([reference("ears_C1")["counts"]], dtype=np.float64), period=52)
    verdicts = Ears().judge(panel)
    found = rows_of(out)
    assert out.read_text(encoding="utf-8").startswith(
        f"{HEADER}\n1,台北市,ili,2868,,,,,false,false,ins"
    )
    for column in ("expected", "upper", "score", "p_value"):
        read = [float(row[column] or "nan") for row in found]
        np.testing.assert_array_equal(read, getattr(verdicts, column)[0])


def test_long_and_wide_and_every_kind_of_time_agree(run: Run, tmp_path: Path) -> None:
    counts = [3, 5, 4, 4, 6, 3, 5, 12, 4, 30]
    times = {
        "date": [f"2009-08-{day:02d}" for day in range(1, 11)],
        "week": [f"2009-W{week:02d}" for week in range(20, 30)],
        "month": [f"2009-{month:02d}" for month in range(1, 11)],
        "integer": [str(i) for i in range(10)],
    }
    verdicts = set()
    for kind, labels in times.items():
        for header in ("time,count", "time,a"):
            path, out = tmp_path / f"{kind}.csv", tmp_path / "out.csv"
            lines = [f"{time},{n}" for time, n in zip(labels, counts, strict=True)]
            path.write_text("\n".join([header, *reversed(lines)]), encoding="utf-8")
            run("detect", path, "--detector", "ears", "--from", labels[5], "--out", out)
            found = rows_of(out)
            assert [row["time"] for row in found] == labels[5:]
            assert {row["region"] for row in found} == {"a" if header == "time,a" else ""}
            verdicts.add(tuple((row["upper"], row["score"], row["alarm"]) for row in found))
    (only,) = verdicts
    assert [alarm for *_, alarm in only] == ["false", "false", "true", "false", "true"]


def test_latest_only(run: Run, taipei: Path, tmp_path: Path) -> None:
    whole, last = tmp_path / "whole.csv", tmp_path / "last.csv"
    run("detect", taipei, "--detector", "ears", "--out", whole)
    run("detect", taipei, "--detector", "ears", "--latest", "--out", last)
    assert rows_of(last) == rows_of(whole)[-1:]


def test_gaps_are_missing_and_not_zero(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    path.write_text("time,region,signal,count\n1,a,s,5\n4,a,s,5\n2,b,s,0\n", encoding="utf-8")
    result = run("detect", path, "--detector", "ears", "--out", "-")
    found = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [(row["region"], row["time"], row["observed"]) for row in found] == [
        ("a", "1", "5"), ("a", "2", ""), ("a", "3", ""), ("a", "4", "5"),
        ("b", "1", ""), ("b", "2", "0"), ("b", "3", ""), ("b", "4", ""),
    ]  # fmt: skip
    assert [row["reason"] for row in found][:2] == ["insufficient_history", "missing_observation"]
    assert "5 of 8 counts are missing (62.5%), which is not 0." in result.stderr
    assert "Steps without any count: 1 (3)." in result.stderr
    assert "Taken as weeks, 52 in a year" in result.stderr


def test_reasons_are_summed_up(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "counts.csv"
    path.write_text("time,a\n" + "".join(f"{i},0\n" for i in range(10)), encoding="utf-8")
    stderr = run("detect", path, "--detector", "ears", "--out", tmp_path / "v.csv").stderr
    assert re.search(r"all_zero\s+6\s+60.0%", stderr)
    assert re.search(r"insufficient_history\s+4\s+40.0%", stderr)


def test_standard_input_and_a_file_of_the_detector(run: Run, tmp_path: Path) -> None:
    config = tmp_path / "ears.yaml"
    config.write_text("{type: ears, method: C2, baseline: 5}", encoding="utf-8")
    counts = "time,count\n" + "".join(f"{i},{3 + i % 3}\n" for i in range(20))
    by_file = run(
        "detect", "-", "--config", config, "--param", "lag=1", "--out", "-", stdin=counts.encode()
    )
    panel = Panel(3 + np.arange(20.0)[None] % 3)
    upper = Ears(method="C2", baseline=5, lag=1).judge(panel).upper[0]
    rows = csv.DictReader(io.StringIO(by_file.stdout))
    np.testing.assert_array_equal([float(row["upper"] or "nan") for row in rows], upper)


def test_it_says_what_an_alarm_compares_where_it_is_not_the_threshold(run: Run) -> None:
    counts = ("time,count\n" + "".join(f"{i},{3 + i % 3}\n" for i in range(140))).encode()
    for kind, said in (
        ("cusum", "the count is at least `upper` and not 0"),
        ("change_point", "the probability of a recent upward change is above `threshold`"),
        ("drop", "the count is below a lower limit"),
    ):
        found = run("detect", "-", "--detector", kind, "--out", "-", stdin=counts)
        assert f"An alarm of {kind}: {said}" in found.stderr
    ears = run("detect", "-", "--detector", "ears", "--out", "-", stdin=counts)
    assert "An alarm of" not in ears.stderr


def test_a_source_that_turns_to_weekly_reports_is_told(run: Run, tmp_path: Path) -> None:
    # The kind of a file from use: daily counts of 30, then a week's count every Thursday.
    rng = np.random.default_rng(20)
    daily = rng.poisson(30, 500)
    days = np.datetime64("2022-01-01") + np.arange(500)
    thursday = (days - np.datetime64("2022-01-06")).astype(int) % 7 == 0
    counts = np.where(np.arange(500) < 300, daily, np.where(thursday, rng.poisson(210, 500), 0))
    lines = [f"{day},MN,{count}" for day, count in zip(days, counts, strict=True)]
    path, out = tmp_path / "counts.csv", tmp_path / "v.csv"
    path.write_text("\n".join(["time,region,count", *lines]), encoding="utf-8")
    found = run("detect", path, "--detector", "switch", "--out", out)
    later = [row for row in rows_of(out)[300:440] if row["observed"] != "0"]
    assert [row["alarm"] for row in later].count("true") <= 2
    assert {row["reason"] for row in later[1:]} == {"reporting_changed"}
    assert "reporting_changed" in found.stderr


def test_pictures(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots_module, "MOST_PLOTS", 2)
    path, plots = tmp_path / "counts.csv", tmp_path / "new" / "plots"
    header = ",".join(["time", *(f"s{i}" for i in range(3))])
    lines = [",".join([str(t), *("3" for _ in range(3))]) for t in range(12)]
    path.write_text("\n".join([header, *lines]), encoding="utf-8")
    arguments = ("detect", path, "--detector", "ears", "--out", tmp_path / "v.csv", "--plot", plots)
    result = run(*arguments)
    assert len(list(plots.glob("*.png"))) == 2
    assert "Drew 2 of 3 series" in result.stderr
    run(*arguments, "--plot-all")
    assert len(list(plots.glob("*.png"))) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "Say which detector: --detector NAME or --config FILE"),
        (["--detector", "eras"], "did you mean 'ears'"),
        (["--detector", "ears", "--param", "lagg=1"], "did you mean lag?"),
        (["--detector", "ears", "--from", "365"], "after the last time of the file, 364"),
        (["--detector", "ears", "--from", "1", "--latest"], "leave out --from or --latest"),
        (["--detector", "ears", "--plot-all"], "--plot-all needs --plot FOLDER"),
        (["--detector", "ears", "--grain", "day"], "--grain is for times that are dates"),
    ],
)
def test_refused(run: Run, taipei: Path, tmp_path: Path, options: list[str], message: str) -> None:
    out = tmp_path / "v.csv"
    with pytest.raises(FenghuoError, match=re.escape(message)):
        run("detect", taipei, *options, "--out", out)
    assert not out.exists()


def test_files_that_cannot_be_read_or_written(run: Run, taipei: Path, tmp_path: Path) -> None:
    with pytest.raises(FenghuoError, match=r"none\.csv: No such file"):
        run("detect", tmp_path / "none.csv", "--detector", "ears", "--out", tmp_path / "v.csv")
    with pytest.raises(FenghuoError, match=r"v\.csv: there is no folder .*none; make it first"):
        run("detect", taipei, "--detector", "ears", "--out", tmp_path / "none" / "v.csv")
    with pytest.raises(FenghuoError, match="this is a folder; name a file in it"):
        run("detect", taipei, "--detector", "ears", "--out", tmp_path)
    with pytest.raises(FenghuoError, match="this is the file of counts; name another"):
        run("detect", taipei, "--detector", "ears", "--out", tmp_path / "." / taipei.name)
    with pytest.raises(FenghuoError, match=r"--plot .*taipei\.csv: this is no folder"):
        run("detect", taipei, "--detector", "ears", "--out", tmp_path / "v.csv", "--plot", taipei)
    assert {one.name for one in tmp_path.iterdir()} == {"taipei.csv"}


def test_seasons_without_a_calendar_are_told(run: Run, taipei: Path, tmp_path: Path) -> None:
    options = ("--detector", "mem", "--out", tmp_path / "v.csv", "--latest")
    stderr = run("detect", taipei, *options, "--param", "season_start=20").stderr
    told = "seasons begin every 52 steps, the first one at 20; say otherwise"
    assert told in " ".join(stderr.split())
    stderr = run("detect", taipei, *options, "--period", "12").stderr
    assert "seasons begin every 12 steps, the first one at 10;" in " ".join(stderr.split())
    dated = tmp_path / "dated.csv"
    dated.write_text("time,count\n2009-W01,3\n2009-W02,4\n", encoding="utf-8")
    assert "seasons begin" not in " ".join(run("detect", dated, *options).stderr.split())
    stderr = run("detect", dated, *options, "--period", "52").stderr
    assert "seasons begin every 52 steps; say" in " ".join(stderr.split())


def test_a_large_file_is_read_under_a_bar_and_as_a_small_one(
    run: Run, taipei: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small, large = tmp_path / "small.csv", tmp_path / "large.csv"
    quiet = run("detect", taipei, "--detector", "ears", "--out", small)
    monkeypatch.setattr(detect_module, "_LARGE", 1000)
    told = run("detect", taipei, "--detector", "ears", "--out", large)
    assert "Reading" not in quiet.stderr
    assert re.search(r"Reading .* 100% 365 lines", told.stderr)
    assert small.read_bytes() == large.read_bytes()


def test_a_thousand_series_are_judged_in_chunks_as_in_one(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = np.random.default_rng(3).poisson(4.0, (20, 1000))
    path, whole, parts = (tmp_path / name for name in ("c.csv", "whole.csv", "parts.csv"))
    lines = [",".join([str(t), *map(str, row)]) for t, row in enumerate(counts)]
    header = ",".join(["time", *(f"s{i}" for i in range(1000))])
    path.write_text("\n".join([header, *lines]), encoding="utf-8")
    run("detect", path, "--detector", "ears", "--out", whole)
    monkeypatch.setattr(running, "_CHUNK", 700)
    run("detect", path, "--detector", "ears", "--out", parts)
    assert whole.read_bytes() == parts.read_bytes()
    assert len(rows_of(whole)) == counts.size


def test_a_file_with_mistakes_leaves_former_verdicts_alone(run: Run, tmp_path: Path) -> None:
    path, out = tmp_path / "counts.csv", tmp_path / "v.csv"
    path.write_text("time,count\n1,x\n", encoding="utf-8")
    out.write_text("former", encoding="utf-8")
    with pytest.raises(FenghuoError, match=r"counts\.csv:2: count 'x' is no number"):
        run("detect", path, "--detector", "ears", "--out", out)
    assert out.read_text(encoding="utf-8") == "former"
    assert {one.name for one in tmp_path.iterdir()} == {"counts.csv", "v.csv"}
