"""The documents of the interface, with the part that only the detectors know."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from detectors.registry import config_schema
from schemas.config import Surveillance
from schemas.export import JSON_SCHEMA, asyncapi_document, json_schemas

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from schemas.events import EventKind

__all__ = ["configuration_schema", "documents", "write_documents"]


def configuration_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the configuration file.

    It holds the parameters of the detectors that are installed, so that an editor can complete and
    check them.
    """
    schema = Surveillance.model_json_schema()
    detector: dict[str, Any] = dict(config_schema())
    definitions: dict[str, Any] = detector.pop("$defs")
    if clash := sorted({*definitions, "Detector"} & schema["$defs"].keys()):
        raise ValueError(f"a detector's model has the name of another model: {', '.join(clash)}")
    rule = schema["$defs"]["Rule"]["properties"]
    description = rule["detector"].get("description", "")
    rule["detector"] = {"$ref": "#/$defs/Detector", "description": description}
    schema["$defs"] |= {"Detector": detector, **definitions}
    return {"$schema": JSON_SCHEMA, **schema}


def documents(topics: Mapping[EventKind, str], *, alerts: str) -> dict[str, str]:
    """Return all documents, as text by file name."""
    contents = {f"{name}.schema.json": schema for name, schema in json_schemas().items()}
    contents["configuration.schema.json"] = configuration_schema()
    contents["asyncapi.json"] = asyncapi_document(topics, alerts=alerts)
    return {
        name: json.dumps(content, ensure_ascii=False, indent=2) + "\n"
        for name, content in contents.items()
    }


def write_documents(folder: Path, topics: Mapping[EventKind, str], *, alerts: str) -> list[Path]:
    """Write all documents into a folder, which is made when absent; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in documents(topics, alerts=alerts).items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written
