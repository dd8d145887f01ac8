"""The application that serves the triage page and its API."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

import psycopg
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from psycopg_pool import PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import Response  # noqa: TC002 - FastAPI needs it at run time

from streams.web import health, metrics, oidc, sign_in
from streams.web.api import add_api
from streams.web.gate import Gate, unavailable
from streams.web.headers import Headers, protective_headers
from streams.web.language import language
from streams.web.pages import add_pages
from streams.web.problems import Problem, answer
from streams.web.provider import Provider
from streams.web.state import Web
from streams.web.validation import fields_told, sentences_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from fastapi import Request

    from streams.config import Configuration
    from streams.settings import Settings

__all__ = ["create_web"]

log = logging.getLogger(__name__)

_ABOUT = """\
Alerts, what is known about them, and what people decide.

Sign in on the page, or send a token of `fenghuo users token NAME` as `Authorization: Bearer TOKEN`.
A request with the page's cookie that changes something carries the header `X-CSRF-Token` as well.
Everybody sees and moves the alerts of their own region and of all below it.

Errors are documents of RFC 9457 (`application/problem+json`). An action names in `seen` the version
of the alert that its author has seen; if somebody else has decided on it since, it is refused with
409, and the text says who did what.
"""


def create_web(settings: Settings, configuration: Configuration) -> FastAPI:
    """Build the application.

    Parameters
    ----------
    configuration
        Names signals, rules and regions; the alerts themselves are in the database.
    """
    web = Web(settings, configuration)
    if settings.oidc_issuer:
        web.provider = Provider(settings, callback=settings.page_url + oidc.CALLBACK)

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        async with web.running():
            yield

    app = FastAPI(
        title="Fenghuo",
        description=_ABOUT,
        version=version("fenghuo"),
        lifespan=running,
        openapi_url="/api/v1/openapi.json",
        # FastAPI's own pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    app.state.web = web
    _answer_errors(app, web)
    app.add_middleware(Gate, web=web)
    app.add_middleware(Headers, web=web)  # the outermost
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(sign_in.router)
    app.include_router(oidc.router)
    add_api(app)
    add_pages(app)
    return app


def _answer_errors(app: FastAPI, web: Web) -> None:
    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> Response:
        return answer(request, error)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        return answer(request, _of_http(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return answer(request, _of_validation(error, language(request)))

    @app.exception_handler(psycopg.OperationalError)
    @app.exception_handler(PoolTimeout)
    async def away(request: Request, _: Exception) -> Response:
        return answer(request, unavailable())

    @app.exception_handler(psycopg.errors.LockNotAvailable)
    async def locked(request: Request, _: Exception) -> Response:
        return answer(request, _BUSY)

    @app.exception_handler(Exception)
    async def failed(request: Request, _: Exception) -> Response:
        # Answered outside of all middleware; the error itself goes on to the log.
        number = request.state.request_id
        log.error("Request %s failed: %s %s", number, request.method, request.url.path)
        response = answer(
            request,
            Problem(
                500,
                "failed",
                f"This is a fault of Fenghuo. The log says more under {number}.",
                f"这是烽火系统的故障，详情请查阅日志，编号{number}。",
            ),
        )
        response.headers.update(protective_headers(web) | {"Cache-Control": "no-store"})
        return response


_BUSY: Final = Problem(
    503,
    "busy",
    "Alerts are being changed by somebody else at the moment. Nothing was stored; try again.",
    "预警正在被其他操作修改，本次操作未保存，请稍后重试。",
    headers={"Retry-After": "5"},
)


def _of_http(error: HTTPException) -> Problem:
    headers = error.headers
    if error.status_code == 404:  # noqa: PLR2004 - not found
        return Problem(404, "not-found", "There is no such page.", "没有这个页面。")
    if error.status_code == 405:  # noqa: PLR2004 - method not allowed
        text = "This cannot be done at this address."
        return Problem(405, "not-allowed", text, "此地址不支持该操作。", headers=headers)
    # Starlette's own: a form or a document that cannot be parsed.
    return Problem(
        error.status_code,
        "invalid",
        "The request cannot be read. Send a form, or JSON, as the documentation of the API says.",
        "无法读取请求内容。请按接口文档提交表单或 JSON。",
        headers=headers,
    )


def _of_validation(error: RequestValidationError, lang: str) -> Problem:
    errors = error.errors()
    en, zh = sentences_of(errors)
    return Problem(422, "invalid", en, zh, errors=fields_told(errors, lang))
