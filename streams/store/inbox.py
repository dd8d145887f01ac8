"""Reading alerts for the triage page: ranked, within a region and all below it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from psycopg import sql
from psycopg.rows import class_row, dict_row
from pydantic import BaseModel, ConfigDict

from schemas.alerts import Alert, AlertEvent, AlertStatus, Severity
from streams.alerts.predictive_value import PredictiveValue, predictive_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg import AsyncConnection

__all__ = [
    "InboxFilter",
    "InboxPage",
    "Order",
    "Ranked",
    "count_statuses",
    "find_regions",
    "in_subtree",
    "read_alert",
    "read_history",
    "read_inbox",
    "read_predictive_values",
    "read_ranks",
]

Order = Literal["ranked", "newest"]


class InboxFilter(BaseModel):
    """Which alerts are asked for: those that fit all conditions; an empty one is none."""

    model_config = ConfigDict(frozen=True)

    statuses: tuple[AlertStatus, ...] = ()
    severities: tuple[Severity, ...] = ()
    signals: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    """Codes; alerts of these and of all regions below."""
    assigned_to: str | None = None
    open_only: bool = False


class Ranked(NamedTuple):
    """An alert with its place among all that are open."""

    alert: Alert
    q_value: float | None
    """Adjusted p-value (Benjamini and Hochberg); None: closed, or judged without p-values."""
    rank: int | None
    """1 for the first to look at; None: it is closed."""


class InboxPage(NamedTuple):
    """Some of the alerts that fit, in order."""

    rows: list[Ranked]
    total: int


async def read_inbox(
    connection: AsyncConnection,
    *,
    scope: str,
    only: InboxFilter,
    order: Order = "ranked",
    limit: int = 50,
    offset: int = 0,
) -> InboxPage:
    """Return alerts.

    Parameters
    ----------
    scope
        Region code: no alert from outside it is returned or counted, whatever is asked for.
    order
        ``ranked``: open ones by the view `alert_ranks`, then the others, latest change first.
        ``newest``: latest opened first.
    """
    where, values = _conditions(scope, only)
    query = _PAGE.format(where=where, order=_ORDERS[order])
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values | {"limit": limit, "offset": offset})
        rows = [_ranked(row) for row in await cursor.fetchall()]
    if not offset and len(rows) < limit:
        return InboxPage(rows, len(rows))
    count = await connection.execute(
        sql.SQL("SELECT count(*) FROM alerts a WHERE {}").format(where), values
    )
    found = await count.fetchone()
    return InboxPage(rows, int(found[0]) if found else 0)


async def count_statuses(
    connection: AsyncConnection,
    *,
    scope: str,
    only: InboxFilter = InboxFilter(),  # noqa: B008
) -> dict[AlertStatus, int]:
    """Return how many alerts of each status fit; statuses of none are left out."""
    where, values = _conditions(scope, only)
    cursor = await connection.execute(
        sql.SQL("SELECT a.status, count(*) FROM alerts a WHERE {} GROUP BY 1").format(where), values
    )
    return dict(await cursor.fetchall())


async def read_alert(connection: AsyncConnection, alert_id: int) -> Alert | None:
    """Return one alert, or None without one of this id. Whether it may be seen is not asked."""
    async with connection.cursor(row_factory=class_row(Alert)) as cursor:
        await cursor.execute("SELECT * FROM alerts WHERE alert_id = %s", (alert_id,))
        return await cursor.fetchone()


async def read_ranks(
    connection: AsyncConnection, ids: Sequence[int]
) -> dict[int, tuple[float | None, int]]:
    """Return q-value and rank of those of the alerts that are open."""
    cursor = await connection.execute(
        "SELECT alert_id, q_value, rank FROM alert_ranks WHERE alert_id = ANY(%s)", (list(ids),)
    )
    return {alert_id: (q_value, rank) for alert_id, q_value, rank in await cursor.fetchall()}


async def read_history(connection: AsyncConnection, alert_id: int) -> list[AlertEvent]:
    """Return an alert's events, the first one first."""
    async with connection.cursor(row_factory=class_row(AlertEvent)) as cursor:
        await cursor.execute(
            "SELECT alert_id, seq, at, actor, change FROM alert_events "
            "WHERE alert_id = %s ORDER BY seq",
            (alert_id,),
        )
        return await cursor.fetchall()


async def read_predictive_values(connection: AsyncConnection) -> dict[str, PredictiveValue]:
    """Return how often each rule's alerts turned out to be outbreaks, in all regions together."""
    cursor = await connection.execute(
        "SELECT rule, count(*) FILTER (WHERE outcome = 'outbreak'), count(*) FROM alerts "
        "WHERE status IN ('closed', 'discarded') AND outcome IS NOT NULL GROUP BY 1"
    )
    return {
        rule: predictive_value(outbreaks, decided)
        for rule, outbreaks, decided in await cursor.fetchall()
    }


async def in_subtree(connection: AsyncConnection, region: str, *, of: str) -> bool:
    """Tell whether a region is another one or lies below it."""
    cursor = await connection.execute(
        "SELECT 1 FROM region_ancestors WHERE region = %s AND ancestor = %s", (region, of)
    )
    return await cursor.fetchone() is not None


async def find_regions(
    connection: AsyncConnection, text: str, *, scope: str, limit: int
) -> list[str]:
    """Return codes of regions in force whose name holds a text or whose code begins with it.

    The higher levels come first, and among them those whose name begins with it.
    """
    cursor = await connection.execute(
        _REGIONS,
        {"scope": scope, "limit": limit, "text": text.strip().casefold().replace("臺", "台")},
    )
    return [code for (code,) in await cursor.fetchall()]


def _conditions(scope: str, only: InboxFilter) -> tuple[sql.Composed, dict[str, Any]]:
    parts = [_BELOW.format(sql.SQL("= %(scope)s"))]
    if only.open_only:
        parts.append(sql.SQL("a.status NOT IN ('discarded', 'closed', 'merged')").format())
    if only.regions:
        parts.append(_BELOW.format(sql.SQL("= ANY(%(regions)s)")))
    if only.assigned_to is not None:
        parts.append(sql.SQL("a.assigned_to = %(assigned_to)s").format())
    for field, column in _COLUMNS.items():
        if getattr(only, field):
            parts.append(
                sql.SQL("a.{} = ANY({})").format(sql.Identifier(column), sql.Placeholder(field))
            )
    values = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in only.model_dump().items()
    }
    return sql.SQL(" AND ").join(parts), values | {"scope": scope}


def _ranked(row: dict[str, Any]) -> Ranked:
    q_value, rank = row.pop("q_value"), row.pop("rank")
    return Ranked(Alert.model_validate(row), q_value, rank)


# Not LIKE: what is looked for may hold its wildcards.
_REGIONS: Final = """
SELECT g.code
FROM region_ancestors r
JOIN regions g ON g.code = r.region
CROSS JOIN LATERAL (
    SELECT strpos(replace(g.name_zh, '臺', '台'), %(text)s) AS zh,
           strpos(lower(g.name_en), %(text)s) AS en
) f
WHERE r.ancestor = %(scope)s AND g.valid_to IS NULL
  AND (f.zh > 0 OR f.en > 0 OR starts_with(lower(g.code), %(text)s))
ORDER BY array_position(ARRAY['nation', 'province', 'prefecture', 'county'], g.level),
         f.zh <> 1 AND f.en <> 1, g.code
LIMIT %(limit)s
"""

# The numbers are put in order first, and then the few rows read: alerts are wide.
_PAGE: Final = sql.SQL("""
WITH page AS (
    SELECT a.alert_id, k.q_value, k.rank, row_number() OVER (ORDER BY {order}) AS place
    FROM alerts a LEFT JOIN alert_ranks k USING (alert_id)
    WHERE {where}
    ORDER BY place
    LIMIT %(limit)s OFFSET %(offset)s
)
SELECT a.*, p.q_value, p.rank
FROM page p JOIN alerts a USING (alert_id)
ORDER BY p.place
""")

_COLUMNS: Final = {
    "statuses": "status",
    "severities": "severity",
    "signals": "signal",
    "rules": "rule",
}
_BELOW: Final = sql.SQL(
    "EXISTS (SELECT FROM region_ancestors r WHERE r.region = a.region AND r.ancestor {})"
)
_ORDERS: Final[dict[Order, sql.SQL]] = {
    "ranked": sql.SQL("k.rank NULLS LAST, a.updated_at DESC, a.alert_id DESC"),
    "newest": sql.SQL("a.opened_at DESC, a.alert_id DESC"),
}
