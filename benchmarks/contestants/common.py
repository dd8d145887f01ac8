"""What the contestants share: where things are, what a record is, and Faust as it comes."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from streams.config import load_configuration
from streams.ingest.intake import Intake
from streams.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Place", "Record", "now", "place", "run_faust"]


class Record(NamedTuple):
    """The parts of a record that are read; named as aiokafka names them."""

    offset: int
    key: bytes | None
    value: bytes | None


class Place(NamedTuple):
    """Settings as the worker has them, and what the runner tells besides."""

    settings: Settings
    #: Id of the topic.
    log: str
    events: int

    @property
    def topic(self) -> str:
        """The topic of all contestants."""
        return self.settings.visits_topic

    def intake(self) -> Intake:
        """Make the validation that the worker uses."""
        return Intake(load_configuration(self.settings.config))


def place() -> Place:
    """Read the environment."""
    return Place(
        Settings(), os.environ["FENGHUO_BENCH_LOG"], int(os.environ["FENGHUO_BENCH_EVENTS"])
    )


def now() -> datetime:
    """Return the time of arrival."""
    return datetime.now(UTC)


def run_faust(at: Place, agent: Callable[[Any], Awaitable[None]]) -> None:
    """Run an agent under Faust's own transport, with what it does not need switched off."""
    import faust  # noqa: PLC0415 - is not in the peers' environment

    app = faust.App(
        at.settings.group,
        broker=[f"kafka://{server}" for server in at.settings.kafka.split(",")],
        stream_wait_empty=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        logging_config=None,
        loghandlers=[],
    )
    topic = app.topic(
        at.topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw"
    )
    app.agent(topic, name="contestant")(agent)
    app.finalize()
    faust.Worker(
        app, loglevel="warning", quiet=True, redirect_stdouts=False
    ).execute_from_commandline()
