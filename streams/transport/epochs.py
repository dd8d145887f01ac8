"""Leader epochs: which leader of a partition wrote a record.

Each leader has a higher epoch than the one before. A log whose end was lost (an unclean election, a
restored disk) goes on under a new leader, and soon reaches the offset that was read before: the
records up to there would be passed over. A fetch that names the epoch of the last record which was
read is answered with the offset up to which the broker's log is the same (KIP-320).
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from faust.types import TP

__all__ = ["UNKNOWN_EPOCH", "LeaderEpochs"]

UNKNOWN_EPOCH = -1
#: Of a batch: its first offset, the length of what follows, the leader's epoch, the format.
_FRAME = struct.Struct(">qiib")
_LENGTH_FROM = 12
_WITH_EPOCH = 2


class LeaderEpochs:
    """Leader epochs of the records around the position of each partition."""

    def __init__(self) -> None:
        #: First offsets of epochs, and the epochs; both ascend.
        self._known: dict[TP, tuple[list[int], list[int]]] = {}

    def restart(self, tp: TP, offset: int, epoch: int = UNKNOWN_EPOCH) -> None:
        """Begin anew at an offset, before which the last record has an epoch."""
        self._known[tp] = ([offset - 1], [epoch])

    def note(self, tp: TP, fetched: bytes) -> None:
        """Take note of the epochs of fetched batches."""
        offsets, epochs = self._known.setdefault(tp, ([], []))
        latest = epochs[-1] if epochs else UNKNOWN_EPOCH
        at, last = 0, len(fetched) - _FRAME.size
        while at <= last:
            offset, length, epoch, version = _FRAME.unpack_from(fetched, at)
            if epoch > latest and version >= _WITH_EPOCH:
                offsets.append(offset)
                epochs.append(epoch)
                latest = epoch
            if length < 0:
                return
            at += _LENGTH_FROM + length

    def before(self, tp: TP, offset: int) -> int:
        """Return the epoch of the last record below an offset; older ones are forgotten."""
        offsets, epochs = self._known.get(tp, ([], []))
        place = bisect_left(offsets, offset) - 1
        if place < 0:
            return UNKNOWN_EPOCH
        epoch = epochs[place]
        del offsets[:place], epochs[:place]
        return epoch
