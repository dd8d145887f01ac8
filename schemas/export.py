"""JSON Schema and AsyncAPI documents of what travels, for sources and other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from schemas.alerts import Alert, AlertEvent
from schemas.counts import Count
from schemas.events import DrugSale, EventKind, FeverVisit
from schemas.refusals import RefusalReason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

__all__ = ["JSON_SCHEMA", "asyncapi_document", "json_schemas"]

JSON_SCHEMA: Final = "https://json-schema.org/draft/2020-12/schema"

_VERSION: Final = "1"
_CHANNELS: Final[dict[EventKind, tuple[str, type[BaseModel], str]]] = {
    "visits": ("Visits", FeverVisit, "Visits to fever clinics and emergency departments"),
    "sales": ("Sales", DrugSale, "Drug sales of pharmacies"),
}


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema (2020-12) of each model that travels, by its name."""
    models: tuple[type[BaseModel], ...] = (FeverVisit, DrugSale, Alert, AlertEvent, Count)
    return {
        model.__name__: {"$schema": JSON_SCHEMA, **model.model_json_schema()} for model in models
    }


def asyncapi_document(topics: Mapping[EventKind, str], *, alerts: str) -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document of the topics.

    Parameters
    ----------
    topics
        Name of the topic of each kind of events; refused records go to ``<topic>.dead-letter``.
    alerts
        Name of the topic of what happens to alerts.
    """
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for kind, (name, model, title) in _CHANNELS.items():
        topic = topics[kind]
        channels[kind] = _channel(
            topic, title, model.__name__, "Keyed by region code; one event a record."
        )
        channels[f"refused{name}"] = _channel(
            f"{topic}.dead-letter",
            f"Refused: {title[0].lower()}{title[1:]}",
            "RefusedRecord",
            "The records that were refused, as they came; the headers tell why.",
        )
        operations[f"receive{name}"] = _operation(kind, "receive", f"Takes in {kind}.")
        operations[f"sendRefused{name}"] = _operation(
            f"refused{name}", "send", f"Hands refused {kind} over."
        )
    channels["alerts"] = _channel(
        alerts, "What happens to alerts", "AlertEvent", "Keyed by alert; one event a record."
    )
    operations["sendAlertEvents"] = _operation("alerts", "send", "Tells every change of an alert.")
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Fenghuo",
            "version": _VERSION,
            "description": "Real-time public-health surveillance. Sources publish events; the same "
            "event_id with a higher revision corrects an event, cancelled takes it back.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": {
                **{model.__name__: _event_message(model) for _, model, _ in _CHANNELS.values()},
                "RefusedRecord": _refused_message(),
                "AlertEvent": _alert_message(),
            },
            "schemas": _component_schemas(
                *(model for _, model, _ in _CHANNELS.values()), AlertEvent
            ),
        },
    }


def _component_schemas(*models: type[BaseModel]) -> dict[str, Any]:
    """Return the schemas of models side by side with those of their parts."""
    schemas: dict[str, Any] = {}
    for model in models:
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= schema.pop("$defs", {})
        schemas[model.__name__] = schema
    return schemas


def _channel(topic: str, title: str, message: str, description: str) -> dict[str, Any]:
    return {
        "address": topic,
        "title": title,
        "description": description,
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "bindings": {"kafka": {"topic": topic, "bindingVersion": "0.5.0"}},
    }


def _operation(channel: str, action: str, summary: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
    }


def _key(description: str) -> dict[str, Any]:
    key = {"type": "string", "description": description}
    return {"kafka": {"key": key, "bindingVersion": "0.5.0"}}


def _event_message(model: type[BaseModel]) -> dict[str, Any]:
    return {
        "name": model.__name__,
        "title": (model.__doc__ or "").strip(),
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
        "bindings": _key("The event's region code in UTF-8: events of a region keep their order"),
    }


def _alert_message() -> dict[str, Any]:
    return {
        "name": "AlertEvent",
        "title": "A change of an alert.",
        "contentType": "application/json",
        "payload": {"$ref": "#/components/schemas/AlertEvent"},
        "bindings": _key("The alert's id: its events keep their order; seq tells a repetition"),
    }


def _refused_message() -> dict[str, Any]:
    text = {"type": "string"}
    headers = {
        "reason": {**text, "enum": [reason.value for reason in RefusalReason]},
        "sentence": {**text, "description": "What to mend; never repeats a value"},
        "topic": {**text, "description": "Where the record was read"},
        "partition": {**text, "pattern": "^[0-9]+$"},
        "offset": {**text, "pattern": "^[0-9]+$"},
    }
    return {
        "name": "RefusedRecord",
        "title": "A record that was refused.",
        "contentType": "application/octet-stream",
        "headers": {"type": "object", "properties": headers, "required": list(headers)},
        "payload": {"description": "The original bytes, whatever they are; may be personal"},
        "bindings": _key("The record's original key, if it had one"),
    }
