"""What officers do on an alert's page: one form for each step of the lifecycle."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from streams.web.acting import decide
from streams.web.pages.alert import AlertId, Refused, show_alert
from streams.web.pages.forms import change_of, seen_of
from streams.web.problems import Problem
from streams.web.state import web_of
from streams.web.visitor import Signed  # noqa: TC001 - FastAPI needs it at run time

__all__ = ["router"]

router = APIRouter()

#: Told on the alert's page, with what was typed; the others on a page of their own.
_TOLD_THERE: Final = frozenset({"changed-meanwhile", "not-possible", "invalid"})


@router.post("/alerts/{alert_id}/{verb}")
async def act(request: Request, visitor: Signed, alert_id: AlertId, verb: str) -> Response:
    """Let the visitor change an alert, and show it again."""
    form = await request.form()
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    try:
        change = change_of(verb, fields)
        after = await decide(web_of(request), visitor, alert_id, change, seen=seen_of(fields))
    except Problem as problem:
        if problem.kind not in _TOLD_THERE:
            raise
        return await show_alert(request, visitor, alert_id, refused=Refused(problem, verb, fields))
    shown = after.merged_into if verb == "merge" and after.merged_into else alert_id
    return RedirectResponse(f"/alerts/{shown}?done={verb}", status_code=303)
