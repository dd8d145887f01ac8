"""Running the checks on one snapshot of a live database."""

from __future__ import annotations

import time
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import psycopg
from psycopg import sql

from streams.store.checks import alerts, counts, references, sums

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streams.store.checks.alerts import AlertCheck
    from streams.store.checks.statement import Check

__all__ = ["Checked", "run_checks"]

#: Versions of events in one window of days; bounds the memory of a comparison.
_EVENTS_AT_ONCE: Final = 5_000_000


class Checked(NamedTuple):
    """What a check found."""

    name: str
    #: What holds where nothing is wrong.
    statement: str
    examined: int
    unit: str
    wrong: int
    #: One of the things that are wrong.
    example: str | None
    seconds: float


class _Window(NamedTuple):
    first: date
    #: The day after the last one.
    last: date


def run_checks(
    connection: psycopg.Connection, on_progress: Callable[[str, int, int], None] = lambda *_: None
) -> list[Checked]:
    """Compare the tables with each other, as they are in one snapshot; nothing is written.

    Parameters
    ----------
    connection
        Outside of a transaction. Nothing on it is changed.
    on_progress
        Called with a check's name, the windows of days that it has done, and all its windows.

    Notes
    -----
    Weeks of which retention may have deleted a part are left out. No lock is taken that a worker
    waits for.
    """
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        cursor.execute("SELECT set_config('TimeZone', k.zone, true) FROM clock k")
        # Whole tables are compared. Where the planner has no statistics yet it expects few rows,
        # and a nested loop over many takes hours.
        cursor.execute("SET LOCAL enable_nestloop = off")
        windows = _windows(cursor)
        done = [
            _run(cursor, check, windows, on_progress)
            for check in (*references.CHECKS, *counts.CHECKS, *sums.CHECKS)
        ]
        for of_alerts in alerts.CHECKS:
            on_progress(of_alerts.name, 0, 1)
            done.append(_look_at_alerts(connection, of_alerts))
    return done


def _run(
    cursor: psycopg.Cursor,
    check: Check,
    windows: list[_Window],
    on_progress: Callable[[str, int, int], None],
) -> Checked:
    began = time.monotonic()
    examined = wrong = 0
    example: str | None = None
    since = windows[0].first
    query = sql.SQL("SELECT count(*), count(problem), min(problem) FROM ({}) AS checked").format(
        sql.SQL(check.query)
    )
    asked = windows if check.windowed else [_Window(since, windows[-1].last)]
    for number, window in enumerate(asked):
        on_progress(check.name, number, len(asked))
        row = cursor.execute(query, {"since": since, **window._asdict()}).fetchone()
        assert row is not None  # noqa: S101 - an aggregate gives one row
        examined, wrong, example = examined + row[0], wrong + row[1], example or row[2]
    seconds = round(time.monotonic() - began, 2)
    return Checked(check.name, check.statement, examined, check.unit, wrong, example, seconds)


def _look_at_alerts(connection: psycopg.Connection, check: AlertCheck) -> Checked:
    began = time.monotonic()
    examined = wrong = 0
    example: str | None = None
    for problem in check.problems(connection):
        examined += 1
        wrong += problem is not None
        example = example or problem
    seconds = round(time.monotonic() - began, 2)
    return Checked(check.name, check.statement, examined, check.unit, wrong, example, seconds)


def _windows(cursor: psycopg.Cursor) -> list[_Window]:
    """Cut the days that hold counts into windows of whole weeks."""
    row = cursor.execute(_EXTENT).fetchone()
    first, last, events = row or (None, None, 0)
    first = first or date(2000, 1, 3)
    if last is None or last < first:
        return [_Window(first, first + timedelta(days=7))]
    weeks = (last - first).days // 7 + 1
    number = max(1, min(weeks, events // _EVENTS_AT_ONCE))
    return list(_cut(first, weeks, number))


def _cut(first: date, weeks: int, number: int) -> Iterator[_Window]:
    bounds = [first + timedelta(days=7 * (weeks * i // number)) for i in range(number + 1)]
    for start, end in pairwise(bounds):
        yield _Window(start, end)


# From the beginning of a week of which all is kept; with the planner's estimate of the number of
# stored versions.
_EXTENT: Final = """
WITH day AS (
    SELECT least((SELECT min(e.occurred_at)::date FROM events e),
                 (SELECT min(d.day) FROM daily_counts d),
                 (SELECT min(f.day) FROM facility_counts f),
                 (SELECT min(f.day) FROM facility_days f),
                 (SELECT min(l.period) FROM level_counts l)) AS first,
           greatest((SELECT max(e.occurred_at)::date FROM events e),
                    (SELECT max(d.day) FROM daily_counts d),
                    (SELECT max(f.day) FROM facility_counts f),
                    (SELECT max(f.day) FROM facility_days f),
                    (SELECT max(l.period) FROM level_counts l)) AS last
), counted AS (
    SELECT greatest(day.first - (day.first - k.week_origin) % 7,
                    kept.day + (k.week_origin - kept.day) % 7 + 7) AS first, day.last
    FROM day, clock k, (SELECT nullif(kept_since(), '-infinity')::date AS day) kept
), size AS (
    SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint AS events
    FROM pg_class c
    WHERE c.oid = 'events'::regclass
       OR c.oid IN (SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = 'events'::regclass)
)
SELECT c.first, c.last, s.events FROM counted c, size s
"""
