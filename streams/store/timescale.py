"""Hypertables, compression and retention, where the TimescaleDB extension is present.

Applied on every ``fenghuo db migrate``, so that a database that gains the extension later, or a
configuration with another revision horizon, takes effect. On plain PostgreSQL nothing happens.

Compression starts beyond the revision horizon: data-changing statements on compressed chunks are
slow and bounded, and no accepted event can touch counts older than the horizon.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from psycopg import sql

if TYPE_CHECKING:
    import psycopg

    from schemas.config import EventTime

__all__ = ["HYPERTABLES", "apply_timescale"]


class Hypertable(NamedTuple):
    """How one table is cut into chunks and compressed."""

    table: str
    time_column: str
    chunk: str
    segment_by: str
    order_by: str
    #: Whether it is deleted with the events that it counts.
    retained: bool = True


HYPERTABLES = (
    Hypertable("events", "occurred_at", "7 days", "region", "occurred_at DESC"),
    Hypertable("count_history", "recorded_at", "7 days", "series_id", "hour, recorded_at"),
    Hypertable("hourly_counts", "hour", "30 days", "series_id", "hour DESC"),
    Hypertable("daily_counts", "day", "365 days", "series_id", "day DESC"),
    Hypertable(
        "facility_counts", "day", "30 days", "region, signal", "day DESC, facility_id, source_id"
    ),
    Hypertable(
        "facility_days", "day", "30 days", "region, kind", "day DESC, facility_id, source_id"
    ),
    Hypertable("facility_reports", "day", "365 days", "region, kind", "day DESC"),
    # Sums of whole regions: they are kept, as the imported counts in them are.
    Hypertable(
        "level_counts",
        "period",
        "365 days",
        "region, signal, grain",
        "period DESC, stratum",
        retained=False,
    ),
)

#: Days after the horizon until chunks are compressed, so that a revision that was accepted at the
#: last moment never meets a compressed chunk.
_MARGIN_DAYS = 14


def apply_timescale(connection: psycopg.Connection, event_time: EventTime) -> str | None:
    """Make hypertables and set policies.

    Returns
    -------
    str or None
        The extension's version, or None where it is not to be had.
    """
    version = _extension_version(connection)
    connection.execute(_NOTE_RETENTION, (None if version is None else event_time.keep_years,))
    if version is None:
        return None
    for table in HYPERTABLES:
        connection.execute(
            "SELECT create_hypertable(%s::regclass, %s::name, "
            "chunk_time_interval => %s::interval, "
            "if_not_exists => true, migrate_data => true, create_default_indexes => false)",
            (table.table, table.time_column, table.chunk),
        )
        _compress(connection, table, event_time.max_age_days + _MARGIN_DAYS)
        _retain(connection, table.table, event_time.keep_years if table.retained else None)
    _forget_heads(connection, event_time)
    return version


# What was dropped under another setting stays deleted.
_NOTE_RETENTION: Final = """
INSERT INTO retention (keep_years, kept_since) VALUES (%s, kept_since())
ON CONFLICT (only_row) DO UPDATE
SET keep_years = EXCLUDED.keep_years, kept_since = EXCLUDED.kept_since
"""


def _extension_version(connection: psycopg.Connection) -> str | None:
    row = connection.execute(
        "SELECT installed_version FROM pg_available_extensions WHERE name = 'timescaledb'"
    ).fetchone()
    return row[0] if row else None


def _compress(connection: psycopg.Connection, table: Hypertable, after_days: int) -> None:
    enabled = connection.execute(
        "SELECT compression_enabled FROM timescaledb_information.hypertables "
        "WHERE hypertable_schema = current_schema() AND hypertable_name = %s",
        (table.table,),
    ).fetchone()
    if not (enabled and enabled[0]):
        connection.execute(
            sql.SQL(
                "ALTER TABLE {} SET (timescaledb.compress, timescaledb.compress_segmentby = {}, "
                "timescaledb.compress_orderby = {})"
            ).format(
                sql.Identifier(table.table),
                sql.Literal(table.segment_by),
                sql.Literal(table.order_by),
            )
        )
    connection.execute(
        "SELECT remove_compression_policy(%s::regclass, if_exists => true)", (table.table,)
    )
    connection.execute(
        "SELECT add_compression_policy(%s::regclass, make_interval(days => %s))",
        (table.table, after_days),
    )


def _retain(connection: psycopg.Connection, table: str, years: int | None) -> None:
    connection.execute("SELECT remove_retention_policy(%s::regclass, if_exists => true)", (table,))
    if years is not None:
        connection.execute(
            "SELECT add_retention_policy(%s::regclass, make_interval(years => %s))", (table, years)
        )


def _forget_heads(connection: psycopg.Connection, event_time: EventTime) -> None:
    """Delete the heads of events that were deleted, once a day.

    Revisions of one event may lie one revision horizon apart. A head is kept for that long beyond
    its event: no record that is still accepted can be of an event that was forgotten.
    """
    connection.execute(
        "SELECT delete_job(job_id) FROM timescaledb_information.jobs "
        "WHERE proc_schema = current_schema() AND proc_name = 'forget_heads'"
    )
    if event_time.keep_years is None:
        return
    connection.execute(
        "SELECT add_job(format('%%I.forget_heads', current_schema())::regproc, '1 day', "
        "config => jsonb_build_object('keep_years', %s::int, 'horizon_days', %s::int))",
        (event_time.keep_years, event_time.max_age_days),
    )
