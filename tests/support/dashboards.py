"""The dashboards as they are in the repository, taken apart for tests and benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FOLDER", "UIDS", "Query", "dashboards", "panels", "queries"]

FOLDER = Path(__file__).resolve().parents[2] / "dashboards"
#: Other parts link to these.
UIDS = (
    "fenghuo-situation",
    "fenghuo-signal",
    "fenghuo-region",
    "fenghuo-quality",
    "fenghuo-pipeline",
)


class Query(NamedTuple):
    """One query of a panel, a variable or an annotation."""

    dashboard: str
    kind: str
    """The panel's type, `variable` or `annotation`."""
    name: str
    format: str
    sql: str
    panel: dict[str, Any]
    """What the query belongs to."""

    @property
    def label(self) -> str:
        """Tell it from the others."""
        return f"{self.dashboard.removeprefix('fenghuo-')}: {self.name}"


def dashboards() -> dict[str, dict[str, Any]]:
    """Return all dashboards by uid."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))]
    return {one["uid"]: one for one in found}


def panels(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give all panels, rows and those within collapsed rows included."""
    for panel in dashboard["panels"]:
        yield panel
        yield from panel.get("panels", [])


def queries() -> list[Query]:
    """Return the queries of all dashboards."""
    return [query for uid, dashboard in dashboards().items() for query in _of(uid, dashboard)]


def _of(uid: str, dashboard: dict[str, Any]) -> Iterator[Query]:
    for panel in panels(dashboard):
        for one in panel.get("targets", []):
            yield Query(uid, panel["type"], panel["title"], one["format"], one["rawSql"], panel)
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield Query(uid, "variable", variable["name"], "table", variable["query"], variable)
    for one in dashboard["annotations"]["list"]:
        if not one.get("builtIn"):
            yield Query(uid, "annotation", one["name"], "table", one["target"]["rawSql"], one)
