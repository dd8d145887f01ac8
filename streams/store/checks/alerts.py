"""Whether alerts are what their events lead to.

A rule that derives the state of a head from its members belongs here, as one more function of
`CHECKS`: it yields one item for each alert that it has compared, None where the alert is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from streams.store.alert_history import compare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

__all__ = ["CHECKS", "AlertCheck"]


class AlertCheck(NamedTuple):
    """What must hold of alerts, as a function that says what is wrong with each."""

    name: str
    statement: str
    unit: str
    problems: Callable[[psycopg.Connection], Iterator[str | None]]


def _rows_equal_history(connection: psycopg.Connection) -> Iterator[str | None]:
    for alert_id, fields, _ in compare(connection):
        yield f"alert {alert_id} differs from its history: {', '.join(fields)}" if fields else None


def _members_have_heads(connection: psycopg.Connection) -> Iterator[str | None]:
    """Expect of a merged alert a head that exists and whose history has absorbed it."""
    cursor = connection.execute(_MEMBERS)
    for member, head, exists, absorbed in cursor:
        if not exists:
            yield f"alert {member} was merged into {head}, which does not exist"
        elif not absorbed:
            yield f"alert {member} was merged into {head}, whose history does not say so"
        else:
            yield None


_MEMBERS: Final = """
SELECT m.alert_id, m.merged_into, h.alert_id IS NOT NULL,
       EXISTS (SELECT FROM alert_events e
               WHERE e.alert_id = m.merged_into AND e.kind = 'absorbed'
                 AND (e.change ->> 'alert')::bigint = m.alert_id)
FROM alerts m LEFT JOIN alerts h ON h.alert_id = m.merged_into
WHERE m.status = 'merged'
"""

CHECKS: Final = (
    AlertCheck("alerts", "alerts equal what their events lead to", "alerts", _rows_equal_history),
    AlertCheck("members", "merged alerts belong to a head", "merged alerts", _members_have_heads),
)
