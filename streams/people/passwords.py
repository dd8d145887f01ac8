"""Passwords: what is one, how it is kept, how it is compared."""

from __future__ import annotations

import secrets
from functools import cache
from typing import Final

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from streams.errors import FenghuoError
from streams.people.users import folded_name

__all__ = ["MIN_LENGTH", "BadPasswordError", "check_password", "hashed", "one_time", "verified"]

#: NIST SP 800-63B-4 asks for 15 where nothing but the password is asked for; a rule of letters and
#: digits is not wanted there, nor a change every so often.
MIN_LENGTH: Final = 15
#: Longer ones only cost time.
_MAX_LENGTH: Final = 200
#: Without what is taken for another: 0 O, 1 l I.
_ALPHABET: Final = "abcdefghijkmnopqrstuvwxyz23456789"


class BadPasswordError(FenghuoError):
    """A password is too easy to guess, or too long; the text is had in both languages."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en, zh=zh)


def check_password(password: str, *, name: str) -> None:
    """Refuse what is too easy to guess.

    Raises
    ------
    BadPasswordError
        The text says what is wrong.
    """
    if len(password) < MIN_LENGTH:
        raise BadPasswordError(
            f"The password has {len(password)} characters. Take at least {MIN_LENGTH}: "
            "several words do well.",
            f"密码仅{len(password)}个字符，至少需要{MIN_LENGTH}个，可以使用几个词组成的短语。",
        )
    if len(password) > _MAX_LENGTH:
        raise BadPasswordError(
            f"The password is longer than {_MAX_LENGTH} characters. Take a shorter one.",
            f"密码不能超过{_MAX_LENGTH}个字符。",
        )
    rest = folded_name(password).replace(name, "") if name else password
    if len(rest) < MIN_LENGTH // 2 or len(set(password)) < MIN_LENGTH // 3:
        raise BadPasswordError(
            "The password is little more than the name, or the same few characters. "
            "Take another one.",
            "密码过于简单：只是用户名或少数几个字符的重复，请换一个。",
        )


def one_time() -> str:
    """Return a password to be handed over once: 20 characters in groups of five, about 100 bits.

    Examples
    --------
    >>> len(one_time())
    23
    """
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(4))


def hashed(password: str) -> str:
    """Return what is kept of a password: Argon2id with its parameters and salt."""
    return _hasher().hash(password)


def verified(password: str, kept: str | None) -> bool:
    """Tell whether it is the password, with blanks around it or without.

    It takes as long where there is none (`kept` is None).
    """
    # As typed first; pasted, it may have brought blanks along.
    tried = dict.fromkeys((password, password.strip()))
    right = [_hasher().verify(_bounded(one), kept or _of_nobody()) for one in tried]
    return any(right) and kept is not None


def _bounded(password: str) -> str:
    return password if len(password) <= _MAX_LENGTH else ""


@cache
def _hasher() -> PasswordHash:
    # RFC 9106's second choice: 64 MiB, three passes, four lanes.
    return PasswordHash((Argon2Hasher(time_cost=3, memory_cost=65536, parallelism=4),))


@cache
def _of_nobody() -> str:
    return hashed(secrets.token_urlsafe())
