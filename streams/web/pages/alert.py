"""One alert: what it is about, why, its course, its history, and what can be done."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

from fastapi import APIRouter, Path, Request
from fastapi.responses import HTMLResponse, JSONResponse

from schemas.alerts import OPEN_STATUSES
from streams.errors import ConfigError
from streams.notify.masking import expand
from streams.notify.tokens import read_token
from streams.people.small_cells import for_role
from streams.store.inbox import (
    InboxFilter,
    read_history,
    read_inbox,
    read_predictive_values,
    read_ranks,
)
from streams.store.people import list_users
from streams.web.access import alert_for
from streams.web.api.views import detector_for
from streams.web.charts import curve_chart, years_chart
from streams.web.pages.choices import choices
from streams.web.pages.course import read_course, read_years
from streams.web.pages.facts import facts, figures, grafana_link
from streams.web.pages.forms import VERBS
from streams.web.pages.history import timeline
from streams.web.pages.reader import Reader, reader_of
from streams.web.pages.rows import headline
from streams.web.pages.static import BOKEH_LINK
from streams.web.pages.why import why
from streams.web.pictures import spark
from streams.web.rendering import grafana_url, render
from streams.web.state import web_of
from streams.web.visitor import Signed, Visitor  # noqa: TC001 - FastAPI needs it at run time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from psycopg import AsyncConnection

    from schemas.alerts import Alert
    from streams.people.users import User
    from streams.web.problems import Problem

__all__ = ["AlertId", "Refused", "router", "show_alert"]

router = APIRouter()
log = logging.getLogger(__name__)

#: Numbers of alerts are bigints.
AlertId = Annotated[int, Path(ge=1, le=2**63 - 1)]

_MERGEABLE_AT_MOST: Final = 30


class Refused(NamedTuple):
    """A form that was not accepted: why, and what it held."""

    problem: Problem
    verb: str
    typed: Mapping[str, str]


@router.get("/alerts/{alert_id}", response_class=HTMLResponse)
async def alert(request: Request, visitor: Signed, alert_id: AlertId) -> HTMLResponse:
    """Show an alert."""
    return await show_alert(request, visitor, alert_id)


@router.get("/alerts/{alert_id}/version")
async def version(request: Request, visitor: Signed, alert_id: AlertId) -> JSONResponse:
    """Tell how far an alert has come, for a page that shows an older state of it."""
    async with web_of(request).database.reading() as connection:
        found = await alert_for(connection, visitor.user, alert_id)
    return JSONResponse({"version": found.version, "decided_version": found.decided_version})


@router.get("/alerts/{alert_id}/chart.json")
async def chart(
    request: Request,
    visitor: Signed,
    alert_id: AlertId,
    *,
    theme: str = "light",
    narrow: bool = False,
) -> JSONResponse:
    """Give the chart of observed and expected counts."""
    reader = reader_of(request)
    async with web_of(request).database.reading() as connection:
        found = await alert_for(connection, visitor.user, alert_id)
        course = await read_course(connection, found, reader.configuration)
    drawn = curve_chart(
        course.curve,
        theme=theme,
        say=reader.t,
        labels=[reader.period(p, found.grain) for p in course.curve.periods],
        marked=(found.first_period, found.last_period),
        marked_label=reader.t("alert.marked", id=alert_id),
        narrow=narrow,
    )
    return JSONResponse(drawn)


@router.get("/alerts/{alert_id}/years.json")
async def years(
    request: Request,
    visitor: Signed,
    alert_id: AlertId,
    *,
    theme: str = "light",
    narrow: bool = False,
) -> JSONResponse:
    """Give the chart of the same weeks of former years."""
    reader = reader_of(request)
    async with web_of(request).database.reading() as connection:
        found = await alert_for(connection, visitor.user, alert_id)
        former = await read_years(connection, found, reader.configuration)
    names = [reader.t("years.week", n=number) for number in former.weeks]
    return JSONResponse(years_chart(names, former.counts, theme=theme, say=reader.t, narrow=narrow))


async def show_alert(
    request: Request, visitor: Visitor, alert_id: int, *, refused: Refused | None = None
) -> HTMLResponse:
    """Answer with an alert's page, with why a form was refused where one was."""
    web, reader, user = web_of(request), reader_of(request), visitor.user
    async with web.database.reading() as connection:
        found = for_role(await alert_for(connection, user, alert_id), user.role)
        history = await read_history(connection, alert_id)
        values = await read_predictive_values(connection)
        ranks = await read_ranks(connection, [alert_id])
        course = await read_course(connection, found, reader.configuration)
        former = await read_years(connection, found, reader.configuration)
        mergeable = await _mergeable(connection, found, user, reader)
    colleagues = await web.database.run(list_users) if user.may_act else []
    told = headline(found, reader)
    q_value = ranks.get(alert_id, (None, None))[0]
    whole = request.query_params.get("history") == "all"
    events, quieter = timeline(history, found, reader, whole=whole)
    return render(
        request,
        "alert.html",
        status=refused.problem.status if refused else 200,
        active="inbox",
        alert=found,
        a=told,
        other_lang=reader.other_lang,
        bokeh=BOKEH_LINK,
        figures=figures(found, reader),
        why=why(found, reader, q_value),
        facts=facts(found, values.get(found.rule), reader),
        parameters=_parameters(found, user),
        points=course.table(reader),
        provisional_text=course.provisional_text(reader),
        chart_text=reader.t("alert.chart_text", signal=told.signal, place=told.place),
        still=spark(course.points, told.sentence, width=640, height=200),
        has_years=len(former.counts) > 1,
        years=former.table(reader),
        week_name=former.week,
        history=events,
        quieter=quieter,
        absorbed=[one.change.alert for one in history if one.change.kind == "absorbed"],
        merged_link=found.status == "merged",
        crumbs=_crumbs(found, user, reader),
        parent=_parent(found, user, reader),
        grafana_link=grafana_link(grafana_url(request), found),
        mergeable=mergeable,
        notice=_notice(request, reader),
        **_of_token(request, found, visitor, reader),
        **choices(
            found,
            user,
            [one for one in colleagues if _sees(one, found, reader)],
            matrix=reader.configuration.surveillance.alerts.risk_matrix,
        ),
        **_refusal(refused, reader),
    )


async def _mergeable(
    connection: AsyncConnection, alert: Alert, user: User, reader: Reader
) -> list[dict[str, Any]]:
    """Return the open alerts of the same signal that an alert can be merged into."""
    if not user.may_act or alert.status not in OPEN_STATUSES:
        return []
    only = InboxFilter(signals=(alert.signal,), open_only=True)
    found = await read_inbox(connection, scope=user.region, only=only, limit=_MERGEABLE_AT_MOST)
    return [
        {"id": one.alert.alert_id, "text": f"{reader.place(one.alert.region)} {one.alert.rule}"}
        for one in found.rows
        if one.alert.alert_id != alert.alert_id
    ]


def _sees(user: User, alert: Alert, reader: Reader) -> bool:
    """Tell whether somebody can be responsible for an alert."""
    regions = reader.configuration.regions
    if user.disabled or not user.may_act or alert.region not in regions:
        return False
    return user.region == alert.region or user.region in {
        one.code for one in regions.ancestors(alert.region)
    }


def _crumbs(alert: Alert, user: User, reader: Reader) -> list[dict[str, str]]:
    """Return the regions that an alert lies in, as far as the visitor sees them."""
    regions = reader.configuration.regions
    if alert.region not in regions:
        return []
    codes = [one.code for one in reversed(regions.ancestors(alert.region))] + [alert.region]
    seen = codes[codes.index(user.region) :] if user.region in codes else []
    return [{"code": code, "name": reader.place(code)} for code in seen]


def _parent(alert: Alert, user: User, reader: Reader) -> dict[str, str] | None:
    region = reader.configuration.regions.get(alert.region)
    if region is None or region.parent is None or region.code == user.region:
        return None
    return {"code": region.parent, "name": reader.place(region.parent)}


def _parameters(alert: Alert, user: User) -> str | None:
    """Return how the detector was set, for those who are to know."""
    if not user.may_see_parameters:
        return None
    return json.dumps(detector_for(alert.detector, user), ensure_ascii=False, indent=1)


def _notice(request: Request, reader: Reader) -> str | None:
    done = request.query_params.get("done", "")
    return reader.t(f"act.done.{done}") if done in VERBS else None


def _of_token(
    request: Request, alert: Alert, visitor: Visitor, reader: Reader
) -> dict[str, str | bool | None]:
    """Tell whether the visitor comes from a message, and may acknowledge by one click."""
    token = request.query_params.get("token")
    secret = _secret(reader) if token else None
    if not token or secret is None:
        return {"acknowledge": None, "bad_token": False}
    channel = read_token(token, alert.alert_id, secret, datetime.now(UTC))
    unread = alert.status in OPEN_STATUSES and alert.acknowledged_at is None
    offer = channel if unread and visitor.user.may_act else None
    return {"acknowledge": offer, "bad_token": channel is None}


def _secret(reader: Reader) -> str | None:
    """Return what signs the links of messages; None where this process is not told."""
    kept = reader.configuration.surveillance.notify.secret
    if kept is None:
        return None
    try:
        return expand(kept)
    except ConfigError as error:
        log.warning("Links of messages cannot be checked: %s", error)
        return None


def _refusal(refused: Refused | None, reader: Reader) -> dict[str, Any]:
    if refused is None:
        return {"problem": None, "typed": {}, "open_form": None}
    problem = refused.problem
    taken = problem.kind == "changed-meanwhile"
    title = reader.t("act.conflict" if taken else "act.refused")
    hint = f" {reader.t('act.conflict_hint')}" if taken else ""
    return {
        "problem": {"title": title, "detail": f"{problem.detail(reader.lang)}{hint}"},
        "typed": refused.typed,
        "open_form": refused.verb,
    }
