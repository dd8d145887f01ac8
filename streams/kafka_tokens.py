"""Tokens for SASL OAUTHBEARER: OAuth 2.0 client credentials at a token endpoint."""

from __future__ import annotations

import base64
import json
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Final

from streams.errors import ConfigError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import SecretStr

__all__ = ["TokenEndpoint"]

_ANSWER_SECONDS: Final = 10.0
#: A token is renewed that long before it expires.
_MARGIN_SECONDS: Final = 30.0
#: Lifetime of a token whose endpoint does not tell it.
_UNTOLD_SECONDS: Final = 300.0
_LONGEST_ANSWER: Final = 1 << 20


class TokenEndpoint:
    """Gets tokens and keeps them until shortly before they expire.

    Parameters
    ----------
    url
        The token endpoint; ``https`` but for this machine.
    scope
        Scopes asked for, separated by spaces; empty: the client's own.
    ca_file
        Authorities that sign the endpoint's certificate; empty: those of the system.
    clock
        Seconds; only differences count.

    Raises
    ------
    ConfigError
        The URL is none, or would send the secret unencrypted.
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        client_secret: SecretStr,
        *,
        scope: str = "",
        ca_file: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        parts = urllib.parse.urlsplit(url)
        local = parts.hostname in {"127.0.0.1", "::1", "localhost"}
        if parts.scheme != "https" and not (parts.scheme == "http" and local):
            raise ConfigError("FENGHUO_KAFKA_TOKEN_URL must begin with https://.")
        if not client_id or not client_secret.get_secret_value():
            raise ConfigError(
                "OAUTHBEARER needs FENGHUO_KAFKA_CLIENT_ID and FENGHUO_KAFKA_CLIENT_SECRET (or "
                "FENGHUO_KAFKA_CLIENT_SECRET_FILE)."
            )
        self._url = url
        self._client_id = client_id
        self._client_secret = client_secret
        self._scope = scope
        self._ca_file = ca_file
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._until = 0.0

    def __repr__(self) -> str:
        return f"TokenEndpoint({self._url!r}, client_id={self._client_id!r})"

    def token(self) -> str:
        """Return a valid token; blocks while one is fetched.

        Raises
        ------
        UnavailableError
            The endpoint gives none.
        """
        with self._lock:
            if self._clock() >= self._until:
                self._token, lifetime = self._fetch()
                self._until = self._clock() + max(lifetime - _MARGIN_SECONDS, lifetime / 2)
            return self._token

    def _fetch(self) -> tuple[str, float]:
        form = {"grant_type": "client_credentials"} | (
            {"scope": self._scope} if self._scope else {}
        )
        quoted = (
            urllib.parse.quote(part, safe="")
            for part in (self._client_id, self._client_secret.get_secret_value())
        )
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            self._url,
            data=urllib.parse.urlencode(form).encode(),
            headers={
                "Authorization": "Basic " + base64.b64encode(":".join(quoted).encode()).decode(),
                "Accept": "application/json",
            },
        )
        try:
            context = ssl.create_default_context(cafile=self._ca_file or None)
            with urllib.request.urlopen(  # noqa: S310
                request, timeout=_ANSWER_SECONDS, context=context
            ) as response:
                answer = json.loads(response.read(_LONGEST_ANSWER))
            return str(answer["access_token"]), float(answer.get("expires_in", _UNTOLD_SECONDS))
        except urllib.error.HTTPError as error:
            why = f"answers {error.code}: {_said(error)}"
        except OSError as error:
            why = f"does not answer: {getattr(error, 'reason', None) or error}"
        except (ValueError, KeyError, TypeError):
            why = "answers without an access_token"
        # From None: the request, which holds the secret, is in no traceback.
        raise UnavailableError(
            f"The token endpoint {self._url} {why}. Check FENGHUO_KAFKA_TOKEN_URL, _CLIENT_ID and "
            "_CLIENT_SECRET."
        ) from None


def _said(error: urllib.error.HTTPError) -> str:
    """Return the error code of RFC 6749, which holds no secret, or the HTTP reason."""
    try:
        return str(json.loads(error.read(_LONGEST_ANSWER))["error"])[:60]
    except (ValueError, KeyError, TypeError, OSError):
        return str(error.reason)
