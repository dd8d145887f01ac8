"""Refuse text that neither PostgreSQL nor UTF-8 can hold: NUL and lone surrogates.

The gate checks every request once, so that no route has to: path, query, and all strings of a form
or a JSON document, keys included.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request

from streams.web.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import Message

__all__ = ["refuse_unstorable_address", "refuse_unstorable_body"]

_FORMS: Final = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})


def refuse_unstorable_address(request: Request) -> None:
    """Make sure that path and query hold no NUL, escaped or not.

    Servers decode them with replacement characters, so no surrogate can arise there.

    Raises
    ------
    Problem
        422.
    """
    query: bytes = request.scope.get("query_string", b"")
    if not _storable(request.scope["path"]) or b"\0" in unquote_to_bytes(query):
        raise _unstorable()


async def refuse_unstorable_body(request: Request, body: bytes) -> None:
    """Make sure that the strings of a form or a JSON document can be stored.

    A body that is neither is left to the route.

    Raises
    ------
    Problem
        422; also where a document is nested too deeply to be read.
    """
    if not body:
        return
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        found = await _form(request, body) if kind in _FORMS else json.loads(body)
        if all(map(_storable, _strings(found))):
            return
    except RecursionError:
        pass
    except (HTTPException, ValueError):
        if kind not in _FORMS:
            return
    raise _unstorable()


async def _form(request: Request, body: bytes) -> FormData:
    """Read a form as the route will."""

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    copy = Request(dict(request.scope), receive)
    return await copy.form()


def _strings(value: Any) -> Iterator[str]:
    """Yield all strings, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, FormData):
        for name, text in value.multi_items():
            yield name
            yield from _strings(text)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)


def _storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _unstorable() -> Problem:
    return Problem(
        422,
        "invalid",
        "The request holds text that cannot be stored: the character NUL, half of a surrogate "
        "pair, or a form that cannot be read. Send whole characters in UTF-8.",
        "请求中含有无法保存的文本：空字符（NUL）、不成对的代理字符，或无法解析的表单。请以 UTF-8 "
        "提交完整的字符。",
    )
