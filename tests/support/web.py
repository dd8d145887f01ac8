"""The triage page as people and programs meet it: served over HTTP, and a small browser."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from contextlib import contextmanager
from http.client import HTTPConnection
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import urlencode, urlsplit

import psycopg
import uvicorn

from streams.store.people import add_user
from streams.web.serving import listen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from email.message import Message
    from types import TracebackType

    from starlette.types import ASGIApp

    from streams.people.users import Role, User

__all__ = ["PASSWORD", "Answer", "Browser", "add", "free_port", "serving"]

PASSWORD = "seven quiet herons by the weir"


class Answer(NamedTuple):
    """What the server says."""

    status: int
    headers: Message
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


class Browser:
    """Keeps cookies, follows no redirect by itself."""

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None) -> None:
        self.url = url
        self.cookies: dict[str, str] = {}
        self.headers = dict(headers or {})
        parts = urlsplit(url)
        assert parts.hostname
        self._connection = HTTPConnection(parts.hostname, parts.port, timeout=120)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        sent = dict(self.headers)
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        try:
            self._connection.request(method, path, body, sent | dict(headers or {}))
            response = self._connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        except OSError:
            self._connection.close()  # so that it can be tried again
            raise
        for line in response.headers.get_all("Set-Cookie") or []:
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0" or not morsel.value:
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        return answer

    def get(self, path: str, **headers: str) -> Answer:
        return self.request("GET", path, headers=headers)

    def post_form(
        self, path: str, fields: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> Answer:
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.request("POST", path, urlencode(fields).encode(), kind | dict(headers or {}))

    def post_json(self, path: str, value: Any, headers: Mapping[str, str] | None = None) -> Answer:
        kind = {"Content-Type": "application/json"}
        return self.request("POST", path, json.dumps(value).encode(), kind | dict(headers or {}))

    def form_token(self, path: str) -> str:
        """The token in a page's form."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.get(path).text)
        assert found, f"{path} has no form"
        return found[1]

    def sign_in(self, name: str, password: str = PASSWORD, *, target: str = "/") -> Answer:
        token = self.form_token("/sign-in")
        return self.post_form(
            "/sign-in",
            {"csrf_token": token, "name": name, "password": password, "next": target},
        )


@contextmanager
def serving(app: ASGIApp, *, port: int = 0) -> Iterator[str]:
    """Serve an application on loopback from a thread; gives its URL."""
    listening = listen("127.0.0.1", port)
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=5)
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def add(database: str, name: str, role: Role = "officer", region: str = "TW-TPE") -> User:
    """Add a user whose password is PASSWORD."""
    with psycopg.connect(database) as connection:
        return add_user(connection, name, role=role, region=region, password=PASSWORD)
