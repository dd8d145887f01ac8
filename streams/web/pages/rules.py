"""Rules: what each looks at, and how often its alerts were outbreaks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from streams.alerts.predictive_value import predictive_value
from streams.phrases import percent
from streams.store.inbox import read_predictive_values
from streams.store.open_alerts import count_open_by_rule
from streams.web.pages.reader import Reader, reader_of
from streams.web.pictures import interval
from streams.web.rendering import render
from streams.web.state import web_of
from streams.web.visitor import Signed  # noqa: TC001 - FastAPI needs it at run time

if TYPE_CHECKING:
    from streams.alerts.predictive_value import PredictiveValue
    from streams.people.users import User

__all__ = ["router"]

router = APIRouter()


@router.get("/rules", response_class=HTMLResponse)
async def rules(request: Request, visitor: Signed) -> HTMLResponse:
    """Show all rules."""
    reader = reader_of(request)
    async with web_of(request).database.reading() as connection:
        values = await read_predictive_values(connection)
        counts = await count_open_by_rule(connection, scope=visitor.user.region)
    configured = reader.configuration.surveillance.rules
    nothing = predictive_value(0, 0)
    names = [*configured, *sorted(values.keys() - configured.keys())]
    told = [
        _rule(name, values.get(name, nothing), counts.get(name, 0), visitor.user, reader)
        for name in names
    ]
    return render(request, "rules.html", active="rules", rules=told)


def _rule(
    name: str, value: PredictiveValue, opened: int, user: User, reader: Reader
) -> dict[str, Any]:
    t = reader.t
    rule = reader.configuration.surveillance.rules.get(name)
    told = {
        "name": name,
        "configured": rule is not None,
        "value": "" if value.value is None else percent(value.value),
        "interval": "" if value.value is None else reader.span(value),
        "outbreaks": value.outbreaks,
        "decided": value.decided,
        "open": opened,
        "drawing": interval(value, t("rules.of", n=value.outbreaks, all=value.decided)),
        "parameters": None,
        "says": "",
        "least": "",
    }
    if rule is not None:
        told["says"] = t(
            "rules.says",
            signal=reader.signal(rule.signal),
            level=t(f"level.{rule.level}"),
            grain=t(f"grain.{rule.grain}"),
            severity=reader.severity(rule.severity),
            method=" ".join(
                str(rule.detector[key]) for key in ("type", "method") if key in rule.detector
            ),
        )
        if rule.min_cases:
            told["least"] = t("rules.least", n=reader.number(rule.min_cases))
        if user.may_see_parameters:
            told["parameters"] = json.dumps(rule.detector, ensure_ascii=False, indent=1)
    return told
