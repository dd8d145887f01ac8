"""Moving alerts through their lifecycle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request

from schemas.alerts import (
    Acknowledged,
    Assessed,
    Assigned,
    Closed,
    Commented,
    Confirmed,
    Discarded,
    Merged,
    Monitored,
    Reopened,
    Verified,
)
from streams.store.inbox import Ranked, read_predictive_values, read_ranks
from streams.web.acting import decide
from streams.web.api.alerts import AlertId  # noqa: TC001 - FastAPI needs it at run time
from streams.web.api.models import (  # noqa: TC001 - FastAPI needs them at run time
    AlertView,
    Assessing,
    Assigning,
    Closing,
    Commenting,
    Deciding,
    Discarding,
    Merging,
    Seeing,
)
from streams.web.api.views import alert_view
from streams.web.problems import ProblemDetails
from streams.web.state import web_of
from streams.web.visitor import Signed, Visitor  # noqa: TC001 - FastAPI needs them

if TYPE_CHECKING:
    from schemas.alerts import Change

__all__ = ["router"]

router = APIRouter(
    prefix="/alerts/{alert_id}",
    tags=["decisions"],
    responses={
        403: {
            "model": ProblemDetails,
            "description": "It lies outside your region, or your role only reads",
        },
        404: {"model": ProblemDetails, "description": "There is no such alert"},
        409: {
            "model": ProblemDetails,
            "description": "Somebody else was quicker, or it is not possible now",
        },
    },
)


async def _decide(
    request: Request, visitor: Visitor, alert_id: int, change: Change, seen: int | None = None
) -> AlertView:
    web = web_of(request)
    alert = await decide(web, visitor, alert_id, change, seen=seen)
    async with web.database.reading() as connection:
        ranks = await read_ranks(connection, [alert_id])
        values = await read_predictive_values(connection)
    row = Ranked(alert, *ranks.get(alert_id, (None, None)))
    return alert_view(row, visitor.user, web.configuration, values)


@router.post("/acknowledge")
async def acknowledge(
    request: Request, visitor: Signed, alert_id: AlertId, body: Seeing
) -> AlertView:
    """Tell that you have seen it."""
    return await _decide(request, visitor, alert_id, Acknowledged(note=body.note))


@router.post("/verify")
async def verify(request: Request, visitor: Signed, alert_id: AlertId, body: Deciding) -> AlertView:
    """Begin to verify: is it real, are the data right? It becomes yours if it is nobody's."""
    return await _decide(request, visitor, alert_id, Verified(note=body.note), body.seen)


@router.post("/monitor")
async def monitor(
    request: Request, visitor: Signed, alert_id: AlertId, body: Deciding
) -> AlertView:
    """Watch an alert that is neither discarded nor assessed yet."""
    return await _decide(request, visitor, alert_id, Monitored(note=body.note), body.seen)


@router.post("/assess")
async def assess(
    request: Request, visitor: Signed, alert_id: AlertId, body: Assessing
) -> AlertView:
    """Assess the risk: the level follows from likelihood and consequence."""
    change = Assessed(likelihood=body.likelihood, consequence=body.consequence, note=body.note)
    return await _decide(request, visitor, alert_id, change, body.seen)


@router.post("/confirm")
async def confirm(
    request: Request, visitor: Signed, alert_id: AlertId, body: Deciding
) -> AlertView:
    """Confirm that it is an event that calls for a response."""
    return await _decide(request, visitor, alert_id, Confirmed(note=body.note), body.seen)


@router.post("/discard")
async def discard(
    request: Request, visitor: Signed, alert_id: AlertId, body: Discarding
) -> AlertView:
    """Discard an alert that is no event."""
    change = Discarded(outcome=body.outcome, note=body.note)
    return await _decide(request, visitor, alert_id, change, body.seen)


@router.post("/close")
async def close(request: Request, visitor: Signed, alert_id: AlertId, body: Closing) -> AlertView:
    """Close an alert when the response, or the watching, is over."""
    change = Closed(outcome=body.outcome, note=body.note)
    return await _decide(request, visitor, alert_id, change, body.seen)


@router.post("/assign")
async def assign(
    request: Request, visitor: Signed, alert_id: AlertId, body: Assigning
) -> AlertView:
    """Say who is responsible: somebody who may move alerts and sees this one."""
    change = Assigned(to=body.to, note=body.note)
    return await _decide(request, visitor, alert_id, change, body.seen)


@router.post("/comment")
async def comment(
    request: Request, visitor: Signed, alert_id: AlertId, body: Commenting
) -> AlertView:
    """Add a remark."""
    return await _decide(request, visitor, alert_id, Commented(note=body.note))


@router.post("/merge")
async def merge(request: Request, visitor: Signed, alert_id: AlertId, body: Merging) -> AlertView:
    """Merge an alert into another one that is about the same event; both lie in your region."""
    change = Merged(into=body.into, note=body.note)
    return await _decide(request, visitor, alert_id, change, body.seen)


@router.post("/reopen")
async def reopen(request: Request, visitor: Signed, alert_id: AlertId, body: Deciding) -> AlertView:
    """Take back that an alert was closed, discarded or merged."""
    return await _decide(request, visitor, alert_id, Reopened(note=body.note), body.seen)
