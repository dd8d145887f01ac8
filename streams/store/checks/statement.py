"""A check written in SQL."""

from __future__ import annotations

from typing import LiteralString, NamedTuple

__all__ = ["Check"]


class Check(NamedTuple):
    """What must hold, as a query of what was compared."""

    name: str
    #: What holds where nothing is wrong.
    statement: str
    #: What one row of the query is.
    unit: str
    #: Has one column `problem`: null where the row is right, else what is wrong with it. Parameters
    #: are `first` and `last`, the days of a window without its end, and `since`, the first day.
    #: An hour or event is of a window by its local day, as in `streams.store.rebuilding`.
    query: LiteralString
    #: Run once for each window of days, or once for all.
    windowed: bool = True
