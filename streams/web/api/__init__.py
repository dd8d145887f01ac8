"""The REST API under /api/v1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from streams.web.api import actions, alerts, documentation, lookups
from streams.web.problems import ProblemDetails

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["add_api"]

PREFIX: Final = "/api/v1"


def add_api(app: FastAPI) -> None:
    """Add the API, and the page that documents it."""
    problem = {"model": ProblemDetails}
    everywhere: dict[int | str, dict[str, object]] = {
        401: {**problem, "description": "Nobody is signed in, or the token does not hold"},
        422: {**problem, "description": "A parameter or field is missing or wrong"},
        503: {**problem, "description": "The database cannot be reached"},
    }
    for module in (alerts, actions, lookups):
        app.include_router(module.router, prefix=PREFIX, responses=everywhere)
    app.include_router(documentation.router, prefix=PREFIX)
