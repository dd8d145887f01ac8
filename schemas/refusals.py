"""Why a record was refused: a code for machines and a sentence for people."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from schemas.privacy import text_looks_personal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

__all__ = ["Refusal", "RefusalReason", "field_name", "refusal_from"]


class RefusalReason(StrEnum):
    """Codes under which refused records are counted; they are part of the interface to sources."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    UNSUPPORTED_VERSION = "unsupported_version"
    UNKNOWN_FIELD = "unknown_field"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    BAD_FORMAT = "bad_format"
    IMPOSSIBLE_VALUE = "impossible_value"
    NAIVE_TIME = "naive_time"
    CONTRADICTION = "contradiction"
    PERSONAL_DATA = "personal_data"
    UNKNOWN_REGION = "unknown_region"
    FROM_FUTURE = "from_future"
    TOO_OLD = "too_old"
    REVISION_CONFLICT = "revision_conflict"
    BEYOND_RETENTION = "beyond_retention"
    NOT_STORABLE = "not_storable"
    UNREADABLE = "unreadable"


class Refusal(NamedTuple):
    """One refused record's reason and the sentence that tells its sender what to mend."""

    reason: RefusalReason
    sentence: str


#: pydantic's error types that are not covered by the rules in `_reason`.
_BY_TYPE: Mapping[str, RefusalReason] = {
    "json_invalid": RefusalReason.NOT_JSON,
    "model_type": RefusalReason.NOT_JSON,
    "extra_forbidden": RefusalReason.UNKNOWN_FIELD,
    "missing": RefusalReason.MISSING_FIELD,
    "timezone_aware": RefusalReason.NAIVE_TIME,
    "string_pattern_mismatch": RefusalReason.BAD_FORMAT,
    "datetime_from_date_parsing": RefusalReason.BAD_FORMAT,
    "datetime_parsing": RefusalReason.BAD_FORMAT,
    "personal_data": RefusalReason.PERSONAL_DATA,
    "contradiction": RefusalReason.CONTRADICTION,
    "no_code": RefusalReason.BAD_FORMAT,
    "nothing_sold": RefusalReason.MISSING_FIELD,
}


def _reason(error: ErrorDetails) -> RefusalReason:
    kind = error["type"]
    if error["loc"] == ("schema_version",):
        return RefusalReason.UNSUPPORTED_VERSION
    if error["loc"] == ("occurred_at",) and kind == "string_type":
        return RefusalReason.BAD_FORMAT  # seconds since 1970
    if known := _BY_TYPE.get(kind):
        return known
    if kind.endswith(("_type", "_parsing", "_from_float")):
        return RefusalReason.WRONG_TYPE
    return RefusalReason.IMPOSSIBLE_VALUE


_SENTENCES: Mapping[RefusalReason, str] = {
    RefusalReason.NOT_JSON: (
        "The record is not a JSON object: {message}. Send one object per record, UTF-8."
    ),
    RefusalReason.UNSUPPORTED_VERSION: (
        "schema_version: {message}. See docs/guides/data-sources.md for the versions in use."
    ),
    RefusalReason.UNKNOWN_FIELD: (
        "{field} is no field of this record. Remove it or check its spelling."
    ),
    RefusalReason.MISSING_FIELD: "{field} is missing. It is required.",
    RefusalReason.NAIVE_TIME: ("{field} has no UTC offset. Write it as 2026-01-31T09:30:00+08:00."),
}


_BAD_TIME = (
    "occurred_at is no ISO 8601 time with date, time and UTC offset. Write it as "
    "2026-01-31T09:30:00+08:00; 20260131093000 (HL7) and seconds since 1970 are not taken."
)


def field_name(name: str) -> str:
    """Name a field; what a sender made up as a name can be personal or unprintable itself."""
    if text_looks_personal(name) or not name.isprintable():
        return "A field"
    return name[:64]


def _sentence(error: ErrorDetails, reason: RefusalReason) -> str:
    field = field_name(".".join(map(str, error["loc"])))
    if not field and reason is not RefusalReason.NOT_JSON:
        return error["msg"]  # our own checks over several fields speak in whole sentences
    message = error["msg"][0].lower() + error["msg"][1:]
    if error["loc"] == ("occurred_at",) and reason is RefusalReason.BAD_FORMAT:
        return _BAD_TIME
    return _SENTENCES.get(reason, "{field}: {message}.").format(field=field, message=message)


def refusal_from(error: ValidationError) -> Refusal:
    """Reduce a pydantic error to the one refusal that is reported.

    The first problem decides, but personal data comes before everything else. The sentence names
    fields and bounds and never repeats a value, because the value may be personal.
    """
    details = error.errors(include_url=False, include_context=False, include_input=False)
    reasons = [_reason(detail) for detail in details]
    first = (
        reasons.index(RefusalReason.PERSONAL_DATA) if RefusalReason.PERSONAL_DATA in reasons else 0
    )
    sentence = _sentence(details[first], reasons[first])
    if more := len(details) - 1:
        sentence += f" ({more} more problem{'s' if more > 1 else ''} in this record.)"
    return Refusal(reasons[first], sentence)
