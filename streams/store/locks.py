"""Locks of the database, in the order in which a transaction takes them.

1. `JUDGING`: one judge at a time writes verdicts and makes alerts of them.
2. `FACILITIES`: one roll-up by facility at a time.
3. `LEVELS`: one roll-up by level, or one import, at a time.
4. `ALERTS`: one at a time changes alerts, be it a judge, an officer or a timer. It is taken before
   the alerts are read, by `streams.store.alerts.hold_alerts`, and makes other row locks needless.

Each is a row of the table `locks` (migration 0037). Advisory locks would not do: every role that
may connect can take them, the one that dashboards read with included. `FACILITIES` and `LEVELS` are
taken inside functions of the database.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ALERTS", "FACILITIES", "JUDGING", "LEVELS", "TAKE"]

JUDGING: Final = "judging"
ALERTS: Final = "alerts"
FACILITIES: Final = "facilities"
LEVELS: Final = "levels"
#: Takes a lock until the end of the transaction.
TAKE: Final = "SELECT hold_lock(%s)"
