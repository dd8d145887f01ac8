"""Random secrets that stand for a person: session cookies and API tokens."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final

__all__ = ["digest", "new_secret", "new_token"]

#: Tells scanners for leaked secrets, and people, what it is.
_PREFIX: Final = "fenghuo_"


def new_secret() -> str:
    """Return 256 random bits, as text."""
    return secrets.token_urlsafe(32)


def new_token() -> str:
    """Return a token for programs."""
    return _PREFIX + new_secret()


def digest(secret: str) -> bytes:
    """Return what is kept of a random secret; it needs no salt, being random itself."""
    return hashlib.sha256(secret.encode()).digest()
