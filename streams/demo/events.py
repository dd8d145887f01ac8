"""The demo's events in the order in which they are published, and the weeks that they are of."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from streams.demo import sales, taiwan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.settings import Settings

__all__ = ["AFTER_LAST_WEEK", "FIRST_WEEK", "count_records", "records"]

#: The weeks that are replayed as events: from before the pandemic reached the wards to after the
#: first peak. Earlier weeks are the baseline.
FIRST_WEEK: Final = date(2009, 6, 29)
AFTER_LAST_WEEK: Final = date(2009, 9, 28)


def records(
    settings: Settings, seed: int, *, after_last: date = AFTER_LAST_WEEK
) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield topic, key and value, week by week, visits and then sales: both topics move together.

    Parameters
    ----------
    seed
        Seed of what is finer than the weekly counts.
    after_last
        Monday after the last week.
    """
    week = FIRST_WEEK
    while week < after_last:
        after = week + timedelta(days=7)
        for region, value in taiwan.visits(week, after, seed=seed):
            yield settings.visits_topic, region.encode(), value
        for region, value in sales.sales(week, after, seed=seed):
            yield settings.sales_topic, region.encode(), value
        week = after


def count_records(seed: int) -> int:
    """Return how many `records` of all weeks there are."""
    visits = taiwan.daily_visits(FIRST_WEEK, AFTER_LAST_WEEK, seed=seed).sum()
    return int(visits + sales.daily_sales(FIRST_WEEK, AFTER_LAST_WEEK, seed=seed).sum())
