"""Advisory locks of the database, in the order in which a transaction takes them.

1. `JUDGING`: one judge at a time writes verdicts and makes alerts of them.
2. `ALERTS`: one at a time changes alerts, be it a judge, an officer or a timer. It is taken before
   the alerts are read, by `streams.store.alerts.hold_alerts`, and makes row locks needless.

`ROLLING_UP`: one at a time rolls facilities up (the function `roll_up_facilities`). Who explains
holds it to the end and takes `ALERTS` after it; nobody takes it who holds one of the others.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ALERTS", "JUDGING", "ROLLING_UP", "TAKE"]

JUDGING: Final = 5_103_481_001
ALERTS: Final = 5_103_481_002
ROLLING_UP: Final = 5_103_481_003
#: Takes a lock until the end of the transaction.
TAKE: Final = "SELECT pg_advisory_xact_lock(%s)"
