"""How many messages, and when again: rate limit, back-off. Pure."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas.alerts import Severity

__all__ = ["SEVERITIES", "Backoff", "Due", "allowance", "group"]

#: The worst first.
SEVERITIES: Final[tuple[Severity, ...]] = ("critical", "warning", "info")
_MINUTE: Final = timedelta(minutes=1)
#: Most alerts in one message.
_MOST: Final = 200


class Due(NamedTuple):
    """What a channel is to be told of one alert now; it stays together in one message."""

    #: Of the alert's events.
    notification_ids: tuple[int, ...]
    severity: Severity
    digest: bool


def group(due: Sequence[Due], budget: int | None) -> list[list[Due]]:
    """Make messages of what is due.

    Parameters
    ----------
    due
        In the order in which they became due.
    budget
        Most messages; None: any number.

    Returns
    -------
    list of list of Due
        Messages, each with what it tells of; the most severe first. What is meant for a digest is
        in one message, and what exceeds the budget is in it as well. Nothing is left out except
        with a budget of 0, and beyond the 200 alerts that one message can hold: those stay due.
    """
    if budget is not None and budget <= 0:
        return []
    ordered = sorted(due, key=lambda one: SEVERITIES.index(one.severity))
    single = [one for one in ordered if not one.digest]
    together = [one for one in ordered if one.digest]
    if budget is not None and len(single) + bool(together) > budget:
        together = single[budget - 1 :] + together
        single = single[: budget - 1]
    return [[one] for one in single] + ([together[:_MOST]] if together else [])


def allowance(
    recent: Sequence[datetime], rate: int | None, now: datetime
) -> tuple[list[datetime], int | None]:
    """Return the sends of the latest minute, and how many more there may be."""
    kept = [at for at in recent if now - _MINUTE < at]
    return kept, None if rate is None else max(0, rate - len(kept))


class Backoff(NamedTuple):
    """Waits that double with each failure, up to a longest one."""

    first_seconds: float
    longest_seconds: float

    def after(self, failures: int, *, jitter: float | None = None) -> timedelta:
        """Return the wait after so many failures.

        Parameters
        ----------
        jitter
            From 0 to 1, drawn when left out: up to half of the wait is taken off, so that what
            failed together does not come back together.
        """
        drawn = random.random() if jitter is None else jitter  # noqa: S311 - no secret
        full = self.first_seconds * 2.0 ** min(failures - 1, 60)
        return timedelta(seconds=min(full, self.longest_seconds) * (1 - drawn / 2))
