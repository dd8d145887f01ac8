"""The command line under test, with its environment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from streams.cli.main import app
from streams.errors import FenghuoError
from streams.kafka import create_topics

if TYPE_CHECKING:
    from collections.abc import Callable

    from typer.testing import Result

CONFIG = Path(__file__).parents[2] / "data" / "taiwan.yaml"
PARTITIONS = 2


@dataclass(frozen=True)
class Topics:
    """Event topics that only this test uses."""

    visits: str
    sales: str


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run a command line; errors that people can mend are raised, exit codes are not."""
    monkeypatch.setenv("FENGHUO_CONFIG", str(CONFIG))
    monkeypatch.setenv("COLUMNS", "100")

    def invoke(*arguments: object, stdin: bytes | None = None) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
        if isinstance(result.exception, FenghuoError):
            raise result.exception
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


@pytest.fixture
def database(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("FENGHUO_DATABASE", database_url)
    return database_url


@pytest.fixture
def topics(kafka: str, fresh_name: str, monkeypatch: pytest.MonkeyPatch) -> Topics:
    made = Topics(f"{fresh_name}.visits", f"{fresh_name}.sales")
    monkeypatch.setenv("FENGHUO_KAFKA", kafka)
    monkeypatch.setenv("FENGHUO_VISITS_TOPIC", made.visits)
    monkeypatch.setenv("FENGHUO_SALES_TOPIC", made.sales)
    create_topics(kafka, [made.visits, made.sales], partitions=PARTITIONS, replication=1)
    return made


@pytest.fixture
def consumed(kafka: str) -> Callable[[str], list[tuple[bytes, bytes]]]:
    """Everything in a topic, as pairs of key and value."""
    from tests.support.logs import read_topic  # noqa: PLC0415 - not for tests without it

    def consume(topic: str) -> list[tuple[bytes, bytes]]:
        return [(record.key, record.value) for record in read_topic(kafka, topic)]

    return consume
