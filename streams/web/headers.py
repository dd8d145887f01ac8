"""Headers that every answer carries: what a browser may do with it, and who may keep it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request

from streams.web.language import COOKIE, asked_for, language

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from streams.web.state import Web

__all__ = ["Headers", "protective_headers"]

_YEAR: Final = 365 * 24 * 3600


def protective_headers(web: Web) -> dict[str, str]:
    """Return the headers that keep browsers from doing anything but show the page.

    Scripts come from the server's own files only, and none is put together from text. BokehJS
    writes `style` elements into its shadow trees, which only 'unsafe-inline' styles allow.
    """
    issuer = urlsplit(web.settings.oidc_issuer)
    elsewhere = f" {issuer.scheme}://{issuer.netloc}" if issuer.netloc else ""
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data:",
        "font-src": "'self'",
        "connect-src": "'self'",
        # Browsers look at where a form is redirected to as well.
        "form-action": f"'self'{elsewhere}",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    headers = {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }
    if web.secure:
        headers["Strict-Transport-Security"] = f"max-age={_YEAR}"
    return headers


class Headers:
    """Middleware around everything else: headers, the request's number, the chosen language."""

    def __init__(self, app: ASGIApp, web: Web) -> None:
        self._app = app
        self._web = web
        self._headers = protective_headers(web)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add to the answer what it does not say itself."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        request.state.request_id = str(uuid.uuid4())
        chosen = asked_for(request)

        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                if not request.url.path.startswith("/static/"):
                    headers.setdefault("Cache-Control", "no-store")
                    headers.setdefault("Content-Language", language(request))
                headers["X-Request-ID"] = request.state.request_id
                if chosen:
                    secure = "; Secure" if self._web.secure else ""
                    headers.append(
                        "Set-Cookie",
                        f"{COOKIE}={chosen}; Path=/; Max-Age={_YEAR}; SameSite=Lax{secure}",
                    )
            await send(message)

        await self._app(scope, receive, send_more)
