"""One owner for a data folder at a time: a second one would stop the first one's servers."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from streams.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["owned"]


@contextmanager
def owned(folder: Path) -> Iterator[int]:
    """Own a folder until the end of the block, or of this process, however it ends.

    Yields
    ------
    int
        Descriptor of the lock. A child that inherits it owns the folder, too, until it ends.

    Raises
    ------
    UnavailableError
        Another process owns it.
    """
    # The descriptor is inherited by nobody to whom it is not passed.
    with (folder / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            owner = file.read().strip() or "unknown"
            raise UnavailableError(
                f"{folder} is in use by another fenghuo (process {owner}). Stop that one, or name "
                "another folder with --folder."
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield file.fileno()
