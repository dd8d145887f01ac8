"""What is wrong with a request's parameters, in plain sentences in both languages. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from streams.phrases import Sentences

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["fields_told", "sentences_of"]

#: By the type of pydantic's error; in braces, the values of its context.
_SENTENCES: Final[Mapping[str, tuple[str, str]]] = {
    "missing": ("is missing", "缺失，请填写"),
    "extra_forbidden": ("is not known here; leave it out", "不是可用的参数，请删除"),
    "int_parsing": ("must be a whole number", "须为整数"),
    "int_type": ("must be a whole number", "须为整数"),
    "int_from_float": ("must be a whole number", "须为整数"),
    "int_parsing_size": ("is too large a number", "数值过大"),
    "float_parsing": ("must be a number", "须为数字"),
    "float_type": ("must be a number", "须为数字"),
    "greater_than_equal": ("must be {ge} or more", "不得小于 {ge}"),
    "greater_than": ("must be more than {gt}", "须大于 {gt}"),
    "less_than_equal": ("must be {le} or less", "不得大于 {le}"),
    "less_than": ("must be less than {lt}", "须小于 {lt}"),
    "string_type": ("must be text", "须为文本"),
    "string_too_short": (
        "must have {min_length} or more characters",
        "不得少于 {min_length} 个字符",
    ),
    "string_too_long": (
        "must have {max_length} or fewer characters",
        "不得超过 {max_length} 个字符",
    ),
    "bool_parsing": ("must be true or false", "须为 true 或 false"),
    "bool_type": ("must be true or false", "须为 true 或 false"),
    "literal_error": ("must be one of: {expected}", "须为以下值之一：{expected}"),
    "enum": ("must be one of: {expected}", "须为以下值之一：{expected}"),
    "list_type": ("must be a list", "须为列表"),
    "dict_type": ("must be an object", "须为对象"),
    "model_attributes_type": ("must be a JSON object", "须为 JSON 对象"),
    "model_type": ("must be a JSON object", "须为 JSON 对象"),
    "json_invalid": ("is not JSON", "不是有效的 JSON"),
}
_OF_DATES: Final = ("must be a date, such as 2026-11-30", "须为日期，如 2026-11-30")
_ANY: Final = ("is not right", "不正确")
#: Whole parts of a request, where no field of it is named.
_PARTS: Final[Mapping[str, tuple[str, str]]] = {
    "body": ("the body of the request", "请求正文"),
    "query": ("the address", "网址"),
    "path": ("the address", "网址"),
}
#: Fields that stand in an address without a name.
_FIELDS: Final[Mapping[str, tuple[str, str]]] = {
    "alert_id": ("the number of the alert", "预警编号"),
    "token_id": ("the number of the token", "令牌编号"),
}


def sentences_of(errors: Sequence[Mapping[str, Any]]) -> Sentences:
    """Put all errors of a request into one sentence."""
    en, zh = (
        sep.join(dict.fromkeys(f"{one[0]}{colon}{one[1]}" for one in told))
        for told, sep, colon in (
            ([_told(error, 0) for error in errors], "; ", " "),
            ([_told(error, 1) for error in errors], "；", ""),
        )
    )
    return Sentences(f"{en[:1].upper()}{en[1:]}.", f"{zh}。")


def fields_told(errors: Sequence[Mapping[str, Any]], lang: str) -> list[dict[str, Any]]:
    """Return which fields are wrong, and how, for programs."""
    return [
        {"field": _path(error) or str(error["loc"][0]), "problem": _told(error, lang == "zh")[1]}
        for error in errors
    ]


def _told(error: Mapping[str, Any], which: int) -> tuple[str, str]:
    """Return the name of a field and what is wrong with it, in English (0) or Chinese (1)."""
    kind = str(error["type"])
    words = _SENTENCES.get(kind) or (_OF_DATES if kind.startswith("date") else _ANY)
    context = {name: _listed(value, which) for name, value in error.get("ctx", {}).items()}
    path = _path(error)
    whole = _PARTS.get(str(error["loc"][0]), _PARTS["body"])[which]
    known = _FIELDS.get(path)
    name = known[which] if known else path or whole
    if kind == "json_invalid":
        name = whole
    return name if which == 0 else f"{name} ", words[which].format_map(context)


def _path(error: Mapping[str, Any]) -> str:
    return ".".join(str(part) for part in error["loc"][1:])


def _listed(value: object, which: int) -> object:
    """Write the values that pydantic offers: it quotes them and puts a word between."""
    quoted = re.findall(r"'([^']*)'", value) if isinstance(value, str) else []
    return ("、" if which else ", ").join(quoted) if quoted else value
