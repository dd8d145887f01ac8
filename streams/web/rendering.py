"""Pages from templates (Jinja2), in the visitor's language."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from streams.web.language import language
from streams.web.state import web_of
from streams.web.texts import say

if TYPE_CHECKING:
    from fastapi import Request

__all__ = ["STATIC", "TEMPLATES", "grafana_url", "render", "static_link"]

STATIC: Final = Path(str(resources.files("streams.web") / "static"))
TEMPLATES: Final = Path(str(resources.files("streams.web") / "templates"))

#: Main places, by the keys of their names.
_PLACES: Final = (("inbox", "/"), ("regions", "/regions"), ("rules", "/rules"))
_PLACES_OF_ADMINS: Final = (("users", "/users"),)


def render(request: Request, template: str, /, status: int = 200, **context: Any) -> HTMLResponse:
    """Answer with a page.

    Parameters
    ----------
    template
        Its name.
    context
        Variables of the template, besides those that every page has: `t` gives a text by its key,
        `lang` is the language, `visitor` the person who is signed in or None.
    """
    html = (
        _environment()
        .get_template(template)
        .render(_common(request) | {"status": status} | context)
    )
    return HTMLResponse(html, status)


def static_link(name: str) -> str:
    """Return the address of a file of ours; it changes with the content, so it may be kept."""
    return f"/static/{name}?v={_digest(STATIC / name)}"


def _common(request: Request) -> dict[str, Any]:
    lang = language(request)
    visitor = getattr(request.state, "visitor", None)
    places: tuple[tuple[str, str], ...] = _PLACES
    if visitor is not None and visitor.user.is_admin:
        places += _PLACES_OF_ADMINS
    other = "en" if lang == "zh" else "zh"
    here = request.url.include_query_params(lang=other)
    return {
        "t": say(lang),
        "lang": lang,
        "visitor": visitor,
        "nav": places,
        "active": None,
        "notice": None,
        "static": static_link,
        "language_link": f"{here.path}?{here.query}" if request.method == "GET" else "/",
        "grafana_url": grafana_url(request),
    }


def grafana_url(request: Request) -> str:
    """Return where Grafana is, without a slash at the end; empty where there is none."""
    return web_of(request).settings.grafana_url.rstrip("/")


@cache
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
