"""Grafana on loopback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.grafana_server import GrafanaServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server() -> Iterator[GrafanaServer]:
    with GrafanaServer() as running:
        yield running
