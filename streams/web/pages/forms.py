"""From a form that somebody sent to the change that they mean. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from schemas.alerts import change_adapter
from streams.web.problems import Problem
from streams.whole_numbers import whole_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.alerts import Change

__all__ = ["VERBS", "change_of", "seen_of"]

#: What each verb of an address does: the kind of change.
VERBS: Final = {
    "acknowledge": "acknowledged",
    "verify": "verified",
    "monitor": "monitored",
    "assess": "assessed",
    "confirm": "confirmed",
    "discard": "discarded",
    "close": "closed",
    "assign": "assigned",
    "comment": "commented",
    "merge": "merged",
    "reopen": "reopened",
}
#: What is missing or wrong, by the field.
_WRONG: Final = {
    "likelihood": ("Choose a cell of the matrix.", "请在矩阵中选择一格。"),
    "consequence": ("Choose a cell of the matrix.", "请在矩阵中选择一格。"),
    "outcome": ("Say what it was.", "请选择结论。"),
    "into": ("Name the alert by its number.", "请填写保留预警的编号。"),
    "note": (
        "A comment has 1 to 4000 characters.",
        "备注须为 1 至 4000 个字符。",
    ),
}


def change_of(verb: str, fields: Mapping[str, str]) -> Change:
    """Return what a form asks for.

    Raises
    ------
    Problem
        404: there is no such verb. 422: a field is missing or wrong.
    """
    if verb not in VERBS:
        raise Problem(404, "not-found", "There is no such page.", "没有这个页面。")
    values = {name: text.strip() for name, text in fields.items()}
    wanted: dict[str, object] = {"kind": VERBS[verb], "note": values.get("note") or None}
    if verb == "assess":
        likelihood, _, consequence = values.get("risk", "").partition(":")
        wanted |= {"likelihood": likelihood, "consequence": consequence}
    if verb == "assign":
        wanted["to"] = values.get("to") or None
    if verb in {"close", "discard"}:
        wanted["outcome"] = values.get("outcome")
    if verb == "merge":
        wanted["into"] = whole_number(values.get("into", "").removeprefix("#"))
    try:
        return change_adapter.validate_python(wanted)
    except ValidationError as error:
        field = str(error.errors()[0]["loc"][-1])
        en, zh = _WRONG[field]
        raise Problem(422, "invalid", en, zh) from None


def seen_of(fields: Mapping[str, str]) -> int | None:
    """Return the version of the alert that the form was shown with; None: it has none.

    Raises
    ------
    Problem
        422: the field holds something else.
    """
    text = fields.get("seen", "").strip()
    if not text:
        return None
    seen = whole_number(text)
    if seen is None:
        raise Problem(
            422,
            "invalid",
            "The form does not say which version of the alert it shows. Load the page again.",
            "表单中的预警版本号不正确，请重新加载页面。",
        )
    return seen
