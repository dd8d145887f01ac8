"""What goes wrong, told to people as a page and to programs by RFC 9457."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import BaseModel, Field
from starlette.responses import Response

from streams.errors import FenghuoError
from streams.web.language import language
from streams.web.rendering import render

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

__all__ = ["Problem", "ProblemDetails", "ProblemKind", "answer"]

ProblemKind = Literal[
    "not-signed-in", "password-change-needed", "forbidden", "outside-region", "wrong-token",
    "not-found", "not-allowed", "changed-meanwhile", "not-possible", "invalid", "too-large",
    "too-many-attempts", "unavailable", "busy", "failed",
]  # fmt: skip

_TITLES: Final[dict[str, tuple[str, str]]] = {
    "not-signed-in": ("Not signed in", "尚未登录"),
    "password-change-needed": ("Password to be changed", "须先修改密码"),
    "forbidden": ("Not permitted", "没有权限"),
    "outside-region": ("Outside your area", "不在您的辖区"),
    "wrong-token": ("Form no longer valid", "表单已失效"),
    "not-found": ("Not found", "未找到"),
    "not-allowed": ("Not possible this way", "不支持的请求"),
    "changed-meanwhile": ("Changed by somebody else", "已被他人更改"),
    "not-possible": ("Not possible now", "当前无法执行"),
    "invalid": ("Something is missing or wrong", "内容有误"),
    "too-large": ("Too large", "内容过大"),
    "busy": ("Busy at the moment", "系统繁忙"),
    "too-many-attempts": ("Too many attempts", "尝试次数过多"),
    "unavailable": ("Not available", "暂不可用"),
    "failed": ("Something went wrong", "出现错误"),
}


class ProblemDetails(BaseModel):
    """An error, after RFC 9457."""

    type: str = Field(description="Which kind of problem it is, as a relative reference")
    title: str
    status: int
    detail: str = Field(description="What is wrong and how to mend it")
    instance: str = Field(description="Identifies this request in the log")
    errors: list[dict[str, Any]] | None = Field(
        default=None, description="Which fields are wrong, and how"
    )


class Problem(FenghuoError):  # noqa: N818 - RFC 9457's word
    """A request that is refused; the text says why, in both languages."""

    def __init__(
        self,
        status: int,
        kind: ProblemKind,
        en: str,
        zh: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: list[dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(en, zh=zh)
        self.status = status
        self.kind = kind
        self.en = en
        self.headers = dict(headers or {})
        self.errors = errors

    def title(self, lang: str) -> str:
        """Return a few words for it."""
        en, zh = _TITLES[self.kind]
        return zh if lang == "zh" else en

    def detail(self, lang: str) -> str:
        """Return the sentence for it."""
        return self.zh if self.zh and lang == "zh" else self.en


def answer(request: Request, problem: Problem) -> Response:
    """Answer a request with a problem: a document under /api/, else a page."""
    lang = language(request)
    if not request.url.path.startswith("/api/"):
        response = render(
            request,
            "error.html",
            status=problem.status,
            title=problem.title(lang),
            detail=problem.detail(lang),
            code=problem.status,
            reason=HTTPStatus(problem.status).phrase,
        )
        response.headers.update(problem.headers)
        return response
    details = ProblemDetails(
        type=f"/api/v1/docs#{problem.kind}",
        title=problem.title(lang),
        status=problem.status,
        detail=problem.detail(lang),
        instance=f"urn:uuid:{request.state.request_id}",
        errors=problem.errors,
    )
    return Response(
        json.dumps(details.model_dump(mode="json", exclude_none=True), ensure_ascii=False),
        status_code=problem.status,
        headers=problem.headers,
        media_type="application/problem+json",
    )
