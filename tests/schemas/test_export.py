from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from schemas.alerts import AlertEvent
from schemas.export import asyncapi_document
from schemas.refusals import RefusalReason
from streams.cli.main import app
from streams.documents import configuration_schema, documents
from tests.support.alerts import AS_OF, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.events import EventKind

ROOT = Path(__file__).parents[2]
EXPORTED = ROOT / "schemas" / "exported"
CONFIG = ROOT / "tests" / "data" / "taiwan.yaml"
TOPICS: dict[EventKind, str] = {"visits": "fever-clinic.visits", "sales": "pharmacy.sales"}

VISIT = {
    "event_id": "v1",
    "source_id": "his",
    "facility_id": "H1",
    "region": "330106",
    "occurred_at": "2026-01-01T08:00:00+08:00",
}


def exported(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((EXPORTED / name).read_text(encoding="utf-8"))
    return document


def is_valid(name: str, document: object) -> bool:
    return bool(jsonschema.Draft202012Validator(exported(name)).is_valid(document))


def test_the_committed_copies_are_in_step(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["schema", "export", "--out", str(tmp_path / "new")])
    assert result.exit_code == 0
    fresh = {path.name: path.read_text("utf-8") for path in (tmp_path / "new").iterdir()}
    committed = {path.name: path.read_text("utf-8") for path in EXPORTED.iterdir()}
    assert fresh == committed, "run fenghuo schema export and commit schemas/exported"


@pytest.mark.parametrize(
    "name", [name for name in documents(TOPICS, alerts="alerts") if name.endswith(".schema.json")]
)
def test_schemas_are_json_schema_2020_12(name: str) -> None:
    document = exported(name)
    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(document)


@pytest.mark.parametrize(
    ("changes", "valid"),
    [
        ({}, True),
        ({"age": 34, "icd10": ["J11.1"], "temperature": 38.5}, True),
        ({"age": 300}, False),
        ({"age": "34"}, False),
        ({"temperature": 60}, False),
        ({"icd10": ["J11.100x002"]}, True),
        ({"icd10": ["x" * 65]}, False),
        ({"name": "x"}, False),
        ({"region": None}, False),
        ({"schema_version": 2}, False),
        ({"revision": 0}, False),
    ],
)
def test_the_schema_of_visits_refuses_what_ingest_refuses(
    changes: dict[str, Any],
    valid: bool,  # noqa: FBT001 - the expectation
) -> None:
    assert is_valid("FeverVisit.schema.json", VISIT | changes) is valid


def test_the_schema_of_sales() -> None:
    assert is_valid("DrugSale.schema.json", VISIT | {"atc": "N02BE01", "quantity": 0.5})
    assert not is_valid("DrugSale.schema.json", VISIT | {"atc": "N02BE01", "quantity": 0})
    assert not is_valid("DrugSale.schema.json", VISIT | {"atc": "x" * 65, "quantity": 1})


def test_the_schema_of_the_configuration_knows_the_detectors() -> None:
    config = YAML(typ="safe").load(CONFIG.read_text(encoding="utf-8"))
    assert is_valid("configuration.schema.json", config)

    rule = config["rules"]["ili-week"]
    for detector in ({"type": "nothing"}, {"type": "ears", "baseline": 1}, {"method": "C1"}):
        rule["detector"] = detector
        assert not is_valid("configuration.schema.json", config), detector
    rule["detector"] = {"type": "ears", "baseline": 14}
    assert is_valid("configuration.schema.json", config)


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


@pytest.mark.parametrize("name", list(documents(TOPICS, alerts="alerts")))
def test_references_lead_somewhere(name: str) -> None:
    document = exported(name)
    for reference in references(document):
        node: Any = document
        for part in reference.removeprefix("#/").split("/"):
            assert part in node, f"{name}: {reference}"
            node = node[part]


def test_the_asyncapi_document_has_the_shape_of_asyncapi_3() -> None:
    # What the specification requires of the objects that are used here.
    document = exported("asyncapi.json")
    assert document["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= document["info"].keys()
    assert {channel["address"] for channel in document["channels"].values()} == {
        "fever-clinic.visits",
        "fever-clinic.visits.dead-letter",
        "pharmacy.sales",
        "pharmacy.sales.dead-letter",
        "alerts",
    }
    for channel in document["channels"].values():
        assert channel["bindings"]["kafka"]["topic"] == channel["address"]
        for name, message in channel["messages"].items():
            assert message == {"$ref": f"#/components/messages/{name}"}
    directions = {
        (operation["action"], operation["channel"]["$ref"])
        for operation in document["operations"].values()
    }
    assert directions == {
        ("receive", "#/channels/visits"),
        ("receive", "#/channels/sales"),
        ("send", "#/channels/refusedVisits"),
        ("send", "#/channels/refusedSales"),
        ("send", "#/channels/alerts"),
    }
    for name, message in document["components"]["messages"].items():
        assert message["name"] == name
        assert message["bindings"]["kafka"]["key"]["type"] == "string"


def test_the_asyncapi_document_tells_the_headers_of_dead_letters() -> None:
    headers = exported("asyncapi.json")["components"]["messages"]["RefusedRecord"]["headers"]
    assert headers["required"] == ["reason", "sentence", "topic", "partition", "offset"]
    assert headers["properties"]["reason"]["enum"] == [reason.value for reason in RefusalReason]


def test_the_schema_of_what_happens_to_alerts() -> None:
    event = AlertEvent(alert_id=1, seq=1, at=AS_OF, actor="system", change=opened())
    assert is_valid("AlertEvent.schema.json", json.loads(event.model_dump_json()))
    told = {"alert_id": 1, "seq": 2, "at": "2026-11-22T09:00:00Z", "actor": "li"}
    assert is_valid("AlertEvent.schema.json", told | {"change": {"kind": "verified"}})
    assert not is_valid("AlertEvent.schema.json", told | {"change": {"kind": "burnt"}})


def test_topics_of_ones_own() -> None:
    document = asyncapi_document({"visits": "a", "sales": "b"}, alerts="c")
    addresses = [channel["address"] for channel in document["channels"].values()]
    assert addresses == ["a", "a.dead-letter", "b", "b.dead-letter", "c"]


def test_a_detectors_model_cannot_hide_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    clash = {"oneOf": [], "$defs": {"Signal": {}}}
    monkeypatch.setattr("streams.documents.config_schema", lambda: clash)
    with pytest.raises(ValueError, match="Signal"):
        configuration_schema()
