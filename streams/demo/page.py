"""The triage page of the demo: who may sign in, and where it listens."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Final

from streams.people.passwords import one_time
from streams.store.people import add_user
from streams.store.pool import connect

if TYPE_CHECKING:
    from schemas.notify import Language
    from streams.settings import Settings

__all__ = ["DEMO_USER", "let_in", "with_free_port"]

DEMO_USER: Final = "demo"


def let_in(database: str) -> str:
    """Add the demo's user, who may do everything, and return the password that was drawn."""
    password = one_time()
    with connect(database) as connection:
        add_user(
            connection, DEMO_USER, role="admin", locale=_language(), password=password
        )  # it need not be changed: it ends with the demo
    return password


def with_free_port(settings: Settings) -> Settings:
    """Return the settings with the next free port where theirs is taken."""
    for port in range(settings.page_port, settings.page_port + 50):
        try:
            with socket.create_server((settings.page_host, port)):
                return settings.model_copy(update={"page_port": port, "web_url": ""})
        except OSError:
            continue
    return settings  # whoever listens says what is wrong


def _language() -> Language:
    """Return the language of the terminal."""
    spoken = os.environ.get("LC_ALL") or os.environ.get("LANG") or ""
    return "zh" if spoken.lower().startswith("zh") else "en"
