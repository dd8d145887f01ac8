"""A broker and a database as child processes, for trying Fenghuo out and for tests."""

from __future__ import annotations

from streams.embedded.broker import EmbeddedBroker
from streams.embedded.database import EmbeddedDatabase

__all__ = ["EmbeddedBroker", "EmbeddedDatabase"]
