"""A database as the demo leaves it, with what a live system has besides."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, NamedTuple

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from streams.store.migrate import migrate
from streams.store.reader import grant_reader
from streams.store.surveyed import note_page
from tests.conftest import make_database
from tests.support.pandemic import demo_configuration, fill_with_pandemic

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.timescale_server import TimescaleServer

PAGE = "https://fenghuo.example.org"

#: What a live system has, and the demo's data have not: all of now, and nothing that counts.
_BESIDES = """
INSERT INTO dead_letters (log, topic, partition, "offset", reason, sentence, source_id, value,
                          refused_at, published_at)
SELECT 'log-1', 'visits', 0, n, (ARRAY['bad_json', 'unknown_region'])[1 + n % 2], 'secret sentence',
       'his-1', 'secret record', now() - make_interval(mins => n), now()
FROM generate_series(1, 20) n;
INSERT INTO intake_minutes
SELECT date_trunc('minute', now()) - make_interval(mins => n), 'visits', 2, 900, 800, 20, 30, 50,
       0.8, 0.6
FROM generate_series(1, 120) n
ON CONFLICT DO NOTHING;
INSERT INTO intake_hours
SELECT date_trunc('hour', now()) - make_interval(hours => n), 'visits', 120, 54000, 48000, 1200,
       1800, 3000, 48, 0.6
FROM generate_series(1, 100) n
ON CONFLICT DO NOTHING;
INSERT INTO log_ends (log, topic, partition, end_offset, seen_at)
SELECT log, topic, partition, next_offset + 250, now() FROM stream_offsets;
INSERT INTO offset_jumps (log, topic, partition, from_offset, to_offset, reason)
VALUES ('log-1', 'visits', 0, 10, 60, 'expired');
INSERT INTO sources (source_id, topic, first_received, last_received, last_event, days)
VALUES ('his-silent', 'visits', now() - interval '40 days', now() - interval '4 days',
        now() - interval '4 days', 36),
       ('his-1', 'visits', now() - interval '40 days', now() - interval '1 hour',
        now() - interval '1 hour', 40),
       ('till-weekly', 'sales', now() - interval '40 days', now() - interval '5 days',
        now() - interval '5 days', 6);
INSERT INTO arrivals
SELECT (now() - make_interval(days => n))::date, signal, within, 1000 / within
FROM generate_series(0, 20) n, (VALUES ('ili'), ('antipyretic')) s(signal),
     (VALUES (1), (3), (24), (48)) w(within)
ON CONFLICT DO NOTHING;
INSERT INTO notification_lanes (channel, failures) VALUES ('webhook', 2);
INSERT INTO notification_deliveries (channel, rank, digest, state, formed_at, next_attempt_at,
                                     attempts, last_error, message)
VALUES ('webhook', 1, false, 'failed', now(), now(), 9, 'secret address', '{"subject": "secret"}');
"""

#: What dashboards read, for a server that cannot be filled by COPY.
_COPIED = (
    "series", "daily_counts", "imported_counts", "level_counts", "facility_counts",
    "facility_reports", "arrivals", "batches", "intake_minutes", "intake_hours", "sources",
    "source_days", "judging_runs", "stream_offsets", "log_ends", "offset_jumps", "dead_letters",
    "verdicts", "alerts", "alert_events", "alert_followers", "notification_lanes",
    "notification_deliveries", "links",
)  # fmt: skip


class Filled(NamedTuple):
    """A database with data, and how the dashboards reach it."""

    database: str
    reader: str
    """Connection string of the SELECT-only role; the owner's where roles cannot sign in."""
    role: str
    timescale: bool

    def connect(self) -> psycopg.Connection:
        """Connect as the dashboards do."""
        connection = psycopg.connect(self.reader, autocommit=True, prepare_threshold=None)
        if self.reader == self.database:
            connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(self.role)))
        return connection


@pytest.fixture(scope="session")
def plain(database_server: str) -> Iterator[Filled]:
    """The demo's data on the server that all tests use."""
    role = f"reader_{uuid.uuid4().hex[:10]}"
    with make_database(database_server) as uri:
        fill_with_pandemic(uri, demo_configuration())
        with psycopg.connect(uri) as connection:
            for function in ("roll_up_facilities", "roll_up_batches"):
                connection.execute(f"SELECT {function}(1000)".encode())
            connection.execute(_BESIDES.encode())
            grant_reader(connection, role, "a password' with quotes")
            extension = connection.execute(
                "SELECT FROM pg_extension WHERE extname = 'timescaledb'"
            ).fetchone()
        note_page(uri, PAGE)
        reader = make_conninfo(uri, user=role, password="a password' with quotes")
        yield Filled(uri, reader, role, extension is not None)
        with psycopg.connect(uri) as connection:
            connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


@pytest.fixture(scope="session")
def on_timescale(plain: Filled, timescale: TimescaleServer) -> Filled:
    """The same data on real TimescaleDB."""
    url = timescale.new_schema()
    migrate(url, demo_configuration())
    role = f"reader_{uuid.uuid4().hex[:10]}"
    with (
        psycopg.connect(plain.database) as source,
        psycopg.connect(url, prepare_threshold=None) as target,
    ):
        for table in _COPIED:
            _copy(source, target, table)
        grant_reader(target, role, None)
    return Filled(url, url, role, timescale=True)


def _copy(source: psycopg.Connection, target: psycopg.Connection, table: str) -> None:
    """Hand a table over as documents: the server knows no COPY."""
    name = sql.Identifier(table)
    rows = source.execute(sql.SQL("SELECT to_jsonb(t) FROM {} t").format(name)).fetchall()
    into = sql.SQL(
        "INSERT INTO {0} OVERRIDING SYSTEM VALUE "
        "SELECT * FROM jsonb_populate_recordset(NULL::{0}, %s::jsonb) ON CONFLICT DO NOTHING"
    ).format(name)
    for first in range(0, len(rows), 2000):
        part = [row[0] for row in rows[first : first + 2000]]
        target.execute(into, (json.dumps(part),))


@pytest.fixture(scope="session", params=["plain", "on_timescale"])
def filled(request: pytest.FixtureRequest) -> Filled:
    """Each of the databases that dashboards are to work with."""
    found: Filled = request.getfixturevalue(request.param)
    return found
