"""A server on loopback that answers as Grafana's documented HTTP API does, and can go wrong.

Written from https://grafana.com/docs/grafana/latest/developers/http_api/ (annotations, dashboard,
dashboard_versions, data_source, folder), and from what issues of Grafana tell where the pages are
silent: versions within an object since 11.5 (#104556), other ids after a change of time in 13
(#129057), no annotation left after a removal of id 0 (#99685), at most 100 characters of a tag
(#98361).
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, Self

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["TOKEN", "Fault", "GrafanaServer"]

TOKEN = "glsa_right"

#: What goes wrong with one request: a status; no answer, and nothing done; done, but no answer;
#: done after the caller has given up; the connection closed; a page for people.
Fault = Literal["fine", "429", "500", "503", "hang", "lost", "late", "drop", "page"]


class GrafanaServer:
    """Grafana, as far as `fenghuo grafana sync` and the worker meet it.

    Parameters
    ----------
    prefix
        Path under which it is served.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None
        self._ends = asyncio.Event()
        self._late: set[asyncio.Task[Any]] = set()
        self.port = 0
        self.folders: dict[str, dict[str, Any]] = {}
        self.datasources: dict[str, dict[str, Any]] = {}
        self.passwords: dict[str, str] = {}
        self.dashboards: dict[str, dict[str, Any]] = {}
        self.annotations: dict[int, dict[str, Any]] = {}
        #: Requests that changed something, or would have.
        self.writes: list[str] = []
        self.requests = 0
        self.health = ("OK", "Database Connection OK")
        #: Methods and the beginnings of paths that the token has no right to.
        self.forbidden: set[tuple[str, str]] = set()
        #: What goes wrong with the next requests, and with all after them.
        self.faults: deque[Fault] = deque()
        self.always: Fault = "fine"
        #: How long it hangs, and after which time it does what it was late with.
        self.hang_seconds = 5.0
        self.late_seconds = 0.05
        #: A change of time gives an annotation another id.
        self.recreates = False
        #: Dashboards come back in a newer schema.
        self.migrates = False
        #: Versions as a plain list, as before 11.5.
        self.old_versions = False
        #: Annotations that it takes for wrong.
        self.refuses: Callable[[dict[str, Any]], bool] = lambda _: False
        #: Called before a dashboard is saved: somebody else is quicker.
        self.before_save: Callable[[], None] = lambda: None
        self._ids = iter(range(1, 1_000_000))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self._prefix}"

    def __enter__(self) -> Self:
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def start(self) -> None:
        """Listen, on the same port as before."""
        self._wait_for(self._start())

    def stop(self) -> None:
        """Refuse connections; what is stored stays."""
        self._wait_for(self._stop())

    def settle(self) -> None:
        """Wait until all is done that came late."""
        self._wait_for(self._settle())

    def changed_by_hand(self, uid: str, **fields: Any) -> None:
        """Save a dashboard as a person does in the browser."""
        self._keep(self.dashboards[uid], {**self.dashboards[uid]["model"], **fields}, "A new title")

    def forget_annotations(self) -> None:
        self.annotations.clear()

    def _wait_for(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _start(self) -> None:
        self._ends.clear()
        app = web.Application(middlewares=[self._faults, self._rights])
        root = f"{self._prefix}/api"
        app.add_routes(
            [
                web.get(f"{root}/folders/{{uid}}", self._get_folder),
                web.post(f"{root}/folders", self._add_folder),
                web.put(f"{root}/folders/{{uid}}", self._put_folder),
                web.get(f"{root}/datasources/uid/{{uid}}", self._get_datasource),
                web.get(f"{root}/datasources/uid/{{uid}}/health", self._get_health),
                web.post(f"{root}/datasources", self._add_datasource),
                web.put(f"{root}/datasources/uid/{{uid}}", self._put_datasource),
                web.get(f"{root}/dashboards/uid/{{uid}}", self._get_dashboard),
                web.get(f"{root}/dashboards/uid/{{uid}}/versions", self._get_versions),
                web.post(f"{root}/dashboards/db", self._save_dashboard),
                web.get(f"{root}/annotations", self._find_annotations),
                web.post(f"{root}/annotations", self._add_annotation),
                web.patch(f"{root}/annotations/{{id}}", self._patch_annotation),
                web.delete(f"{root}/annotations/{{id}}", self._delete_annotation),
            ]
        )
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _stop(self) -> None:
        if self._runner is not None:
            self._ends.set()
            await self._settle()
            await self._runner.cleanup()
            self._runner = None

    async def _settle(self) -> None:
        await asyncio.gather(*self._late, return_exceptions=True)

    # -- what goes wrong --------------------------------------------------------------------------

    @web.middleware
    async def _faults(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests += 1
        fault = self.faults.popleft() if self.faults else self.always
        await request.read()
        if fault.isdecimal():
            return _answer({"message": "Something went wrong"}, int(fault))
        match fault:
            case "page":
                return web.Response(text="<html>Sign in</html>", content_type="text/html")
            case "hang":
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._ends.wait(), self.hang_seconds)
            case "lost":
                await handler(request)
            case "late":
                task = asyncio.create_task(self._do_late(request, handler))
                self._late.add(task)
                task.add_done_callback(self._late.discard)
            case "fine":
                answer: web.StreamResponse = await handler(request)
                return answer
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    async def _do_late(self, request: web.Request, handler: Any) -> None:
        await asyncio.sleep(self.late_seconds)
        await handler(request)

    @web.middleware
    async def _rights(self, request: web.Request, handler: Any) -> web.StreamResponse:
        path = request.path.removeprefix(f"{self._prefix}/api")
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _answer({"message": "Invalid API key", "messageId": "api-key.invalid"}, 401)
        if any(request.method == m and path.startswith(p) for m, p in self.forbidden):
            return _answer(
                {
                    "title": "Access denied",
                    "message": "You'll need additional permissions to perform this action.",
                },
                403,
            )
        if request.method != "GET":
            self.writes.append(f"{request.method} {path}")
        answer: web.StreamResponse = await handler(request)
        return answer

    # -- folders ----------------------------------------------------------------------------------

    async def _get_folder(self, request: web.Request) -> web.Response:
        found = self.folders.get(request.match_info["uid"])
        return _answer(found) if found else _answer({"message": "folder not found"}, 404)

    async def _add_folder(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body["uid"] in self.folders:
            return _answer({"message": "a folder with the same uid already exists"}, 409)
        folder = {"id": next(self._ids), "version": 1, "uid": body["uid"], "title": body["title"]}
        self.folders[body["uid"]] = folder
        return _answer(folder)

    async def _put_folder(self, request: web.Request) -> web.Response:
        body, found = await request.json(), self.folders[request.match_info["uid"]]
        if not body.get("overwrite") and body.get("version") != found["version"]:
            return _conflict("The folder has been changed by someone else", "version-mismatch")
        found |= {"title": body["title"], "version": found["version"] + 1}
        return _answer(found)

    # -- data sources -----------------------------------------------------------------------------

    async def _get_datasource(self, request: web.Request) -> web.Response:
        found = self.datasources.get(request.match_info["uid"])
        return _answer(found) if found else _answer({"message": "Data source not found"}, 404)

    async def _get_health(self, _: web.Request) -> web.Response:
        status, message = self.health
        return _answer({"status": status, "message": message}, 200 if status == "OK" else 400)

    async def _add_datasource(self, request: web.Request) -> web.Response:
        body = await request.json()
        if any(
            one["name"] == body["name"] or one["uid"] == body["uid"]
            for one in self.datasources.values()
        ):
            text = "data source with the same name already exists"
            return _answer({"message": text}, 409)
        stored = self._stored(body, {"id": next(self._ids), "version": 1, "readOnly": False})
        return _answer({"message": "Datasource added", "datasource": stored, "id": stored["id"]})

    async def _put_datasource(self, request: web.Request) -> web.Response:
        found = self.datasources[request.match_info["uid"]]
        if found["readOnly"]:
            return _answer({"message": "Cannot update read-only data source"}, 403)
        body = await request.json()
        kept = {"id": found["id"], "version": found["version"] + 1, "readOnly": False}
        return _answer({"message": "Datasource updated", "datasource": self._stored(body, kept)})

    def _stored(self, body: dict[str, Any], kept: dict[str, Any]) -> dict[str, Any]:
        secrets = body.pop("secureJsonData", {})
        self.passwords |= {body["uid"]: secrets["password"]} if secrets.get("password") else {}
        known = {"password": True} if body["uid"] in self.passwords else {}
        self.datasources[body["uid"]] = {**body, **kept, "secureJsonFields": known}
        return self.datasources[body["uid"]]

    # -- dashboards -------------------------------------------------------------------------------

    async def _get_dashboard(self, request: web.Request) -> web.Response:
        found = self.dashboards.get(request.match_info["uid"])
        if found is None:
            return _answer({"message": "Dashboard not found"}, 404)
        model = {**found["model"], "id": found["id"], "version": found["versions"][-1]["version"]}
        if self.migrates:
            model |= {"schemaVersion": 99, "preload": False}
        meta = {"folderUid": found["folderUid"], "provisioned": found["provisioned"]}
        return _answer({"dashboard": model, "meta": meta})

    async def _get_versions(self, request: web.Request) -> web.Response:
        versions = self.dashboards[request.match_info["uid"]]["versions"][::-1]
        return _answer(
            versions if self.old_versions else {"continueToken": "", "versions": versions}
        )

    async def _save_dashboard(self, request: web.Request) -> web.Response:
        self.before_save()
        body = await request.json()
        model = body["dashboard"]
        if body.get("folderUid", "") and body["folderUid"] not in self.folders:
            return _answer({"message": "folder not found"}, 400)
        found = self.dashboards.get(model["uid"])
        if found is not None and not body.get("overwrite"):
            if model.get("id") != found["id"]:
                text = "A dashboard with the same uid already exists"
                return _conflict(text, "name-exists")
            if model.get("version") != found["versions"][-1]["version"]:
                text = "The dashboard has been changed by someone else"
                return _conflict(text, "version-mismatch")
        if found is not None and found["provisioned"]:
            return _answer({"message": "Cannot save provisioned dashboard"}, 400)
        if found is None:
            found = {"id": next(self._ids), "versions": [], "provisioned": False}
            self.dashboards[model["uid"]] = found
        found["folderUid"] = body.get("folderUid", "")
        self._keep(found, model, body.get("message", ""))
        return _answer({"status": "success", "uid": model["uid"], "id": found["id"]})

    def _keep(self, found: dict[str, Any], model: dict[str, Any], message: str) -> None:
        found["model"] = model
        found["versions"].append({"version": len(found["versions"]) + 1, "message": message})

    # -- annotations ------------------------------------------------------------------------------

    async def _find_annotations(self, request: web.Request) -> web.Response:
        query = request.query
        tags, some = set(query.getall("tags", [])), query.get("matchAny") == "true"
        found = [
            row
            for row in self.annotations.values()
            if (tags & set(row["tags"]) if some and tags else tags <= set(row["tags"]))
            and int(query.get("from", 0)) <= row["timeEnd"]
            and row["time"] <= int(query.get("to", 1 << 62))
        ]
        found.sort(key=lambda row: (row["timeEnd"], row["id"]), reverse=True)
        return _answer(found[: int(query.get("limit", 100))])

    async def _add_annotation(self, request: web.Request) -> web.Response:
        body = await request.json()
        if not body.get("text") or self.refuses(body):
            return _answer({"message": "Failed to save annotation, text is wrong"}, 400)
        if any(len(part) > 100 for tag in body["tags"] for part in tag.split(":", 1)):
            return _answer({"message": "Failed to save annotation"}, 500)
        number = next(self._ids)
        self.annotations[number] = {
            "id": number,
            "alertId": 0,
            "dashboardUID": None,
            "time": body["time"],
            "timeEnd": body.get("timeEnd") or body["time"],
            "text": body["text"],
            # In no order that a caller could count on.
            "tags": sorted(body["tags"], reverse=True),
        }
        return _answer({"message": "Annotation added", "id": number})

    async def _patch_annotation(self, request: web.Request) -> web.Response:
        body, number = await request.json(), int(request.match_info["id"])
        found = self.annotations.get(number)
        if found is None:
            return _answer({"message": "Annotation not found"}, 404)
        given = {key: body[key] for key in ("time", "timeEnd", "text", "tags") if body.get(key)}
        given |= {"tags": sorted(given["tags"], reverse=True)} if "tags" in given else {}
        moved = any(given.get(key, found[key]) != found[key] for key in ("time", "timeEnd"))
        found |= given
        if moved and self.recreates:
            del self.annotations[number]
            found["id"] = next(self._ids)
            self.annotations[found["id"]] = found
        return _answer({"message": "Annotation patched"})

    async def _delete_annotation(self, request: web.Request) -> web.Response:
        number = int(request.match_info["id"])
        if number == 0:
            self.annotations.clear()
        elif self.annotations.pop(number, None) is None:
            return _answer({"message": "Annotation not found"}, 404)
        return _answer({"message": "Annotation deleted"})


def _answer(body: Any, status: int = 200) -> web.Response:
    return web.json_response(body, status=status)


def _conflict(message: str, status: str) -> web.Response:
    return _answer({"message": message, "status": status}, 412)
