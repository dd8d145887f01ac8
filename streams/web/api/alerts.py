"""Reading alerts."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from schemas.alerts import AlertStatus, Severity  # noqa: TC001 - FastAPI needs them at run time
from schemas.notify import Language  # noqa: TC001
from streams.people.small_cells import sees_all
from streams.store.inbox import (
    InboxFilter,
    Order,
    Ranked,
    read_history,
    read_inbox,
    read_predictive_values,
    read_ranks,
)
from streams.store.lines import read_lines
from streams.store.series_reading import read_series
from streams.store.told_ages import read_told_ages
from streams.web.access import alert_for
from streams.web.api.lines import lines_view, told_lines_view
from streams.web.api.models import (
    AlertPage,
    AlertView,
    HistoryView,
    LinesView,
    PointView,
    SeriesView,
)
from streams.web.api.views import alert_view, event_view
from streams.web.problems import ProblemDetails
from streams.web.state import web_of
from streams.web.visitor import Signed  # noqa: TC001 - FastAPI needs it at run time
from streams.wording import period_label

__all__ = ["AlertId", "router"]

router = APIRouter(
    prefix="/alerts",
    tags=["alerts"],
    responses={403: {"model": ProblemDetails, "description": "It lies outside your region"}},
)

AlertId = Annotated[int, Path(ge=1, le=2**63 - 1, description="Number of the alert")]
_Periods = Annotated[int | None, Query(ge=0, le=1100)]
_MOST_FACILITIES: Final = 2000
_NO_ALERT: Final[dict[int | str, dict[str, Any]]] = {
    404: {"model": ProblemDetails, "description": "There is no such alert"}
}


class InboxQuery(BaseModel):
    """Which alerts, in which order."""

    model_config = ConfigDict(extra="forbid")

    status: list[AlertStatus] = Field(default=[], description="Of these statuses")
    severity: list[Severity] = Field(default=[], description="Of these severities")
    signal: list[str] = Field(default=[], description="Of these signals")
    rule: list[str] = Field(default=[], description="Under these rules")
    region: list[str] = Field(default=[], description="In these regions and all below them")
    assigned_to: str | None = Field(default=None, description="A user's name; me: yours")
    open: bool = Field(default=False, description="Only those that are not decided")
    order: Order = Field(
        default="ranked",
        description="ranked: the few that matter first; newest: latest opened first",
    )
    limit: int = Field(default=50, ge=1, le=500)
    offset: int = Field(default=0, ge=0, le=1_000_000)
    lang: Language | None = Field(default=None, description="Language of errors")


@router.get("", summary="Inbox")
async def list_alerts(
    request: Request, visitor: Signed, asked: Annotated[InboxQuery, Query()]
) -> AlertPage:
    """Return alerts of your region and all below it that fit all conditions."""
    web, user = web_of(request), visitor.user
    only = InboxFilter(
        statuses=tuple(asked.status),
        severities=tuple(asked.severity),
        signals=tuple(asked.signal),
        rules=tuple(asked.rule),
        regions=tuple(asked.region),
        assigned_to=user.name if asked.assigned_to == "me" else asked.assigned_to,
        open_only=asked.open,
    )
    limit, offset = asked.limit, asked.offset
    async with web.database.reading() as connection:
        page = await read_inbox(
            connection, scope=user.region, only=only, order=asked.order, limit=limit, offset=offset
        )
        values = await read_predictive_values(connection)
    items = [alert_view(row, user, web.configuration, values) for row in page.rows]
    return AlertPage(items=items, total=page.total, limit=limit, offset=offset)


@router.get("/{alert_id}", summary="One alert", responses=_NO_ALERT)
async def show_alert(request: Request, visitor: Signed, alert_id: AlertId) -> AlertView:
    """Return an alert with its explanation."""
    web, user = web_of(request), visitor.user
    async with web.database.reading() as connection:
        alert = await alert_for(connection, user, alert_id)
        ranks = await read_ranks(connection, [alert_id])
        values = await read_predictive_values(connection)
    row = Ranked(alert, *ranks.get(alert_id, (None, None)))
    return alert_view(row, user, web.configuration, values)


@router.get("/{alert_id}/history", summary="Its history", responses=_NO_ALERT)
async def show_history(request: Request, visitor: Signed, alert_id: AlertId) -> HistoryView:
    """Return what happened to an alert: when, by whom, and why."""
    web, user = web_of(request), visitor.user
    async with web.database.reading() as connection:
        await alert_for(connection, user, alert_id)
        events = await read_history(connection, alert_id)
    return HistoryView(alert_id=alert_id, events=[event_view(event, user) for event in events])


@router.get("/{alert_id}/series", summary="Its curve", responses=_NO_ALERT)
async def show_series(
    request: Request,
    visitor: Signed,
    alert_id: AlertId,
    before: _Periods = None,
    after: _Periods = None,
) -> SeriesView:
    """Return observed and expected counts, from `before` periods before it to `after` after it."""
    web = web_of(request)
    async with web.database.reading() as connection:
        alert = await alert_for(connection, visitor.user, alert_id)
        points = await read_series(connection, alert, web.configuration, before=before, after=after)
    return SeriesView(
        alert_id=alert_id,
        signal=alert.signal,
        region=alert.region,
        rule=alert.numbers_rule,
        grain=alert.grain,
        points=[
            PointView(
                **point._asdict(),
                label=period_label(point.period, alert.grain, web.configuration),
            )
            for point in points
        ],
    )


@router.get("/{alert_id}/lines", summary="The counts that make it up", responses=_NO_ALERT)
async def show_lines(
    request: Request,
    visitor: Signed,
    alert_id: AlertId,
    most: Annotated[int, Query(ge=1, le=_MOST_FACILITIES, description="Facilities at most")] = 200,
) -> LinesView:
    """Return the counts of its latest period, by facility, age group, region and hour.

    Viewers are given totals of the whole epi week that the period ends in, without days and hours:
    of facilities and age groups in steps of five, and none below five; age groups of a region with
    regions below are rounded to tens.
    """
    web, exact = web_of(request), sees_all(visitor.user.role)
    async with web.database.reading() as connection:
        alert = await alert_for(connection, visitor.user, alert_id)
        if exact:
            lines = await read_lines(connection, alert, web.configuration, most=most)
            return lines_view(alert_id, lines)
        lines = await read_lines(
            connection, alert, web.configuration, most=_MOST_FACILITIES, week=True
        )
        ages = await read_told_ages(
            connection,
            signal=alert.signal,
            region=alert.region,
            week=lines.first,
            zone=web.configuration.surveillance.zone,
        )
    return told_lines_view(alert_id, lines, ages, most)
