"""Places in the file system that a command is given: checked early, refused in one line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from typer.core import TyperGroup

from streams.errors import FenghuoError

__all__ = ["Commands", "check_file", "check_folder"]


class Commands(TyperGroup):
    """All commands; an error of the file system becomes one line, whichever command met it."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command.

        Raises
        ------
        FenghuoError
            A file or folder cannot be read or written.
        """
        try:
            return super().invoke(ctx)
        except OSError as error:
            # Without a name of a file it is no place that was given: a socket, a process.
            if not isinstance(error.filename, str | os.PathLike):
                raise
            raise FenghuoError(_told(Path(error.filename), error)) from None


def check_file(path: Path, option: str) -> None:
    """Refuse a file that cannot be written, before there is anything to lose.

    Raises
    ------
    FenghuoError
        It is a folder, its folder is missing, or it may not be written.
    """
    if path.is_dir():
        raise FenghuoError(f"{option} {path}: this is a folder; name a file in it.")
    if not path.parent.is_dir():
        raise FenghuoError(f"{option} {path}: {_missing(path.parent)}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise FenghuoError(f"{option} {path}: this may not be written; name another place.")


def check_folder(path: Path, option: str) -> None:
    """Refuse a folder that can be neither used nor made.

    Raises
    ------
    FenghuoError
        It is a file, or it may not be written or made.
    """
    nearest = next(place for place in (path, *path.absolute().parents) if place.exists())
    if not nearest.is_dir():
        what = "this" if nearest == path else nearest
        raise FenghuoError(f"{option} {path}: {what} is no folder; name a folder.")
    if not os.access(nearest, os.W_OK):
        raise FenghuoError(f"{option} {path}: {nearest} may not be written; name another place.")


def _told(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError) and not path.parent.exists():
        return f"{path}: {_missing(path.parent)}"
    if isinstance(error, IsADirectoryError):
        return f"{path}: this is a folder; name a file in it."
    return f"{path}: {error.strerror}."


def _missing(folder: Path) -> str:
    if folder.exists():
        return f"{folder} is no folder; name another place."
    return f"there is no folder {folder}; make it first."
