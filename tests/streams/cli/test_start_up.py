"""Every command imports these modules: slow libraries are imported where they are used."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Each takes from 0.3 seconds to 1.5.
SLOW = {
    "apprise", "holidays", "matplotlib", "pandas", "scipy.optimize", "scipy.signal", "scipy.stats",
    "statsmodels",
}  # fmt: skip


@pytest.mark.parametrize("module", ["streams.cli.main", "streams.config", "streams.worker"])
def test_start_up_imports_no_slow_library(module: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", f"import {module}, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not SLOW & set(told.stdout.split())
