"""The OpenID Connect provider's side, over HTTP: what it says of itself, its keys, its tokens.

Authlib's client has no types; nothing of it leaves this module but as values of ours.
"""

from __future__ import annotations

import time
import warnings
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

from pydantic import JsonValue, TypeAdapter, ValidationError

from omni.model.base import Value

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

ANSWER_SECONDS: Final = 10.0
KEPT_SECONDS: Final = 3600.0
"""For so long what the provider says of itself, and its keys, are not asked for again."""

JWKS_AGAIN_SECONDS: Final = 10.0
"""Keys at least so old are asked for again when a token's is not among them."""

LARGEST: Final = 1_000_000
"""Bytes of an answer."""

_OBJECT: Final = TypeAdapter(dict[str, JsonValue])


class OidcError(Exception):
    """Nobody can be signed in by the provider; the text says why and the mend."""


class Application(Protocol):
    """As the provider knows us."""

    @property
    def client_id(self) -> str: ...

    @property
    def client_secret(self) -> str | None: ...


class Metadata(Value):
    """OpenID Connect Discovery §3, as far as it matters to us."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)


class Tokens(Value):
    id_token: str
    access_token: str | None = None


def import_authlib() -> Any:
    """Authlib's asynchronous client. Raises OidcError when the extra is not installed."""
    try:
        with warnings.catch_warnings():
            import authlib.deprecate  # noqa: F401 - it would have its warnings shown again, so it comes first

            warnings.simplefilter("ignore", DeprecationWarning)  # of httpx, which Authlib is moving away from
            from authlib.integrations.httpx_client import AsyncOAuth2Client
            from joserfc import jwt  # noqa: F401 - it is enough that it is there
    except ImportError as error:
        raise OidcError(
            f"OMNI_OIDC_ISSUER is set, and {error.name or 'authlib'} is not installed; "
            'run: pip install "omni-server[oidc]"'
        ) from None
    return AsyncOAuth2Client


class Provider:
    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._metadata: tuple[Metadata, float] | None = None
        self._keys: tuple[KeySet, float] | None = None

    def client(
        self, known_as: Application, redirect_uri: str, *, scope: str | None = None
    ) -> AbstractAsyncContextManager[Any]:
        """Authlib's client, for one exchange. What the provider says of itself was read before."""
        assert self._metadata is not None
        methods = self._metadata[0].token_endpoint_auth_methods_supported
        basic = "client_secret_basic" in methods or "client_secret_post" not in methods
        how = "client_secret_basic" if basic else "client_secret_post"
        client: AbstractAsyncContextManager[Any] = import_authlib()(
            client_id=known_as.client_id,
            client_secret=known_as.client_secret,
            token_endpoint_auth_method=how if known_as.client_secret is not None else "none",
            redirect_uri=redirect_uri,
            scope=scope,
            code_challenge_method="S256",
            timeout=ANSWER_SECONDS,
        )
        return client

    async def metadata(self) -> Metadata:
        """Raises OidcError."""
        if self._metadata is not None and time.monotonic() < self._metadata[1] + KEPT_SECONDS:
            return self._metadata[0]
        found = await self._get(f"{self._issuer}/.well-known/openid-configuration")
        try:
            metadata = Metadata.model_validate(found)
        except ValidationError:
            raise OidcError(self._wrong("does not describe an OpenID Connect provider")) from None
        if metadata.issuer.rstrip("/") != self._issuer:
            raise OidcError(self._wrong(f"says that it is {metadata.issuer[:200]!r}; set OMNI_OIDC_ISSUER to that"))
        ours = urlsplit(self._issuer).scheme
        for endpoint in (metadata.authorization_endpoint, metadata.token_endpoint, metadata.jwks_uri):
            if urlsplit(endpoint).scheme not in ("https", ours):
                raise OidcError(self._wrong("names an address that is not https"))
        self._metadata = (metadata, time.monotonic())
        return metadata

    async def keys(self, older_than: float = KEPT_SECONDS) -> KeySet:
        """The provider's public keys; asked for again when those we have are older than so many seconds. Raises
        OidcError."""
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        if self._keys is not None and time.monotonic() < self._keys[1] + older_than:
            return self._keys[0]
        found: Any = await self._get((await self.metadata()).jwks_uri)
        try:
            keys = KeySet.import_key_set(found)
        except (JoseError, KeyError, TypeError, ValueError):
            raise OidcError(self._wrong("has keys that cannot be read")) from None
        self._keys = (keys, time.monotonic())
        return keys

    async def tokens(self, client: Any, *, code: str, verifier: str) -> Tokens:
        """What the code is worth. Raises OidcError."""
        import httpx
        from authlib.common.errors import AuthlibBaseError

        metadata = await self.metadata()
        try:
            found = await client.fetch_token(
                metadata.token_endpoint, grant_type="authorization_code", code=code, code_verifier=verifier
            )
            return Tokens.model_validate(dict(found))
        except AuthlibBaseError as error:
            raise OidcError(
                self._wrong(f"does not take the code back ({str(error.error)[:60]}); sign in again")
            ) from None
        except (httpx.HTTPError, ValueError, TypeError):
            raise OidcError(self._wrong("answers no ID token; try again")) from None

    async def userinfo(self, client: Any) -> dict[str, JsonValue]:
        """Raises OidcError."""
        import httpx

        metadata = await self.metadata()
        try:
            answer = await client.get(metadata.userinfo_endpoint)
            answer.raise_for_status()
            return _OBJECT.validate_json(answer.content)
        except (httpx.HTTPError, ValueError):
            raise OidcError(self._wrong("does not say who it is; try again")) from None

    async def _get(self, url: str) -> dict[str, JsonValue]:
        import httpx

        try:
            async with httpx.AsyncClient(timeout=ANSWER_SECONDS) as http:
                answer = await http.get(url, headers={"Accept": "application/json"})
                answer.raise_for_status()
            return _OBJECT.validate_json(answer.content[:LARGEST])
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            raise OidcError(self._wrong(f"does not answer at {url[:200]}; try again later")) from None

    def _wrong(self, what: str) -> str:
        return f"the sign-in provider {self._issuer} {what}"
