"""Advisory locks of the database, in the order in which a transaction takes them.

1. `JUDGING`: one judge at a time writes verdicts and makes alerts of them.
2. `FACILITIES`: one roll-up by facility at a time; who explains holds it until it has read.
3. `LEVELS`: one roll-up by level, or one import, at a time.
4. `ALERTS`: one at a time changes alerts, be it a judge, an officer or a timer. It is taken before
   the alerts are read, by `streams.store.alerts.hold_alerts`, and makes row locks needless.

`FACILITIES` and `LEVELS` are taken inside functions of the database (migration 0013).
"""

from __future__ import annotations

from typing import Final

__all__ = ["ALERTS", "FACILITIES", "JUDGING", "LEVELS", "TAKE"]

JUDGING: Final = 5_103_481_001
ALERTS: Final = 5_103_481_002
FACILITIES: Final = 5_103_481_003
LEVELS: Final = 5_103_481_004
#: Takes a lock until the end of the transaction.
TAKE: Final = "SELECT pg_advisory_xact_lock(%s)"
