"""A small OpenID Connect provider: discovery, authorisation with PKCE, token, keys."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode

from fastapi import FastAPI, Request
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.responses import JSONResponse, RedirectResponse, Response

__all__ = ["CLIENT", "SECRET", "OidcProvider"]

CLIENT = "fenghuo-page"
SECRET = "s3cret/with:signs"


@cache
def _first_key() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": "one"})


@dataclass
class OidcProvider:
    """Signs in whoever asks as the person in `claims`, and can be made to misbehave.

    Attributes
    ----------
    issuer
        Its URL; to be set once it is served.
    changes
        Claims that the id_token holds instead of the right ones.
    """

    issuer: str = ""
    claims: dict[str, Any] = field(
        default_factory=lambda: {
            "sub": "s-1",
            "preferred_username": "li",
            "name": "李",
        }
    )
    changes: dict[str, Any] = field(default_factory=dict)
    told_issuer: str | None = None
    key: RSAKey = field(default_factory=_first_key)
    signing: RSAKey | None = None
    refuse: bool = False
    down: bool = False
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def app(self) -> FastAPI:
        """Return the application."""
        made = FastAPI()
        made.get("/.well-known/openid-configuration")(self._discovery)
        made.get("/authorize")(self._authorize)
        made.post("/token")(self._token)
        made.get("/keys")(self._keys)
        return made

    async def _discovery(self) -> Response:
        self.asked.append("discovery")
        if self.down:
            return JSONResponse({}, status_code=503)
        return JSONResponse(
            {
                "issuer": self.told_issuer or self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
                "code_challenge_methods_supported": ["S256"],
            }
        )

    async def _authorize(self, request: Request) -> Response:
        query = dict(request.query_params)
        assert query["response_type"] == "code"
        assert query["client_id"] == CLIENT
        assert query["code_challenge_method"] == "S256"
        assert "openid" in query["scope"].split()
        if self.refuse:
            back = {"error": "access_denied", "state": query["state"]}
        else:
            code = secrets.token_urlsafe()
            self.codes[code] = query
            back = {"code": code, "state": query["state"], "iss": self.issuer}
        return RedirectResponse(f"{query['redirect_uri']}?{urlencode(back)}", status_code=302)

    async def _token(self, request: Request) -> Response:
        form = {name: value[0] for name, value in parse_qs((await request.body()).decode()).items()}
        _, _, given = request.headers["authorization"].partition(" ")
        client, _, secret = base64.b64decode(given).decode().partition(":")
        if (unquote(client), unquote(secret)) != (CLIENT, SECRET):
            return JSONResponse({"error": "invalid_client"}, status_code=401)
        query = self.codes.pop(form["code"], None)  # each holds once
        if query is None or query["redirect_uri"] != form["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != query["code_challenge"]:
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": query["nonce"],
            **self.claims,
            **self.changes,
        }
        signing = self.signing or self.key
        token = jwt.encode({"alg": "RS256", "kid": signing.kid}, claims, signing)
        return JSONResponse(
            {"access_token": "a", "token_type": "Bearer", "expires_in": 300, "id_token": token}
        )

    async def _keys(self) -> Response:
        self.asked.append("keys")
        return JSONResponse({"keys": [self.key.as_dict(private=False)]})
