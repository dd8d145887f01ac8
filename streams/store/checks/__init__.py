"""Checks of a live database: whether the tables agree with each other.

Add a check to the tuple of its subject: `counts.CHECKS`, `sums.CHECKS`, `references.CHECKS`, or,
for what SQL cannot say, a function in `alerts`.
"""

from streams.store.checks.running import Checked, run_checks

__all__ = ["Checked", "run_checks"]
