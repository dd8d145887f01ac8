"""Cookies: their names, and how they are set and taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.responses import Response

    from streams.web.state import Web

__all__ = ["form_cookie", "provider_cookie", "session_cookie", "set_cookie", "take_back"]


def session_cookie(web: Web) -> str:
    """Return the name of the cookie that holds the session's secret."""
    return _name(web, "fenghuo-session")


def form_cookie(web: Web) -> str:
    """Return the name of the cookie that the form for signing in repeats."""
    return _name(web, "fenghuo-form")


def provider_cookie(web: Web) -> str:
    """Return the name of the cookie that binds a visit to the identity provider to the browser."""
    return _name(web, "fenghuo-oidc")


def set_cookie(
    web: Web, response: Response, name: str, value: str, *, seconds: int | None = None
) -> None:
    """Set a cookie that no script can read; it ends with the browser, or after some time."""
    response.set_cookie(
        name, value, max_age=seconds, path="/", secure=web.secure, httponly=True, samesite="lax"
    )


def take_back(web: Web, response: Response, name: str) -> None:
    """Have the browser forget a cookie."""
    response.delete_cookie(name, path="/", secure=web.secure, httponly=True, samesite="lax")


def _name(web: Web, name: str) -> str:
    # The prefix has browsers refuse a cookie that another host of the domain sets (RFC 6265bis).
    return f"__Host-{name}" if web.secure else name
