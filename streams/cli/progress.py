"""Progress bars of commands that count events."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from streams.cli.common import console

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import TaskID

__all__ = ["Counting", "counting_bar"]

#: Work between two updates; one for each line would cost more than the line itself.
_STEP = 1 << 16


class Counting:
    """A bar that moves with the work done and shows a count beside it."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task
        self._counted = 0
        self._waiting = 0

    def advance(self, work: int) -> None:
        """Move the bar on, in the unit of its total."""
        self._waiting += work
        if self._waiting >= _STEP:
            self.flush()

    def count(self, events: int) -> None:
        """Add to the count."""
        self._counted += events
        if self._counted % 1000 < events:
            self._progress.update(self._task, counted=self._counted)

    def flush(self) -> None:
        """Show everything that was told."""
        waiting, self._waiting = self._waiting, 0
        self._progress.update(self._task, advance=waiting, counted=self._counted)


@contextmanager
def counting_bar(title: str, total: int | None, *, unit: str = "events") -> Iterator[Counting]:
    """Show a bar on standard error; `total` None shows that it works, not how far it is."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[counted]:,} " + unit),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bar = Counting(progress, progress.add_task(title, total=total, counted=0))
        yield bar
        bar.flush()
