"""Every way in which Grafana can fail has its own error, in one line that says what to do."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

import pytest

from streams.grafana.annotation import Annotation
from streams.grafana.client import Grafana, open_grafana
from streams.grafana.errors import (
    GrafanaAwayError,
    GrafanaConflictError,
    GrafanaDeniedError,
    GrafanaError,
    GrafanaMissingError,
    GrafanaRefusedError,
)
from streams.notify.limits import Backoff
from tests.support.grafana_server import TOKEN, Fault, GrafanaServer

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

MARK = Annotation(1000, 1000, ("fenghuo", "alert:1"), "text")


def client(
    server: GrafanaServer, token: str = TOKEN, *, attempts: int = 1, timeout: float = 60.0
) -> AbstractAsyncContextManager[Grafana]:
    return open_grafana(
        server.url, token, timeout=timeout, backoff=Backoff(0.01, 0.01), attempts=attempts
    )


async def test_a_wrong_token(server: GrafanaServer) -> None:
    async with client(server, "glsa_wrong") as grafana:
        with pytest.raises(GrafanaDeniedError, match="does not know the token") as error:
            await grafana.folder("fenghuo")
    assert not error.value.forbidden
    assert "FENGHUO_GRAFANA_TOKEN" in str(error.value)
    assert "glsa_wrong" not in str(error.value)


async def test_a_missing_right(server: GrafanaServer) -> None:
    server.forbidden = {("POST", "/folders")}
    async with client(server) as grafana:
        with pytest.raises(GrafanaDeniedError, match="may not create folders") as error:
            await grafana.create_folder("fenghuo", "x")
    assert error.value.forbidden
    assert "role Admin" in str(error.value)


async def test_something_missing(server: GrafanaServer) -> None:
    async with client(server) as grafana:
        assert await grafana.folder("fenghuo") is None
        with pytest.raises(GrafanaMissingError):
            await grafana.change_annotation(5, MARK)


async def test_somebody_was_quicker(server: GrafanaServer) -> None:
    async with client(server) as grafana:
        await grafana.create_folder("fenghuo", "x")
        with pytest.raises(GrafanaConflictError) as exists:
            await grafana.create_folder("fenghuo", "x")
        with pytest.raises(GrafanaConflictError) as changed:
            await grafana.rename_folder("fenghuo", "y", 77)
    assert exists.value.status == ""
    assert changed.value.status == "version-mismatch"


async def test_something_wrong(server: GrafanaServer) -> None:
    async with client(server) as grafana:
        with pytest.raises(GrafanaRefusedError, match="400: Failed to save annotation") as error:
            await grafana.add_annotation(MARK._replace(text=""))
    assert error.value.said.startswith("Failed to save")


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("429", "429: Something went wrong). It is asked too often"),
        ("500", "500: Something went wrong). See Grafana's log"),
        ("503", "503: Something went wrong). See Grafana's log"),
        ("drop", "cannot be reached"),
    ],
)
async def test_away_for_a_while(server: GrafanaServer, fault: Fault, said: str) -> None:
    server.always = fault
    async with client(server) as grafana:
        with pytest.raises(GrafanaAwayError, match=re.escape(said)) as error:
            await grafana.folder("fenghuo")
    assert server.url in str(error.value)
    assert "\n" not in str(error.value)


async def test_no_answer(server: GrafanaServer) -> None:
    server.always = "hang"
    server.hang_seconds = 600.0
    async with client(server, timeout=0.3) as grafana:
        with pytest.raises(GrafanaAwayError, match=re.escape("no answer within 0.3 s")) as error:
            await grafana.folder("fenghuo")
    assert server.url in str(error.value)


async def test_refused_connections(server: GrafanaServer) -> None:
    server.stop()
    async with client(server) as grafana:
        with pytest.raises(GrafanaAwayError, match="connection refused") as error:
            await grafana.add_annotation(MARK)
    assert "FENGHUO_GRAFANA_URL" in str(error.value)
    assert not error.value.maybe_done


async def test_something_else_answers(server: GrafanaServer) -> None:
    server.always = "page"
    async with client(server) as grafana:
        with pytest.raises(GrafanaRefusedError, match="is no Grafana"):
            await grafana.folder("fenghuo")


async def test_no_url_at_all() -> None:
    async with open_grafana("localhost:3000", TOKEN) as grafana:
        with pytest.raises(GrafanaError, match="FENGHUO_GRAFANA_URL"):
            await grafana.folder("fenghuo")


async def test_a_password_in_the_address_is_not_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://admin:s3cret@127.0.0.1:{taken.getsockname()[1]}"
        async with open_grafana(address, "") as grafana:
            with pytest.raises(GrafanaAwayError) as error:
                await grafana.folder("fenghuo")
    assert "s3cret" not in str(error.value)


async def test_a_short_absence_is_waited_for(server: GrafanaServer) -> None:
    server.faults.extend(["503", "drop", "429"])
    async with client(server, attempts=4) as grafana:
        await grafana.create_folder("fenghuo", "x")
    assert server.requests == 4
    assert server.writes == ["POST /folders"]


async def test_a_wrong_token_is_not_tried_again(server: GrafanaServer) -> None:
    async with client(server, "glsa_wrong", attempts=4) as grafana:
        with pytest.raises(GrafanaDeniedError):
            await grafana.folder("fenghuo")
    assert server.requests == 1


@pytest.mark.parametrize(("fault", "maybe"), [("lost", True), ("500", True), ("429", False)])
async def test_an_annotation_is_added_once_and_the_doubt_is_told(
    server: GrafanaServer, fault: Fault, *, maybe: bool
) -> None:
    server.faults.append(fault)
    async with client(server, attempts=4) as grafana:
        with pytest.raises(GrafanaAwayError) as error:
            await grafana.add_annotation(MARK)
    assert error.value.maybe_done is maybe
    assert server.requests == 1


async def test_under_a_path() -> None:
    with GrafanaServer(prefix="/grafana") as server:
        for url in (server.url, f"{server.url}/"):
            async with open_grafana(url, TOKEN) as grafana:
                await grafana.create_folder(f"of-{len(server.folders)}", "x")
        assert len(server.folders) == 2


async def test_number_0_is_never_removed(server: GrafanaServer) -> None:
    """Grafana would remove all annotations."""
    async with client(server) as grafana:
        await grafana.add_annotation(MARK)
        with pytest.raises(ValueError, match="0 is no annotation's id"):
            await grafana.remove_annotation(0)
    assert len(server.annotations) == 1


@pytest.mark.parametrize("old", [False, True])
async def test_the_latest_note_of_a_dashboard(server: GrafanaServer, *, old: bool) -> None:
    server.old_versions = old
    body = {"dashboard": {"uid": "d", "title": "D"}, "message": "first"}
    async with client(server) as grafana:
        await grafana.save_dashboard(body)
        assert await grafana.latest_message("d") == "first"
        server.changed_by_hand("d", title="E")
        assert await grafana.latest_message("d") == "A new title"
