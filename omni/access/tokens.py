"""Tokens: what a page gets instead of an API key, for one agent and a short time.

Browser tokens (`wrt_`, `cht_`) open one session within a minute; a stream token (`str_`) is presented again and again
within its hour. A token says all it grants; the server keeps nothing of it but that it was used.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Final, Literal, get_args

from pydantic import JsonValue, ValidationError

from omni.access.seal import Sealer
from omni.model.access import Lease
from omni.model.base import Value
from omni.model.ids import new_id
from omni.store.base import Store

TokenKind = Literal["webrtc", "chat", "stream"]
Scope = Literal["observe", "participate", "supervise"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

PREFIXES: Final[dict[TokenKind, str]] = {"webrtc": "wrt_", "chat": "cht_", "stream": "str_"}
LIFETIMES: Final[dict[TokenKind, float]] = {"webrtc": 60.0, "chat": 60.0, "stream": 3600.0}
"""Seconds from the mint on: to the first use, or, of a stream token, to the last."""

DEFAULT_SCOPES: Final[dict[TokenKind, Scope]] = {
    "webrtc": "participate",
    "chat": "participate",
    "stream": "observe",
}
CLOCKS_DIFFER: Final = 300.0
"""Seconds by which the clocks of two gateways may differ before a token could be used once with each."""

_VERSION: Final = 1


class TokenError(Exception):
    """The token does not open this; the text says why and what to do."""

    def __init__(self, code: Literal["wrong_kind", "invalid", "expired", "used"], text: str) -> None:
        super().__init__(text)
        self.code = code


class Token(Value):
    """What a token grants. Times are epoch seconds; `origin` is the page's, of a token that was minted without a key,
    and `meta` what its developer sealed in. `opens` is the id that we gave a spoken call before it begins, and `vars`
    what its prompt is filled with; `call` is one that there is."""

    kind: TokenKind
    id: str
    org: str
    agents: tuple[str, ...]
    scope: Scope
    issued_at: float
    expires_at: float
    call: str | None = None
    meta: dict[str, JsonValue] | None = None
    origin: str | None = None
    opens: str | None = None
    vars: dict[str, str] | None = None

    @property
    def agent(self) -> str:
        return self.agents[0]

    @property
    def may_control(self) -> bool:
        return self.scope == "supervise"

    def covers(self, org: str, agent: str, call: str) -> bool:
        """Whether it lets its bearer see a call."""
        return self.org == org and agent in self.agents and self.call in (None, call)


def token_payload(token: Token) -> dict[str, JsonValue]:
    """`{v, typ, org, agents, scope, iat, exp, jti}`, and `call`, `meta`, `origin`, `opens`, `vars` when it has them."""
    payload: dict[str, JsonValue] = {
        "v": _VERSION,
        "typ": token.kind,
        "org": token.org,
        "agents": list(token.agents),
        "scope": token.scope,
        "iat": token.issued_at,
        "exp": token.expires_at,
        "jti": token.id,
    }
    optional: dict[str, JsonValue] = {
        "call": token.call,
        "meta": token.meta,
        "origin": token.origin,
        "opens": token.opens,
        "vars": None if token.vars is None else dict(token.vars),
    }
    return payload | {name: value for name, value in optional.items() if value is not None}


def token_of(payload: dict[str, JsonValue]) -> Token | None:
    """The token of a payload that was sealed by us; None for one that another release sealed in other words."""
    if payload.get("v") != _VERSION:
        return None
    named = {"typ": "kind", "jti": "id", "iat": "issued_at", "exp": "expires_at"}
    try:
        return Token.model_validate({named.get(name, name): value for name, value in payload.items()})
    except ValidationError:
        return None


def open_token(sealer: Sealer, text: str, kind: TokenKind, now: float) -> Token:
    """A token that may still be used, as far as it says itself. Raises TokenError."""
    prefix = PREFIXES[kind]
    if not text.startswith(prefix):
        other = next((name for name, known in PREFIXES.items() if text.startswith(known)), None)
        if other is not None:
            raise TokenError("wrong_kind", f"this is a {other} token; get one from /{kind}/token")
        raise TokenError("invalid", f"this is not a token; get one from /{kind}/token")
    payload = sealer.unseal(prefix, text)
    token = token_of(payload) if payload is not None else None
    if token is None or token.kind != kind or not token.agents:
        raise TokenError("invalid", f"the token is not valid; get a new one from /{kind}/token")
    if now >= token.expires_at:
        raise TokenError("expired", f"the token has expired; get a new one from /{kind}/token")
    return token


class Tokens:
    def __init__(self, sealer: Sealer, store: Store, *, clock: Callable[[], float] = time.time) -> None:
        self._sealer = sealer
        self._store = store
        self._clock = clock

    def mint(
        self,
        kind: TokenKind,
        org: str,
        agents: tuple[str, ...],
        *,
        scope: Scope | None = None,
        call: str | None = None,
        meta: dict[str, JsonValue] | None = None,
        origin: str | None = None,
        opens: str | None = None,
        variables: dict[str, str] | None = None,
        lifetime: float | None = None,
    ) -> str:
        """A sealed token, of URL-safe characters only. `lifetime` in seconds is that of its kind unless given."""
        now = self._clock()
        token = Token(
            kind=kind,
            id=secrets.token_urlsafe(16),
            org=org,
            agents=agents,
            scope=scope or DEFAULT_SCOPES[kind],
            issued_at=now,
            expires_at=now + (LIFETIMES[kind] if lifetime is None else lifetime),
            call=call,
            meta=meta or None,
            origin=origin,
            opens=opens,
            vars=variables or None,
        )
        return self._sealer.seal(PREFIXES[kind], token_payload(token))

    def open(self, text: str, kind: TokenKind) -> Token:
        """What a token grants; it is not used up by looking. Raises TokenError."""
        return open_token(self._sealer, text, kind, self._clock())

    async def consume(self, token: Token) -> None:
        """Use a browser token up, in the moment its session is accepted: of all who try, wherever, one succeeds and
        the others get TokenError. Raises StoreError."""
        mine = Lease(name=f"used:{token.id}", holder=new_id("use"), until=token.expires_at + CLOCKS_DIFFER)
        if (await self._store.take_lease(mine, now=self._clock())).holder != mine.holder:
            raise TokenError("used", f"the token was used before; get a new one from /{token.kind}/token")
