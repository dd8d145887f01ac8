"""Who asks; filled in by the gate, read by the routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from streams.people.users import User  # noqa: TC001 - FastAPI needs it at run time
from streams.web.problems import Problem

__all__ = ["Admin", "Signed", "Visitor", "admin_only", "signed_in", "visitor_of"]


@dataclass(frozen=True)
class Visitor:
    """Somebody who is signed in."""

    user: User
    csrf_token: str
    """For forms; empty for programs with a token."""
    by_token: bool = False


def visitor_of(request: Request) -> Visitor | None:
    """Return who asks; None where nobody is signed in, which is so on public pages only."""
    visitor: Visitor | None = getattr(request.state, "visitor", None)
    return visitor


def signed_in(request: Request) -> Visitor:
    """Return who asks."""
    visitor = visitor_of(request)
    if visitor is None:  # the gate lets nobody through to here
        raise Problem(401, "not-signed-in", "Sign in first.", "请先登录。")
    return visitor


Signed = Annotated[Visitor, Depends(signed_in)]


def admin_only(visitor: Signed) -> Visitor:
    """Return who asks, if they are an admin."""
    if not visitor.user.is_admin:
        raise Problem(403, "forbidden", "Only admins manage users.", "只有管理员可以管理用户。")
    return visitor


Admin = Annotated[Visitor, Depends(admin_only)]
