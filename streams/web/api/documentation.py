"""The page that documents the API, made here from the OpenAPI document: nothing is loaded."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response  # noqa: TC002 - FastAPI needs it at run time

from streams.web.rendering import render

__all__ = ["router"]

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def documentation(request: Request) -> Response:
    """Show what the API takes and answers with."""
    return render(request, "api.html", document=request.app.openapi())
