"""An OpenID Connect provider, asked over HTTP: authorization code flow with PKCE.

Authlib knows the protocol; aiohttp carries it. The provider's addresses and keys come from its
discovery document.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

import aiohttp
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from streams.errors import FenghuoError

if TYPE_CHECKING:
    from streams.settings import Settings

__all__ = ["Provider", "ProviderError"]

#: A secret that is shared with the client, or no signature at all, proves nothing here.
_ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)
_KEPT_SECONDS: Final = 3600.0
#: Clocks differ by so many seconds.
_LEEWAY: Final = 120
_MOST_BYTES: Final = 1024 * 1024


class ProviderError(FenghuoError):
    """The provider cannot be reached, or what it says cannot be believed; for the log."""


class Provider:
    """The provider that the settings name.

    Parameters
    ----------
    callback
        Address of ours to which it sends people back.
    """

    def __init__(self, settings: Settings, *, callback: str) -> None:
        self._issuer = settings.oidc_issuer
        self._client_id = settings.oidc_client_id
        self._secret = settings.oidc_client_secret.get_secret_value()
        self._callback = callback
        self._metadata: dict[str, Any] = {}
        self._keys: KeySet | None = None
        self._fetched = 0.0
        self._one_at_a_time = asyncio.Lock()

    async def address(self, *, state: str, nonce: str, verifier: str) -> str:
        """Return where to send somebody to sign in.

        Raises
        ------
        ProviderError
            The provider cannot be reached, or is another one.
        """
        metadata = await self._discovered()
        return str(
            prepare_grant_uri(
                metadata["authorization_endpoint"],
                self._client_id,
                "code",
                redirect_uri=self._callback,
                scope="openid profile",
                state=state,
                nonce=nonce,
                code_challenge=create_s256_code_challenge(verifier),
                code_challenge_method="S256",
            )
        )

    async def claims(
        self, code: str, *, nonce: str, verifier: str, issuer: str | None
    ) -> dict[str, Any]:
        """Exchange the code that somebody came back with for what is claimed of them.

        Parameters
        ----------
        issuer
            Who sent them back, if that was told (RFC 9207).

        Raises
        ------
        ProviderError
            The provider cannot be reached, refuses, or what it says cannot be believed.
        """
        metadata = await self._discovered()
        if issuer is not None and issuer != metadata["issuer"]:
            raise ProviderError(f"The answer is from {issuer}, not from {metadata['issuer']}.")
        answer = await self._exchange(metadata, code, verifier)
        if not isinstance(answer.get("id_token"), str):
            raise ProviderError("The provider's answer has no id_token: ask for scope openid.")
        try:
            return await self._believed(metadata, answer, nonce)
        except (JoseError, ValueError) as error:
            raise ProviderError(f"The provider's id_token does not hold: {error!r}") from None

    async def _believed(
        self, metadata: dict[str, Any], answer: dict[str, Any], nonce: str
    ) -> dict[str, Any]:
        offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        registry = JWSRegistry(
            algorithms=sorted(_ALGORITHMS & set(offered)), strict_check_header=False
        )
        try:
            token = jwt.decode(answer["id_token"], await self._keys_of(metadata), registry=registry)
        except InvalidKeyIdError:  # keys were changed since
            keys = await self._keys_of(metadata, anew=True)
            token = jwt.decode(answer["id_token"], keys, registry=registry)
        claims = CodeIDToken(
            token.claims,
            token.header,
            {
                "iss": {"essential": True, "value": metadata["issuer"]},
                "aud": {"essential": True, "value": self._client_id},
                "sub": {"essential": True},
            },
            {
                "nonce": nonce,
                "client_id": self._client_id,
                "access_token": answer.get("access_token"),
            },
        )
        claims.validate(leeway=_LEEWAY)
        return dict(claims)

    async def _discovered(self) -> dict[str, Any]:
        async with self._one_at_a_time:
            if self._metadata and time.monotonic() - self._fetched < _KEPT_SECONDS:
                return self._metadata
            address = self._issuer.rstrip("/") + "/.well-known/openid-configuration"
            found = await self._ask("GET", address)
            if found.get("issuer") != self._issuer:
                raise ProviderError(
                    f"{address} is of issuer {found.get('issuer')!r}. "
                    "Set FENGHUO_OIDC_ISSUER to exactly that, if it is the right one."
                )
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                self._check_address(name, found.get(name))
            self._metadata, self._keys, self._fetched = found, None, time.monotonic()
            return found

    def _check_address(self, name: str, address: object) -> None:
        scheme = urlsplit(str(address)).scheme
        if scheme != "https" and scheme != urlsplit(self._issuer).scheme:
            raise ProviderError(f"{self._issuer} names no secure {name}: {address!r}.")

    async def _keys_of(self, metadata: dict[str, Any], *, anew: bool = False) -> KeySet:
        if self._keys is None or anew:
            self._keys = KeySet.import_key_set(await self._ask("GET", metadata["jwks_uri"]))  # type: ignore[arg-type]
        return self._keys

    async def _exchange(self, metadata: dict[str, Any], code: str, verifier: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._callback,
            "code_verifier": verifier,
        }
        methods = metadata.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        headers = {}
        if not self._secret:
            form["client_id"] = self._client_id
        elif "client_secret_basic" in methods:
            client, secret = quote(self._client_id, safe=""), quote(self._secret, safe="")
            headers["Authorization"] = aiohttp.encode_basic_auth(client, secret)
        else:
            form |= {"client_id": self._client_id, "client_secret": self._secret}
        return await self._ask("POST", metadata["token_endpoint"], data=form, headers=headers)

    async def _ask(self, method: str, address: str, **options: Any) -> dict[str, Any]:
        try:
            async with (
                aiohttp.ClientSession(timeout=_TIMEOUT) as session,
                session.request(method, address, allow_redirects=False, **options) as response,
            ):
                body = await response.content.read(_MOST_BYTES)
                if response.status != 200:  # noqa: PLR2004 - OK
                    # The code and the secret were sent, not answered.
                    text = body[:300].decode("utf-8", "replace")
                    raise ProviderError(f"{address} answers {response.status}: {text}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ProviderError(f"{address} cannot be reached: {error!r}") from None
        try:
            found = json.loads(body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise ProviderError(f"{address} answers with no JSON object.")
        return found
