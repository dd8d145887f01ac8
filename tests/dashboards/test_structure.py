"""What holds for all dashboards: names, places, links, variables, both languages."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final, get_args
from urllib.parse import parse_qsl, urlsplit

import pytest

from schemas.alerts import AlertStatus, Severity
from streams.notify.words import SEVERITY_WORDS, STATUS_WORDS
from tests.support.dashboards import FOLDER, UIDS, dashboards, panels
from tests.support.grafana import used_variables

if TYPE_CHECKING:
    from schemas.config import Title

ALL: Final = dashboards()
CHINESE = re.compile(r"[\u4e00-\u9fff]")
LATIN = re.compile(r"[A-Za-z]{2}")


@pytest.fixture(params=UIDS)
def dashboard(request: pytest.FixtureRequest) -> dict[str, Any]:
    return ALL[request.param]


def test_uids_are_those_that_others_link_to() -> None:
    files = sorted(FOLDER.glob("*.json"))
    assert sorted(ALL) == sorted(UIDS)
    assert len(files) == len(UIDS)
    assert all(f"fenghuo-{path.stem}" in ALL for path in files)
    for one in ALL.values():
        ids = [panel["id"] for panel in panels(one)]
        assert len(set(ids)) == len(ids)
        # Older ones are brought up to date by every version of Grafana, newer ones are not.
        assert one["schemaVersion"] == 39
        assert "id" not in one


def test_files_are_written_as_grafana_exports_them() -> None:
    for path in FOLDER.glob("*.json"):
        text = path.read_text(encoding="utf-8")
        assert text == json.dumps(json.loads(text), ensure_ascii=False, indent=2) + "\n"


def test_panels_do_not_overlap(dashboard: dict[str, Any]) -> None:
    places = [panel["gridPos"] for panel in dashboard["panels"]]
    for place in places:
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= 24
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)


def test_everything_is_named_in_both_languages(dashboard: dict[str, Any]) -> None:
    told = [dashboard["title"], dashboard["description"]]
    for panel in panels(dashboard):
        told.append(panel["title"])
        if panel["type"] != "row":
            told.append(panel["description"])
    for variable in dashboard["templating"]["list"]:
        told += [variable["label"], variable["description"]]
    told += [link["title"] for link in dashboard["links"]]
    told += [one["name"] for one in dashboard["annotations"]["list"] if not one.get("builtIn")]
    for text in told:
        assert LATIN.search(text), text
        assert CHINESE.search(text), text
        assert LATIN.search(text).start() < CHINESE.search(text).start(), text  # type: ignore[union-attr]


def test_names_of_columns_and_curves_are_in_both_languages(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        for override in panel.get("fieldConfig", {}).get("overrides", []):
            changes = {change["id"]: change["value"] for change in override["properties"]}
            if "displayName" in changes and changes["displayName"] != "# 序":
                shown = changes["displayName"]
                assert LATIN.search(shown) or shown.startswith("p-"), shown
                assert CHINESE.search(shown), shown
        for target in panel.get("targets", []):
            for name in re.findall(r'AS "([^"]+)"', target["rawSql"]):
                assert CHINESE.search(name), name


def test_numbers_have_units_and_thresholds(dashboard: dict[str, Any]) -> None:
    for panel in panels(dashboard):
        if panel["type"] in {"stat", "timeseries"}:
            defaults = panel["fieldConfig"]["defaults"]
            assert defaults["unit"]
            assert defaults["thresholds"]["steps"][0]["value"] is None
            steps = [step["value"] for step in defaults["thresholds"]["steps"][1:]]
            assert steps == sorted(steps)
        if panel["type"] == "timeseries":
            assert panel["fieldConfig"]["defaults"]["custom"]["axisLabel"]


def test_all_queries_go_to_our_data_source(dashboard: dict[str, Any]) -> None:
    ours = {"type": "grafana-postgresql-datasource", "uid": "fenghuo"}
    for panel in panels(dashboard):
        if panel["type"] == "row":
            continue
        assert panel["datasource"] == ours
        assert panel["targets"]
        assert all(target["datasource"] == ours for target in panel["targets"])
    for variable in dashboard["templating"]["list"]:
        assert variable["type"] != "query" or variable["datasource"] == ours


def test_variables_are_defined_before_they_are_used(dashboard: dict[str, Any]) -> None:
    defined: set[str] = set()
    for variable in dashboard["templating"]["list"]:
        assert used_variables(variable["query"]) <= defined
        defined.add(variable["name"])
    used = used_variables(json.dumps(dashboard, ensure_ascii=False))
    assert used <= defined
    assert {panel["repeat"] for panel in panels(dashboard) if "repeat" in panel} <= defined
    assert defined <= used | {"web_url"}, "a variable that changes nothing"


def test_values_reach_sql_quoted_once(dashboard: dict[str, Any]) -> None:
    for sql in re.findall(r'"(?:rawSql|query)": "((?:[^"\\]|\\.)*)"', json.dumps(dashboard)):
        for used in re.findall(r"\$\{?\w+[^}\s]*\}?", sql):
            assert used.startswith(("$__", "${__")) or used.endswith(":sqlstring}"), used
        assert "'${" not in sql
        assert "time_bucket" not in sql
        assert "$__timeGroup" not in sql, "means another function with TimescaleDB"


def test_links_lead_somewhere(dashboard: dict[str, Any]) -> None:
    found = re.findall(r'"url": "((?:[^"\\]|\\.)*)"', json.dumps(dashboard, ensure_ascii=False))
    assert found
    for url in found:
        if url.startswith("${web_url:raw}"):
            assert re.fullmatch(
                r"\$\{web_url:raw\}/(alerts/\$\{__data\.fields\.alert_id\})?", url
            ), url
            continue
        parts = urlsplit(url)
        assert parts.path.startswith("/d/"), url
        target = ALL[parts.path.removeprefix("/d/")]
        variables = {variable["name"] for variable in target["templating"]["list"]}
        given = dict(parse_qsl(parts.query))
        assert {name.removeprefix("var-") for name in given if name.startswith("var-")} <= variables
        assert {"from", "to"} <= given.keys()


def test_every_dashboard_leads_to_the_others_and_to_the_page(dashboard: dict[str, Any]) -> None:
    assert "fenghuo" in dashboard["tags"]
    to_dashboards, to_page = dashboard["links"]
    assert (to_dashboards["type"], to_dashboards["tags"]) == ("dashboards", ["fenghuo"])
    assert to_dashboards["keepTime"]
    assert to_dashboards["includeVars"]
    assert to_page["url"] == "${web_url:raw}/"


def test_severities_and_states_are_called_as_in_notifications() -> None:
    mappings = re.findall(
        r'"(\w+)": \{"index": \d+, "text": "([^"]+)"',
        " ".join(json.dumps(one, ensure_ascii=False) for one in ALL.values()),
    )
    shown = dict(mappings)
    words: dict[str, Title] = {**SEVERITY_WORDS, **STATUS_WORDS}  # type: ignore[dict-item]
    assert set(words) == {*get_args(Severity), *get_args(AlertStatus)}
    for name, word in words.items():
        assert shown[name] == f"{word.en} {word.zh}"
