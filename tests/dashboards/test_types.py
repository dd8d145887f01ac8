from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.dashboards import dashboards
from tests.support.grafana_types import TypesUnavailable, complaints, ensure_types

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.grafana_types


@pytest.fixture(scope="module", autouse=True)
def _types() -> None:
    try:
        ensure_types()
    except TypesUnavailable as reason:
        pytest.skip(str(reason))


def test_dashboards_are_what_grafana_takes(tmp_path: Path) -> None:
    assert complaints(dashboards().values(), tmp_path) == []


def test_the_check_finds_what_is_wrong(tmp_path: Path) -> None:
    """Otherwise it would not be one: each of these is a mistake that Grafana says nothing about."""
    right = dashboards()["fenghuo-situation"]
    wrong: dict[str, dict[str, Any]] = {}
    for name in ("mode", "option", "field", "override", "panel", "variable"):
        wrong[name] = copy.deepcopy(right) | {"uid": f"wrong-{name}"}
    panels = {
        name: {panel["type"]: panel for panel in board["panels"]} for name, board in wrong.items()
    }
    panels["mode"]["stat"]["options"]["colorMode"] = "backgruond"
    panels["option"]["geomap"]["options"]["basemaps"] = {}
    panels["field"]["timeseries"]["fieldConfig"]["defaults"]["custom"]["lineWitdh"] = 1
    override = panels["override"]["timeseries"]["fieldConfig"]["overrides"][0]
    override["properties"][0]["id"] = "custom.fillBelow"
    panels["panel"]["table"]["gridPos"].pop("h")
    wrong["variable"]["templating"]["list"][0]["refresh"] = 7
    found = complaints(wrong.values(), tmp_path)
    assert {line.partition(".ts")[0] for line in found} == {f"wrong-{name}" for name in wrong}
