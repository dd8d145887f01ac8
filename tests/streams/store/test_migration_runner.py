from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from streams.errors import FenghuoError, StoreError, UnavailableError
from streams.store.migrate import migrate
from streams.store.migration_runner import apply_pending
from streams.store.pool import connect
from streams.store.schema import Migration, SchemaMisfitError, check_schema, packaged
from tests.conftest import CONFIG
from tests.support.store import migrate_below, rows

if TYPE_CHECKING:
    from streams.config import Configuration

NAMES = [migration.name for migration in packaged()]
APPLIED = "SELECT migration_id FROM _yoyo_migration ORDER BY 1"
PROJECT = Path(__file__).resolve().parents[3]


def names(database: str) -> list[str]:
    return [name for (name,) in rows(database, APPLIED)]


def waits(database: str) -> bool:
    query = (
        "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        "AND datname = current_database()"
    )
    return bool(rows(database, query))


def test_a_migrate_that_was_killed_leaves_no_lock(plain: str, configuration: Configuration) -> None:
    migrate_below(plain, "0018")
    command = [sys.executable, "-m", "streams", "db", "migrate"]
    environment = {**os.environ, "FENGHUO_DATABASE": plain, "FENGHUO_CONFIG": str(CONFIG)}
    with psycopg.connect(plain) as holder:
        holder.execute("LOCK TABLE pending_roll_ups")  # migration 0018 has to wait in its midst
        with subprocess.Popen(command, cwd=PROJECT, env=environment) as process:
            while not waits(plain):
                assert process.poll() is None
                time.sleep(0.05)
            process.kill()
    assert "0018_roll_ups" in migrate(plain, configuration).applied
    assert names(plain) == NAMES


def test_a_lock_that_an_earlier_release_left_is_no_matter(
    plain: str, configuration: Configuration
) -> None:
    migrate_below(plain, "0010")
    with psycopg.connect(plain) as connection:
        # As yoyo 9 makes it, with the row of a process that was killed.
        connection.execute(
            "CREATE TABLE yoyo_lock (locked int DEFAULT 1 PRIMARY KEY, ctime timestamp, "
            "pid int NOT NULL)"
        )
        connection.execute("INSERT INTO yoyo_lock (ctime, pid) VALUES (now(), 4711)")
    assert migrate(plain, configuration).applied == NAMES[NAMES.index("0010_explaining") :]


def test_a_migration_that_fails_half_way_is_taken_back_alone(plain: str) -> None:
    first = Migration("0001_a", "CREATE TABLE a (x int)")
    broken = Migration("0002_b", "CREATE TABLE b (x int); INSERT INTO b SELECT 1 / 0")
    mended = Migration("0002_b", "CREATE TABLE b (x int); INSERT INTO b SELECT 7")
    with psycopg.connect(plain, autocommit=True) as connection:
        with pytest.raises(StoreError, match=r"0002_b failed and was taken back.*division by zero"):
            apply_pending(connection, [first, broken])
        assert names(plain) == ["0001_a"]
        assert rows(plain, "SELECT to_regclass('a') IS NULL, to_regclass('b') IS NULL") == [
            (False, True)
        ]
        assert apply_pending(connection, [first, mended]) == ["0002_b"]
    assert rows(plain, "SELECT x FROM b") == [(7,)]


def test_one_waits_for_the_other(plain: str, configuration: Configuration) -> None:
    failed: list[BaseException] = []

    def run() -> None:
        try:
            migrate(plain, configuration)
        except BaseException as error:  # noqa: BLE001 - shown by the test
            failed.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert names(plain) == NAMES


def test_several_hosts_and_services_mean_the_same_database(
    plain: str,
    configuration: Configuration,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = conninfo_to_dict(plain)
    host, port = parts["host"], parts.get("port", "5432")
    several = make_conninfo(plain, host=f"{tmp_path},{host}", port=f"1,{port}")
    assert migrate(several, configuration).applied == NAMES
    assert names(plain) == NAMES
    lines = [f"{key}={value}" for key, value in conninfo_to_dict(plain).items()]
    (tmp_path / "services").write_text("[surveillance]\n" + "\n".join(lines) + "\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    assert migrate("service=surveillance", configuration).applied == []


@pytest.mark.parametrize(
    ("applied", "told"),
    [
        ("DELETE FROM _yoyo_migration WHERE migration_id = '0018_roll_ups'", "run fenghuo db mig"),
        ("INSERT INTO _yoyo_migration VALUES ('x', '9999_later')", "Upgrade this program"),
    ],
)
def test_an_older_or_newer_schema_is_refused(
    plain: str, configuration: Configuration, applied: str, told: str
) -> None:
    migrate(plain, configuration)
    with connect(plain) as connection:
        check_schema(connection)
        connection.execute(applied.encode())
        connection.commit()
        with pytest.raises(SchemaMisfitError, match=told):
            check_schema(connection)


def test_a_newer_database_is_not_migrated(plain: str, configuration: Configuration) -> None:
    migrate_below(plain, "0018")
    with connect(plain) as connection:
        connection.execute("INSERT INTO _yoyo_migration VALUES ('x', '9999_later')")
    with pytest.raises(SchemaMisfitError, match="Upgrade this program"):
        migrate(plain, configuration)
    assert "0018_roll_ups" not in names(plain)


@pytest.mark.parametrize(
    "database",
    [
        "postgresql:/u:s3cr3t@127.0.0.1:9/d",
        "postgresql://u:s3cr3t/x@127.0.0.1:9/d",
        "postgresql://u:x@s3cr3t@127.0.0.1:9/d",
        "postgresql://u:x%s3cr3t@127.0.0.1:9/d",
        "postgresql://u:s3cr3t@127.0.0.1:9/d?sslmod=require",
        "postgresql://u:s3cr3t@127.0.0.1:port/d",
        "postgresql://u:s3cr3t@127.0.0.1:9/d?sslmode=disable",
        "host=127.0.0.1 port=9 password=x s3cr3t",
        "host=127.0.0.1 port=9 pasword=s3cr3t",
    ],
)
def test_no_message_holds_a_password(database: str, configuration: Configuration) -> None:
    with pytest.raises(FenghuoError, match="--database or FENGHUO_DATABASE") as caught:
        migrate(database, configuration)
    assert isinstance(caught.value, UnavailableError)
    assert "s3cr3t" not in "".join(traceback.format_exception(caught.value))
