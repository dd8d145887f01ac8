from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from schemas.alerts import Figures, Verified
from schemas.regions import Region, RegionLevel, RegionRegistry
from streams.errors import StoreError, UnavailableError
from streams.store.alert_history import rebuild
from streams.store.alerts import list_alerts
from streams.store.migrate import Migrated, migrate
from tests.support.alerts import decide
from tests.support.store import migrate_below, rows

if TYPE_CHECKING:
    from streams.config import Configuration

MIGRATIONS = [
    "0001_places",
    "0002_ingest",
    "0003_judging",
    "0004_reading",
    "0005_retention",
    "0006_logs",
    "0007_take_in",
    "0008_alert_events",
    "0009_outbox",
    "0010_explaining",
    "0011_held_updates",
    "0012_people",
    "0013_screens",
    "0014_grafana",
    "0015_inbox",
    "0016_screen_views",
    "0017_screen_operations",
    "0018_roll_ups",
    "0019_identity",
    "0025_leader_epochs",
    "0028_set_aside",
    "0032_judging_quarantine",
    "0033_resumed_alerts",
    "0037_locks",
    "0038_small_cells",
    "0047_retention",
    "0048_as_of",
    "0049_facilities_by_source",
    "0050_pending_spans",
    "0052_linking_on_request",
    "0053_access_epoch",
    "0054_brief_locks",
    "0055_neighbours_and_age",
    "0056_redacted_letters",
    "0057_one_table_of_parts",
    "0059_looks",
    "0060_usual_in_steps",
    "0061_worsened_alerts",
    "0063_incomplete",
    "0064_counted_letters",
    "0065_bounds_on_screens",
    "0066_new_level",
    "0067_parts_determined",
]


def with_settings(configuration: Configuration, **changes: Any) -> Configuration:
    return replace(
        configuration, surveillance=configuration.surveillance.model_copy(update=changes)
    )


def everything(database: str) -> dict[str, list[tuple[Any, ...]]]:
    """Catalogue and contents, save for the times that the runner notes."""
    columns = rows(
        database,
        "SELECT table_name, column_name, data_type FROM information_schema.columns "
        "WHERE table_schema = 'public' ORDER BY 1, 2",
    )
    indexes = rows(
        database,
        "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2",
    )
    applied = rows(database, "SELECT migration_id FROM _yoyo_migration ORDER BY 1")
    facts = rows(database, "SELECT * FROM installation ORDER BY 1")
    regions = rows(database, "SELECT * FROM regions ORDER BY 1")
    above = rows(database, "SELECT * FROM region_ancestors ORDER BY 1, 2")
    return {"columns": columns, "indexes": indexes, "applied": applied, "facts": facts,
            "regions": regions, "above": above}  # fmt: skip


def test_migrating_twice_changes_nothing(plain: str, configuration: Configuration) -> None:
    first = migrate(plain, configuration)
    assert first == Migrated(MIGRATIONS, len(configuration.regions), None)
    before = everything(plain)
    assert migrate(plain, configuration) == Migrated([], len(configuration.regions), None)
    assert everything(plain) == before
    assert before["facts"] == [
        ("epi_week", "iso"),
        ("regions", "tw"),
        ("time_zone", "Asia/Taipei"),
    ]
    assert ("TW-TPE", "TW", "nation") in before["above"]
    assert ("TW-TPE", "TW-TPE", "county") in before["above"]


def test_plain_postgresql_has_plain_tables(plain: str, configuration: Configuration) -> None:
    keeping = configuration.surveillance.event_time.model_copy(update={"keep_years": 21})
    assert migrate(plain, with_settings(configuration, event_time=keeping)).timescale is None
    kinds = rows(
        plain,
        "SELECT relname, relkind FROM pg_class "
        "WHERE relname IN ('events', 'hourly_counts', 'daily_counts', 'count_history') ORDER BY 1",
    )
    assert [kind for _, kind in kinds] == ["r"] * 4
    assert rows(plain, "SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'") == [(0,)]


def count_something(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("INSERT INTO series (signal, region, stratum) VALUES ('a', 'b', 'c')")
        connection.execute("INSERT INTO hourly_counts VALUES (1, now(), 1)")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"time_zone": "Asia/Kathmandu"}, "time_zone Asia/Taipei, the configuration says Asia/K"),
        ({"regions": "cn"}, "regions tw, the configuration says cn"),
    ],
)
def test_what_counts_depend_on_cannot_change_under_them(
    plain: str, configuration: Configuration, change: dict[str, str], told: str
) -> None:
    migrate(plain, configuration)
    migrate(plain, with_settings(configuration, **change))  # nothing is counted yet
    migrate(plain, configuration)
    count_something(plain)
    before = everything(plain)
    with pytest.raises(StoreError, match=told) as caught:
        migrate(plain, with_settings(configuration, **change))
    assert "back, or use another database" in str(caught.value)
    assert everything(plain) == before


def test_the_epi_week_may_change_until_weeks_are_imported(
    plain: str, configuration: Configuration
) -> None:
    migrate(plain, configuration)
    count_something(plain)
    migrate(plain, with_settings(configuration, epi_week="mmwr"))
    assert rows(plain, "SELECT epi_week('2025-03-03'), epi_week('2025-03-02')") == [
        (date(2025, 3, 2), date(2025, 3, 2))
    ]
    with psycopg.connect(plain) as connection:
        connection.execute(
            "INSERT INTO imported_counts VALUES ('ili', 'TW-TPE', 'all', 'week', '2025-03-02', 1)"
        )
    with pytest.raises(StoreError, match=r"counts of mmwr weeks, .* epi_week: iso"):
        migrate(plain, configuration)


def test_regions_are_brought_up_to_date(plain: str, configuration: Configuration) -> None:
    migrate(plain, configuration)
    kept = [region for region in configuration.regions if region.code != "TW-KHH"]
    changed = [
        region.model_copy(update={"name_en": "Taihoku"}) if region.code == "TW-TPE" else region
        for region in kept
    ]
    level = RegionLevel.PREFECTURE
    north = Region(code="TW-N", level=level, parent="TW", name_en="North")
    changed = [
        region.model_copy(update={"parent": "TW-N"}) if region.code == "TW-TPE" else region
        for region in changed
    ]
    registry = RegionRegistry([*changed, north], name="tw")
    migrate(plain, replace(configuration, regions=registry))
    assert rows(plain, "SELECT name_en, parent FROM regions WHERE code = 'TW-TPE'") == [
        ("Taihoku", "TW-N")
    ]
    above = rows(
        plain, "SELECT ancestor, level FROM region_ancestors WHERE region = 'TW-TPE' ORDER BY 1"
    )
    assert above == [("TW", "nation"), ("TW-N", "prefecture"), ("TW-TPE", "county")]
    # An abolished region keeps its row, to which imported counts and alerts refer.
    assert rows(plain, "SELECT count(*) FROM regions WHERE code = 'TW-KHH'") == [(1,)]
    assert rows(plain, "SELECT count(*) FROM region_ancestors WHERE region = 'TW-KHH'") == [(0,)]


def test_a_server_that_does_not_answer(configuration: Configuration) -> None:
    with pytest.raises(UnavailableError, match="--database or FENGHUO_DATABASE") as caught:
        migrate("postgresql://someone:secret@127.0.0.1:9/none", configuration)
    assert "secret" not in str(caught.value)


def test_batches_that_wait_bring_their_changes_along(plain: str) -> None:
    migrate_below(plain, "0018")
    with psycopg.connect(plain) as connection:
        connection.execute(
            "INSERT INTO installation VALUES ('time_zone', 'Asia/Taipei'), ('epi_week', 'iso')"
        )
        connection.execute(
            "INSERT INTO count_history (recorded_at, series_id, batch_id, hour, change) "
            "SELECT timestamptz '2026-01-09 00:00Z' + batch * interval '1 s', series, batch, "
            "       timestamptz '2026-01-08 15:00Z' + hour * interval '1 h', series * 10 + batch "
            "FROM generate_series(1, 4) batch, generate_series(1, 3) series, "
            "     generate_series(0, 1) hour"
        )
        connection.execute(
            "INSERT INTO pending_roll_ups SELECT DISTINCT batch_id, recorded_at FROM count_history "
            "WHERE batch_id IN (2, 4)"
        )
        connection.execute("INSERT INTO pending_roll_ups VALUES (5, '2026-01-09 00:00Z')")
    changes = "SELECT series_id, day, change FROM waiting_changes ORDER BY 1, 2"
    before = rows(plain, changes)
    assert len(before) == 6  # 15:00Z is the eleventh hour of the evening: the next one is tomorrow
    migrate_below(plain, "9")
    assert rows(plain, changes) == before
    assert rows(plain, "SELECT count(*) FROM pending_roll_ups") == [(3,)]


def test_history_that_waits_becomes_spans(plain: str) -> None:
    migrate_below(plain, "0050")
    with psycopg.connect(plain) as connection:
        connection.execute(
            "INSERT INTO regions (code, name_zh, name_en, level, parent) "
            "VALUES ('TW', '臺灣', 'Taiwan', 'nation', NULL), "
            "('TW-TPE', '臺北市', 'Taipei City', 'county', 'TW')"
        )
        connection.execute(
            "INSERT INTO region_ancestors (region, ancestor, level) VALUES ('TW', 'TW', 'nation'), "
            "('TW-TPE', 'TW-TPE', 'county'), ('TW-TPE', 'TW', 'nation')"
        )
        # Three years of an import, a single day long before, an unknown region; live changes.
        connection.execute(
            "INSERT INTO pending_judgements (signal, region, day, noted_at) "
            "SELECT s, 'TW-TPE', current_date - n, now() - interval '2 hours' "
            "FROM generate_series(30, 1100) n, unnest(ARRAY['ili', 'fever']) s "
            "UNION ALL SELECT 'ili', 'TW-TPE', current_date - 1200, now() "
            "UNION ALL SELECT 'ili', 'TW-XXX', current_date - 1200, now() "
            "UNION ALL SELECT 'ili', 'TW-TPE', current_date - n, now() - interval '1 minute' "
            "FROM unnest(ARRAY[0, 0, 27]) n"
        )
    migrate_below(plain, "9")
    assert rows(
        plain,
        "SELECT current_date - day, count(*), min(now() - noted_at) < '1 hour' "
        "FROM pending_judgements GROUP BY 1 ORDER BY 1",
    ) == [(0, 2, True), (27, 1, True)]
    assert rows(
        plain,
        "SELECT signal, region, current_date - first_day, current_date - last_day, "
        "now() - noted_at > '1 hour' FROM pending_spans ORDER BY 1, 2, 4",
    ) == [
        ("fever", "TW", 1100, 30, True),
        ("fever", "TW-TPE", 1100, 30, True),
        ("ili", "TW", 1100, 30, True),
        ("ili", "TW", 1200, 1200, True),
        ("ili", "TW-TPE", 1100, 30, True),
        ("ili", "TW-TPE", 1200, 1200, True),
        ("ili", "TW-XXX", 1200, 1200, True),
    ]


def test_alerts_from_before_the_history_get_one(plain: str, configuration: Configuration) -> None:
    migrate_below(plain, "0008")
    with psycopg.connect(plain) as connection:
        connection.execute(
            "INSERT INTO regions (code, name_zh, name_en, level) "
            "VALUES ('TW-TPE', '臺北市', 'Taipei City', 'county')"
        )
        for rule, exceedances in (("a", 2), ("b", 0), ("c", 0)):
            connection.execute(
                "INSERT INTO alerts (severity, signal, region, rule, grain, first_period, "
                "last_period, exceedances, observed, expected, upper, score, p_value, peak, "
                "detector, config_version, as_of, updated_at) VALUES ('critical', 'ili', 'TW-TPE', "
                "%s, 'week', '2009-07-27', '2009-08-03', %s, 45.1, 20.5, 38.25, 4.2, 1e-17, 52, "
                "'{\"type\": \"ears\"}', 'abc', now(), now() + interval '1 day')",
                (rule, exceedances),
            )
        connection.execute(
            "INSERT INTO verdicts (rule, region, period, observed, alarm, reason, as_of, "
            "config_version) VALUES ('b', 'TW-TPE', '2009-08-03', 7, false, 'ok', now(), 'abc')"
        )
    migrate(plain, configuration)
    with psycopg.connect(plain) as connection:
        assert rebuild(connection, check_only=True) == (3, [])
        found = {alert.rule: alert for alert in list_alerts(connection)}
    assert [found[rule].status for rule in "abc"] == ["new"] * 3
    assert [found[rule].exceedances for rule in "abc"] == [2, 0, 0]
    assert (found["a"].observed, found["a"].p_value, found["a"].peak) == (45.1, 1e-17, 52)
    assert found["b"].revised == Figures(period=date(2009, 8, 3), observed=7)
    assert found["c"].revised is None
    # They take up their lives.
    assert decide(plain, found["a"].alert_id, Verified()).status == "verifying"


def test_old_letters_with_personal_data_are_redacted(
    plain: str, configuration: Configuration
) -> None:
    """Letters that intake has redacted already stay as they are."""
    migrate_below(plain, "0056")
    ours = b'{"redacted": "note holds what looks like a mobile number.", "bytes": 120}'
    with psycopg.connect(plain) as connection:
        for offset, (reason, value, key) in enumerate(
            (
                ("personal_data", b'{"note": "13800138000 \xe5\x8f\x91\\n"}', b"13800138000"),
                ("personal_data", b"\x00\xff 13800138000", b"TW-TPE"),
                ("personal_data", None, None),
                ("personal_data", ours, b"TW-TPE"),
                ("unknown_region", b'{"region": "x"}', b"x"),
            )
        ):
            connection.execute(
                'INSERT INTO dead_letters (log, topic, partition, "offset", reason, sentence, '
                "key, value, refused_at) "
                "VALUES ('c', 'visits', 0, %s, %s, 'Why \"so\".', %s, %s, now())",
                (offset, reason, key, value),
            )
    migrate(plain, configuration)
    found = rows(
        plain, "SELECT value, key, redacted_at > refused_at FROM dead_letters ORDER BY letter_id"
    )
    assert json.loads(found[0][0]) == {"redacted": 'Why "so".', "bytes": 29}
    assert json.loads(found[1][0])["bytes"] == 14
    assert [row[1] for row in found] == [None, None, None, b"TW-TPE", b"x"]
    assert [row[2] for row in found] == [True, True, None, False, None]
    assert (found[3][0], found[4][0]) == (ours, b'{"region": "x"}')
