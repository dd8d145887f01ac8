"""The visitor's own account: who they are, their language, tokens for programs."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from schemas.notify import Language  # noqa: TC001 - FastAPI needs it at run time
from streams.people.signing_in import make_token
from streams.store.credentials import NoTokenError, list_tokens, revoke_token
from streams.store.people import set_locale
from streams.web.language import COOKIE
from streams.web.pages.reader import Reader, reader_of
from streams.web.problems import Problem
from streams.web.rendering import render
from streams.web.state import web_of
from streams.web.visitor import Signed, Visitor  # noqa: TC001 - FastAPI needs it at run time

if TYPE_CHECKING:
    from streams.store.credentials import Token

__all__ = ["router"]

router = APIRouter()

_TOKEN_LIFETIME: Final = timedelta(days=365)


TokenId = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.get("/account", response_class=HTMLResponse)
async def account(request: Request, visitor: Signed) -> HTMLResponse:
    """Show the account."""
    return await _show(request, visitor)


@router.post("/account/language")
async def choose_language(
    request: Request, visitor: Signed, locale: Annotated[Language, Form()]
) -> RedirectResponse:
    """Note the language; the choice made on this device before gives way to it."""
    await web_of(request).database.run(set_locale, visitor.user.name, locale)
    answer = RedirectResponse("/account", status_code=303)
    answer.delete_cookie(COOKIE)
    return answer


@router.post("/account/tokens", response_class=HTMLResponse)
async def new_token(
    request: Request,
    visitor: Signed,
    label: Annotated[str, Form(min_length=1, max_length=80)],
    password: Annotated[str, Form(max_length=1000)] = "",
) -> HTMLResponse:
    """Make a token for somebody who gives their password, and show it, this once."""
    token = await web_of(request).database.sign_in(
        make_token,
        visitor.user,
        password,
        label=label.strip(),
        lifetime=_TOKEN_LIFETIME,
        address=request.client.host if request.client else "",
    )
    if token is None:
        problem = reader_of(request).t("account.wrong_password")
        return await _show(request, visitor, problem=problem)
    return await _show(request, visitor, token)


@router.post("/account/tokens/{token_id}/revoke")
async def revoke(request: Request, visitor: Signed, token_id: TokenId) -> RedirectResponse:
    """Take a token back."""
    try:
        await web_of(request).database.run(revoke_token, visitor.user.name, token_id)
    except NoTokenError:
        raise Problem(
            404,
            "not-found",
            f"You have no token {token_id}; it may be revoked already.",
            f"您没有编号为 {token_id} 的令牌，可能已被撤销。",
        ) from None
    return RedirectResponse("/account", status_code=303)


async def _show(
    request: Request, visitor: Visitor, token: str | None = None, *, problem: str | None = None
) -> HTMLResponse:
    reader = reader_of(request)
    tokens = await web_of(request).database.run(list_tokens, visitor.user.name)
    seen = visitor.user.last_sign_in_at
    return render(
        request,
        "account.html",
        status=422 if problem else 200,
        problem=problem,
        active="account",
        region_name=reader.place(visitor.user.region),
        signed_in_text=reader.moment(seen) if seen else "",
        tokens=[_token(one, reader) for one in tokens],
        new_token=token,
    )


def _token(token: Token, reader: Reader) -> dict[str, Any]:
    when = reader.moment(token.created_at)
    return {"id": token.token_id, "label": token.label, "when": when}
