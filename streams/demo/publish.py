"""The demo's data for servers that are there already: baseline into the database, events to Kafka.

Workers do the rest. Publishing again counts nothing twice: the same seed gives the same events.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from importlib import resources
from typing import TYPE_CHECKING, Final

from streams.demo import taiwan
from streams.demo.events import AFTER_LAST_WEEK, FIRST_WEEK, records
from streams.errors import ConfigError
from streams.feed.publish import publish_mixed
from streams.preflight import check_ready
from streams.store.imports import import_counts
from streams.store.pool import connect

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from streams.config import Configuration
    from streams.settings import Settings

__all__ = ["demo_configuration", "publish_demo"]

#: First key of the section that is left out: it names receivers that only `fenghuo demo` starts.
_NOTIFICATIONS: Final = "notify:"
_REGIONS: Final = "tw"


def demo_configuration() -> str:
    """Return the demo's configuration without its notifications, to run workers by."""
    template = resources.files("streams") / "demo" / "data" / "demo.yaml"
    lines = template.read_text(encoding="utf-8").splitlines()
    end = lines.index(_NOTIFICATIONS)
    while end and (not lines[end - 1] or lines[end - 1].startswith("#")):
        end -= 1
    return "\n".join(lines[:end]) + "\n"


def publish_demo(
    settings: Settings,
    configuration: Configuration,
    *,
    seed: int,
    on_progress: Callable[[int], None],
    on_wait: Callable[[str], None] | None = None,
    after_last: date = AFTER_LAST_WEEK,
) -> int:
    """Import the baseline and publish the events; return how many.

    Parameters
    ----------
    on_progress
        Told how many events were acknowledged since it was last told.
    on_wait
        Told when the broker does not answer.
    after_last
        Monday after the last week that is published.

    Raises
    ------
    ConfigError
        The configuration surveys something else, or would refuse events of 2009 as too old.
    StoreError, UnavailableError
        Database or topics are not ready.
    """
    _check_configuration(configuration)
    check_ready(settings, configuration)
    with connect(settings.database) as connection:
        import_counts(connection, taiwan.baseline_counts(FIRST_WEEK), replace=False)
    events = records(settings, seed, after_last=after_last)
    return publish_mixed(settings.brokers, events, on_progress, on_wait)


def _check_configuration(configuration: Configuration) -> None:
    surveillance = configuration.surveillance
    needed = (datetime.now(surveillance.zone).date() - FIRST_WEEK) // timedelta(days=1)
    if (
        surveillance.regions != _REGIONS
        or taiwan.SIGNAL not in surveillance.signals
        or surveillance.event_time.max_age_days <= needed
    ):
        raise ConfigError(
            "The configuration does not survey the demo: Taiwan in 2009. Write one with "
            "fenghuo init --demo, and run the workers with it on a database of its own."
        )
