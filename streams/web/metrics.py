"""`/metrics` of the page: figures of the whole installation, for a user of the whole of it."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from streams.metrics import CONTENT_TYPE, METRICS_PATH, Metrics
from streams.web.problems import Problem
from streams.web.state import web_of
from streams.web.visitor import Signed  # noqa: TC001 - FastAPI needs it at run time

__all__ = ["router"]

router = APIRouter(tags=["health"])


@router.get(METRICS_PATH, summary="Metrics in Prometheus' text format")
async def metrics(request: Request, visitor: Signed) -> Response:
    """Answer a token of somebody who may see all regions."""
    web = web_of(request)
    if web.configuration.regions.ancestors(visitor.user.region):
        text = "Metrics are of all regions; your account is of one."
        raise Problem(403, "forbidden", text, "指标涵盖所有地区，您的账户只限其中一个地区。")
    if web.metrics is None:
        web.metrics = Metrics(web.database.reading)
    return Response(await web.metrics.text(), media_type=CONTENT_TYPE)
