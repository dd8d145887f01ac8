"""Bringing Grafana in step: folder, data source, dashboards, annotations.

What is as it should be is not written. What people changed in Grafana by hand stays, unless it is
to be overwritten: a dashboard whose latest version somebody else saved, the folder's title.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from streams.grafana.annotation import TAG, annotation_of, read_annotation
from streams.grafana.dashboards import note_of, noted_fingerprint
from streams.grafana.datasource import DATASOURCE_UID, differs
from streams.grafana.errors import GrafanaConflictError, GrafanaError
from streams.store import grafana_annotations as queue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg_pool import AsyncConnectionPool

    from streams.config import Configuration
    from streams.grafana.annotation import Annotation
    from streams.grafana.client import Grafana
    from streams.grafana.dashboards import Dashboard
    from streams.grafana.pushing import Pusher

__all__ = [
    "FOLDER_UID",
    "Action",
    "Result",
    "sync_annotations",
    "sync_dashboard",
    "sync_datasource",
    "sync_folder",
]

FOLDER_UID: Final = "fenghuo"
_FOLDER_TITLE: Final = "烽火 Fenghuo"
#: Annotations asked for at first; more where there are more.
_ANNOTATIONS: Final = 10_000
_STRANGE: Final = "the database has no such alerts"

Action = Literal["created", "updated", "removed", "unchanged", "kept", "refused", "left out"]


class Result(NamedTuple):
    """What became of one thing, or of so many annotations."""

    kind: Literal["folder", "data source", "dashboard", "annotations"]
    name: str
    action: Action
    remark: str = ""
    number: int = 1


async def sync_folder(grafana: Grafana, *, overwrite: bool, dry_run: bool) -> Result:
    """Make the folder; give it its title back only if that is to be overwritten."""
    found = await grafana.folder(FOLDER_UID)
    if found is None:
        if not dry_run:
            try:
                await grafana.create_folder(FOLDER_UID, _FOLDER_TITLE)
            except GrafanaConflictError:
                # By somebody else in between, or by our own request whose answer got lost.
                if await grafana.folder(FOLDER_UID) is None:
                    raise
        return Result("folder", _FOLDER_TITLE, "created")
    title = str(found.get("title"))
    if title == _FOLDER_TITLE:
        return Result("folder", _FOLDER_TITLE, "unchanged")
    if not overwrite:
        return Result("folder", title, "kept", "renamed by hand; --overwrite names it again")
    if not dry_run:
        await grafana.rename_folder(FOLDER_UID, _FOLDER_TITLE, int(found.get("version") or 0))
    return Result("folder", _FOLDER_TITLE, "updated")


async def sync_datasource(
    grafana: Grafana, wanted: dict[str, Any] | None, *, overwrite: bool, dry_run: bool
) -> Result:
    """Make the data source as wanted; None leaves it alone.

    The password is sent when anything else differs, when Grafana cannot use the data source, or if
    it is to be overwritten: Grafana does not tell which one it has.
    """
    if wanted is None:
        return Result(
            "data source", DATASOURCE_UID, "left out", "FENGHUO_GRAFANA_DATABASE is not set"
        )
    name = str(wanted["name"])
    found = await grafana.datasource(DATASOURCE_UID)
    if found is None:
        if dry_run:
            return Result("data source", name, "created")
        try:
            await grafana.create_datasource(wanted)
        except GrafanaConflictError:
            if await grafana.datasource(DATASOURCE_UID) is None:
                raise
        return Result("data source", name, "created", await _remark(grafana))
    if found.get("readOnly"):
        return Result("data source", name, "kept", "provisioned by a file")
    problem = await grafana.datasource_problem(DATASOURCE_UID)
    if not (differs(found, wanted) or problem or overwrite):
        return Result("data source", name, "unchanged")
    if not dry_run:
        # What else was set in Grafana, such as the number of connections, stays.
        stored = found.get("jsonData") or {}
        body = {**wanted, "jsonData": {**stored, **wanted["jsonData"]}}
        await grafana.update_datasource(
            DATASOURCE_UID, {**body, "isDefault": bool(found.get("isDefault"))}
        )
        problem = await grafana.datasource_problem(DATASOURCE_UID)
    return Result("data source", name, "updated", _unusable(problem))


async def _remark(grafana: Grafana) -> str:
    return _unusable(await grafana.datasource_problem(DATASOURCE_UID))


def _unusable(problem: str | None) -> str:
    return f"Grafana cannot use it: {problem}" if problem else ""


async def sync_dashboard(
    grafana: Grafana, wanted: Dashboard, *, overwrite: bool, dry_run: bool
) -> Result:
    """Save a dashboard that is not as wanted, unless somebody has changed it by hand."""
    found = await grafana.dashboard(wanted.uid)
    if found is None:
        return await _save(grafana, wanted, None, overwrite=False, dry_run=dry_run)
    if found.get("meta", {}).get("provisioned"):
        return Result("dashboard", wanted.title, "kept", "provisioned by a file")
    if wanted.is_shown_by(found.get("dashboard", {})):
        return Result("dashboard", wanted.title, "unchanged")
    noted = noted_fingerprint(await grafana.latest_message(wanted.uid) or "")
    if noted == wanted.fingerprint:
        return Result("dashboard", wanted.title, "unchanged")
    if noted is None and not overwrite:
        return _changed_by_hand(wanted)
    return await _save(grafana, wanted, found, overwrite=overwrite, dry_run=dry_run)


async def _save(
    grafana: Grafana,
    wanted: Dashboard,
    found: dict[str, Any] | None,
    *,
    overwrite: bool,
    dry_run: bool,
) -> Result:
    action: Action = "created" if found is None else "updated"
    if dry_run:
        return Result("dashboard", wanted.title, action)
    model, folder = dict(wanted.model), FOLDER_UID
    if found is not None:
        model |= {key: found["dashboard"].get(key) for key in ("id", "version")}
        # Where people moved it; at the root it has none.
        folder = found.get("meta", {}).get("folderUid", FOLDER_UID)
    body = {
        "dashboard": model,
        "folderUid": folder,
        "message": note_of(wanted),
        "overwrite": overwrite,
    }
    try:
        await grafana.save_dashboard(body)
    except GrafanaConflictError as error:
        if error.status not in {"version-mismatch", "name-exists"}:
            raise
        # Our own request whose answer got lost, or somebody else in between.
        noted = noted_fingerprint(await grafana.latest_message(wanted.uid) or "")
        if noted != wanted.fingerprint:
            return _changed_by_hand(wanted)
    return Result("dashboard", wanted.title, action)


def _changed_by_hand(wanted: Dashboard) -> Result:
    return Result(
        "dashboard", wanted.title, "refused", f"{wanted.uid} was changed in Grafana by hand"
    )


async def sync_annotations(
    grafana: Grafana,
    pool: AsyncConnectionPool,
    configuration: Configuration,
    pusher: Pusher,
    *,
    web_url: str,
    overwrite: bool,
    dry_run: bool,
) -> list[Result]:
    """Compare all alerts with all annotations, and have those pushed that differ.

    Annotations of alerts that the database does not have are removed only if they are to be
    overwritten: they may be another installation's.
    """
    shown = await _all_annotations(grafana)
    counts: dict[Action, int] = defaultdict(int)
    differing: list[tuple[int, int]] = []
    async for alert in queue.every_alert(pool):
        wanted = annotation_of(alert, configuration, web_url)
        action = _difference(wanted, shown.pop(alert.alert_id, []))
        counts[action] += wanted is not None or action == "removed"
        if action != "unchanged":
            differing.append((alert.alert_id, alert.version))
    strangers = [annotation_id for found in shown.values() for annotation_id, _ in found]
    if not dry_run:
        await queue.push_again(pool, differing)
        await pusher.settle()
        for annotation_id in strangers if overwrite else ():
            await grafana.remove_annotation(annotation_id)
        if pusher.refused:
            raise GrafanaError(
                f"Annotations were not taken ({len(pusher.refused)}): "
                f"{next(iter(pusher.refused.values()))}"
            )
    return _annotation_results(counts, len(strangers), overwrite=overwrite)


def _annotation_results(
    counts: dict[Action, int], strangers: int, *, overwrite: bool
) -> list[Result]:
    results = [
        Result("annotations", "alerts", action, number=counts[action])
        for action in ("created", "updated", "removed", "unchanged")
        if counts[action]
    ]
    if strangers:
        action: Action = "removed" if overwrite else "kept"
        remark = _STRANGE if overwrite else f"{_STRANGE}; --overwrite removes them"
        results.append(Result("annotations", "other alerts", action, remark, strangers))
    return results


def _difference(wanted: Annotation | None, shown: Sequence[tuple[int, Annotation]]) -> Action:
    if wanted is None:
        return "removed" if shown else "unchanged"
    if not shown:
        return "created"
    right = len(shown) == 1 and shown[0][1].fingerprint == wanted.fingerprint
    return "unchanged" if right else "updated"


async def _all_annotations(grafana: Grafana) -> dict[int, list[tuple[int, Annotation]]]:
    """Return what Grafana shows of each alert."""
    limit = _ANNOTATIONS
    while len(rows := await grafana.annotations([TAG], limit=limit)) >= limit:
        limit *= 10
    shown: dict[int, list[tuple[int, Annotation]]] = defaultdict(list)
    for row in rows:
        alert_id, annotation = read_annotation(row)
        if alert_id is not None:
            shown[alert_id].append((int(row["id"]), annotation))
    return shown
