"""Files that browsers fetch: ours, and Bokeh's script from its package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import bokeh
from fastapi.responses import FileResponse
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles

from streams.web.rendering import STATIC

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Any

    from fastapi import FastAPI
    from starlette.responses import Response

__all__ = ["BOKEH_LINK", "mount_static"]

_BOKEH: Final = Path(bokeh.__file__).parent / "server" / "static" / "js"
#: Address of Bokeh's script.
BOKEH_LINK: Final = f"/static/bokeh/bokeh.min.js?v={bokeh.__version__}"
_YEAR: Final = "public, max-age=31536000, immutable"
_SOON: Final = "public, max-age=300"


class _Files(StaticFiles):
    """Files that are kept for a year where their address names their version."""

    async def get_response(self, path: str, scope: MutableMapping[str, Any]) -> Response:
        response = await super().get_response(path, scope)
        named = scope.get("query_string", b"").startswith(b"v=")
        response.headers["Cache-Control"] = _YEAR if named else _SOON
        return response


def mount_static(app: FastAPI) -> None:
    """Serve the files under /static, and the icon that browsers ask for by themselves."""
    app.mount("/static/bokeh", GZipMiddleware(_Files(directory=_BOKEH)), name="bokeh")
    app.mount("/static", GZipMiddleware(_Files(directory=STATIC)), name="static")

    @app.get("/favicon.ico", include_in_schema=False)
    async def favicon() -> FileResponse:
        return FileResponse(STATIC / "favicon.svg", media_type="image/svg+xml")
