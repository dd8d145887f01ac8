"""Users, for administrators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, cast, get_args

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from streams.errors import FenghuoError
from streams.people.passwords import one_time
from streams.people.users import Role, folded_name
from streams.store.people import (
    NotYoursError,
    add_user,
    list_users,
    set_access,
    set_disabled,
    set_password,
)
from streams.web.pages.reader import Reader, reader_of
from streams.web.problems import Problem
from streams.web.rendering import render
from streams.web.state import web_of
from streams.web.visitor import Admin, Visitor  # noqa: TC001 - FastAPI needs it at run time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.people.users import User

__all__ = ["router"]

router = APIRouter()

#: Regions offered to choose from: the higher levels, where there are many.
_OFFERED_AT_MOST: Final = 400
_NOT_YOURS: Final = "该用户或地区不在您的管辖范围内，请由上级管理员操作。"

Text = Annotated[str, Form()]


@router.get("/users", response_class=HTMLResponse)
async def users(request: Request, visitor: Admin) -> HTMLResponse:
    """Show all users."""
    return await _show(request, visitor)


@router.post("/users", response_class=HTMLResponse)
async def add(
    request: Request,
    visitor: Admin,
    *,
    name: Text,
    role: Text,
    region: Text,
    display_name: Text = "",
) -> HTMLResponse:
    """Add a user with a one-time password, which is shown this once."""
    password = one_time()
    try:
        user = await _run(
            request,
            visitor,
            add_user,
            name,
            role=cast("Role", role if role in get_args(Role) else "viewer"),
            region=region.strip() or visitor.user.region,
            display_name=display_name.strip() or None,
            locale=reader_of(request).lang,
            password=password,
            must_change=True,
        )
    except FenghuoError as error:
        typed = {"name": name, "display_name": display_name, "role": role, "region": region}
        return await _show(request, visitor, problem=_told(error, request), typed=typed)
    return await _show(request, visitor, password={"name": user.name, "text": password})


@router.post("/users/{name}/role")
async def change_access(
    request: Request, visitor: Admin, name: str, role: Text, region: Text
) -> Response:
    """Change what a user may do, and where."""
    wanted = cast("Role", role) if role in get_args(Role) else None
    return await _change(
        request, visitor, name, set_access, role=wanted, region=region.strip() or None
    )


@router.post("/users/{name}/disable")
async def disable(request: Request, visitor: Admin, name: str) -> Response:
    """Let a user in no more."""
    return await _change(request, visitor, name, set_disabled, disabled=True)


@router.post("/users/{name}/enable")
async def enable(request: Request, visitor: Admin, name: str) -> Response:
    """Let a user in again."""
    return await _change(request, visitor, name, set_disabled, disabled=False)


@router.post("/users/{name}/password", response_class=HTMLResponse)
async def reset_password(request: Request, visitor: Admin, name: str) -> Response:
    """Give another user a new one-time password, which is shown this once."""
    if _oneself(visitor, name):
        return await _not_yourself(request, visitor)
    password = one_time()
    try:
        await _run(request, visitor, set_password, name, password, must_change=True)
    except FenghuoError as error:
        return await _show(request, visitor, problem=_told(error, request))
    return await _show(request, visitor, password={"name": name, "text": password})


async def _change(
    request: Request, visitor: Visitor, name: str, change: Any, **values: Any
) -> Response:
    if _oneself(visitor, name):
        return await _not_yourself(request, visitor)
    try:
        await _run(request, visitor, change, name, **values)
    except FenghuoError as error:
        return await _show(request, visitor, problem=_told(error, request))
    return RedirectResponse("/users", status_code=303)


def _oneself(visitor: Visitor, name: str) -> bool:
    """Tell whether a name, however it is written, is the visitor's own."""
    return folded_name(name) == visitor.user.name


async def _not_yourself(request: Request, visitor: Visitor) -> HTMLResponse:
    return await _show(request, visitor, problem=reader_of(request).t("users.not_yourself"))


async def _run(request: Request, visitor: Visitor, change: Any, *args: Any, **values: Any) -> Any:
    """Change users of the visitor's region."""
    try:
        return await web_of(request).database.run(
            change, *args, within=visitor.user.region, **values
        )
    except NotYoursError as error:
        raise Problem(403, "outside-region", str(error), _NOT_YOURS) from None


def _told(error: FenghuoError, request: Request) -> str:
    if isinstance(error, Problem):
        raise error
    return error.zh if error.zh and reader_of(request).lang == "zh" else str(error)


async def _show(
    request: Request,
    visitor: Visitor,
    *,
    problem: str | None = None,
    password: Mapping[str, str] | None = None,
    typed: Mapping[str, str] | None = None,
) -> HTMLResponse:
    reader = reader_of(request)
    found = await web_of(request).database.run(list_users, within=visitor.user.region)
    offered = _regions(visitor.user.region, reader)
    return render(
        request,
        "users.html",
        status=422 if problem else 200,
        active="users",
        users=[_user(one, reader) for one in found],
        roles=get_args(Role),
        places=[(code, reader.place(code)) for code in offered],
        problem=problem,
        password=password,
        typed=typed or {},
    )


def _regions(code: str, reader: Reader) -> list[str]:
    """Return a region and those below it that are in force, the higher levels first."""
    regions = reader.configuration.regions
    if code not in regions:
        return [code]
    below = [one for one in regions.descendants(code) if one.valid_to is None]
    below.sort(key=lambda one: (one.level.depth, one.code))
    return [code, *(one.code for one in below)][:_OFFERED_AT_MOST]


def _user(user: User, reader: Reader) -> dict[str, Any]:
    seen = user.last_sign_in_at
    return {
        "name": user.name,
        "shown_name": user.shown_name,
        "role": user.role,
        "region": user.region,
        "region_name": reader.place(user.region),
        "disabled": user.disabled,
        "seen": reader.moment(seen) if seen else "",
    }
