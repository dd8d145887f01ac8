from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import psycopg
import pytest
from ruamel.yaml import YAML

from tests.support.dashboards import FOLDER, dashboards, panels

if TYPE_CHECKING:
    from tests.dashboards.conftest import Filled

PROVISIONING: Final = FOLDER / "provisioning"
#: What Grafana's process is given; the guide says so.
ENVIRONMENT: Final = {
    "FENGHUO_READER_HOST",
    "FENGHUO_READER_DATABASE",
    "FENGHUO_READER_USER",
    "FENGHUO_READER_PASSWORD",
    "FENGHUO_READER_SSLMODE",
    "FENGHUO_OPERATORS_WEBHOOK",
}


def read(name: str) -> Any:
    return YAML(typ="safe").load(PROVISIONING / name)


RULES: Final[list[dict[str, Any]]] = read("alerting/rules.yaml")["groups"][0]["rules"]


def test_files_ask_the_environment_for_what_the_guide_names() -> None:
    asked: set[str] = set()
    for path in PROVISIONING.rglob("*.yaml"):
        text = path.read_text(encoding="utf-8")
        assert YAML(typ="safe").load(text)["apiVersion"] == 1
        found = re.findall(r"\$\{(\w+)\}", text)
        # Anything else with a dollar would be looked up in the environment too.
        assert text.count("$") == len(found)
        asked |= set(found)
    assert asked == ENVIRONMENT
    guide = (FOLDER.parent / "docs" / "guides" / "dashboards.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in guide for name in ENVIRONMENT)


def test_compose_gives_grafana_what_the_files_ask_for() -> None:
    compose = YAML(typ="safe").load(FOLDER.parent / "compose.yaml")
    given = compose["services"]["grafana"]["environment"]
    assert {name for name in given if name.startswith("FENGHUO_")} == ENVIRONMENT
    assert all(given[name] for name in ENVIRONMENT), "Grafana does not start with an empty one"


def test_the_data_source_is_the_one_that_dashboards_name() -> None:
    (source,) = read("datasources/fenghuo.yaml")["datasources"]
    assert source["uid"] == "fenghuo"
    assert source["type"] == "grafana-postgresql-datasource"
    assert source["jsonData"]["timescaledb"] is True
    assert source["secureJsonData"] == {"password": "${FENGHUO_READER_PASSWORD}"}
    assert source["editable"] is False


def test_the_provider_reads_the_folder_that_is_mounted() -> None:
    (provider,) = read("dashboards/fenghuo.yaml")["providers"]
    assert provider["folderUid"] == "fenghuo"
    compose = (FOLDER.parent / "compose.yaml").read_text(encoding="utf-8")
    assert f"./dashboards:{provider['options']['path']}:ro" in compose
    assert "./dashboards/provisioning:/etc/grafana/provisioning:ro" in compose


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["uid"])
def test_rules_are_whole(rule: dict[str, Any]) -> None:
    assert re.fullmatch(r"[a-z0-9-]{1,40}", rule["uid"])
    assert re.search(r"[A-Za-z].*[\u4e00-\u9fff]", rule["title"])
    assert re.search(r"[A-Za-z].*[\u4e00-\u9fff]", rule["annotations"]["summary"])
    points = read("alerting/contact-points.yaml")["contactPoints"]
    assert rule["notification_settings"]["receiver"] in {point["name"] for point in points}
    board = dashboards()[rule["dashboardUid"]]
    assert rule["panelId"] in {panel["id"] for panel in panels(board) if panel["type"] != "row"}
    query, reduced, condition = rule["data"]
    assert query["datasourceUid"] == query["model"]["datasource"]["uid"] == "fenghuo"
    assert query["model"]["format"] == "time_series"
    assert reduced["model"]["expression"] == query["refId"] == query["model"]["refId"]
    assert condition["model"]["expression"] == reduced["refId"] == reduced["model"]["refId"]
    assert rule["condition"] == condition["refId"] == condition["model"]["refId"]


def test_rules_have_names_of_their_own() -> None:
    assert len({rule["uid"] for rule in RULES}) == len(RULES) == len({r["title"] for r in RULES})
    assert {rule["uid"] for rule in RULES} == set(TROUBLE)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["uid"])
def test_queries_give_one_number(filled: Filled, rule: dict[str, Any]) -> None:
    with filled.connect() as connection, connection.cursor() as cursor:
        cursor.execute(rule["data"][0]["model"]["rawSql"].encode())
        columns = [(c.name, c.type_code) for c in cursor.description or []]
        assert [name for name, _ in columns] == ["time", "value"]
        assert columns[0][1] == 1184
        assert columns[1][1] in {20, 701, 1700}
        assert len(cursor.fetchall()) <= 1


#: What makes each rule fire.
TROUBLE: Final = {
    "fenghuo-stalled": "UPDATE batches SET recorded_at = recorded_at - interval '2 hours'",
    "fenghuo-no-commit": "UPDATE batches SET recorded_at = recorded_at - interval '2 hours'",
    "fenghuo-lag": "UPDATE log_ends SET end_offset = end_offset + 200000",
    "fenghuo-dead-letters": 'INSERT INTO dead_letters (log, topic, partition, "offset", reason, '
    "sentence, refused_at) SELECT 'l', 't', 0, n, 'bad_json', '', now() "
    "FROM generate_series(1, 150) n",
    "fenghuo-judging": "INSERT INTO pending_judgements (signal, region, day) "
    "VALUES ('ili', 'TW', '2009-09-09'); "
    "UPDATE judging_runs SET last_at = last_at - interval '1 hour'",
    "fenghuo-followers": "UPDATE alert_followers SET event_id = -5000",
    "fenghuo-notifications": "UPDATE notification_lanes SET failures = 3",
    "fenghuo-jumps": "INSERT INTO offset_jumps VALUES ('l', 't', 0, 10, 60, 'expired', now())",
    "fenghuo-silent-sources": "UPDATE sources SET last_received = now() - interval '3 days', "
    "first_received = now() - interval '30 days', days = 25",
    "fenghuo-sums": "INSERT INTO pending_roll_ups "
    "SELECT n, now(), '{}', '{}', '{}' FROM generate_series(1, 6000) n",
}
#: What makes each rule quiet.
PEACE: Final = (
    "UPDATE batches SET recorded_at = now() WHERE batch_id = (SELECT max(batch_id) FROM batches); "
    "UPDATE log_ends SET end_offset = 0; DELETE FROM dead_letters; DELETE FROM pending_judgements; "
    "UPDATE judging_runs SET last_at = now(); UPDATE alert_followers SET event_id = 1000000; "
    "DELETE FROM notification_deliveries; UPDATE notification_lanes SET failures = 0; "
    "DELETE FROM offset_jumps; UPDATE sources SET last_received = now(); "
    "DELETE FROM pending_roll_ups"
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["uid"])
def test_rules_fire_in_trouble_and_not_in_peace(plain: Filled, rule: dict[str, Any]) -> None:
    query = rule["data"][0]["model"]["rawSql"].encode()
    (limit,) = rule["data"][2]["model"]["conditions"][0]["evaluator"]["params"]
    with psycopg.connect(plain.database) as connection, connection.transaction(force_rollback=True):
        connection.execute(PEACE.encode())
        ((_, value),) = connection.execute(query).fetchall()
        assert value <= limit
        if rule["uid"] == "fenghuo-stalled":
            connection.execute("UPDATE log_ends SET end_offset = 1000000")
        connection.execute(TROUBLE[rule["uid"]].encode())
        ((_, value),) = connection.execute(query).fetchall()
        assert value > limit
