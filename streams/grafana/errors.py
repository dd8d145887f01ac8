"""What may go wrong with Grafana.

GrafanaError               whatever Grafana answers that is not a success
├── GrafanaAwayError       it may pass by itself: refused, no answer, 5xx, 429
├── GrafanaDeniedError     the token: wrong (401), or without the right to do it (403)
├── GrafanaMissingError    there is no such thing (404)
├── GrafanaConflictError   somebody else was there first (409, 412)
└── GrafanaRefusedError    anything else
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from streams.errors import FenghuoError

__all__ = [
    "GrafanaAwayError",
    "GrafanaConflictError",
    "GrafanaDeniedError",
    "GrafanaError",
    "GrafanaMissingError",
    "GrafanaRefusedError",
    "error_of",
]

#: Of an answer of Grafana's, in an error of ours.
_MOST_CHARACTERS: Final = 200


class GrafanaError(FenghuoError):
    """Grafana did not do what was asked for."""


class GrafanaAwayError(GrafanaError):
    """Grafana cannot answer at the moment.

    Attributes
    ----------
    maybe_done
        What must not be repeated blindly may have been done, or may still be.
    """

    def __init__(self, text: str, *, maybe_done: bool) -> None:
        super().__init__(text)
        self.maybe_done = maybe_done


class GrafanaDeniedError(GrafanaError):
    """The token is wrong, or does not allow it."""

    def __init__(self, text: str, *, forbidden: bool) -> None:
        super().__init__(text)
        #: The token is known, but lacks a right; Grafana says so too of some things that are gone.
        self.forbidden = forbidden


class GrafanaMissingError(GrafanaError):
    """There is no such thing in Grafana."""


class GrafanaConflictError(GrafanaError):
    """It exists already, or somebody else has changed it.

    Attributes
    ----------
    status
        Grafana's word for it, such as `version-mismatch`; empty where it gives none.
    """

    def __init__(self, text: str, *, status: str) -> None:
        super().__init__(text)
        self.status = status


class GrafanaRefusedError(GrafanaError):
    """Grafana takes what was sent for wrong, or what answers is no Grafana.

    Attributes
    ----------
    said
        Grafana's own words.
    """

    def __init__(self, text: str, *, said: str = "") -> None:
        super().__init__(text)
        self.said = said


def error_of(code: int, response: Any, what: str, address: str) -> GrafanaError:
    """Put an answer of Grafana's that is no success into words.

    Parameters
    ----------
    code
        HTTP status.
    response
        The body, as JSON where it is.
    what
        What was asked for, as a verb with its object.
    address
        Where Grafana is.
    """
    said = _said(response)
    text = f"Grafana at {address} did not {what} ({code}: {said})."
    error: GrafanaError = GrafanaRefusedError(text, said=said)
    if code == HTTPStatus.UNAUTHORIZED:
        error = GrafanaDeniedError(
            f"Grafana at {address} does not know the token (401: {said}). Make a token of a "
            "service account in Grafana and set FENGHUO_GRAFANA_TOKEN.",
            forbidden=False,
        )
    elif code == HTTPStatus.FORBIDDEN:
        error = GrafanaDeniedError(
            f"The token may not {what} in Grafana at {address} (403: {said}). Give its service "
            "account the role Admin; for annotations alone, Editor is enough.",
            forbidden=True,
        )
    elif code == HTTPStatus.NOT_FOUND:
        error = GrafanaMissingError(f"{text} Is FENGHUO_GRAFANA_URL its whole address?")
    elif code in {HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED}:
        status = response.get("status", "") if isinstance(response, dict) else ""
        error = GrafanaConflictError(text, status=str(status))
    elif code == HTTPStatus.TOO_MANY_REQUESTS:
        error = GrafanaAwayError(f"{text} It is asked too often.", maybe_done=False)
    elif code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        error = GrafanaAwayError(f"{text} See Grafana's log.", maybe_done=True)
    return error


def _said(response: Any) -> str:
    """Return Grafana's own words, in one line."""
    if isinstance(response, dict):
        response = response.get("message") or response
    return " ".join(str(response or "nothing more").split())[:_MOST_CHARACTERS].rstrip(".")
