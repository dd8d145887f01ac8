"""Whether a process works: what a worker has under way, and asking a worker or the triage page.

A worker is stuck when something that it began does not end: a batch that is not committed, a
rebalance that does not finish. Why does not matter here. A worker that waits for a database that is
away says so in its log and needs no restart; it is no less true that it does not work.

Asking goes by HTTP to this machine only: the answer shows that the event loop turns, which a file
or a row that a thread writes does not.
"""

from __future__ import annotations

import http.client
import json
import time
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Final, NamedTuple

from streams.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from streams.store.quarantine import JudgingState

__all__ = [
    "FAILING_SECONDS",
    "LOOPBACK",
    "STUCK_SECONDS",
    "WORKER_PATH",
    "Progress",
    "Waiting",
    "ask",
    "judging_stands_still",
    "report",
]

LOOPBACK: Final = "127.0.0.1"
#: Page of a worker, beside those that Faust brings.
WORKER_PATH: Final = "/health/"
#: Far beyond any commit and any rebalance that goes well.
STUCK_SECONDS: Final = 300.0
#: A restart of the database is over by then; counts are late by as much.
FAILING_SECONDS: Final = 60.0
#: Longest wait for an answer; a loop that does not turn for so long misses its session as well.
_ANSWER_SECONDS: Final = 5.0


class Waiting(NamedTuple):
    """Something that was begun and has not ended."""

    what: str
    seconds: float


class Progress:
    """What is under way, and since when.

    Parameters
    ----------
    clock
        Returns seconds; only differences count.

    Examples
    --------
    >>> now = iter([0.0, 2.0, 5.0, 6.0])
    >>> progress = Progress(clock=lambda: next(now))
    >>> committed = progress.begin("a batch of visits")
    >>> rebalanced = progress.begin("a rebalance")
    >>> progress.oldest()
    Waiting(what='a batch of visits', seconds=5.0)
    >>> committed()
    >>> progress.oldest()
    Waiting(what='a rebalance', seconds=4.0)
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._numbers = count()
        self._under_way: dict[int, tuple[str, float]] = {}

    def begin(self, what: str) -> Callable[[], None]:
        """Note that something begins; call what is returned when it has ended."""
        number = next(self._numbers)
        self._under_way[number] = (what, self._clock())

        def end() -> None:
            self._under_way.pop(number, None)

        return end

    def oldest(self) -> Waiting | None:
        """Return what has been under way for longest; None: nothing is."""
        if not self._under_way:
            return None
        what, began = next(iter(self._under_way.values()))
        return Waiting(what, self._clock() - began)


def judging_stands_still(state: JudgingState) -> Waiting | None:
    """Return for how long live changes have waited while none was judged; None: judging works.

    History that an import left to judge may wait for hours, and judging it is no sign of life: it
    must not hide live changes that wait. A single series that is set aside is no reason for a
    restart: judging works as long as anything was judged since then.

    Examples
    --------
    >>> from datetime import UTC, datetime, timedelta
    >>> from streams.store.quarantine import JudgingState
    >>> now = datetime(2026, 1, 1, tzinfo=UTC)
    >>> ago = lambda minutes: now - timedelta(minutes=minutes)
    >>> judging_stands_still(JudgingState(now, oldest=ago(9), quarantined=None, judged=ago(1)))
    >>> judging_stands_still(JudgingState(now, oldest=ago(9), quarantined=None, judged=ago(8)))
    Waiting(what='the oldest change that is not judged', seconds=540.0)
    >>> judging_stands_still(JudgingState(now, ago(9), None, judged=ago(8), judged_history=ago(0)))
    Waiting(what='the oldest change that is not judged', seconds=540.0)
    >>> judging_stands_still(JudgingState(now, oldest=None, quarantined=ago(9), judged=ago(8)))
    >>> judging_stands_still(JudgingState(now, oldest=None, quarantined=ago(9), judged=ago(10)))
    Waiting(what='the oldest series that judging set aside', seconds=540.0)
    """
    limit = state.now - timedelta(seconds=STUCK_SECONDS)
    never = datetime.min.replace(tzinfo=UTC)
    judged = state.judged or never
    if state.oldest and state.oldest <= limit and judged <= limit:
        what, since = "the oldest change that is not judged", state.oldest
    elif (
        state.quarantined
        and state.quarantined <= limit
        and max(judged, state.judged_history or never) < state.quarantined
    ):
        what, since = "the oldest series that judging set aside", state.quarantined
    else:
        return None
    return Waiting(what, (state.now - since).total_seconds())


def report(
    oldest: Waiting | None, judging: Waiting | None = None, failing: Waiting | None = None
) -> tuple[int, dict[str, str]]:
    """Return HTTP status and answer of a worker.

    Parameters
    ----------
    oldest
        What has been in progress for longest.
    judging
        The result of `judging_stands_still`.
    failing
        For how long every commit has failed, and why.

    Examples
    --------
    >>> report(None)
    (200, {'status': 'ok', 'detail': 'nothing is under way'})
    >>> report(Waiting("a batch of visits[3]", 1.26))
    (200, {'status': 'ok', 'detail': 'a batch of visits[3] has been under way for 1.3 s'})
    >>> report(Waiting("a rebalance", 301.0))[0]
    503
    >>> report(None, Waiting("the oldest change that is not judged", 400.0))[0]
    503
    >>> report(None, None, Waiting("commits fail (out of shared memory)", 61.0))[0]
    503
    """
    if failing is not None and failing.seconds >= FAILING_SECONDS:
        detail = f"{failing.what} for {failing.seconds:.0f} s; the log says more"
        return 503, {"status": "stuck", "detail": detail}
    if judging is not None:
        waiting = f"{judging.what} has been waiting for {judging.seconds:.0f} s"
        return 503, {"status": "stuck", "detail": f"judging stands still: {waiting}"}
    if oldest is None:
        return 200, {"status": "ok", "detail": "nothing is under way"}
    detail = f"{oldest.what} has been under way for {oldest.seconds:.1f} s"
    if oldest.seconds < STUCK_SECONDS:
        return 200, {"status": "ok", "detail": detail}
    return 503, {"status": "stuck", "detail": f"{detail}; the log says why"}


def ask(port: int, path: str, *, host: str = LOOPBACK, seconds: float = _ANSWER_SECONDS) -> str:
    """Ask a process on this machine how it is; return what it says.

    Raises
    ------
    UnavailableError
        There is no answer in time, or it is that the process does not work.
    """
    where = f"http://{host}:{port}{path}"
    connection = http.client.HTTPConnection(host, port, timeout=seconds)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise UnavailableError(f"No answer from {where}: {error or type(error).__name__}") from None
    finally:
        connection.close()
    try:
        said = json.loads(body)
        detail = str(said.get("detail") or said["status"])
    except (ValueError, AttributeError, KeyError):
        raise UnavailableError(
            f"{where} is no page of Fenghuo's. Check FENGHUO_WEB_PORT and FENGHUO_PAGE_PORT."
        ) from None
    if response.status != http.client.OK:
        raise UnavailableError(detail)
    return detail
