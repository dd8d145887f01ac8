"""How fast the dashboards' queries are in a country: 2,900 counties, ten signals, three years.

    python -m benchmarks.dashboards [--database URI | --filled URI] [--save]

Fills a database, runs every query of every panel, variable and annotation as the role and with the
macros that Grafana uses, for the nation, a province, a prefecture and a county, over the range with
which the dashboard opens and over three years. Prints the median of five runs after a first one.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import psycopg
from psycopg.conninfo import make_conninfo

from benchmarks.servers import DatabaseServer
from schemas.config import Rule, Surveillance
from streams.config import load_configuration
from streams.embedded import EmbeddedDatabase
from streams.store.reader import grant_reader
from streams.store.timescale import HYPERTABLES
from tests.support.dashboards import Query, dashboards, queries
from tests.support.grafana import Range, expand

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.config import Configuration

HERE: Final = Path(__file__).parent
ROLE: Final = "fenghuo_bench_reader"
RUNS: Final = 5
LIMIT_MS: Final = 200.0
PLACES: Final = {
    "nation": ("nation", "100000"),
    "province": ("province", "320000"),
    "prefecture": ("prefecture", "320500"),
    "county": ("county", "320505"),
}
_SEVERITIES: Final = {"nation": "critical", "province": "critical", "county": "warning"}
#: Points of a chart that Grafana asks for.
POINTS: Final = 800


_SIZED: Final = (
    "daily_counts", "level_counts", "verdicts", "alerts", "facility_counts", "facility_reports",
    "imported_counts", "judging_runs", "intake_minutes", "intake_hours",
)  # fmt: skip


class Timing(NamedTuple):
    """One query in one place over one range."""

    query: Query
    place: str
    range: str
    rows: int
    first: float
    median: float
    plan: str


def country() -> Configuration:
    """Return the configuration, with rules for each signal on three levels."""
    configuration = load_configuration(HERE / "dashboards.yaml")
    surveillance = configuration.surveillance
    ears = {"type": "ears", "method": "C1"}
    rules = {
        f"{signal}-{level}-week": Rule.model_validate(
            {"signal": signal, "level": level, "grain": "week", "detector": ears,
             "severity": severity}
        )
        for signal in surveillance.signals
        for level, severity in _SEVERITIES.items()
    }  # fmt: skip
    rules["ili-county-rolling"] = Rule.model_validate(
        {"signal": "ili", "level": "county", "grain": "rolling7", "detector": ears}
    )
    whole = Surveillance.model_validate(surveillance.model_dump() | {"rules": rules})
    return replace(configuration, surveillance=whole)


def fill(database: str) -> None:
    """Make up three years; compress what a live TimescaleDB would have compressed."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute("SET maintenance_work_mem = '1GB'")
        for statement in (HERE / "dashboards_fill.sql").read_text().split(";\n"):
            if not statement.strip():
                continue
            began = time.monotonic()
            connection.execute(statement.encode())
            what = " ".join(line for line in statement.split("\n") if not line.startswith("--"))
            print(f"{time.monotonic() - began:7.1f} s  {what.strip()[:70]}", flush=True)
        extension = "SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"
        if connection.execute(extension).fetchone():
            # What the policies would do by and by.
            after = country().surveillance.event_time.max_age_days + 14
            for table in HYPERTABLES:
                connection.execute(
                    "SELECT compress_chunk(c) FROM show_chunks("
                    "%s, older_than => make_interval(days => %s)) c",
                    (table.table, after),
                )
        connection.execute("VACUUM ANALYZE")
        grant_reader(connection, ROLE, "bench")


def spans(query: Query, now: datetime) -> Iterator[tuple[str, Range]]:
    """Give the range with which a dashboard opens, and three years."""
    given = str(dashboards()[query.dashboard]["time"]["from"])
    days = {"now-1y": 365.0, "now-90d": 90.0, "now-6h": 0.25}[given]
    yield given, _range(now, days, query.panel)
    if days > 1:
        yield "3 years", _range(now, 3 * 365.0, query.panel)
    else:
        yield "30 days", _range(now, 30.0, query.panel)


def _range(now: datetime, days: float, panel: dict[str, Any]) -> Range:
    """Choose the interval as Grafana does: by the number of points, not below the panel's own."""
    wanted = days * 86_400 / POINTS
    steps = {"1m": 60, "5m": 300, "10m": 600, "30m": 1800, "1h": 3600, "3h": 10_800, "6h": 21_600,
             "12h": 43_200, "1d": 86_400, "2d": 172_800}  # fmt: skip
    least = steps.get(str(panel.get("interval", "1m")), 60)
    interval = next(name for name, seconds in steps.items() if seconds >= max(wanted, least))
    return Range(now - timedelta(days=days), now, interval)


def measure(
    connection: psycopg.Connection, query: Query, place: str, now: datetime
) -> list[Timing]:
    """Time a query over its ranges."""
    level, region = PLACES[place]
    chosen: dict[str, Any] = {
        "level": level,
        "region": region,
        "signal": "ili",
        "signals": list(country().surveillance.signals),
        "rule": "" if level == "prefecture" else f"ili-{level}-week",
        "age": "*",
        "web_url": "https://fenghuo.example.org",
    }
    if repeat := query.panel.get("repeat"):
        chosen[repeat] = "ili"
    found = []
    for name, span in spans(query, now):
        sql = expand(query.sql, span, chosen).encode()
        times = []
        rows = 0
        for _ in range(RUNS + 1):
            began = time.perf_counter()
            rows = len(connection.execute(sql).fetchall())
            times.append((time.perf_counter() - began) * 1000)
        explained = connection.execute(b"EXPLAIN (ANALYZE, BUFFERS) " + sql).fetchall()
        plan = "\n".join(row[0] for row in explained)
        found.append(Timing(query, place, name, rows, times[0], statistics.median(times[1:]), plan))
    return found


def report(
    timings: list[Timing], server: str, sizes: list[tuple[str, str, int]], load: tuple[float, float]
) -> str:
    """Write the table: the slowest place of each query and range."""
    lines = [
        f"# Queries of the dashboards, {datetime.now(UTC).date()}",
        "",
        f"{server}. Milliseconds until all rows are there: the median of {RUNS} runs, in the",
        "slowest of nation, province, prefecture and county; `first` is the first run there.",
        f"Processors: {os.cpu_count()}, others' load before {load[0]:.1f}, after {load[1]:.1f}.",
        "",
        "| query | range | place | rows | median | first |",
        "|---|---|---|---|---|---|",
    ]
    slowest: dict[tuple[str, str], Timing] = {}
    for one in timings:
        key = one.query.label, one.range
        if key not in slowest or one.median > slowest[key].median:
            slowest[key] = one
    for one in slowest.values():
        mark = " **over**" if one.median > LIMIT_MS else ""
        lines.append(
            f"| {one.query.label} | {one.range} | {one.place} | {one.rows} "
            f"| {one.median:.1f}{mark} | {one.first:.1f} |"
        )
    lines += ["", "| table | size | rows |", "|---|---|---|"]
    lines += [f"| `{table}` | {size} | {rows:,} |" for table, size, rows in sizes]
    over = [one for one in timings if one.median > LIMIT_MS]
    worst = max(timings, key=lambda one: one.median)
    lines.append("")
    lines.append(
        f"{len(timings)} timings, {len(over)} over {LIMIT_MS:.0f} ms; the slowest: "
        f"{worst.query.label}, {worst.place}, {worst.range}: {worst.median:.1f} ms."
    )
    return "\n".join(lines) + "\n"


def sizes_of(connection: psycopg.Connection) -> list[tuple[str, str, int]]:
    """Return the size and the rows of the tables that matter."""
    found = []
    for table in _SIZED:
        rows = connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
        extension = connection.execute(
            "SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"
        ).fetchone()
        hyper = (
            extension
            and connection.execute(
                "SELECT 1 FROM timescaledb_information.hypertables WHERE hypertable_name = %s",
                (table,),
            ).fetchone()
        )
        query = "hypertable_size(%s::regclass)" if hyper else "pg_total_relation_size(%s::regclass)"
        size = connection.execute(f"SELECT pg_size_pretty({query})".encode(), (table,)).fetchone()
        assert rows
        assert size
        found.append((table, str(size[0]), int(rows[0])))
    return found


@contextmanager
def server(given: str | None) -> Iterator[DatabaseServer]:
    """The server that was given, or the embedded one."""
    with tempfile.TemporaryDirectory(prefix="fenghuo-bench-") as folder:
        Path(folder).chmod(0o755)
        if given is not None:
            yield DatabaseServer(given, None)
            return
        with EmbeddedDatabase(Path(folder) / "pg") as embedded:
            yield DatabaseServer(embedded.uri, None)


def main() -> None:
    """Fill, measure, report."""
    parser = argparse.ArgumentParser(description="How fast the dashboards' queries are.")
    parser.add_argument("--database", help="server on which a database may be made")
    parser.add_argument("--filled", help="a database that was filled before, instead of a new one")
    parser.add_argument("--save", action="store_true", help="keep table and plans in results/")
    options = parser.parse_args()
    with server(options.database or options.filled) as databases:
        if options.filled:
            _run(options.filled, save=options.save)
            return
        with databases.fresh(country()) as database:
            fill(database)
            _run(database, save=options.save)


def _run(database: str, *, save: bool) -> None:
    now = datetime.now(UTC)
    reader = make_conninfo(database, user=ROLE, password="bench")
    with psycopg.connect(database) as owner:
        sizes = sizes_of(owner)
        version = owner.execute(
            "SELECT 'PostgreSQL ' || current_setting('server_version') || coalesce("
            "(SELECT ', TimescaleDB ' || extversion FROM pg_extension "
            "WHERE extname = 'timescaledb'), '')"
        ).fetchone()
    assert version
    before = os.getloadavg()[0]
    with psycopg.connect(reader, autocommit=True, prepare_threshold=None) as connection:
        timings = [
            timing
            for query in queries()
            for place in PLACES
            for timing in measure(connection, query, place, now)
        ]
    # We are one of those that run.
    load = (before, max(0.0, os.getloadavg()[0] - 1))
    text = report(timings, str(version[0]), sizes, load)
    print(text)
    if save:
        kind = "timescaledb" if "TimescaleDB" in version[0] else "postgresql"
        results = HERE / "results" / f"dashboards-{kind}-{now.date()}"
        results.with_suffix(".md").write_text(text, encoding="utf-8")
        plans = [
            f"-- {t.query.label} | {t.place} | {t.range} | {t.median:.1f} ms\n{t.plan}\n"
            for t in timings
        ]
        results.with_suffix(".plans.txt").write_text("\n".join(plans), encoding="utf-8")


if __name__ == "__main__":
    main()
