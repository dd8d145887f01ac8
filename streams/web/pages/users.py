"""Users, for administrators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, cast, get_args

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from streams.errors import FenghuoError
from streams.people.passwords import one_time
from streams.people.users import Role
from streams.store.people import add_user, list_users, set_access, set_disabled, set_password
from streams.web.pages.reader import Reader, reader_of
from streams.web.rendering import render
from streams.web.state import web_of
from streams.web.visitor import Admin, Visitor, admin_only

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.people.users import User

__all__ = ["router"]

router = APIRouter(dependencies=[Depends(admin_only)])

#: Regions offered to choose from: the higher levels, where there are many.
_OFFERED_AT_MOST: Final = 400

Text = Annotated[str, Form()]


@router.get("/users", response_class=HTMLResponse)
async def users(request: Request) -> HTMLResponse:
    """Show all users."""
    return await _show(request)


@router.post("/users", response_class=HTMLResponse)
async def add(
    request: Request,
    *,
    name: Text,
    role: Text,
    region: Text,
    display_name: Text = "",
) -> HTMLResponse:
    """Add a user with a one-time password, which is shown this once."""
    password = one_time()
    try:
        user = await web_of(request).database.run(
            add_user,
            name,
            role=cast("Role", role if role in get_args(Role) else "viewer"),
            region=region.strip(),
            display_name=display_name.strip() or None,
            locale=reader_of(request).lang,
            password=password,
            must_change=True,
        )
    except FenghuoError as error:
        typed = {"name": name, "display_name": display_name, "role": role, "region": region}
        return await _show(request, problem=str(error), typed=typed)
    return await _show(request, password={"name": user.name, "text": password})


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
async def reset_password(request: Request, name: str) -> Response:
    """Give a user a new one-time password, which is shown this once."""
    password = one_time()
    try:
        await web_of(request).database.run(set_password, name, password, must_change=True)
    except FenghuoError as error:
        return await _show(request, problem=str(error))
    return await _show(request, password={"name": name, "text": password})


async def _change(
    request: Request, visitor: Visitor, name: str, change: Any, **values: Any
) -> Response:
    if name == visitor.user.name:
        problem = reader_of(request).t("users.not_yourself")
        return await _show(request, problem=problem)
    try:
        await web_of(request).database.run(change, name, **values)
    except FenghuoError as error:
        return await _show(request, problem=str(error))
    return RedirectResponse("/users", status_code=303)


async def _show(
    request: Request,
    *,
    problem: str | None = None,
    password: Mapping[str, str] | None = None,
    typed: Mapping[str, str] | None = None,
) -> HTMLResponse:
    reader = reader_of(request)
    found = await web_of(request).database.run(list_users)
    regions = reader.configuration.regions
    offered = sorted(
        (one for one in regions if one.valid_to is None),
        key=lambda one: (one.level.depth, one.code),
    )[:_OFFERED_AT_MOST]
    return render(
        request,
        "users.html",
        status=422 if problem else 200,
        active="users",
        users=[_user(one, reader) for one in found],
        roles=get_args(Role),
        places=[(one.code, reader.place(one.code)) for one in offered],
        problem=problem,
        password=password,
        typed=typed or {},
    )


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
