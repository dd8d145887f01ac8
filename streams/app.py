"""The application for ``faust -A streams.app worker``; settings come from the environment."""

from __future__ import annotations

from streams.settings import Settings
from streams.worker import create_app

__all__ = ["app"]

app = create_app(Settings())
