"""Grafana's HTTP API as far as it is needed, with time-outs and retries."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from grafana_client import AsyncGrafanaApi
from grafana_client.client import GrafanaException

from streams.grafana.errors import (
    GrafanaAwayError,
    GrafanaDeniedError,
    GrafanaError,
    GrafanaMissingError,
    GrafanaRefusedError,
    error_of,
)
from streams.notify.limits import Backoff

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from streams.grafana.annotation import Annotation

__all__ = ["Grafana", "open_grafana"]


class Grafana:
    """Calls of the API under one address.

    Parameters
    ----------
    api
        The client, opened by `open_grafana`.
    address
        Where it is, for errors.
    timeout
        Seconds until an answer is given up.
    attempts
        How often to try while Grafana is away.
    """

    def __init__(
        self,
        api: Any,
        address: str,
        *,
        timeout: float,
        attempts: int,
        backoff: Backoff,
    ) -> None:
        self._api = api
        self._address = address
        self._timeout = timeout
        self._attempts = attempts
        self._backoff = backoff

    async def folder(self, uid: str) -> dict[str, Any] | None:
        """Return a folder, or None without one of this uid."""
        return await self._get("read folders", lambda: self._api.folder.get_folder(uid))

    async def create_folder(self, uid: str, title: str) -> None:
        """Make a folder at the root."""
        await self._call("create folders", lambda: self._api.folder.create_folder(title, uid))

    async def rename_folder(self, uid: str, title: str, version: int) -> None:
        """Give a folder another title, if it still is the version that was seen."""
        await self._call(
            "change folders", lambda: self._api.folder.update_folder(uid, title, version)
        )

    async def datasource(self, uid: str) -> dict[str, Any] | None:
        """Return a data source, or None without one of this uid."""
        call = self._api.datasource.get_datasource_by_uid
        return await self._get("read data sources", lambda: call(uid))

    async def create_datasource(self, body: dict[str, Any]) -> None:
        """Make a data source."""
        await self._call(
            "create data sources", lambda: self._api.datasource.create_datasource(body)
        )

    async def update_datasource(self, uid: str, body: dict[str, Any]) -> None:
        """Put a data source in the place of the one of this uid."""
        call = self._api.datasource.update_datasource_by_uid
        await self._call("change data sources", lambda: call(uid, body))

    async def datasource_problem(self, uid: str) -> str | None:
        """Return why Grafana cannot use a data source; None: it can, or does not tell."""
        try:
            health = await self._once("query", lambda: self._api.datasource.health(uid))
        except GrafanaRefusedError as error:
            return error.said or str(error)
        except GrafanaError:
            return None
        return None if health.get("status") == "OK" else str(health.get("message"))

    async def dashboard(self, uid: str) -> dict[str, Any] | None:
        """Return a dashboard with what Grafana knows of it; None without one of this uid."""
        return await self._get("read dashboards", lambda: self._api.dashboard.get_dashboard(uid))

    async def latest_message(self, uid: str) -> str | None:
        """Return what was noted when a dashboard was last saved; None: Grafana does not tell."""
        call = self._api.dashboard_versions.get_dashboard_versions_by_uid
        try:
            answer = await self._call("read versions", lambda: call(uid), kind=(list, dict))
        except (GrafanaDeniedError, GrafanaMissingError, GrafanaRefusedError):
            return None
        # A list before Grafana 11.5.
        versions = answer if isinstance(answer, list) else answer.get("versions") or []
        if not versions:
            return None
        latest = max(versions, key=lambda one: int(one.get("version", 0)))
        return str(latest.get("message") or "")

    async def save_dashboard(self, body: dict[str, Any]) -> None:
        """Create or update a dashboard; the body is that of `POST /api/dashboards/db`."""
        await self._call("save dashboards", lambda: self._api.dashboard.update_dashboard(body))

    async def annotations(self, tags: Sequence[str], *, limit: int) -> list[dict[str, Any]]:
        """Return annotations that have all of these tags, at most so many."""
        call = self._api.annotations.find_annotations
        found: list[dict[str, Any]] = await self._call(
            "read annotations", lambda: call(tags=tags, limit=limit), kind=list
        )
        return found

    async def add_annotation(self, annotation: Annotation) -> int:
        """Add an annotation, and return its id; it is tried once, since a repetition would show."""
        answer = await self._once(
            "add annotations", lambda: self._api.annotations.add_annotation(**_fields(annotation))
        )
        return int(answer["id"])

    async def change_annotation(self, annotation_id: int, annotation: Annotation) -> None:
        """Change all of an annotation."""
        call = self._api.annotations.partial_update_annotation
        await self._call("change annotations", lambda: call(annotation_id, **_fields(annotation)))

    async def remove_annotation(self, annotation_id: int) -> None:
        """Remove an annotation; it may be gone already."""
        if annotation_id <= 0:
            # Grafana 11 removed all annotations when asked for 0 (its issue 99685).
            raise ValueError(f"{annotation_id} is no annotation's id")
        call = self._api.annotations.delete_annotations_by_id
        await self._get("remove annotations", lambda: call(annotation_id))

    async def _get(self, what: str, call: Callable[[], Awaitable[Any]]) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = await self._call(what, call)
        except GrafanaMissingError:
            return None
        return found

    async def _call(
        self,
        what: str,
        call: Callable[[], Awaitable[Any]],
        *,
        kind: type | tuple[type, ...] = dict,
    ) -> Any:
        """Do what may be repeated; try again for a while if Grafana is away."""
        failures = 0
        while True:
            try:
                return await self._once(what, call, kind=kind)
            except GrafanaAwayError as error:
                failures += 1
                if failures >= self._attempts:
                    error.maybe_done = False
                    raise
                await asyncio.sleep(self._backoff.after(failures).total_seconds())

    async def _once(
        self,
        what: str,
        call: Callable[[], Awaitable[Any]],
        *,
        kind: type | tuple[type, ...] = dict,
    ) -> Any:
        try:
            # The client's own time-out begins anew with everything that arrives.
            async with asyncio.timeout(2 * self._timeout):
                answer = await call()
        except GrafanaException as error:
            if not error.status_code:
                raise self._away(error) from error
            raise error_of(error.status_code, error.response, what, self._address) from error
        except ValueError as error:
            raise self._no_grafana() from error
        except OSError as error:
            raise self._away(error) from error
        if not isinstance(answer, kind):
            raise self._no_grafana()
        return answer

    def _away(self, error: BaseException) -> GrafanaAwayError:
        reason, sent = _reason(error, self._timeout)
        return GrafanaAwayError(
            f"Grafana at {self._address} cannot be reached: {reason}. "
            "Check that it runs, and FENGHUO_GRAFANA_URL or FENGHUO_GRAFANA_API_URL.",
            maybe_done=sent,
        )

    def _no_grafana(self) -> GrafanaRefusedError:
        return GrafanaRefusedError(
            f"What answers at {self._address} is no Grafana. "
            "Check FENGHUO_GRAFANA_URL or FENGHUO_GRAFANA_API_URL."
        )


@asynccontextmanager
async def open_grafana(
    url: str,
    token: str,
    *,
    timeout: float = 5.0,  # noqa: ASYNC109 - of each answer
    attempts: int = 1,
    backoff: Backoff = Backoff(0.5, 4),  # noqa: B008 - immutable
) -> AsyncIterator[Grafana]:
    """Open a client; nothing is asked for yet.

    Parameters
    ----------
    url
        Where Grafana is; may hold a path.
    timeout
        Seconds until an answer is given up.
    attempts
        How often each call is tried while Grafana is away.
    """
    # The client takes the path for a prefix of "api".
    url = url.rstrip("/")
    api = AsyncGrafanaApi.from_url(f"{url}/", credential=token or None, timeout=timeout)
    parts = urlsplit(url)
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    try:
        yield Grafana(api, address, timeout=timeout, attempts=attempts, backoff=backoff)
    finally:
        await api.client.s.close()


def _fields(annotation: Annotation) -> dict[str, Any]:
    return {
        "time_from": annotation.time,
        "time_to": annotation.time_end,
        "tags": list(annotation.tags),
        "text": annotation.text,
    }


def _reason(error: BaseException, seconds: float) -> tuple[str, bool]:
    """Tell why there was no answer, and whether the request may have arrived."""
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, TimeoutError):
            return f"no answer within {seconds:g} s", True
        if isinstance(at, ConnectionRefusedError):
            return "connection refused", False
        if isinstance(at, socket.gaierror):
            return "its name is not known", False
        if isinstance(at, OSError) and at.errno:
            return os.strerror(at.errno).lower(), True
        at = at.__cause__ or at.__context__
    return "the connection broke", True
