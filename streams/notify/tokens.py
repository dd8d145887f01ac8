"""Signed tokens of links, so that a page can tell from where somebody came.

A token holds until it expires and for its alert only. It proves that a message was read, not who
read it: what it allows must not be more than acknowledging.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["LIFETIME", "make_token", "read_token"]

LIFETIME: Final = timedelta(days=7)


def make_token(alert_id: int, channel: str, secret: str, expires: datetime) -> str:
    """Sign a link's alert and channel.

    Examples
    --------
    >>> token = make_token(12, "duty", "s3cret", datetime(2026, 1, 8, tzinfo=UTC))
    >>> read_token(token, 12, "s3cret", datetime(2026, 1, 7, tzinfo=UTC))
    'duty'
    >>> read_token(token, 13, "s3cret", datetime(2026, 1, 7, tzinfo=UTC)) is None
    True
    >>> read_token(token, 12, "s3cret", datetime(2026, 1, 9, tzinfo=UTC)) is None
    True
    """
    until = int(expires.timestamp())
    return f"{channel}.{until}.{_signature(alert_id, channel, until, secret)}"


def read_token(token: str, alert_id: int, secret: str, now: datetime) -> str | None:
    """Return the channel that a link was sent to; None where the token does not hold."""
    channel, _, rest = token.partition(".")
    until, _, signature = rest.partition(".")
    if not (until.isascii() and until.isdecimal() and len(until) <= len("9999999999")):
        return None
    expected = _signature(alert_id, channel, int(until), secret)
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        return None
    return channel if now < datetime.fromtimestamp(int(until), UTC) else None


def _signature(alert_id: int, channel: str, until: int, secret: str) -> str:
    text = f"fenghuo acknowledge\n{alert_id}\n{channel}\n{until}"
    digest = hmac.digest(secret.encode(), text.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
