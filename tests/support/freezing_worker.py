"""A worker that stops itself (SIGSTOP) inside a transaction, right after a statement.

``python -m tests.support.freezing_worker ORDER``: once the file ORDER exists, the worker stops
after the next statement that holds the text in that file, and removes the file before.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import psycopg

from streams.cli import main

_execute = psycopg.AsyncCursor.execute


async def _execute_and_freeze(self: Any, query: Any, *arguments: Any, **options: Any) -> Any:
    result = await _execute(self, query, *arguments, **options)
    _obey(str(query))
    return result


def _obey(statement: str) -> None:
    if _ORDER.exists() and (text := _ORDER.read_text()) and text in statement:
        _ORDER.unlink()
        os.kill(os.getpid(), signal.SIGSTOP)


if __name__ == "__main__":
    _ORDER = Path(sys.argv[1])
    psycopg.AsyncCursor.execute = _execute_and_freeze  # type: ignore[method-assign]
    sys.argv = ["fenghuo", "worker"]
    main()
