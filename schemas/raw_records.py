"""Looking at a record as it came, before or beside its model.

The parser of the models keeps the last of two values of one key and takes NUL in a text, which
PostgreSQL cannot read back. What a model refuses is not checked for personal data by the model.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from schemas.privacy import personal_sentence
from schemas.refusals import Refusal, RefusalReason, field_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.privacy import Finding, Privacy

__all__ = ["is_plain", "personal_refusal", "raw_refusal", "redacted_value"]

_IDENTIFIERS: Final = frozenset({"event_id", "source_id", "facility_id", "region", "occurred_at"})
_PRODUCTS: Final = frozenset({"product", "category", "atc"})


class _Member(NamedTuple):
    """A text or whole number of a record, or the name of a field (`is_name`)."""

    field: str
    text: str
    is_name: bool


class _Object(list[tuple[str, Any]]):
    """A JSON object with all of its members, also those of one name."""


def is_plain(value: bytes, fields: int) -> bool:
    """Tell cheaply that a record has no field twice and no NUL.

    Parameters
    ----------
    value
        A flat JSON object that the model has taken.
    fields
        Number of fields that the model has seen in it.

    Returns
    -------
    bool
        False: `raw_refusal` has to look closely.
    """
    # Single bytes are found many times as fast as pairs, so they are looked for first.
    return (
        value.count(b'":') == fields
        and (b"\\" not in value or b"\\u0000" not in value)
        and (b" " not in value or b" :" not in value)
        and (b"\n" not in value or b"\n:" not in value)
        and (b"\t" not in value or b"\t:" not in value)
        and (b"\r" not in value or b"\r:" not in value)
    )


def raw_refusal(value: bytes, privacy: Privacy) -> Refusal | None:
    """Return why a record is refused, whatever its model says; None: for no such reason.

    Personal data anywhere come first; then a field that is given twice, NUL, and half of a
    surrogate pair.
    """
    try:
        record = json.loads(value, object_pairs_hook=_Object)
    except (ValueError, RecursionError):
        return _in_no_json(value, privacy)
    members = list(_members(record, ""))
    for member in members:
        if found := _personal(member, privacy):
            name = "The name of a field" if member.is_name else field_name(member.field)
            return Refusal(RefusalReason.PERSONAL_DATA, personal_sentence(name, found))
    if twice := _twice(record):
        return Refusal(
            RefusalReason.BAD_FORMAT, f"{field_name(twice)} is given twice. Send each field once."
        )
    for member in members:
        if what := _unreadable(member.text):
            name = "The name of a field" if member.is_name else field_name(member.field)
            return Refusal(RefusalReason.BAD_FORMAT, f"{name} holds {what}")
    return None


def personal_refusal(value: bytes, privacy: Privacy) -> Refusal | None:
    """Return the refusal of a record that holds personal data anywhere, or None."""
    found = raw_refusal(value, privacy)
    return found if found and found.reason is RefusalReason.PERSONAL_DATA else None


def redacted_value(sentence: str, size: int) -> bytes:
    """Return what takes the place of a record with personal data.

    Examples
    --------
    >>> redacted_value("note holds what looks like a mobile number.", 120)
    b'{"redacted": "note holds what looks like a mobile number.", "bytes": 120}'
    """
    return json.dumps({"redacted": sentence, "bytes": size}).encode()


def _in_no_json(value: bytes, privacy: Privacy) -> Refusal | None:
    if found := privacy.in_text(value.decode("utf-8", "replace")):
        return Refusal(RefusalReason.PERSONAL_DATA, personal_sentence("The record", found))
    return None


def _members(node: Any, field: str) -> Iterator[_Member]:
    if isinstance(node, _Object):
        for name, inner in node:
            yield _Member(field, name, is_name=True)
            yield from _members(inner, f"{field}.{name}" if field else name)
    elif isinstance(node, list):
        for number, inner in enumerate(node):
            yield from _members(inner, f"{field}.{number}")
    elif isinstance(node, str):
        yield _Member(field, node, is_name=False)
    elif isinstance(node, int) and not isinstance(node, bool):
        yield _Member(field, str(node), is_name=False)


def _personal(member: _Member, privacy: Privacy) -> Finding | None:
    if member.is_name:
        return privacy.in_text(member.text)
    if member.field in _IDENTIFIERS:
        return privacy.in_identifier(member.text)
    if member.field == "patient_token":
        return privacy.in_token(member.text)
    if member.field in _PRODUCTS:
        return privacy.in_product(member.text)
    return privacy.in_text(member.text)


def _twice(node: Any) -> str | None:
    """Return the first name that an object has twice, at any depth."""
    if isinstance(node, _Object):
        names: set[str] = set()
        for name, inner in node:
            if name in names:
                return name
            names.add(name)
            if found := _twice(inner):
                return found
    elif isinstance(node, list):
        return next((found for inner in node if (found := _twice(inner))), None)
    return None


def _unreadable(text: str) -> str | None:
    if "\0" in text:
        return "the character NUL (\\u0000). Send the text without it."
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "half of a surrogate pair (\\ud800 to \\udfff). Send whole characters in UTF-8."
    return None
