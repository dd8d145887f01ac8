"""The gate that every request passes: who it is, and whether a browser was tricked into it.

It refuses by default. A route that is added needs nothing to be closed to strangers; what is open
to them stands in `PUBLIC`.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, quote, urlsplit

import psycopg
from psycopg_pool import PoolTimeout
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from streams.metrics import METRICS_PATH
from streams.store.sessions import session_of, token_user
from streams.web.cookies import session_cookie
from streams.web.problems import Problem, answer
from streams.web.storable import refuse_unstorable_address, refuse_unstorable_body
from streams.web.visitor import Visitor, visitor_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from streams.web.state import Web

__all__ = ["CSRF_FIELD", "CSRF_HEADER", "PUBLIC", "PUBLIC_FOLDER", "Gate", "unavailable"]

#: Open to whoever is not signed in.
PUBLIC: Final = frozenset(
    {
        "/sign-in",
        "/sign-in/oidc",
        "/sign-in/oidc/callback",
        "/healthz",
        "/readyz",
        "/favicon.ico",
    }
)
#: Style sheets, scripts and pictures, the same for all.
PUBLIC_FOLDER: Final = "/static/"
#: Asked by machines, often: these look for nobody's session.
_NOBODYS: Final = frozenset({"/healthz", "/readyz", "/favicon.ico"})
#: What somebody can do who must first change their password.
_BEFORE_CHANGE: Final = frozenset({"/account/password", "/sign-out"})

CSRF_FIELD: Final = "csrf_token"
CSRF_HEADER: Final = "x-csrf-token"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
#: Nothing larger than a note is ever sent here.
_MOST_BYTES: Final = 64 * 1024


class Gate:
    """Middleware in front of all routes."""

    def __init__(self, app: ASGIApp, web: Web) -> None:
        self._app = app
        self._web = web

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no web sockets
            await send({"type": "websocket.close", "code": 1008})
            return
        request = Request(scope, receive)
        try:
            refused = await self._refused(request)
            if refused is None and request.method not in _SAFE:
                receive = await self._checked_body(request)
        except Problem as problem:
            refused = answer(request, problem)
        except (psycopg.OperationalError, PoolTimeout):
            refused = answer(request, unavailable())
        await (refused or self._app)(scope, receive, send)

    async def _refused(self, request: Request) -> Response | None:
        """Find out who it is; return the answer to who may not go on."""
        refuse_unstorable_address(request)
        path = request.url.path
        if path in _NOBODYS or path.startswith(PUBLIC_FOLDER):
            return None
        visitor = await self._visitor(request)
        request.state.visitor = visitor
        if visitor is None:
            if path in PUBLIC:
                return None
            return _sign_in_first(request)
        if visitor.user.must_change_password and path not in _BEFORE_CHANGE | PUBLIC:
            return _change_first(request)
        return None

    async def _visitor(self, request: Request) -> Visitor | None:
        path, authorization = request.url.path, request.headers.get("authorization")
        if authorization is not None and (path.startswith("/api/") or path == METRICS_PATH):
            scheme, _, token = authorization.partition(" ")
            if scheme.lower() != "bearer":
                return None
            async with self._web.database.reading() as connection:
                user = await token_user(connection, token.strip())
            return Visitor(user, "", by_token=True) if user else None
        cookie = request.cookies.get(session_cookie(self._web))
        if not cookie:
            return None
        async with self._web.database.reading() as connection:
            found = await session_of(connection, cookie, self._web.lifetimes)
        return Visitor(found.user, found.csrf_token) if found else None

    async def _checked_body(self, request: Request) -> Receive:
        """Read the body of a request that changes something, and make sure that it was meant.

        Returns
        -------
        Receive
            Gives the body to the route.
        """
        body = await _body(request)
        visitor = visitor_of(request)
        if visitor is None or not visitor.by_token:
            _refuse_foreign(request, self._web.settings.page_url)
        if visitor is not None and not visitor.by_token:
            given = request.headers.get(CSRF_HEADER) or _field(request.headers, body)
            if not hmac.compare_digest(given.encode(), visitor.csrf_token.encode()):
                raise wrong_token()
        await refuse_unstorable_body(request, body)

        sent = False

        async def again() -> Message:
            nonlocal sent
            if sent:
                return await request.receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        return again


def unavailable() -> Problem:
    """Return the problem that the database is away."""
    return Problem(
        503,
        "unavailable",
        "The database cannot be reached at the moment. Try again in a minute.",
        "暂时无法连接数据库，请稍后再试。",
        headers={"Retry-After": "30"},
    )


def wrong_token() -> Problem:
    """Return the problem that a form does not belong to this sign-in."""
    return Problem(
        403,
        "wrong-token",
        "The form does not belong to your current sign-in. Load the page again and repeat.",
        "该表单不属于当前登录会话，请刷新页面后重试。",
    )


def _sign_in_first(request: Request) -> Response:
    if request.url.path.startswith("/api/"):
        problem = Problem(
            401,
            "not-signed-in",
            "Sign in, or send a valid token as Authorization: Bearer.",
            "请先登录，或以 Authorization: Bearer 提交有效的令牌。",
            headers={"WWW-Authenticate": 'Bearer realm="fenghuo"'},
        )
        return answer(request, problem)
    if request.method not in _SAFE:
        return RedirectResponse("/sign-in", status_code=303)
    target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"/sign-in?next={quote(target, safe='')}", status_code=303)


def _change_first(request: Request) -> Response:
    if request.url.path.startswith("/api/"):
        problem = Problem(
            403,
            "password-change-needed",
            "Change your one-time password first, on the page /account/password.",
            "请先在 /account/password 页面修改一次性密码。",
        )
        return answer(request, problem)
    return RedirectResponse("/account/password", status_code=303)


async def _body(request: Request) -> bytes:
    parts, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > _MOST_BYTES:
            raise Problem(
                413,
                "too-large",
                f"At most {_MOST_BYTES // 1024} KiB can be sent.",
                f"最多可提交 {_MOST_BYTES // 1024} KiB。",
                headers={"Connection": "close"},
            )
        parts.append(chunk)
    return b"".join(parts)


def _refuse_foreign(request: Request, page_url: str) -> None:
    """Refuse what another site's page sends.

    Browsers tell by Sec-Fetch-Site and Origin; older ones may send neither, then the token decides.
    """
    origin = request.headers.get("origin")
    own = {_origin(page_url), f"{request.url.scheme}://{request.headers.get('host', '')}"}
    # "null" is what a browser says that does not want to tell.
    foreign = origin is not None and origin not in own
    if foreign or request.headers.get("sec-fetch-site", "same-origin") not in {
        "same-origin",
        "none",
    }:
        raise Problem(
            403,
            "forbidden",
            "This was sent by a page of another site, or FENGHUO_WEB_URL is not the address "
            "under which this page is reached.",
            "该请求来自其他网站，或 FENGHUO_WEB_URL 与本页面的访问地址不符。",
        )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _field(headers: Mapping[str, str], body: bytes) -> str:
    """Return the token in a form that was sent as browsers do by default."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return ""
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=200)
    except (UnicodeDecodeError, ValueError):
        return ""
    return fields.get(CSRF_FIELD, [""])[0]
