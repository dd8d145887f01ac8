"""What counts to be imported can hardly mean, although they may be imported. Pure."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from schemas.region_codes import code_doubt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from schemas.counts import Count
    from streams.config import Configuration

__all__ = ["import_doubts"]


def import_doubts(counts: Sequence[Count], configuration: Configuration) -> Iterator[str]:
    """Say what is doubtful, in a sentence each.

    Fractions of events may be estimates, or shares of an area that was split; rates would be
    judged as if they were cases. Codes that had been abolished when a period began get counts that
    no county of today sees.
    """
    fractions = [one for one in counts if not one.value.is_integer()]
    if fractions:
        one = fractions[0]
        measure = configuration.surveillance.signals[one.signal].measure
        if measure == "events":
            are = (
                "count is no whole number" if len(fractions) == 1 else "counts are no whole numbers"
            )
            yield (
                f"{len(fractions):,} {are}, such as {one.value:g} "
                f"({one.region}, {one.period}), though {one.signal} counts events. They are taken "
                "as they are: import estimates so, but no rates."
            )
    abolished: Counter[str] = Counter()
    for count in counts:
        valid_to = configuration.regions[count.region].valid_to
        if valid_to is not None and valid_to <= count.period:
            doubt = code_doubt(configuration.regions, count.region, count.period)
            abolished[f"{doubt}"] += 1
    for doubt, number in abolished.most_common():
        yield f"{number:,} count{'s' * (number > 1)}: {doubt}"
