"""The triage page: HTML from the server, with a light touch of JavaScript."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.web.pages import account, actions, alert, inbox, lines, regions, rules, users
from streams.web.pages.static import mount_static

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["add_pages"]


def add_pages(app: FastAPI) -> None:
    """Add the pages, and the files that they need."""
    mount_static(app)
    for module in (inbox, alert, lines, actions, regions, rules, account, users):
        app.include_router(module.router, include_in_schema=False)
