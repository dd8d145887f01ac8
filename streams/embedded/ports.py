"""The broker's port, which stays the same from one start to the next: sources have it noted."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["free_port", "is_free", "kept_port"]

#: Kafka's usual port, which is also the default of FENGHUO_KAFKA.
USUAL: Final = 9092


def kept_port(folder: Path, *, usual: int = USUAL) -> tuple[int, int | None]:
    """Return the broker's port, and the noted one if that is taken this time.

    The first start takes the usual port, or another one if that is taken, and notes it in the
    folder.
    """
    note = folder / "broker.port"
    noted = _noted(note)
    if noted is None:
        port = usual if is_free(usual) else free_port()
        note.write_text(f"{port}\n", encoding="ascii")
        return port, None
    return (noted, None) if is_free(noted) else (free_port(), noted)


def is_free(port: int) -> bool:
    """Tell whether nobody listens on a port of loopback."""
    with socket.socket() as probe:
        # Connections of a server that has just stopped do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _noted(note: Path) -> int | None:
    try:
        port = int(note.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return None
    return port if 0 < port < 1 << 16 else None
