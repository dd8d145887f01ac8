"""Where the time goes: the worker under cProfile, and the commit statement by statement."""

from __future__ import annotations

import io
import json
import pstats
import re
import sys
import time
from typing import TYPE_CHECKING, Any

import psycopg

from benchmarks.race import CONTESTANTS, ROOT, Contestant, Race, stop

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

__all__ = ["profile"]

_PATIENCE = 300.0
_LINES = 45
_WAITING = re.compile("'(poll|get|acquire)' of ")


def profile(race: Race, folder: Path) -> str:
    """Run the worker and the bare commit, and return what they spent their time on, as text."""
    return "\n".join([_statements(race), *_functions(race, folder)])


def _statements(race: Race) -> str:
    contestant = next(one for one in CONTESTANTS if one.name == "upsert")
    with race.server.fresh(race.quiet) as database:
        race.make_offsets(database)
        environment = race.environment(database) | {"FENGHUO_BENCH_STATEMENTS": "1"}
        told, _ = race.start(contestant, environment).communicate(timeout=_PATIENCE)
    result = json.loads(told)
    total, events = result["seconds"], result["events"]
    rows = [("statement", "calls", "seconds", "share", "µs/event")]
    times = {name: (len(spent), sum(spent)) for name, spent in result["statements"].items()}
    times["the rest: COMMIT, Python"] = (0, total - sum(spent for _, spent in times.values()))
    for name, (calls, spent) in sorted(times.items(), key=lambda item: -item[1][1]):
        rows.append(
            (
                name,
                str(calls),
                f"{spent:.2f}",
                f"{spent / total:.0%}",
                f"{spent / events * 1e6:.2f}",
            )
        )
    table = "\n".join(f"{a:34} {b:>7} {c:>9} {d:>6} {e:>9}" for a, b, c, d, e in rows)
    return (
        f"commit_batch alone, one connection, {events} events in {total:.2f} s "
        f"({events / total:,.0f}/s). COPY includes writing its text in Python.\n\n{table}\n"
    )


def _functions(race: Race, folder: Path) -> list[str]:
    worker = Contestant("profiled", "", "benchmarks.contestants.fenghuo_profiled", judges=True)
    for old in folder.glob("*.prof"):
        old.unlink()
    with race.server.fresh(race.judging) as database:
        environment = race.environment(database, judges=True)
        environment["FENGHUO_BENCH_PROFILE"] = str(folder)
        process = race.start(worker, environment)
        try:
            _until_all_is_stored(race, worker, process, database)
        finally:
            stop(process)
    return [_text(path) for path in _largest(folder)]


def _until_all_is_stored(
    race: Race, worker: Contestant, process: subprocess.Popen[bytes], database: str
) -> None:
    deadline = time.monotonic() + _PATIENCE
    with psycopg.connect(database, autocommit=True) as connection:
        while True:
            row = connection.execute(
                "SELECT coalesce(sum(next_offset), 0) FROM stream_offsets"
            ).fetchone()
            if row and row[0] >= race.events:
                return
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"The profiled worker does not get on. See {race.log(worker)}.")
            time.sleep(0.1)


def _largest(folder: Path) -> list[Path]:
    """Return the profiles of the two busiest threads."""
    busy = {path: _busy(path) for path in folder.glob("*.prof")}
    return sorted(busy, key=lambda path: -busy[path])[:2]


def _busy(path: Path) -> float:
    """Seconds that a thread did not wait."""
    stats: dict[tuple[str, int, str], tuple[int, int, float, float, Any]]
    stats = pstats.Stats(str(path)).stats  # type: ignore[attr-defined]
    return sum(
        own for (_, _, name), (_, _, own, _, _) in stats.items() if not _WAITING.search(name)
    )


def _text(path: Path) -> str:
    out = io.StringIO()
    stats = pstats.Stats(str(path), stream=out)
    stats.sort_stats("tottime").print_stats(_LINES)
    lines = out.getvalue().splitlines()
    text = "\n".join(line.rstrip() for line in lines if str(path) not in line)
    return f"{path.stem}\n{_plain(text)}\n"


def _plain(text: str) -> str:
    """Take this machine's folders out."""
    for folder in sorted(
        {*sys.path, sys.prefix, sys.base_prefix, str(ROOT)}, key=len, reverse=True
    ):
        if len(folder) > 1:
            text = text.replace(f"{folder}/", "")
    return text
