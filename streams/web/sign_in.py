"""Signing in and out with a password, and changing it."""

from __future__ import annotations

import hmac
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request, Response
from starlette.responses import RedirectResponse

from streams.people.credentials import new_secret
from streams.people.passwords import MIN_LENGTH, BadPasswordError
from streams.people.signing_in import change_password, sign_in
from streams.people.users import User
from streams.store.sessions import begin_session, end_session
from streams.web.cookies import form_cookie, session_cookie, set_cookie, take_back
from streams.web.gate import wrong_token
from streams.web.language import language
from streams.web.rendering import render
from streams.web.state import Web, web_of
from streams.web.visitor import Signed, visitor_of

__all__ = ["local_path", "router", "session_for", "sign_in_page"]

router = APIRouter(include_in_schema=False)

_Field = Annotated[str, Form(max_length=1000)]


@router.get("/sign-in")
async def sign_in_form(request: Request, next: str = "/") -> Response:  # noqa: A002 - its name
    """Show the form, unless somebody is signed in already."""
    if visitor_of(request):
        return RedirectResponse(local_path(next), status_code=303)
    return sign_in_page(request, target=next)


@router.post("/sign-in")
async def sign_in_with_password(
    request: Request,
    name: _Field = "",
    password: _Field = "",
    csrf_token: _Field = "",
    next: _Field = "",  # noqa: A002 - its name
) -> Response:
    """Begin a session, or tell that name or password are wrong."""
    web = web_of(request)
    expected = request.cookies.get(form_cookie(web), "")
    if not expected or not hmac.compare_digest(expected.encode(), csrf_token.encode()):
        raise wrong_token()
    address = request.client.host if request.client else ""
    found = await web.database.sign_in(sign_in, name, password, address=address)
    if isinstance(found, User):
        return await session_for(request, found, target=next)
    zh = language(request) == "zh"
    if isinstance(found, datetime):
        seconds = max(1, round((found - datetime.now(UTC)).total_seconds()))
        text = (
            f"登录失败次数过多，请在{seconds}秒后重试。"
            if zh
            else f"Too many attempts have failed. Try again in {seconds} seconds."
        )
        page = sign_in_page(request, target=next, name=name, problem=text, status=429)
        page.headers["Retry-After"] = str(seconds)
        return page
    text = "用户名或密码不正确。" if zh else "Name or password is wrong."
    return sign_in_page(request, target=next, name=name, problem=text, status=401)


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """End the session."""
    web = web_of(request)
    response = RedirectResponse("/sign-in", status_code=303)
    if cookie := request.cookies.get(session_cookie(web)):
        await web.database.sign_in(end_session, cookie)
        take_back(web, response, session_cookie(web))
    return response


@router.get("/account/password")
async def password_form(request: Request, visitor: Signed) -> Response:
    """Show the form that changes one's password."""
    return _password_page(request, visitor)


@router.post("/account/password")
async def new_password(
    request: Request,
    visitor: Signed,
    current: _Field = "",
    new: _Field = "",
    again: _Field = "",
) -> Response:
    """Change one's own password; everywhere else one is signed out."""
    web, zh = web_of(request), language(request) == "zh"
    if new != again:
        text = "两次输入的新密码不一致。" if zh else "The new password was typed differently twice."
        return _password_page(request, visitor, problem=text, status=422)
    address = request.client.host if request.client else ""
    try:
        changed = await web.database.sign_in(
            change_password, visitor.user, current, new, address=address
        )
    except BadPasswordError as error:
        return _password_page(request, visitor, problem=error.zh if zh else str(error), status=422)
    if changed is None:
        text = "当前密码不正确。" if zh else "The current password is wrong."
        return _password_page(request, visitor, problem=text, status=422)
    return await session_for(request, changed, target="/")


def sign_in_page(
    request: Request, *, target: str, name: str = "", problem: str | None = None, status: int = 200
) -> Response:
    """Show the form for signing in."""
    web = web_of(request)
    known = request.cookies.get(form_cookie(web))
    token = known or new_secret()
    page = render(
        request,
        "sign_in.html",
        status=status,
        csrf_token=token,
        next=local_path(target),
        name=name,
        problem=problem,
        oidc=bool(web.settings.oidc_issuer),
        oidc_title=urlsplit(web.settings.oidc_issuer).hostname or "",
    )
    if not known:
        set_cookie(web, page, form_cookie(web), token)
    return page


async def session_for(request: Request, user: User, *, target: str) -> Response:
    """Begin a session under a new cookie, and go on to where somebody wanted to."""
    web: Web = web_of(request)
    former = request.cookies.get(session_cookie(web))
    made = await web.database.sign_in(begin_session, user, lifetimes=web.lifetimes, former=former)
    if made is None:
        zh = language(request) == "zh"
        text = (
            "您的账户刚刚变更，请重新登录。"
            if zh
            else "Your account was just changed. Sign in again."
        )
        return sign_in_page(request, target=target, name=user.name, problem=text, status=401)
    response = RedirectResponse(local_path(target), status_code=303)
    # It ends with the browser; on the server it ends in any case.
    set_cookie(web, response, session_cookie(web), made.cookie)
    take_back(web, response, form_cookie(web))
    return response


def local_path(target: str) -> str:
    r"""Return where to go on to, as long as it is a page of ours.

    Examples
    --------
    >>> local_path("/alerts/5?lang=en")
    '/alerts/5?lang=en'
    >>> [local_path(other) for other in ("https://evil.example", "//evil.example", "/\\evil", "")]
    ['/', '/', '/', '/']
    """
    plain = target.isprintable() and "\\" not in target
    return target if plain and target.startswith("/") and not target.startswith("//") else "/"


def _password_page(
    request: Request, visitor: Signed, *, problem: str | None = None, status: int = 200
) -> Response:
    return render(
        request,
        "password.html",
        status=status,
        csrf_token=visitor.csrf_token,
        must_change=visitor.user.must_change_password,
        has_password=visitor.user.has_password,
        min_length=MIN_LENGTH,
        problem=problem,
    )
