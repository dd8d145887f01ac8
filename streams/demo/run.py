"""The demo from end to end: baseline in, events published, streamed, counted, judged, drawn."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
from pydantic import BaseModel, Field

from streams.demo import taiwan
from streams.demo.events import FIRST_WEEK, count_records, records
from streams.demo.notifications import receiving, wait_until_told
from streams.demo.report import draw, first_alerts
from streams.embedded.stack import EmbeddedStack
from streams.errors import FenghuoError
from streams.feed.publish import publish_mixed
from streams.store.checks import run_checks
from streams.store.head_states import check_heads
from streams.store.imports import import_counts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from streams.config import Configuration
    from streams.embedded.keeping import KeptProcess
    from streams.settings import Settings

__all__ = ["DemoResult", "FirstAlert", "run_demo"]

_POLL_SECONDS = 0.25
#: Longest time without any progress before the demo gives up.
_STALLED_SECONDS = 60.0


class FirstAlert(BaseModel):
    """When a county's first alert was raised."""

    region: str
    name_zh: str
    name_en: str
    week: str
    observed: float
    expected: float | None
    upper: float | None


class DemoResult(BaseModel):
    """What the demo did; printed by ``fenghuo demo --json``."""

    events_published: int
    events_stored: int
    events_recounted: int = Field(description="Distinct events in the stored versions")
    counts_checked: int = Field(description="Hourly counts that equal a recount of the events")
    dead_letters: int
    alerts: int
    notifications: int = Field(default=0, description="Messages that reached the receivers")
    notifications_by_channel: dict[str, int] = {}
    digests: int = Field(default=0, description="Messages that told of several alerts together")
    events_per_second: float = Field(description="First batch's arrival to last commit")
    seconds: float
    pictures: list[str]
    first_alerts: list[FirstAlert]


def run_demo(
    settings: Settings,
    configuration: Configuration,
    *,
    folder: Path,
    output: Path,
    seed: int,
    on_step: Callable[[str], None],
    on_progress: Callable[[int, int, int], None],
    on_done: Callable[[DemoResult, Settings], None] = lambda *_: None,
) -> DemoResult:
    """Run the demo on an embedded broker and database.

    Parameters
    ----------
    folder
        Where the servers keep their data.
    output
        Where the pictures go; made when absent.
    on_step
        Told what is being done.
    on_progress
        Told events in all, published and stored.
    on_done
        Given the result and the settings of what still runs: it all ends when this returns.

    Raises
    ------
    FenghuoError
        When events are missing, counts differ from a recount, or nothing moves any more.
    """
    began = time.monotonic()
    output.mkdir(parents=True, exist_ok=True)
    with (
        receiving() as receivers,
        EmbeddedStack(folder, settings, configuration, on_step=on_step) as stack,
        psycopg.connect(stack.settings.database, autocommit=True) as connection,
    ):
        on_step("Importing the weeks before as baseline")
        import_counts(connection, taiwan.baseline_counts(FIRST_WEEK), replace=False)
        worker = stack.start_worker()
        sent = _replay(
            connection,
            worker,
            stack.settings,
            seed=seed,
            on_step=on_step,
            on_progress=on_progress,
        )
        on_step("Counting again")
        result = _check(connection, sent)
        _check_all(connection, stack.settings.database, configuration)
        on_step("Drawing")
        pictures = draw(connection, configuration, output)
        alerts = first_alerts(connection, configuration, rule="ili-county-week")
        on_step("Waiting for the digest")
        wait_until_told(connection)
        delivered = receivers.delivered()
        result = result.model_copy(
            update={
                "notifications": delivered.webhook + delivered.mail,
                "notifications_by_channel": {
                    "webhook": delivered.webhook,
                    "mail": delivered.mail,
                },
                "digests": delivered.digests,
                "pictures": [str(path) for path in pictures],
                "first_alerts": [FirstAlert.model_validate(alert) for alert in alerts],
                "seconds": round(time.monotonic() - began, 1),
            }
        )
        on_done(result, stack.settings)
    return result


def _replay(
    connection: psycopg.Connection,
    worker: KeptProcess,
    settings: Settings,
    *,
    seed: int,
    on_step: Callable[[str], None],
    on_progress: Callable[[int, int, int], None],
) -> int:
    """Publish all events and wait until they are stored and judged; return how many."""
    total = count_records(seed)
    on_step(f"Replaying {total:,} events")
    published: list[int] = []
    with ThreadPoolExecutor(1) as pool:
        publishing = pool.submit(
            publish_mixed, settings.brokers, records(settings, seed), published.append
        )
        watch = _Watch()
        while True:
            worker.check()
            sent, done = sum(published), publishing.done()
            if done:
                sent = publishing.result()  # or its error
            stored, pending = _progress(connection)
            on_progress(total, sent, stored)
            if done and stored >= sent and pending == 0:
                return sent
            watch.see(sent, stored, pending)
            time.sleep(_POLL_SECONDS)


def _check_all(connection: psycopg.Connection, database: str, configuration: Configuration) -> None:
    """Run the checks of ``fenghuo db check``."""
    done = [*run_checks(connection), check_heads(database, configuration)]
    if wrong := [checked for checked in done if checked.wrong]:
        found = "; ".join(f"{c.statement}: {c.wrong} wrong, {c.example}" for c in wrong)
        raise FenghuoError(f"The database does not add up. {found}.")


def _progress(connection: psycopg.Connection) -> tuple[int, int]:
    row = connection.execute(
        "SELECT coalesce(sum(records), 0), (SELECT count(*) FROM pending_judgements) "
        "+ (SELECT count(*) FROM pending_spans) FROM batches"
    ).fetchone()
    return (int(row[0]), int(row[1])) if row else (0, 0)


class _Watch:
    """Notices when nothing moves any more."""

    def __init__(self) -> None:
        self._seen: tuple[int, int, int] | None = None
        self._moved = time.monotonic()

    def see(self, sent: int, stored: int, pending: int) -> None:
        if (sent, stored, pending) != self._seen:
            self._moved, self._seen = time.monotonic(), (sent, stored, pending)
        elif time.monotonic() - self._moved > _STALLED_SECONDS:
            raise FenghuoError(
                f"Nothing has moved for {_STALLED_SECONDS:.0f} s: {sent} events published, "
                f"{stored} stored, {pending} judgements pending. See worker.log in the data folder."
            )


def _check(connection: psycopg.Connection, sent: int) -> DemoResult:
    """Recount the stored events and compare with every count."""
    stored, refused, rate = connection.execute(
        "SELECT sum(inserted), sum(refused), sum(records) / greatest(0.001, "
        "extract(epoch FROM max(recorded_at) - min(received_at))) FROM batches"
    ).fetchone() or (0, 0, 0.0)
    recounted = connection.execute(
        "SELECT count(DISTINCT (event_key, kind)) FROM events"
    ).fetchone()
    checked, different = connection.execute(
        "SELECT count(*), count(*) FILTER (WHERE c.value IS DISTINCT FROM r.value) "
        "FROM counts_hourly c FULL JOIN recount() r USING (signal, region, stratum, hour)"
    ).fetchone() or (0, 0)
    alerts = connection.execute("SELECT count(*) FROM alerts").fetchone()
    result = DemoResult(
        events_published=sent,
        events_stored=int(stored),
        events_recounted=int(recounted[0]) if recounted else 0,
        counts_checked=int(checked),
        dead_letters=int(refused),
        alerts=int(alerts[0]) if alerts else 0,
        events_per_second=round(float(rate)),
        seconds=0.0,
        pictures=[],
        first_alerts=[],
    )
    if different or not (
        result.events_published == result.events_stored == result.events_recounted
    ):
        raise FenghuoError(
            f"The counts do not add up: {sent} published, {stored} stored, "
            f"{result.events_recounted} recounted, {different} hourly counts differ."
        )
    return result
