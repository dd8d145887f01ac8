"""How test files are shared out among the processes of pytest-xdist."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling

__all__ = ["ByExpensiveData", "unit_of"]

#: Folders whose files share data that take a minute to make: one process makes them, once.
_TOGETHER = ("tests/dashboards/",)


def unit_of(nodeid: str) -> str:
    """Return what goes to one process as a whole: a file, or a folder that shares its data."""
    together = (folder for folder in _TOGETHER if nodeid.startswith(folder))
    return next(together, nodeid.partition("::")[0])


class ByExpensiveData(LoadFileScheduling):
    """By file, as `--dist loadfile`; files that share expensive data go to one process."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)
