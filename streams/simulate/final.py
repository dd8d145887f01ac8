"""The offline truth: what remains of a stream once every revision is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from schemas.events import EventKind  # noqa: TC001 - part of the event's signature
from streams.simulate.publish import MALFORMED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.simulate.generate import SimulatedRecord

__all__ = ["FinalEvent", "final_events"]


class FinalEvent(NamedTuple):
    """An event as it stands in the end."""

    kind: EventKind
    event: dict[str, Any]
    truth: str


def final_events(records: Iterable[SimulatedRecord]) -> list[FinalEvent]:
    """Keep the last revision of each event and leave out those that were cancelled.

    Counts of a correct pipeline equal counts of this list, whatever the order of arrival.

    Parameters
    ----------
    records
        In any order, with repeats. Malformed records are left out.

    Returns
    -------
    list of FinalEvent
        By source and event id. All are held in memory.
    """
    last: dict[tuple[EventKind, str, str], FinalEvent] = {}
    for record in records:
        if record.truth.startswith(MALFORMED):
            continue
        event = record.event
        key = record.kind, event["source_id"], event["event_id"]
        known = last.get(key)
        if known is None or event["revision"] > known.event["revision"]:
            last[key] = FinalEvent(record.kind, event, record.truth)
    return [last[key] for key in sorted(last) if not last[key].event["cancelled"]]
