"""Telling Grafana of alerts as they change.

Any number of workers may do it: each alert is pushed by one of them at a time. Nothing else waits
for it. While Grafana is away what changes is noted in the database; afterwards the newest state of
each alert is pushed once.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from streams.errors import describe
from streams.grafana.annotation import TAG, alert_tag, annotation_of, read_annotation
from streams.grafana.errors import (
    GrafanaAwayError,
    GrafanaDeniedError,
    GrafanaError,
    GrafanaMissingError,
)
from streams.notify.limits import Backoff
from streams.store import grafana_annotations as queue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from streams.config import Configuration
    from streams.grafana.annotation import Annotation
    from streams.grafana.client import Grafana
    from streams.settings import Settings
    from streams.store.grafana_annotations import Turn

__all__ = ["Pusher", "Waits", "running_pusher"]

log = logging.getLogger(__name__)

#: Of one alert; there are two unless something went wrong.
_MOST_ANNOTATIONS: Final = 1000
_CONNECTIONS: Final = 1


class Waits(NamedTuple):
    """How long the pusher waits for what."""

    look: float = 0.5
    #: After failures, while Grafana is away or refuses the token.
    away: Backoff = Backoff(1, 60)
    #: Of one annotation that Grafana refuses.
    refused: Backoff = Backoff(60, 3600)
    #: A worker that holds an alert for longer than this is taken for dead.
    lease: timedelta = timedelta(seconds=90)
    #: An annotation that was sent without an answer does not appear later than this.
    settle: timedelta = timedelta(seconds=60)


class Pusher:
    """Pushes alerts that Grafana does not show as they are.

    Parameters
    ----------
    pool
        Connections that nobody else waits for.
    web_url
        Where the triage page is; empty: annotations have no link.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool,
        grafana: Grafana,
        configuration: Configuration,
        *,
        web_url: str,
        waits: Waits = Waits(),  # noqa: B008 - immutable
    ) -> None:
        self._pool = pool
        self._grafana = grafana
        self._configuration = configuration
        self._web_url = web_url
        self._waits = waits
        #: What Grafana said of annotations that it refused, by alert.
        self.refused: dict[int, str] = {}

    async def run(self) -> None:
        """Work until cancelled."""
        failures = 0
        while True:
            try:
                await self.step()
            except (GrafanaError, psycopg.Error, PoolTimeout) as error:
                failures += 1
                log.warning("Annotations wait for the next try: %s", error)
            except Exception:
                failures += 1
                log.exception("Annotations could not be pushed; they are tried again.")
            else:
                if failures:
                    log.info("Annotations are pushed again.")
                failures = 0
            wait = self._waits.away.after(failures).total_seconds() if failures else 0.0
            await asyncio.sleep(max(wait, self._waits.look))

    async def settle(self, attempts: int = 4) -> None:
        """Push all alerts that can be pushed now, also if Grafana is away for a moment.

        Raises
        ------
        GrafanaAwayError
            It is away for longer.
        GrafanaDeniedError
            The token is wrong, or lacks a right.
        """
        for failures in range(1, attempts):
            try:
                await self.step()
            except GrafanaAwayError:
                await asyncio.sleep(self._waits.away.after(failures).total_seconds())
            else:
                return
        await self.step()

    async def step(self) -> int:
        """Push all alerts that can be pushed now; return how many.

        Raises
        ------
        GrafanaAwayError
            What was not pushed yet waits for the next step.
        GrafanaDeniedError
            The token is wrong, or lacks a right.
        """
        while await queue.note_changes(self._pool):
            pass
        pushed = 0
        while await self._push_next():
            pushed += 1
        return pushed

    async def _push_next(self) -> bool:
        taken = await queue.take(self._pool, self._waits.lease, self._waits.refused)
        if taken is None:
            return False
        turn, alert = taken
        wanted: Annotation | None = None
        try:
            if alert is not None:
                wanted = annotation_of(alert, self._configuration, self._web_url)
            annotation_id = await self._bring(turn, wanted)
        except (GrafanaAwayError, GrafanaDeniedError) as error:
            doubtful = isinstance(error, GrafanaAwayError) and error.maybe_done
            await queue.give_back(self._pool, turn, doubtful=doubtful)
            raise
        except GrafanaError as error:
            log.warning("The annotation of alert %s waits: %s", turn.alert_id, error)
            await self._set_aside(turn, str(error))
            return True
        except Exception as error:
            # Whatever is wrong with one alert must not keep the others from Grafana.
            log.exception("The annotation of alert %s cannot be made.", turn.alert_id)
            await self._set_aside(turn, describe(error))
            return True
        self.refused.pop(turn.alert_id, None)
        await queue.finish(
            self._pool,
            turn,
            version=alert.version if alert else turn.wanted,
            annotation_id=annotation_id,
            content=wanted.fingerprint if wanted else None,
            settle=self._waits.settle,
        )
        return True

    async def _set_aside(self, turn: Turn, reason: str) -> None:
        self.refused[turn.alert_id] = reason
        await queue.postpone(self._pool, turn, self._waits.refused, reason)

    async def _bring(self, turn: Turn, wanted: Annotation | None) -> int | None:
        """Make Grafana show an alert as wanted, None: not at all; return the annotation's id."""
        known = turn.annotation_id
        if known is not None and turn.doubtful_since is None:
            if wanted is not None and wanted.fingerprint == turn.content:
                return known
            if wanted is not None and await self._change_known(known, wanted):
                return known
        return await self._find_and_bring(turn.alert_id, wanted)

    async def _change_known(self, annotation_id: int, wanted: Annotation) -> bool:
        """Change an annotation; return False if it may be gone, or have another id."""
        try:
            await self._grafana.change_annotation(annotation_id, wanted)
        except GrafanaMissingError:
            return False
        except GrafanaDeniedError as error:
            if not error.forbidden:
                raise
            return False
        return True

    async def _find_and_bring(self, alert_id: int, wanted: Annotation | None) -> int | None:
        """Look for an alert's annotations by the tag; leave one as wanted."""
        rows = await self._grafana.annotations([TAG, alert_tag(alert_id)], limit=_MOST_ANNOTATIONS)
        found = sorted((int(row["id"]), read_annotation(row)[1]) for row in rows)
        kept = None
        if wanted is not None:
            if found:
                kept, shown = found[0]
                if shown.fingerprint != wanted.fingerprint:
                    await self._grafana.change_annotation(kept, wanted)
            else:
                kept = await self._grafana.add_annotation(wanted)
        for annotation_id, _ in found:
            if annotation_id != kept:
                await self._grafana.remove_annotation(annotation_id)
        return kept


@asynccontextmanager
async def running_pusher(
    settings: Settings,
    configuration: Configuration,
    *,
    waits: Waits = Waits(),  # noqa: B008 - immutable
) -> AsyncIterator[None]:
    """Have Grafana told of alerts beside everything else; without Grafana do nothing."""
    url, token = settings.grafana_api, settings.grafana_token.get_secret_value()
    if not url:
        yield
        return
    if not token:
        log.warning("Alerts do not come to Grafana as annotations: FENGHUO_GRAFANA_TOKEN is empty.")
        yield
        return
    from streams.grafana.client import open_grafana  # noqa: PLC0415 - only where it is used

    async with (
        AsyncConnectionPool(
            settings.database, min_size=0, max_size=_CONNECTIONS, open=False,
            kwargs={"autocommit": True},
        ) as pool,
        open_grafana(url, token) as grafana,
    ):  # fmt: skip
        pusher = Pusher(pool, grafana, configuration, web_url=settings.page_url, waits=waits)
        task = asyncio.create_task(pusher.run(), name="grafana")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
