"""When nothing from a region means that nothing was sent, not that nobody fell ill. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import gammaln

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DAYS_BEFORE", "outage_days"]

#: Days before a silence that tell how usual a silent day is.
DAYS_BEFORE: Final = 28
#: A region that reports on fewer of these days is silent by nature: its silent days are zeros.
_REGULAR: Final = 0.5
#: A silence is an outage if its length has less than this probability in a regular region.
_IMPROBABLE: Final = 0.005


def outage_days(reported: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the days on which a region that reports regularly sent nothing for too long.

    Of the n <= 28 days before a silence, k have a report. If the probability p of a report on a day
    has the distribution Beta(k + 1, n - k + 1), a silence of g days has the probability
    E[(1 - p)^g]. It is an outage, from its first day on, if that is less than 0.005 and the mean of
    p is at least one half. After 28 days with reports, 2 silent days are an outage.

    Parameters
    ----------
    reported
        Whether anything was reported, shape `[regions, days]`.

    Returns
    -------
    ndarray
        Shape `[regions, days]`.

    Examples
    --------
    >>> import numpy as np
    >>> daily = np.ones((1, 40), dtype=np.bool_)
    >>> daily[0, [30, 31]] = False
    >>> [int(day) for day in np.flatnonzero(outage_days(daily))]
    [30, 31]
    >>> weekly = np.arange(40)[None] % 7 == 0
    >>> bool(outage_days(weekly)[0, 14:].any())
    False
    """
    days = reported.shape[1]
    position = np.arange(days)
    begins = np.maximum.accumulate(np.where(reported, position, -1), axis=1) + 1
    following = np.where(reported, position, days)[:, ::-1]
    ends = np.minimum.accumulate(following, axis=1)[:, ::-1]
    total = np.zeros((reported.shape[0], days + 1), dtype=np.int64)
    np.cumsum(reported, axis=1, out=total[:, 1:])
    since = np.maximum(begins - DAYS_BEFORE, 0)
    # Before the first report nothing is known: the days up to it are not counted as silent ones.
    first = np.where(reported.any(axis=1), reported.argmax(axis=1), days)[:, None]
    since = np.maximum(since, np.minimum(first, begins))
    rows = np.arange(reported.shape[0])[:, None]
    reports = total[rows, begins] - total[rows, since]
    share = (reports + 1) / (begins - since + 2)
    length = np.maximum(ends - begins, 0)
    known = begins > since
    silent_before = begins - since - reports
    log_probability = (
        gammaln(silent_before + 1 + length)
        - gammaln(silent_before + 1)
        + gammaln(begins - since + 2)
        - gammaln(begins - since + 2 + length)
    )
    improbable = log_probability < np.log(_IMPROBABLE)
    return np.asarray(~reported & known & (share >= _REGULAR) & improbable)
