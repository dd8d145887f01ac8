"""A region: its curve, the regions below it that are most affected, its latest alerts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from streams.store.curves import read_latest_period
from streams.store.inbox import InboxFilter, count_statuses, read_inbox
from streams.web.access import require_region
from streams.web.charts import curve_chart
from streams.web.pages.course import Course, course_of, shown_from
from streams.web.pages.ranking import ORDERS, Judged, ranking, rule_at, rule_below, table
from streams.web.pages.reader import Reader, reader_of
from streams.web.pages.rows import headline
from streams.web.pages.static import BOKEH_LINK
from streams.web.pictures import spark
from streams.web.problems import Problem
from streams.web.rendering import grafana_url, render
from streams.web.state import web_of
from streams.web.visitor import Signed  # noqa: TC001 - FastAPI needs it at run time

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from schemas.alerts import AlertStatus
    from schemas.counts import Grain
    from streams.config import Configuration

__all__ = ["router"]

router = APIRouter()

_LATEST_ALERTS: Final = 8
_SHOWN_STATUSES: Final[tuple[AlertStatus, ...]] = (
    "new", "verifying", "monitoring", "assessing", "confirmed", "closed", "discarded",
)  # fmt: skip


@router.get("/regions")
async def home(visitor: Signed) -> RedirectResponse:
    """Lead to the visitor's own region."""
    return RedirectResponse(f"/regions/{visitor.user.region}", status_code=303)


@router.get("/regions/{code}", response_class=HTMLResponse)
async def region(
    request: Request, visitor: Signed, code: str, *, signal: str = "", order: str = "excess"
) -> HTMLResponse:
    """Show a region."""
    reader = reader_of(request)
    configuration = reader.configuration
    signal = _known_signal(signal, configuration)
    order = order if order in ORDERS else "excess"
    scope = visitor.user.region
    async with web_of(request).database.reading() as connection:
        await _require(connection, code, visitor, configuration)
        own = rule_at(configuration, signal, configuration.regions[code].level)
        course = await _course(connection, configuration, code, signal, own)
        below = rule_below(configuration, signal, configuration.regions[code].level)
        ranked = await ranking(connection, reader, code, below, order) if below else ([], None)
        counts = await count_statuses(
            connection, scope=scope, only=InboxFilter(regions=(code,), open_only=True)
        )
        latest = await read_inbox(
            connection, scope=scope, order="newest",
            only=InboxFilter(regions=(code,), statuses=_SHOWN_STATUSES),
            limit=_LATEST_ALERTS,
        )  # fmt: skip
    t = reader.t
    children = [c for c in configuration.regions.children(code) if c.valid_to is None]
    return render(
        request,
        "region.html",
        active="regions",
        bokeh=BOKEH_LINK,
        other_lang=reader.other_lang,
        region={"code": code, "name": reader.place(code), "other": reader.place_other(code)},
        crumbs=_crumbs(code, scope, reader),
        signal=signal,
        signal_words=reader.signal(signal),
        signals=[(key, reader.signal(key)) for key in configuration.surveillance.signals],
        open_alerts=sum(counts.values()),
        has_curve=any(point.observed is not None for point in course.points),
        still=spark(course.points, reader.signal(signal), width=640, height=200),
        curve_note=t("region.curve_rule", rule=own.name) if own else t("region.curve_plain"),
        chart_text=t("alert.chart_text", signal=reader.signal(signal), place=reader.place(code)),
        **table(*ranked, below, reader, link=f"/regions/{code}?signal={signal}", order=order),
        below=[
            {"code": c.code, "name": reader.place(c.code)}
            for c in children
            if c.code not in {one.code for one in ranked[0]}
        ],
        alerts=[headline(one.alert, reader) for one in latest.rows],
        grafana_link=_grafana_link(grafana_url(request), code),
    )


@router.get("/regions/{code}/chart.json")
async def chart(
    request: Request,
    visitor: Signed,
    code: str,
    *,
    signal: str = "",
    theme: str = "light",
    narrow: bool = False,
) -> JSONResponse:
    """Give the chart of a region's counts."""
    reader = reader_of(request)
    configuration = reader.configuration
    signal = _known_signal(signal, configuration)
    async with web_of(request).database.reading() as connection:
        await _require(connection, code, visitor, configuration)
        own = rule_at(configuration, signal, configuration.regions[code].level)
        course = await _course(connection, configuration, code, signal, own)
    drawn = curve_chart(
        course.curve,
        theme=theme,
        say=reader.t,
        labels=[reader.period(p, course.grain) for p in course.curve.periods],
        narrow=narrow,
    )
    return JSONResponse(drawn)


async def _require(
    connection: AsyncConnection, code: str, visitor: Signed, configuration: Configuration
) -> None:
    if code not in configuration.regions:
        raise Problem(
            404, "not-found", f"There is no region {code}.", f"没有代码为 {code} 的地区。"
        )
    await require_region(connection, visitor.user, code)


def _known_signal(signal: str, configuration: Configuration) -> str:
    signals = configuration.surveillance.signals
    return signal if signal in signals else next(iter(signals))


async def _course(
    connection: AsyncConnection,
    configuration: Configuration,
    code: str,
    signal: str,
    rule: Judged | None,
) -> Course:
    grain: Grain = rule.grain if rule else "week"
    latest = await read_latest_period(
        connection, signal=signal, grain=grain, epi_week=configuration.surveillance.epi_week
    )
    if latest is None:
        return Course([], grain, None)
    return await course_of(
        connection,
        configuration,
        signal=signal,
        region=code,
        rule=rule.name if rule else None,
        grain=grain,
        first=shown_from(latest, grain),
    )


def _crumbs(code: str, scope: str, reader: Reader) -> list[dict[str, str]]:
    above = [one.code for one in reversed(reader.configuration.regions.ancestors(code))]
    seen = above[above.index(scope) :] if scope in above else []
    return [{"code": one, "name": reader.place(one)} for one in seen]


def _grafana_link(address: str, code: str) -> str | None:
    query = urlencode({"var-region": code})
    return f"{address}/d/fenghuo-region?{query}" if address else None
