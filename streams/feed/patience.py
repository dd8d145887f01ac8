"""How long a broker may say nothing while records are published."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PATIENCE", "QUIET", "Silence"]

#: Seconds without any acknowledgement after which publishing is given up.
PATIENCE: Final = 60.0
#: Seconds without any acknowledgement after which people are told.
QUIET: Final = 5.0
#: A look that comes later than that adds nothing: reading the records held up answers and looks.
_LATE: Final = 2.0


class Silence:
    """Measures how long the broker has acknowledged nothing, and tells when that begins and ends.

    Parameters
    ----------
    server
        The brokers' addresses, for people.
    on_wait
        Called with one sentence.
    patience, quiet
        Seconds until `look` returns True, and until `on_wait` is called.

    Examples
    --------
    >>> now = iter([0.0, 1.0, 2.0])
    >>> silence = Silence("a:9092", print, patience=2.0, quiet=1.0, clock=lambda: next(now))
    >>> silence.look()
    The broker at a:9092 does not answer; waiting for up to 2 s.
    False
    >>> silence.look()
    True
    """

    def __init__(
        self,
        server: str,
        on_wait: Callable[[str], None],
        *,
        patience: float = PATIENCE,
        quiet: float = QUIET,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = server
        self._on_wait = on_wait
        self._patience = patience
        self._quiet = quiet
        self._clock = clock
        self._last = clock()
        self._silent = 0.0
        self._told = False

    @property
    def reason(self) -> str:
        """Why publishing is given up."""
        return f"The broker at {self._server} has not answered for {self._patience:g} s."

    def broken(self) -> None:
        """Note an answer."""
        self._silent = 0.0
        if self._told:
            self._told = False
            self._on_wait(f"The broker at {self._server} answers again.")

    def look(self) -> bool:
        """Add the time since the last look; return whether patience is at its end."""
        now = self._clock()
        if now - self._last < _LATE:
            self._silent += now - self._last
        self._last = now
        if self._silent >= self._quiet and not self._told:
            self._told = True
            self._on_wait(
                f"The broker at {self._server} does not answer; waiting for up to "
                f"{self._patience:g} s."
            )
        return self._silent >= self._patience
