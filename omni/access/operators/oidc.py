"""Signing in through somebody else: OpenID Connect's code flow, with PKCE, state and nonce.

OpenID Connect Core 1.0 §3.1 and Discovery 1.0, RFC 7636 (PKCE), RFC 9207 (`iss` on the way back). Authlib speaks OAuth
to the provider, joserfc checks the ID token's signature; which algorithms and claims count is decided here.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pydantic import JsonValue

from omni.access.operators.provider import JWKS_AGAIN_SECONDS, OidcError, Provider, import_authlib
from omni.access.seal import Sealer
from omni.access.tokens import CLOCKS_DIFFER
from omni.model.access import Lease
from omni.model.base import Value
from omni.model.ids import new_id
from omni.model.operator import Role
from omni.store.base import Store

if TYPE_CHECKING:
    from joserfc.jwt import Token

__all__ = ["Flow", "Oidc", "OidcError", "OidcSettings", "Person"]

FLOW_PREFIX: Final = "oid_"
FLOW_SECONDS: Final = 600.0
"""How long somebody may take at the provider's page."""

LEEWAY: Final = 120
"""Seconds by which the provider's clock may differ."""

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures with a key pair. Neither `none`, nor those that whoever knows a shared secret could make."""

SCOPE: Final = "openid email profile"
_TRY_AGAIN: Final = "begin again from the sign-in page"


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """`issuer` without a slash at its end. People whose verified e-mail is in `domains` become operators with `role`
    when they first come; without domains nobody does."""

    issuer: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    name: str = "single sign-on"
    domains: tuple[str, ...] = ()
    role: Role = "agent"


class Person(Value):
    """Who the provider says it is. `subject` holds the issuer too: the same number elsewhere is somebody else."""

    subject: str
    email: str | None
    is_verified: bool
    name: str | None


@dataclass(frozen=True, slots=True)
class Flow:
    """`url` is where to send the browser; `kept` is for its cookie, and comes back with it."""

    url: str
    kept: str = field(repr=False)


class _Claims(Value):
    sub: str
    nonce: str | None = None
    azp: str | None = None
    email: str | None = None
    email_verified: bool | str | None = None
    name: str | None = None


class Oidc:
    """Raises OidcError at once when the extra `oidc` is not installed."""

    def __init__(
        self, settings: OidcSettings, sealer: Sealer, store: Store, *, clock: Callable[[], float] = time.time
    ) -> None:
        import_authlib()
        self.settings: Final = settings
        self._provider = Provider(settings.issuer)
        self._sealer = sealer
        self._store = store
        self._clock = clock

    async def start(self, redirect_uri: str) -> Flow:
        """Raises OidcError when the provider cannot be reached."""
        metadata = await self._provider.metadata()
        nonce, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
        async with self._provider.client(self.settings, redirect_uri, scope=SCOPE) as client:
            url, state = client.create_authorization_url(
                metadata.authorization_endpoint, nonce=nonce, code_verifier=verifier
            )
        until = self._clock() + FLOW_SECONDS
        kept: dict[str, JsonValue] = {"v": 1, "st": str(state), "nc": nonce, "cv": verifier, "exp": until}
        return Flow(str(url), self._sealer.seal(FLOW_PREFIX, kept))

    async def finish(self, query: Mapping[str, str], kept: str | None, redirect_uri: str) -> Person:
        """Who came back with `query`, in the browser that has `kept`. Once: a second time is refused. Raises OidcError
        and StoreError."""
        nonce, verifier = await self._opened(query, kept)
        if "error" in query:
            raise OidcError(f"{self.settings.name} did not let you in ({query['error'][:60]}); {_TRY_AGAIN}")
        if query.get("iss", self.settings.issuer).rstrip("/") != self.settings.issuer:
            raise OidcError(f"this answer is not from {self.settings.name}; {_TRY_AGAIN}")
        metadata = await self._provider.metadata()
        async with self._provider.client(self.settings, redirect_uri) as client:
            tokens = await self._provider.tokens(client, code=query.get("code", ""), verifier=verifier)
            claims = await self._verified(tokens.id_token, nonce)
            if claims.email is None and metadata.userinfo_endpoint is not None:
                more = _Claims.model_validate(await self._provider.userinfo(client))
                claims = more if more.sub == claims.sub else claims
        return Person(
            subject=f"{self.settings.issuer}|{claims.sub}",
            email=claims.email.strip().lower() if claims.email else None,
            is_verified=claims.email_verified in (True, "true"),
            name=claims.name,
        )

    async def _opened(self, query: Mapping[str, str], kept: str | None) -> tuple[str, str]:
        """Nonce and verifier of the flow that this browser began; it is over with that."""
        now = self._clock()
        match self._sealer.unseal(FLOW_PREFIX, kept or ""):
            case {"v": 1, "st": str(state), "nc": str(nonce), "cv": str(verifier), "exp": int() | float() as until}:
                pass
            case _:
                raise OidcError(f"this browser did not begin to sign in here, or lost its cookies; {_TRY_AGAIN}")
        if not secrets.compare_digest(state.encode(), query.get("state", "").encode("utf-8", "surrogatepass")):
            raise OidcError(f"this answer belongs to another attempt; {_TRY_AGAIN}")
        if now >= until:
            raise OidcError(f"that took longer than {FLOW_SECONDS / 60:.0f} minutes; {_TRY_AGAIN}")
        mine = Lease(name=f"used:{FLOW_PREFIX}{state}", holder=new_id("use"), until=float(until) + CLOCKS_DIFFER)
        if (await self._store.take_lease(mine, now=now)).holder != mine.holder:
            raise OidcError(f"this answer was used before; {_TRY_AGAIN}")
        return nonce, verifier

    async def _verified(self, id_token: str, nonce: str) -> _Claims:
        """OpenID Connect Core §3.1.3.7. Raises OidcError."""
        from joserfc.errors import JoseError
        from joserfc.jwt import JWTClaimsRegistry

        settings = self.settings
        expected = JWTClaimsRegistry(
            now=int(self._clock()),
            leeway=LEEWAY,
            iss={"essential": True, "values": [settings.issuer, f"{settings.issuer}/"]},
            aud={"essential": True, "value": settings.client_id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            token = await self._signed(id_token)
            expected.validate(token.claims)
            claims = _Claims.model_validate(token.claims)
        except (JoseError, ValueError) as error:
            why = str(error).splitlines()[0][:120] if isinstance(error, JoseError) else "its claims have other shapes"
            raise OidcError(f"the ID token of {settings.name} does not hold ({why}); {_TRY_AGAIN}") from None
        audience = token.claims.get("aud")
        is_shared = isinstance(audience, list) and len(audience) > 1
        if (claims.azp or (None if is_shared else settings.client_id)) != settings.client_id:
            raise OidcError(f"the ID token of {settings.name} was made for another program; {_TRY_AGAIN}")
        return claims

    async def _signed(self, id_token: str) -> Token:
        """Keys change: one that is not among those we know may be new. Raises JoseError."""
        from joserfc import jwt
        from joserfc.errors import BadSignatureError, InvalidKeyIdError

        keys = await self._provider.keys()
        try:
            return jwt.decode(id_token, keys, algorithms=list(ALGORITHMS))
        except (InvalidKeyIdError, BadSignatureError):
            newer = await self._provider.keys(older_than=JWKS_AGAIN_SECONDS)
            if newer is keys:
                raise
            return jwt.decode(id_token, newer, algorithms=list(ALGORITHMS))
