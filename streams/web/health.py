"""Whether the page is alive, and whether it can do its work."""

from __future__ import annotations

from typing import Final

import psycopg
from fastapi import APIRouter, Request
from psycopg_pool import PoolTimeout
from starlette.responses import JSONResponse, Response

from streams.web.state import web_of

__all__ = ["router"]

router = APIRouter(tags=["health"])

#: Whoever asks does not wait long either.
_PATIENCE: Final = 1.0


@router.get("/healthz", summary="Alive")
async def healthz() -> Response:
    """Answer as long as the process does; asks nobody else."""
    return JSONResponse({"status": "ok"})


@router.get("/readyz", summary="Ready", responses={503: {"description": "Not ready"}})
async def readyz(request: Request) -> Response:
    """Answer 200 if the database can be reached and has the tables that are needed."""
    try:
        async with web_of(request).database.reading(patience=_PATIENCE) as connection:
            await connection.execute(
                "SELECT (SELECT count(*) FROM users), (SELECT rank FROM alert_ranks LIMIT 1)"
            )
    except psycopg.errors.UndefinedTable:
        return JSONResponse(
            {"status": "not migrated", "detail": "Run fenghuo db migrate."}, status_code=503
        )
    except (psycopg.Error, PoolTimeout):
        return JSONResponse(
            {"status": "no database", "detail": "The database cannot be reached."}, status_code=503
        )
    return JSONResponse({"status": "ok"})
