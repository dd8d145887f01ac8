"""Workers as child processes, for tests that kill them."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from streams.feed.publish import publish_mixed
from streams.kafka import create_topics
from streams.settings import Settings
from tests.support.processes import GuardedProcess, tail

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from schemas.events import EventKind

__all__ = ["Worker", "make_settings", "publish", "until"]

_PROJECT = Path(__file__).resolve().parents[2]
_CONFIG = _PROJECT / "tests" / "data" / "taiwan.yaml"
_PATIENCE = 240.0


class Worker:
    """A worker process that can be killed and started again.

    Each start has a `name` of its own, under which its batches are stored.

    Parameters
    ----------
    settings
        Its settings, all but the worker's name.
    label
        Prefix of the names.
    folder
        Where its log is written.
    command
        What Python runs.
    """

    def __init__(
        self,
        settings: Settings,
        label: str,
        folder: Path,
        command: Sequence[str] = ("-m", "streams", "worker"),
    ) -> None:
        self._settings = settings
        self._label = label
        self._command = command
        self._log = folder / f"{label}.log"
        self._starts = 0
        self._process: GuardedProcess | None = None

    @property
    def name(self) -> str:
        """Name of the process that runs now, or ran last."""
        return f"{self._label}-{self._starts}"

    @property
    def running(self) -> bool:
        """Whether the process has not ended."""
        return self._process is not None and self._process.running

    @property
    def pid(self) -> int:
        """Id of the process that runs now."""
        assert self._process is not None
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal, such as SIGSTOP."""
        if self._process is not None:
            os.kill(self._process.pid, number)

    def start(self) -> None:
        """Start a process."""
        self._starts += 1
        settings = self._settings.model_copy(update={"worker_name": self.name})
        self._process = GuardedProcess(
            [sys.executable, *self._command],
            log=self._log,
            cwd=_PROJECT,
            environment={
                f"FENGHUO_{name.upper()}": (
                    value.get_secret_value() if isinstance(value, SecretStr) else str(value)
                )
                for name, value in settings.model_dump().items()
            },
        )

    def kill(self) -> None:
        """End the process as a power cut would (SIGKILL)."""
        if self._process is not None:
            self._process.kill()

    def ask_to_stop(self) -> None:
        """Ask the process to end in an orderly way (SIGTERM), and do not wait."""
        self.send(signal.SIGTERM)

    def tail(self, lines: int = 150) -> str:
        """Return the last lines of its log."""
        return tail(self._log, lines=lines)


def make_settings(kafka: str, database: str, name: str) -> Settings:
    """Return settings of a worker with topics of its own, which are made."""
    settings = Settings(
        kafka=kafka,
        database=database,
        config=_CONFIG,
        group=name,
        visits_topic=f"{name}-visits",
        sales_topic=f"{name}-sales",
        session_timeout=2.0,
        batch_records=500,
        web_port=0,
    )
    create_topics(
        settings.kafka,
        settings.topics.values(),
        plain=[settings.alerts_topic],
        partitions=2,
        replication=1,
    )
    return settings


def publish(settings: Settings, records: Sequence[tuple[EventKind, bytes, bytes]]) -> None:
    """Publish records to the topics of their kinds."""
    topics = settings.topics
    publish_mixed(settings.kafka, [(topics[kind], key, value) for kind, key, value in records])


def until(condition: Callable[[], bool], what: str, worker: Worker) -> None:
    """Wait until a condition holds; show the worker's log when it does not."""
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not happen within {_PATIENCE:g} s\n{worker.tail()}")
        time.sleep(0.05)
