"""The line list: the counts that an alert is made of."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from schemas.counts import ALL_STRATA, UNKNOWN_STRATUM
from streams.alerts.small_cells import SMALL_BELOW
from streams.people.small_cells import shown
from streams.store.line_list import TooManyEventsError, days_of, read_cells
from streams.web.access import alert_for
from streams.web.pages.alert import AlertId  # noqa: TC001 - FastAPI needs it at run time
from streams.web.pages.reader import Reader, reader_of
from streams.web.pages.rows import headline
from streams.web.problems import Problem
from streams.web.rendering import render
from streams.web.state import web_of
from streams.web.visitor import Signed  # noqa: TC001 - FastAPI needs it at run time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from psycopg import AsyncConnection

    from schemas.alerts import Alert
    from streams.people.users import Role
    from streams.store.line_list import Cell

__all__ = ["Line", "lines_of", "router"]

router = APIRouter()

_SHOWN_AT_MOST: Final = 400
_SMALL: Final = f"<{SMALL_BELOW}"
_WITHHELD: Final = "–"
_TOO_MANY: Final = "该地区的记录过多，无法列出明细，请查看其下级地区。"


class Line(NamedTuple):
    """What a facility counted on a day, by age group."""

    facility: str
    region: str
    day: date
    cells: tuple[str, ...]
    total: str


def lines_of(cells: Sequence[Cell], strata: Sequence[str], role: Role) -> list[Line]:
    """Put cells together as lines, those of the latest day first.

    Where a role must not see small counts they are written as `<5`, and a total is withheld where
    it would reveal the only one of its line.
    """
    found: dict[tuple[date, str, str], dict[str, float]] = defaultdict(dict)
    for cell in cells:
        found[cell.day, cell.region, cell.facility][cell.stratum] = cell.value
    keys = sorted(found, key=lambda one: (-one[0].toordinal(), one[1], one[2]))
    return [_line(key, found[key], strata, role) for key in keys]


def _line(
    key: tuple[date, str, str], values: dict[str, float], strata: Sequence[str], role: Role
) -> Line:
    day, region, facility = key
    row = [values.get(stratum, 0.0) for stratum in strata]
    hidden = [value for value in row if shown(value, role) is None]
    total = sum(row)
    if shown(total, role) is None:
        told = _SMALL
    else:
        told = _WITHHELD if len(hidden) == 1 else _written(total)
    cells = tuple(_SMALL if shown(v, role) is None else _written(v) for v in row)
    return Line(facility, region, day, cells, told)


def _written(value: float) -> str:
    return f"{value:.0f}" if value.is_integer() else f"{value:.2f}"


@router.get("/alerts/{alert_id}/lines", response_class=HTMLResponse)
async def lines(
    request: Request, visitor: Signed, alert_id: AlertId, *, day: str = ""
) -> HTMLResponse:
    """Show the counts by facility, day and age group."""
    reader = reader_of(request)
    async with web_of(request).database.reading() as connection:
        found = await alert_for(connection, visitor.user, alert_id)
        cells = await _cells(connection, found)
    days = sorted({cell.day for cell in cells}, reverse=True)
    strata = _strata(cells, reader)
    chosen = [cell for cell in cells if not day or cell.day.isoformat() == day]
    table = lines_of(chosen, strata, visitor.user.role)
    return render(
        request,
        "lines.html",
        active="inbox",
        alert=found,
        a=headline(found, reader),
        other_lang=reader.other_lang,
        strata=[_stratum(name, reader) for name in strata],
        table=[line._replace(region=reader.place(line.region)) for line in table[:_SHOWN_AT_MOST]],
        more=max(len(table) - _SHOWN_AT_MOST, 0),
        days=[(one.isoformat(), one.isoformat()) for one in days],
        day=day,
        several_regions=len({cell.region for cell in cells}) > 1,
        suppressed=visitor.user.role == "viewer",
    )


@router.get("/alerts/{alert_id}/lines.csv")
async def lines_csv(request: Request, visitor: Signed, alert_id: AlertId) -> Response:
    """Give the counts as CSV, one line for each cell; small ones as the visitor may see them."""
    async with web_of(request).database.reading() as connection:
        found = await alert_for(connection, visitor.user, alert_id)
        cells = await _cells(connection, found)
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["signal", "region", "facility", "day", "age_group", "count"])
    for cell in cells:
        value = shown(cell.value, visitor.user.role)
        count = _SMALL if value is None else _written(value)
        writer.writerow(
            [found.signal, cell.region, _plain(cell.facility), cell.day, cell.stratum, count]
        )
    return Response(
        text.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="alert-{alert_id}.csv"'},
    )


async def _cells(connection: AsyncConnection, alert: Alert) -> list[Cell]:
    first, last = days_of(alert)
    try:
        return await read_cells(
            connection, signal=alert.signal, region=alert.region, first=first, last=last
        )
    except TooManyEventsError as error:
        raise Problem(503, "unavailable", str(error), _TOO_MANY) from None


def _plain(name: str) -> str:
    """Keep a spreadsheet from taking a facility's name for a formula."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t")) else name


def _strata(cells: Sequence[Cell], reader: Reader) -> list[str]:
    """Return the age groups in the configuration's order, then what else there is."""
    present = {cell.stratum for cell in cells}
    ordered = [name for name in reader.configuration.surveillance.age_groups if name in present]
    return ordered + sorted(present - set(ordered))


def _stratum(name: str, reader: Reader) -> str:
    if name == UNKNOWN_STRATUM:
        return reader.t("why.age_unknown")
    return reader.t("lines.all_ages") if name == ALL_STRATA else name
