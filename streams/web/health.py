"""Whether the page is alive, and whether it can do its work."""

from __future__ import annotations

from typing import Final

import psycopg
from fastapi import APIRouter, Request
from psycopg_pool import PoolTimeout
from starlette.responses import JSONResponse, Response

from streams.store.readiness import NotWritableError, check_writable
from streams.store.schema import SchemaMisfitError, hold_schema
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
    """Answer 200 if the database takes writes and its schema is this program's."""
    try:
        async with web_of(request).database.reading(patience=_PATIENCE) as connection:
            await hold_schema(connection)
            await check_writable(connection)
    except psycopg.errors.UndefinedTable:
        return JSONResponse(
            {"status": "not migrated", "detail": "Run fenghuo db migrate."}, status_code=503
        )
    except SchemaMisfitError as error:
        return JSONResponse({"status": "other schema", "detail": str(error)}, status_code=503)
    except NotWritableError as error:
        return JSONResponse({"status": "not writable", "detail": str(error)}, status_code=503)
    except psycopg.errors.OutOfMemory as error:
        # Without room in its table of locks a server may refuse what comes before the write, too.
        detail = f"The database takes no writes: {error.diag.message_primary}."
        return JSONResponse({"status": "not writable", "detail": detail}, status_code=503)
    except (psycopg.Error, PoolTimeout):
        return JSONResponse(
            {"status": "no database", "detail": "The database cannot be reached."}, status_code=503
        )
    return JSONResponse({"status": "ok"})
