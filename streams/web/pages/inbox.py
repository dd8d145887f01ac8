"""The inbox: open alerts, the ones that matter most on top."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, cast
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from schemas.alerts import AlertStatus, Severity  # noqa: TC001 - FastAPI needs it at run time
from streams.notify.words import SEVERITY_WORDS
from streams.people.small_cells import for_role
from streams.store.curves import read_sparks
from streams.store.inbox import (
    InboxFilter,
    InboxPage,
    count_statuses,
    find_regions,
    in_subtree,
    read_inbox,
    read_predictive_values,
)
from streams.web.pages.reader import Reader, reader_of
from streams.web.pages.rows import Row, make_row
from streams.web.rendering import render
from streams.web.state import web_of
from streams.web.visitor import Signed  # noqa: TC001 - FastAPI needs it at run time

if TYPE_CHECKING:
    from psycopg import AsyncConnection

    from streams.people.users import User

__all__ = ["router"]

router = APIRouter()

_PER_PAGE: Final = 25
_OPEN: Final[tuple[AlertStatus, ...]] = ("new", "verifying", "monitoring", "assessing", "confirmed")
_DECIDED: Final[tuple[AlertStatus, ...]] = ("closed", "discarded")
#: Regions whose names hold what was looked for.
_FOUND_AT_MOST: Final = 200
#: Regions offered to choose from.
_OFFERED_AT_MOST: Final = 60


class Asked(NamedTuple):
    """What somebody wants to see, as the address says it."""

    statuses: tuple[AlertStatus, ...]
    severity: Severity | None
    signal: str
    region: str
    rule: str
    q: str
    mine: bool
    page: int

    @property
    def filtered(self) -> bool:
        """Whether more than the status was chosen."""
        return bool(self.severity or self.signal or self.region or self.rule or self.q or self.mine)

    def link(self, **changes: Any) -> str:
        """Return the address of the same with some changes."""
        wanted = self._replace(**changes)
        pairs = [
            *(("status", status) for status in wanted.statuses),
            ("severity", wanted.severity),
            ("signal", wanted.signal),
            ("region", wanted.region),
            ("rule", wanted.rule),
            ("q", wanted.q),
            ("mine", "1" if wanted.mine else ""),
            ("page", wanted.page if wanted.page > 1 else ""),
        ]
        query = urlencode([(name, value) for name, value in pairs if value])
        return f"/?{query}" if query else "/"


class Tab(NamedTuple):
    """A choice of statuses with the number of their alerts."""

    key: str
    name: str
    alerts: int
    link: str
    chosen: bool
    quiet: bool


@router.get("/", response_class=HTMLResponse)
async def inbox(
    request: Request,
    visitor: Signed,
    *,
    status: Annotated[list[AlertStatus], Query()] = [],  # noqa: B006 - FastAPI copies it
    severity: str = "",
    signal: str = "",
    region: str = "",
    rule: str = "",
    q: str = "",
    mine: bool = False,
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> HTMLResponse:
    """Show the alerts of the visitor's area."""
    known = cast("Severity", severity) if severity in SEVERITY_WORDS else None
    asked = Asked(tuple(status), known, signal, region, rule, q.strip()[:80], mine, page)
    reader = reader_of(request)
    now = datetime.now(UTC)
    async with web_of(request).database.reading() as connection:
        only, scope, nowhere = await _conditions(connection, visitor.user, asked)
        found = InboxPage([], 0)
        if not nowhere:
            found = await read_inbox(
                connection,
                scope=scope,
                only=only,
                limit=_PER_PAGE,
                offset=(page - 1) * _PER_PAGE,
            )
        of_any_status = only.model_copy(update={"statuses": (), "open_only": False})
        counts = await count_statuses(connection, scope=scope, only=of_any_status)
        values = await read_predictive_values(connection)
        sparks = await read_sparks(
            connection, [(one.alert.numbers_rule, one.alert.region) for one in found.rows]
        )
    rows = [
        make_row(for_role(one.alert, visitor.user.role), points, values, reader, now)
        for one, points in zip(found.rows, sparks, strict=True)
    ]
    return render(
        request,
        "inbox.html",
        active="inbox",
        rows=rows,
        tabs=_tabs(asked, {} if nowhere else counts, reader),
        now=now,
        now_text=f"{now.astimezone(reader.configuration.surveillance.zone):%H:%M:%S}",
        live=asked.link(page=page),
        unknown_place=nowhere,
        **_chosen(asked, reader, visitor.user),
        **_paging(asked, found.total, rows, reader),
    )


async def _conditions(
    connection: AsyncConnection, user: User, asked: Asked
) -> tuple[InboxFilter, str, bool]:
    """Return the filter, the region to look in, and whether what was looked for is nowhere."""
    scope = user.region
    if asked.region and await in_subtree(connection, asked.region, of=user.region):
        scope = asked.region
    regions: tuple[str, ...] = ()
    if asked.q:
        regions = tuple(await find_regions(connection, asked.q, scope=scope, limit=_FOUND_AT_MOST))
    only = InboxFilter(
        statuses=asked.statuses,
        severities=(asked.severity,) if asked.severity else (),
        signals=(asked.signal,) if asked.signal else (),
        rules=(asked.rule,) if asked.rule else (),
        regions=regions,
        assigned_to=user.name if asked.mine else None,
        open_only=not asked.statuses,
    )
    return only, scope, bool(asked.q and not regions)


def _tabs(asked: Asked, counts: dict[AlertStatus, int], reader: Reader) -> list[Tab]:
    def tab(key: str, name: str, statuses: tuple[AlertStatus, ...], *, quiet: bool = False) -> Tab:
        chosen = asked.statuses == (() if key == "open" else statuses)
        link = asked.link(statuses=() if key == "open" else statuses, page=1)
        return Tab(key, name, sum(counts.get(s, 0) for s in statuses), link, chosen, quiet)

    return [
        tab("open", reader.t("inbox.open"), _OPEN),
        *(tab(status, reader.t(f"status.{status}"), (status,)) for status in _OPEN),
        tab("decided", reader.t("inbox.decided"), _DECIDED, quiet=True),
        tab("merged", reader.t("status.merged"), ("merged",), quiet=True),
    ]


def _chosen(asked: Asked, reader: Reader, user: User) -> dict[str, Any]:
    """Return what the form of filters shows."""
    surveillance, regions = reader.configuration.surveillance, reader.configuration.regions
    own = user.region
    below = [c for c in regions.children(own) if c.valid_to is None] if own in regions else []
    offered = [one.code for one in below[:_OFFERED_AT_MOST]]
    if asked.region in regions and asked.region not in offered:
        offered.insert(0, asked.region)
    return {
        "region": {"name": reader.place(asked.region)} if asked.region in regions else None,
        "filtered": asked.filtered,
        "clear_link": Asked(asked.statuses, None, "", "", "", "", False, 1).link(),
        "chosen_statuses": asked.statuses,
        "q": asked.q,
        "mine": asked.mine,
        "rule": asked.rule,
        "severity": asked.severity,
        "signal": asked.signal,
        "region_code": asked.region,
        "severities": [(key, reader.severity(key)) for key in SEVERITY_WORDS],
        "signals": [(key, reader.signal(key)) for key in surveillance.signals],
        "places": [(code, reader.place(code)) for code in offered],
        "other_lang": reader.other_lang,
    }


def _paging(asked: Asked, total: int, rows: list[Row], reader: Reader) -> dict[str, Any]:
    pages = max(-(-total // _PER_PAGE), 1)
    first = (asked.page - 1) * _PER_PAGE + 1
    return {
        "pages": pages,
        "first": first,
        "last": first + len(rows) - 1,
        "total_text": reader.number(total),
        "previous_link": asked.link(page=asked.page - 1) if asked.page > 1 else None,
        "next_link": asked.link(page=asked.page + 1) if asked.page < pages else None,
    }
