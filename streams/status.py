"""The state of an installation, collected from its database and its brokers."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from psycopg.rows import dict_row
from pydantic import BaseModel, ConfigDict, Field

from schemas.region_codes import code_doubt, doubtful_codes
from streams.brokers import Brokers, as_brokers
from streams.errors import UnavailableError
from streams.kafka_lag import read_log_ends
from streams.store.db_clock import clock_skew
from streams.store.doubtful_codes import CodeInUse, codes_in_use
from streams.store.outbox_reading import ChannelState, channel_states
from streams.store.quarantine import Quarantined, list_quarantined
from streams.store.set_aside import SetAside, list_set_aside

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import psycopg

    from streams.config import Configuration
    from streams.kafka_lag import LogEnds

__all__ = ["PartitionLag", "Status", "collect_status"]

_LATELY = timedelta(days=30)


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True)


class ConfigVersion(_Model):
    """Verdicts that were judged under one version of the configuration."""

    version: str
    verdicts: int
    latest: datetime


class Database(_Model):
    """The database and what it was prepared for."""

    postgres: str
    timescale: str | None = Field(description="Version of the extension; None without it")
    size_bytes: int
    installation: dict[str, str] = Field(description="Time zone, epi weeks, regions")
    config_version: str = Field(description="Of the configuration file as it is now")
    judged: tuple[ConfigVersion, ...] = Field(description="By version, the latest first")
    clock_skew: float = Field(
        default=0.0, description="Seconds that this machine's clock is ahead of the database's"
    )
    pending: int = Field(description="Live changes that wait for a judge")
    pending_since: datetime | None = Field(description="When the oldest of them was noted")
    history: int = Field(
        default=0, description="Series with history that waits for a judge, by span of days"
    )
    history_since: datetime | None = Field(
        default=None, description="When the oldest of it was noted"
    )


class PartitionLag(_Model):
    """One partition: how much of its log is not in the database yet."""

    topic: str
    partition: int
    end: int
    stored: int | None = Field(description="Next offset to read; None: never read")
    lag: int


class Kafka(_Model):
    """The brokers; without an answer only `problem` is given."""

    bootstrap: str
    problem: str | None = None
    partitions: tuple[PartitionLag, ...] = ()
    missing_topics: tuple[str, ...] = ()


class Source(_Model):
    """One publishing system on one topic."""

    source_id: str
    topic: str
    last_event: datetime | None
    last_received: datetime
    accepted_24h: int
    refused_24h: int


class SignalCounts(_Model):
    """Live counts of one signal, and how far imported ones reach."""

    signal: str
    first_day: date | None
    last_day: date | None
    total: float
    imported_from: date | None
    imported_to: date | None


class LetterCount(_Model):
    """Refused records of one reason."""

    reason: str
    letters: int
    replayed: int
    waiting: int = Field(description="Not handed over to the dead-letter topic yet")
    latest: datetime


class DoubtfulCode(CodeInUse):
    """A region code that one source has sent lately and should not send."""

    advice: str


class OffsetJump(_Model):
    """Progress that had to leave the log."""

    topic: str
    partition: int
    from_offset: int
    to_offset: int
    reason: str
    noticed_at: datetime


class Status(_Model):
    """Everything that `fenghuo status` shows."""

    at: datetime
    database: Database
    kafka: Kafka
    sources: tuple[Source, ...]
    counts: tuple[SignalCounts, ...]
    quarantined: tuple[Quarantined, ...] = Field(description="Series that cannot be judged")
    open_alerts: dict[str, int] = Field(description="By severity")
    notifications: tuple[ChannelState, ...] = Field(description="By channel")
    dead_letters: tuple[LetterCount, ...]
    doubtful_codes: tuple[DoubtfulCode, ...] = Field(
        description="Region codes of the last 30 days that are abolished or too wide"
    )
    set_aside: tuple[SetAside, ...] = Field(description="What no queue could deal with, and why")
    offset_jumps: tuple[OffsetJump, ...] = Field(description="The latest twenty")


def collect_status(
    connection: psycopg.Connection,
    brokers: Brokers | str,
    *,
    topics: Sequence[str],
    configuration: Configuration,
) -> Status:
    """Collect the state; brokers that do not answer are part of it and no error."""
    rows = _Rows(connection)
    return Status(
        at=datetime.now(UTC),
        database=_database(rows, configuration.version),
        kafka=_kafka(rows, as_brokers(brokers), topics),
        sources=tuple(Source(**row) for row in rows(_SOURCES)),
        counts=tuple(SignalCounts(**row) for row in rows(_COUNTS)),
        quarantined=tuple(list_quarantined(connection)),
        open_alerts={row["severity"]: row["alerts"] for row in rows(_ALERTS)},
        notifications=tuple(channel_states(connection)),
        dead_letters=tuple(LetterCount(**row) for row in rows(_LETTERS)),
        doubtful_codes=tuple(_doubtful_codes(connection, configuration)),
        set_aside=tuple(list_set_aside(connection)),
        offset_jumps=tuple(OffsetJump(**row) for row in rows(_JUMPS)),
    )


class _Rows:
    """Runs queries and returns rows as dictionaries."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection

    def __call__(self, query: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(query, values).fetchall()


def _database(rows: _Rows, config_version: str) -> Database:
    return Database(
        **rows(_DATABASE)[0],
        installation={row["key"]: row["value"] for row in rows("SELECT * FROM installation")},
        config_version=config_version,
        clock_skew=clock_skew(rows.connection),
        judged=tuple(ConfigVersion(**row) for row in rows(_JUDGED)),
    )


def _doubtful_codes(
    connection: psycopg.Connection, configuration: Configuration
) -> Iterator[DoubtfulCode]:
    regions = configuration.regions
    today = datetime.now(configuration.surveillance.zone).date()
    codes = list(doubtful_codes(regions, today))
    for one in codes_in_use(connection, codes, since=today - _LATELY):
        # Late events of the days before its end rightly carry a code that is abolished since.
        if advice := code_doubt(regions, one.region, one.last_day):
            yield DoubtfulCode(**one.model_dump(), advice=advice)


def _kafka(rows: _Rows, brokers: Brokers, topics: Sequence[str]) -> Kafka:
    try:
        logs = read_log_ends(brokers, topics)
    except UnavailableError as error:
        return Kafka(bootstrap=brokers.bootstrap, problem=str(error))
    found = {topic for topic, _ in logs.ends}
    return Kafka(
        bootstrap=brokers.bootstrap,
        partitions=tuple(_lags(rows, logs)),
        missing_topics=tuple(topic for topic in topics if topic not in found),
    )


def _lags(rows: _Rows, logs: LogEnds) -> list[PartitionLag]:
    stored = {
        (row["topic"], row["partition"]): row["next_offset"]
        for row in rows(
            "SELECT * FROM stream_offsets WHERE log = ANY(%s)", (list(logs.ids.values()),)
        )
    }
    return [
        PartitionLag(
            topic=topic,
            partition=partition,
            end=end,
            stored=stored.get((topic, partition)),
            # Records that expired unread are lost, not waiting.
            lag=max(0, end - max(first, stored.get((topic, partition), first))),
        )
        for (topic, partition), (first, end) in sorted(logs.ends.items())
    ]


_DATABASE = """
SELECT current_setting('server_version') AS postgres,
       (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS timescale,
       pg_database_size(current_database()) AS size_bytes,
       (SELECT count(*) FROM pending_judgements) AS pending,
       (SELECT noted_at FROM pending_judgements ORDER BY pending_id LIMIT 1) AS pending_since,
       (SELECT count(*) FROM pending_spans) AS history,
       (SELECT min(noted_at) FROM pending_spans) AS history_since
"""

_JUDGED = """
SELECT config_version AS version, count(*) AS verdicts, max(as_of) AS latest
FROM verdicts GROUP BY 1 ORDER BY latest DESC
"""

_SOURCES = """
SELECT source_id, topic, max(last_occurred_at) AS last_event, max(recorded_at) AS last_received,
       coalesce(sum(accepted) FILTER (WHERE recorded_at > now() - interval '24 hours'), 0)::bigint
           AS accepted_24h,
       coalesce(sum(refused) FILTER (WHERE recorded_at > now() - interval '24 hours'), 0)::bigint
           AS refused_24h
FROM batch_sources GROUP BY 1, 2 ORDER BY 1, 2
"""

_COUNTS = """
SELECT signal, live.first_day, live.last_day, coalesce(live.total, 0)::float8 AS total,
       imported.first AS imported_from, imported.last AS imported_to
FROM (
    SELECT signal, min(day) AS first_day, max(day) AS last_day, sum(value) AS total
    FROM counts_daily GROUP BY 1
) live
FULL JOIN (
    SELECT signal, min(period) AS first,
           max(period + CASE grain WHEN 'week' THEN 6 ELSE 0 END) AS last
    FROM imported_counts GROUP BY 1
) imported USING (signal)
ORDER BY signal
"""

_ALERTS = """
SELECT severity, count(*) AS alerts FROM alerts
WHERE status NOT IN ('discarded', 'closed', 'merged')
GROUP BY 1 ORDER BY array_position(ARRAY['critical', 'warning', 'info'], severity)
"""

_LETTERS = """
SELECT reason, count(*) AS letters, count(replayed_at) AS replayed,
       count(*) - count(published_at) AS waiting, max(refused_at) AS latest
FROM dead_letters GROUP BY 1 ORDER BY letters DESC, reason
"""

_JUMPS = """
SELECT topic, partition, from_offset, to_offset, reason, noticed_at
FROM offset_jumps ORDER BY noticed_at DESC LIMIT 20
"""
