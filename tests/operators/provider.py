"""A stand-in for an OpenID Connect provider, speaking the real protocol: discovery, keys, codes with PKCE, ID tokens.

Its faults are attributes that a test sets.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlencode

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from tests.operators.browser import Clock

CLIENT_ID, CLIENT_SECRET = "omni-inbox", "the client's secret, 100% its own"


@functools.cache
def _key(number: int) -> RSAKey:
    """Made once: it takes a while."""
    return RSAKey.generate_key(2048, {"kid": "one"})


@dataclass
class Provider:
    clock: Clock
    key: RSAKey = field(default_factory=lambda: _key(1))
    person: dict[str, Any] = field(
        default_factory=lambda: {"sub": "7", "email": "Ada@Example.com", "email_verified": True, "name": "Ada L."}
    )
    claims: dict[str, Any] = field(default_factory=dict)
    """Over those that would be right; None leaves one out."""
    how: str = "signed"
    """`signed`, `none` (no signature), `shared` (HMAC with the client's secret), `stranger` (another key)."""
    token: Any = ...
    """Instead of an ID token."""
    tells_email_apart: bool = False
    """The person's e-mail is not in the ID token, only at /userinfo."""
    issuer_says: str | None = None
    asked: list[dict[str, str]] = field(default_factory=list)
    """The queries of /authorize."""
    redeemed: list[dict[str, str]] = field(default_factory=list)
    url: str = ""
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._discovery)
        app.router.add_get("/jwks", self._jwks)
        app.router.add_get("/authorize", self._authorize)
        app.router.add_post("/token", self._token)
        app.router.add_get("/userinfo", self._userinfo)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "oidc_issuer": self.url,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": CLIENT_SECRET,
            "oidc_name": "Example ID",
        }

    async def _discovery(self, _: web.Request) -> web.Response:
        return web.json_response(
            {
                "issuer": self.issuer_says or self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/jwks",
                "userinfo_endpoint": f"{self.url}/userinfo",
                "id_token_signing_alg_values_supported": ["RS256", "none", "HS256"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            }
        )

    async def _jwks(self, _: web.Request) -> web.Response:
        return web.json_response({"keys": [{**self.key.as_dict(private=False), "use": "sig", "alg": "RS256"}]})

    async def _authorize(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        self.asked.append(query)
        assert query["client_id"] == CLIENT_ID
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(8)
        self._codes[code] = query
        back = urlencode({"code": code, "state": query["state"], "iss": self.url})
        return web.Response(status=302, headers={"Location": f"{query['redirect_uri']}?{back}"})

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.redeemed.append(form)
        scheme, _, basic = request.headers.get("Authorization", "").partition(" ")
        known = unquote(base64.b64decode(basic).decode()) if scheme == "Basic" else ""
        if known != f"{CLIENT_ID}:{CLIENT_SECRET}":
            return web.json_response({"error": "invalid_client"}, status=401)
        begun = self._codes.pop(form.get("code", ""), None)
        hashed = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(hashed).decode().rstrip("=")
        if begun is None or begun["code_challenge"] != challenge or begun["redirect_uri"] != form["redirect_uri"]:
            return web.json_response({"error": "invalid_grant"}, status=400)
        body = {"access_token": "at-7", "token_type": "Bearer", "id_token": self._id_token(begun["nonce"])}
        if self.token is not ...:
            body["id_token"] = self.token
        return web.json_response(body)

    async def _userinfo(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer at-7"
        return web.json_response(self.person)

    def _id_token(self, nonce: str) -> str:
        now = int(self.clock())
        right = {
            "iss": self.url,
            "aud": CLIENT_ID,
            "exp": now + 300,
            "iat": now,
            "nonce": nonce,
            **({"sub": self.person["sub"]} if self.tells_email_apart else self.person),
        }
        claims = {name: value for name, value in {**right, **self.claims}.items() if value is not None}
        if self.how == "none":
            return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}."
        if self.how == "shared":
            return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(CLIENT_SECRET), algorithms=["HS256"])
        key = self.key if self.how == "signed" else _key(2)
        return jwt.encode({"alg": "RS256", "kid": key.kid or "one"}, claims, key)


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
