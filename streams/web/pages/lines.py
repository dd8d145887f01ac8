"""The line list: the counts that an alert is made of."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from schemas.counts import ALL_STRATA, UNKNOWN_STRATUM
from streams.alerts.small_cells import step_label, told_parts
from streams.people.small_cells import sees_all
from streams.store.line_list import TooManyEventsError, days_of, read_cells
from streams.store.lines import read_lines, week_of
from streams.store.told_ages import read_told_ages
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
    from streams.store.line_list import Cell
    from streams.store.lines import Lines
    from streams.store.told_ages import ToldAges

__all__ = ["Line", "Told", "lines_of", "router", "told_of"]

router = APIRouter()

_SHOWN_AT_MOST: Final = 400
#: Facilities whose counts are read, all of which decide on what may be told.
_MOST_FACILITIES: Final = 5000
_TOO_MANY: Final = "该地区的记录过多，无法列出明细，请查看其下级地区。"


class Line(NamedTuple):
    """What a facility counted on a day, by age group."""

    facility: str
    region: str
    day: date
    cells: tuple[str, ...]
    total: str


class Told(NamedTuple):
    """What a viewer is told of a facility or an age group over the whole week."""

    name: str
    region: str
    told: str


def lines_of(cells: Sequence[Cell], strata: Sequence[str]) -> list[Line]:
    """Put exact cells together as lines, those of the latest day first."""
    found: dict[tuple[date, str, str], dict[str, float]] = defaultdict(dict)
    for cell in cells:
        found[cell.day, cell.region, cell.facility][cell.stratum] = cell.value
    keys = sorted(found, key=lambda one: (-one[0].toordinal(), one[1], one[2]))
    return [_line(key, found[key], strata) for key in keys]


def told_of(lines: Lines, ages: ToldAges, strata: Sequence[str]) -> tuple[list[Told], list[Told]]:
    """Return facilities and age groups as viewers may see them, see `streams.alerts.small_cells`.

    Examples
    --------
    >>> from datetime import date
    >>> from streams.store.lines import FacilityCell, Lines
    >>> from streams.store.told_ages import ToldAges
    >>> day = date(2009, 8, 31)
    >>> cells = [FacilityCell("a", "TW-TPE", day, 12.0), FacilityCell("b", "TW-TPE", day, 3.0)]
    >>> lines = Lines(day, day, cells, 0, [], [], [], frozenset())
    >>> told_of(lines, ToldAges({"0-6": 10.0}, rounded=False), ["0-6", "7-12"])
    ([Told(name='a', region='TW-TPE', told='10–14')], [Told(name='0-6', region='', told='10–14')])
    """
    facilities: dict[tuple[str, str], float] = defaultdict(float)
    for cell in lines.facilities:
        facilities[cell.region, cell.facility] += cell.value
    told = told_parts(facilities, lambda one: one[0], lines.with_small_day)
    by_count = sorted(told.items(), key=lambda one: (-one[1], one[0]))
    label = _about if ages.rounded else step_label
    ordered = [*strata, *sorted(ages.values.keys() - set(strata))]
    return (
        [Told(name, region, step_label(value)) for (region, name), value in by_count],
        [Told(name, "", label(ages.values[name])) for name in ordered if name in ages.values],
    )


def _about(value: float) -> str:
    return f"≈{value:.0f}"


def _line(key: tuple[date, str, str], values: dict[str, float], strata: Sequence[str]) -> Line:
    day, region, facility = key
    row = [values.get(stratum, 0.0) for stratum in strata]
    return Line(facility, region, day, tuple(map(_written, row)), _written(sum(row)))


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
        if not sees_all(visitor.user.role):
            return _told_page(request, reader, found, *await _told(connection, found, reader))
        cells = await _cells(connection, found)
    days = sorted({cell.day for cell in cells}, reverse=True)
    strata = _strata(cells, reader)
    chosen = [cell for cell in cells if not day or cell.day.isoformat() == day]
    table = lines_of(chosen, strata)
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
    )


async def _told(
    connection: AsyncConnection, alert: Alert, reader: Reader
) -> tuple[list[Told], list[Told]]:
    configuration = reader.configuration
    lines = await read_lines(connection, alert, configuration, most=_MOST_FACILITIES, week=True)
    ages = await read_told_ages(
        connection,
        signal=alert.signal,
        region=alert.region,
        week=lines.first,
        zone=configuration.surveillance.zone,
    )
    return told_of(lines, ages, configuration.surveillance.age_groups)


def _told_page(
    request: Request, reader: Reader, found: Alert, facilities: list[Told], ages: list[Told]
) -> HTMLResponse:
    return render(
        request,
        "lines_told.html",
        active="inbox",
        alert=found,
        a=headline(found, reader),
        other_lang=reader.other_lang,
        week=reader.period(week_of(found, reader.configuration), "week"),
        facilities=[
            one._replace(region=reader.place(one.region)) for one in facilities[:_SHOWN_AT_MOST]
        ],
        more=max(len(facilities) - _SHOWN_AT_MOST, 0),
        ages=[one._replace(name=_stratum(one.name, reader)) for one in ages],
        several_regions=len({one.region for one in facilities}) > 1,
    )


@router.get("/alerts/{alert_id}/lines.csv")
async def lines_csv(request: Request, visitor: Signed, alert_id: AlertId) -> Response:
    """Give the counts as CSV, one line for each cell, or each total that a viewer may see."""
    reader = reader_of(request)
    async with web_of(request).database.reading() as connection:
        found = await alert_for(connection, visitor.user, alert_id)
        rows = (
            _rows(found.signal, await _cells(connection, found))
            if sees_all(visitor.user.role)
            else _told_rows(found.signal, *await _told(connection, found, reader))
        )
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["signal", "region", "facility", "day", "age_group", "count"])
    writer.writerows(rows)
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


def _rows(signal: str, cells: Sequence[Cell]) -> list[tuple[object, ...]]:
    return [
        (signal, one.region, _plain(one.facility), one.day, one.stratum, _written(one.value))
        for one in cells
    ]


def _told_rows(
    signal: str, facilities: Sequence[Told], ages: Sequence[Told]
) -> list[tuple[object, ...]]:
    return [
        *((signal, one.region, _plain(one.name), "", "", one.told) for one in facilities),
        *((signal, "", "", "", one.name, one.told) for one in ages),
    ]


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
