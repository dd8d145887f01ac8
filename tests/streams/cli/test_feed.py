from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from streams.errors import FenghuoError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from typer.testing import Result

    Run = Callable[..., Result]
    Consumed = Callable[[str], list[tuple[bytes, bytes]]]

HEADER = "event_id,source_id,facility_id,region,occurred_at,age,icd10,complaint"
GOOD = 'v{n},his,H1,TW-TPE,2009-08-03T09:00:00+08:00,34,J11.1 R50.9,"发热, 咳嗽"'


@pytest.fixture
def visits(tmp_path: Path) -> Path:
    """Three good rows among bad ones."""
    file = tmp_path / "visits.csv"
    rows = [
        HEADER,
        GOOD.format(n=1),
        GOOD.format(n=2).replace(",34,", ",300,"),
        GOOD.format(n=3),
        GOOD.format(n=4).replace("TW-TPE", "TW-XXX"),
        GOOD.format(n=5).replace("咳嗽", "13800138000"),
        GOOD.format(n=6),
    ]
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return file


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_a_code_that_is_too_wide_is_told_once_with_what_to_send(
    run: Run, tmp_path: Path, topics: Any, consumed: Consumed, options: tuple[str, ...]
) -> None:
    file = tmp_path / "wide.csv"
    rows = [HEADER, *(GOOD.format(n=n).replace("TW-TPE", "TW") for n in (1, 2)), GOOD.format(n=3)]
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")

    result = run("publish", file, "--kind", "visits", *options)

    said = " ".join(result.stderr.split())
    assert "2 events: TW 臺灣 is a nation: the events count there, and in no region below" in said
    assert said.count("is a nation") == 1
    assert result.exit_code == 0  # nothing is refused: a wrong place is better than no count
    assert len(consumed(topics.visits)) == (0 if options else 3)


def test_good_rows_are_published_and_bad_ones_told(
    run: Run, visits: Path, topics: Any, consumed: Consumed
) -> None:
    result = run("publish", visits, "--kind", "visits")

    records = consumed(topics.visits)
    events = sorted((json.loads(value) for _, value in records), key=lambda e: e["event_id"])
    assert [event["event_id"] for event in events] == ["v1", "v3", "v6"]
    assert {key for key, _ in records} == {b"TW-TPE"}
    assert events[0]["icd10"] == ["J11.1", "R50.9"]
    assert result.exit_code == 1
    assert f"{visits}:3: impossible_value: age:" in result.stderr
    assert f"{visits}:5: unknown_region: region is no code" in result.stderr
    assert "TW-XXX" not in result.stderr
    assert f"{visits}:6: personal_data: " in result.stderr
    assert "13800138000" not in result.output
    assert f"3 events sent to {topics.visits}." in result.stderr
    assert "3 bad rows not sent" in result.stderr


def test_bad_rows_can_be_skipped(run: Run, visits: Path, topics: Any, consumed: Consumed) -> None:
    assert run("publish", visits, "--kind", "visits", "--skip-bad").exit_code == 0
    assert len(consumed(topics.visits)) == 3


def test_a_dry_run_sends_nothing_and_needs_no_broker(
    run: Run, visits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FENGHUO_KAFKA", "127.0.0.1:9")
    result = run("publish", visits, "--kind", "visits", "--dry-run")
    assert result.exit_code == 1
    assert "3 events could be sent to fever-clinic.visits." in result.stderr


def test_standard_input(run: Run, topics: Any, consumed: Consumed) -> None:
    sale = {
        "event_id": "s1",
        "source_id": "pos",
        "facility_id": "P1",
        "region": "TW-KHH",
        "occurred_at": "2009-08-03T09:00:00+08:00",
        "atc": "N02BE01",
        "quantity": 0.5,
    }
    line = json.dumps(sale).encode()
    result = run("publish", "-", "--kind", "sales", "--format", "ndjson", stdin=line + b"\n")
    assert result.exit_code == 0
    assert consumed(topics.sales) == [(b"TW-KHH", line)]


def test_only_the_first_bad_rows_are_told_in_full(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "visits.csv"
    bad = GOOD.replace(",34,", ",300,")
    file.write_text("\n".join([HEADER, *(bad.format(n=n) for n in range(30))]), encoding="utf-8")
    result = run("publish", file, "--kind", "visits", "--dry-run")
    assert result.stderr.count("impossible_value: age") == 20
    assert "30 bad rows not sent: 30 impossible_value." in result.stderr


def test_a_broker_that_is_away(run: Run, visits: Path) -> None:
    with pytest.raises(FenghuoError, match=r"No Kafka broker answers at 127\.0\.0\.1:9"):
        run("publish", visits, "--kind", "visits", "--kafka", "127.0.0.1:9")


def test_counts_are_imported(run: Run, database: str, tmp_path: Path) -> None:
    file = tmp_path / "counts.csv"
    file.write_text("period,region,count\n2009-W10,臺北市,12\n2009-W11,TW-TPE,9\n")

    result = run("import-counts", file, "--signal", "ili")

    assert result.exit_code == 0
    assert "ili: 2 (2 new, 0 changed), regions: 1" in result.stderr
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT region, grain, period::text, value::int FROM imported_counts ORDER BY period"
        ).fetchall()
    assert rows == [("TW-TPE", "week", "2009-03-02", 12), ("TW-TPE", "week", "2009-03-09", 9)]


def test_an_import_tells_what_it_replaces_and_what_is_doubtful(
    run: Run, database: str, tmp_path: Path
) -> None:
    file = tmp_path / "counts.csv"
    file.write_text("period,region,count,stratum\n2009-W10,TW-TPE,12,0-6\n2009-W10,TW-TPE,9,7-12\n")
    assert "replace" not in run("import-counts", file, "--signal", "ili").stderr

    file.write_text("period,region,count\n2009-W10,TW-TPE,20.5\n")
    told = run("import-counts", file, "--signal", "ili").stderr

    assert "1 count is no whole number, such as 20.5 (TW-TPE, 2009-03-02), though ili" in told
    assert "ili: 1 (1 new, 0 changed), regions: 1" in told
    assert (
        "They replace 2 imported counts of the same regions and weeks in other age groups, or in "
        "all (sum 21)." in told
    )


def test_the_running_day_is_not_imported(run: Run, database: str, tmp_path: Path) -> None:
    # The local day of the configuration, which is ahead of UTC by eight hours.
    today = datetime.now(UTC).astimezone(ZoneInfo("Asia/Taipei")).date()
    later = today + timedelta(days=1)
    file = tmp_path / "counts.csv"
    file.write_text(
        f"period,region,count\n{later - timedelta(days=30)},TW-TPE,9\n{later},TW-TPE,1\n"
    )
    with pytest.raises(FenghuoError, match=rf"counts\.csv:3: period {later} has not ended"):
        run("import-counts", file, "--signal", "ili", "--grain", "day")
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT FROM imported_counts").fetchone() is None


def test_which_day_it_is_tells_the_database(run: Run, database: str, tmp_path: Path) -> None:
    """The clock of the machine on which the command runs may be wrong, and no count is hidden."""
    today = datetime.now(UTC).astimezone(ZoneInfo("Asia/Taipei")).date()
    with psycopg.connect(database) as connection:
        connection.execute(
            "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql "
            "AS 'SELECT pg_catalog.clock_timestamp() - make_interval(days => 10)'"
        )
    behind = make_conninfo(database, options="-c search_path=public,pg_catalog")
    file = tmp_path / "counts.csv"
    file.write_text(f"period,region,count\n{today - timedelta(days=5)},TW-TPE,9\n")
    command = ("import-counts", file, "--signal", "ili", "--grain", "day", "--database", behind)
    try:
        with pytest.raises(FenghuoError, match=r"has not ended, today is"):
            run(*command)
    finally:
        with psycopg.connect(database) as connection:
            connection.execute("DROP FUNCTION public.clock_timestamp()")
    assert run(*command).exit_code == 0


def test_nothing_is_imported_if_a_row_is_bad(run: Run, database: str, tmp_path: Path) -> None:
    file = tmp_path / "counts.csv"
    file.write_text("period,region,count\n2009-W10,TW-TPE,12\n2009-W11,TW-TPE,x\n")
    with pytest.raises(FenghuoError, match=r"counts\.csv:3: count 'x' is no number"):
        run("import-counts", file, "--signal", "ili")
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT FROM imported_counts").fetchone() is None


@pytest.mark.parametrize("region", ["臺北市", "TW-TPE"])
def test_an_import_is_taken_back(run: Run, database: str, tmp_path: Path, region: str) -> None:
    file = tmp_path / "counts.csv"
    file.write_text(
        "period,region,count\n2009-W10,臺北市,12\n2009-W11,TW-TPE,9\n2009-W11,TW-KHH,1\n"
    )
    assert run("import-counts", file, "--signal", "ili").exit_code == 0
    chosen = ("--signal", "ili", "--remove", "--region", region, "--from", "2009-W11")

    def periods() -> list[tuple[Any, ...]]:
        with psycopg.connect(database) as connection:
            return connection.execute("SELECT region, period::text FROM imported_counts").fetchall()

    planned = run("import-counts", *chosen)
    assert "Would remove 1 imported counts of ili (sum 9), regions: 1" in planned.stderr
    assert "add --yes" in planned.stderr
    assert len(periods()) == 3
    assert "Removed 1 imported counts" in run("import-counts", *chosen, "--yes").stderr
    assert set(periods()) == {("TW-TPE", "2009-03-02"), ("TW-KHH", "2009-03-09")}
    assert "No imported counts of ili" in run("import-counts", *chosen, "--yes").stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("counts.csv", "--remove"), "--remove takes neither a file"),
        (("counts.csv", "--yes"), "go with --remove only"),
        ((), "Say which file to import"),
        (("--remove", "--from", "W10"), "--from W10 is neither a date"),
        (("--remove", "--from", "2009-W11", "--to", "2009-W10"), "exchange them"),
        (("--remove", "--region", "TW-XXX"), "--region: 'TW-XXX' is no region"),
    ],
)
def test_options_of_removal_that_do_not_fit(
    run: Run, options: tuple[str, ...], message: str
) -> None:
    with pytest.raises(FenghuoError, match=message):
        run("import-counts", *options, "--signal", "ili")
