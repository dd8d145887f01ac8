"""Repeated log messages: the first few are shown, the others counted.

While a broker is unavailable its clients log several messages for each attempt, thousands a minute.
"""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RepeatedLogs"]

#: Length of a period, in seconds.
_PERIOD: Final = 60.0
#: Messages of one kind that are shown in each period.
_SHOWN: Final = 3
#: Different reasons of one template that are told apart at the same time.
_REASONS: Final = 5
_LONGEST_REASON: Final = 200
#: Kinds that are remembered until what was left out of them is told.
_KINDS: Final = 1_000
_NUMBER: Final = re.compile(r"\d+")

_Template = tuple[str, int, str]
_Key = tuple[_Template, str]


class RepeatedLogs(logging.Filter):
    """Lets the first messages of each kind pass in each period, for a handler.

    Messages are of one kind if logger, level and template are the same, and the errors in their
    arguments but for the numbers in them: an expired certificate is told at once, though refused
    connections went before. The first one of a kind after a period says how many were left out.
    Critical messages always pass.

    Parameters
    ----------
    clock
        Returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        #: End of the period, and number of messages in it.
        self._periods: dict[_Key, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a message is shown; add the number of those that were left out."""
        if record.levelno >= logging.CRITICAL:
            return True
        now = self._clock()
        key = self._kind(record, now)
        end, number = self._periods.get(key, (0.0, 0))
        if now < end:
            self._periods[key] = end, number + 1
            return number < _SHOWN
        self._forget(now)
        self._periods[key] = now + _PERIOD, 1
        if number > _SHOWN:
            left_out = number - _SHOWN
            record.msg = f"{record.getMessage()} ({left_out} more like this were left out)"
            # Not None: a handler that joins arguments makes the tuple (None,) of it.
            record.args = ()
        return True

    def _kind(self, record: logging.LogRecord, now: float) -> _Key:
        template = record.name, record.levelno, str(record.msg)
        reason = _reason(record)
        if (template, reason) not in self._periods:
            others = sum(
                key[0] == template and now < end for key, (end, _) in self._periods.items()
            )
            if others >= _REASONS:
                return template, ""
        return template, reason

    def _forget(self, now: float) -> None:
        """Drop kinds of which nothing was left out, and the oldest of too many."""
        self._periods = {
            key: (end, number)
            for key, (end, number) in self._periods.items()
            if now < end or number > _SHOWN
        }
        while len(self._periods) >= _KINDS:
            del self._periods[next(iter(self._periods))]


def _reason(record: logging.LogRecord) -> str:
    """Return what the errors among the arguments say, without numbers."""
    given = record.args if isinstance(record.args, tuple) else ()
    errors = [each for each in given if isinstance(each, BaseException)]
    said = " ".join(f"{type(each).__name__} {each}" for each in errors)
    return _NUMBER.sub("0", said[:_LONGEST_REASON])
