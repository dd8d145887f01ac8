"""Finding the items for which an operation fails, so that the others go on."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

import psycopg

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["Isolated", "isolate"]

Item = TypeVar("Item")
Result = TypeVar("Result")

#: After this number of failed attempts groups are not divided any further: a detector that fails
#: for every series must not be called twice for each of them.
_MOST_FAILURES: Final = 64


class Isolated(NamedTuple, Generic[Item, Result]):
    """What succeeded, group by group, and what failed."""

    results: list[Result]
    failed: list[tuple[Item, Exception]]


async def isolate(
    items: Sequence[Item], attempt: Callable[[Sequence[Item]], Awaitable[Result]]
) -> Isolated[Item, Result]:
    """Attempt all items together; where that fails, halves of them, down to single ones.

    Parameters
    ----------
    attempt
        Leaves nothing behind when it fails. A lost connection or a deadlock is no fault of an item
        and is raised.

    Returns
    -------
    Isolated
        After 64 failures, groups that fail are given up as a whole.
    """
    done: Isolated[Item, Result] = Isolated([], [])
    groups = deque([items] if items else [])
    failures = 0
    while groups:
        group = groups.popleft()
        try:
            done.results.append(await attempt(group))
        except (psycopg.OperationalError, psycopg.InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - a plugin's detector may raise anything
            failures += 1
            if len(group) == 1 or failures > _MOST_FAILURES:
                done.failed.extend((item, error) for item in group)
            else:
                half = len(group) // 2
                groups.extend((group[:half], group[half:]))
    return done
