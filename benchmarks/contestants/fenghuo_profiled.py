"""The worker under cProfile: one profile of the event loop, one of the consumer's thread."""

from __future__ import annotations

import atexit
import cProfile
import os
import threading
from pathlib import Path

from streams.config import load_configuration
from streams.settings import Settings
from streams.worker import create_app, run_worker

FOLDER = Path(os.environ["FENGHUO_BENCH_PROFILE"])


def profile_threads() -> None:
    """Give each thread a profile; cProfile watches only the thread that switches it on."""
    plain = threading.Thread._bootstrap_inner  # type: ignore[attr-defined]  # noqa: SLF001 - subclasses have their own run

    def run(self: threading.Thread) -> None:
        profile = cProfile.Profile()
        try:
            profile.enable()
        except ValueError:  # from 3.12 on there is one profile for all threads
            plain(self)
            return
        try:
            plain(self)
        finally:
            profile.disable()
            profile.dump_stats(FOLDER / f"thread-{self.name.replace('/', '_')}-{self.ident}.prof")

    threading.Thread._bootstrap_inner = run  # type: ignore[attr-defined]  # noqa: SLF001


def main() -> None:
    settings = Settings()
    app = create_app(settings, load_configuration(settings.config))
    profile = cProfile.Profile()
    atexit.register(lambda: profile.dump_stats(FOLDER / "main.prof"))
    profile_threads()
    profile.enable()
    try:
        run_worker(app)
    finally:
        profile.disable()
        profile.dump_stats(FOLDER / "main.prof")


if __name__ == "__main__":
    main()
