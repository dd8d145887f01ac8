"""The broker's port, which stays the same from one start to the next: sources have it noted."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["HeldPorts", "free_port", "is_free", "kept_port"]

#: Kafka's usual port, which is also the default of FENGHUO_KAFKA.
USUAL: Final = 9092


class HeldPorts:
    """Ports of this process that no other fenghuo chooses; a context manager.

    A port is chosen seconds before its broker listens on it. Each has a lock meanwhile and until
    the end: a Unix socket without a file, which exists once per network, as the port does, and ends
    with its process.
    """

    def __init__(self) -> None:
        self._locks = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._locks.close()

    def take(self, port: int) -> bool:
        """Hold a port; False: somebody listens on it, or another fenghuo holds it."""
        lock = socket.socket(socket.AF_UNIX)
        try:
            lock.bind(f"\0fenghuo-port-{port}")
        except OSError:
            lock.close()
            return False
        if not is_free(port):
            lock.close()
            return False
        self._locks.enter_context(lock)
        return True


def kept_port(
    folder: Path, *, usual: int = USUAL, take: Callable[[int], bool] | None = None
) -> tuple[int, int | None]:
    """Return the broker's port, and the noted one if that is taken this time.

    The first start takes the usual port, or another one if that is taken, and notes it in the
    folder.

    Parameters
    ----------
    take
        Takes a port, or tells that it is taken: `HeldPorts.take`. By default, ports are only tried.
    """
    take = take or is_free
    note = folder / "broker.port"
    noted = _noted(note)
    if noted is None:
        port = usual if take(usual) else _another(take)
        note.write_text(f"{port}\n", encoding="ascii")
        return port, None
    return (noted, None) if take(noted) else (_another(take), noted)


def _another(take: Callable[[int], bool]) -> int:
    while not take(port := free_port()):
        pass
    return port


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
