"""All routes of an application, with addresses to ask for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from fastapi.routing import iter_route_contexts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastapi import FastAPI

__all__ = ["Route", "all_routes"]


class Route(NamedTuple):
    """One way to ask for something."""

    method: str
    path: str
    """With parameters in braces; that of a mounted folder ends with /{path}."""

    def address(self, **parameters: object) -> str:
        """The path with its parameters filled in."""
        return re.sub(r"\{(\w+)(:\w+)?\}", lambda found: str(parameters[found[1]]), self.path)


def all_routes(app: FastAPI) -> Iterator[Route]:
    """Yield every route, those that are in no documentation too."""
    for context in iter_route_contexts(app.routes):
        if context.methods is None:
            yield Route("GET", f"{context.path}/{{path}}")
            continue
        for method in sorted(context.methods - {"HEAD"}):
            assert context.path
            yield Route(method, context.path)
