"""Signing in by OpenID Connect."""

from __future__ import annotations

import hmac
import logging
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from streams.people.credentials import new_secret
from streams.people.linking import NotLinkedError, linked_user
from streams.web.cookies import provider_cookie, set_cookie, take_back
from streams.web.language import language
from streams.web.problems import Problem
from streams.web.provider import ProviderError
from streams.web.sign_in import local_path, session_for, sign_in_page
from streams.web.state import web_of

if TYPE_CHECKING:
    from streams.web.provider import Provider
    from streams.web.state import Web

__all__ = ["CALLBACK", "router"]

log = logging.getLogger(__name__)

router = APIRouter(include_in_schema=False)

CALLBACK: Final = "/sign-in/oidc/callback"
#: How long somebody may take at the provider.
_SECONDS: Final = 600
_LONGEST_TARGET: Final = 1000


@router.get("/sign-in/oidc")
async def to_provider(request: Request, next: str = "/") -> Response:  # noqa: A002 - its name
    """Send somebody to the provider."""
    web = web_of(request)
    provider = _provider(web)
    state, nonce, verifier = new_secret(), new_secret(), new_secret()
    try:
        address = await provider.address(state=state, nonce=nonce, verifier=verifier)
    except ProviderError as error:
        return _failed(request, next, error)
    response = RedirectResponse(address, status_code=303)
    target = local_path(next[:_LONGEST_TARGET])
    # What the provider's answer is held against stays with the browser: nobody else's can answer.
    bound = ".".join((state, nonce, verifier, quote(target, safe="")))
    set_cookie(web, response, provider_cookie(web), bound, seconds=_SECONDS)
    return response


@router.get(CALLBACK)
async def from_provider(
    request: Request,
    code: str = "",
    state: str = "",
    iss: str | None = None,
    error: str | None = None,
) -> Response:
    """Take somebody in who comes back from the provider."""
    web = web_of(request)
    provider = _provider(web)
    bound = request.cookies.get(provider_cookie(web), "").split(".", 3)
    if len(bound) != 4 or not hmac.compare_digest(bound[0].encode(), state.encode()):  # noqa: PLR2004 - as set above
        return _refused(
            request,
            "/",
            "This sign-in was not begun in this browser, or took too long. Try again.",
            "该登录并非由本浏览器发起，或已超时，请重试。",
        )
    _, nonce, verifier, target = bound
    target = unquote(target)
    if error is not None or not code:
        log.warning("The identity provider refuses a sign-in: %.200r", error)
        return _refused(
            request,
            target,
            "The identity provider did not sign you in. Try again.",
            "身份提供方未能完成登录，请重试。",
        )
    try:
        claims = await provider.claims(code, nonce=nonce, verifier=verifier, issuer=iss)
    except ProviderError as failure:
        return _failed(request, target, failure)
    try:
        user = await web.database.sign_in(
            linked_user,
            subject=f"{claims['iss']} {claims['sub']}",
            name=str(claims.get(web.settings.oidc_name_claim) or ""),
            display_name=str(claims.get("name") or ""),
            locale=language(request),
            new_users=web.settings.oidc_new_users or None,
        )
    except NotLinkedError as refused:
        return _refused(request, target, str(refused), refused.zh)
    response = await session_for(request, user, target=target)
    take_back(web, response, provider_cookie(web))
    return response


def _provider(web: Web) -> Provider:
    if web.provider is None:
        raise Problem(404, "not-found", "There is no such page.", "没有这个页面。")
    return web.provider


def _failed(request: Request, target: str, error: ProviderError) -> Response:
    log.error("Signing in by OpenID Connect failed: %s", error)
    return _refused(
        request,
        target,
        "The identity provider cannot be used at the moment. The log of the page says why.",
        "身份提供方暂不可用，原因请查阅页面日志。",
        status=502,
    )


def _refused(request: Request, target: str, en: str, zh: str, *, status: int = 403) -> Response:
    text = zh if language(request) == "zh" else en
    page = sign_in_page(request, target=target, problem=text, status=status)
    take_back(web_of(request), page, provider_cookie(web_of(request)))
    return page
