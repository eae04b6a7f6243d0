"""`GET /webrtc/token`, `/chat/token` and `/stream/token`: what a page needs to talk to an agent, or to watch it.

A developer's server asks with its API key, and may seal metadata in. A page may ask by itself when its origin is one
of the agent's `allowed_origins`; then nothing that it says about itself is believed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from aiohttp import hdrs, web
from pydantic import JsonValue

from omni.access.access import Access
from omni.access.origins import is_allowed
from omni.access.tokens import LIFETIMES, SCOPES, Scope, TokenKind
from omni.access.web import NO_KEY, TRY_LATER, WRONG_KEY, address_of, bearer, for_pages, server_url
from omni.live.online import is_online
from omni.live.presence import Presence
from omni.model.access import ApiKey
from omni.model.agent import Agent
from omni.model.base import DEFAULT_ORG
from omni.model.slugs import slug_of
from omni.store.base import StoreError
from sessions.book import Book

METADATA_BYTES: Final = 2048
MOST_AGENTS: Final = 50
LONGEST_CALL_ID: Final = 128

FOREIGN_PAGE: Final = (
    "this page's origin may not talk to the agent without a key; add it to the agent's allowed_origins, "
    "or ask your own server for a token"
)


class RefusedError(Exception):
    """A mint that is refused: the status, and a sentence for whoever wrote the page."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """`slugs` has one agent, but for stream tokens."""

    kind: TokenKind
    slugs: tuple[str, ...]
    meta: dict[str, JsonValue] | None
    scope: Scope | None
    call: str | None


def read_request(kind: TokenKind, query: Mapping[str, str]) -> TokenRequest:
    """What `?agent_id=…&metadata=…&scope=…&call_id=…` asks for. Raises RefusedError."""
    named = query.get("agent_id", "")
    typed = named.split(",") if kind == "stream" else [named]
    slugs = tuple(dict.fromkeys(slug for each in typed if (slug := slug_of(each))))
    if not slugs:
        raise RefusedError(400, "agent_id is missing; name the agent, like ?agent_id=desk")
    if len(slugs) > MOST_AGENTS:
        raise RefusedError(400, f"agent_id names {len(slugs)} agents; one token covers at most {MOST_AGENTS}")
    call = query.get("call_id") or None
    if call is not None and len(call) > LONGEST_CALL_ID:
        raise RefusedError(400, f"call_id is longer than {LONGEST_CALL_ID} characters; send the id of one call")
    return TokenRequest(kind, slugs, _metadata(query.get("metadata", "")), _scope(query.get("scope", "")), call)


def _metadata(text: str) -> dict[str, JsonValue] | None:
    if not text:
        return None
    if len(text.encode("utf-8", "surrogatepass")) > METADATA_BYTES:
        raise RefusedError(400, f"metadata is larger than {METADATA_BYTES} bytes; seal an id in and look the rest up")
    try:
        value = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise RefusedError(400, "metadata is not JSON; send an object, URL-encoded") from None
    if not isinstance(value, dict):
        raise RefusedError(400, 'metadata must be a JSON object, such as {"user": "42"}')
    return value


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _scope(text: str) -> Scope | None:
    if not text:
        return None
    scope = next((each for each in SCOPES if each == text), None)
    if scope is None:
        raise RefusedError(400, f"scope {text[:40]!r} is unknown; use {', '.join(SCOPES)}")
    return scope


def offline(slug: str) -> RefusedError:
    """The same for an agent that is not there and for one of somebody else's."""
    return RefusedError(404, f"Agent '{slug}' is not online")


class TokenMint:
    """`public_url` is how the world reaches us, when that is configured."""

    def __init__(self, access: Access, book: Book, presence: Presence, public_url: str | None) -> None:
        self._access = access
        self._book = book
        self._presence = presence
        self._public_url = public_url

    def routes(self) -> list[web.RouteDef]:
        return for_pages(
            [
                web.get("/webrtc/token", self.webrtc),
                web.get("/chat/token", self.chat),
                web.get("/stream/token", self.stream),
            ]
        )

    async def webrtc(self, request: web.Request) -> web.Response:
        return await self._answer(request, "webrtc")

    async def chat(self, request: web.Request) -> web.Response:
        return await self._answer(request, "chat")

    async def stream(self, request: web.Request) -> web.Response:
        return await self._answer(request, "stream")

    async def _answer(self, request: web.Request, kind: TokenKind) -> web.Response:
        headers = {hdrs.CACHE_CONTROL: "no-store", hdrs.VARY: hdrs.ORIGIN}
        try:
            wanted = read_request(kind, request.query)
            secret = bearer(request)
            if secret is not None:
                token = await self._with_key(secret, wanted)
            else:
                token = self._without_key(request, wanted)
                headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = request.headers[hdrs.ORIGIN]
        except RefusedError as refused:
            return web.json_response({"detail": str(refused)}, status=refused.status, headers=headers | refused.headers)
        except StoreError:
            return web.json_response({"detail": TRY_LATER}, status=503, headers=headers)
        body = {
            "token": token,
            "server": server_url(request, self._public_url, self._access.proxies),
            "expires_in": int(LIFETIMES[kind]),
        }
        return web.json_response(body, headers=headers)

    async def _with_key(self, secret: str, wanted: TokenRequest) -> str:
        key = await self._access.keys.find(secret)
        if key is None:
            raise RefusedError(401, WRONG_KEY)
        return await self.grant(key, wanted)

    async def grant(self, key: ApiKey, wanted: TokenRequest) -> str:
        """A token for the bearer of a key. Raises RefusedError: 404 for an agent that is not online, 429."""
        _slow_down(self._access.limits.key_mints.take(key.id))
        for slug in wanted.slugs:
            if not self._is_online(key.org, slug) and not await self._is_online_after_all(key.org, slug):
                raise offline(slug)
        return self._access.tokens.mint(
            wanted.kind, key.org, wanted.slugs, scope=wanted.scope, call=wanted.call, meta=wanted.meta
        )

    def _is_online(self, org: str, slug: str) -> bool:
        return is_online(self._presence, org, slug, self._book.get(org, slug))

    async def _is_online_after_all(self, org: str, slug: str) -> bool:
        """A program that has just connected, to another gateway, may ask here before we heard of it."""
        await self._presence.refresh()
        if self._book.get(org, slug) is None:
            await self._book.refresh()
        return self._is_online(org, slug)

    def _without_key(self, request: web.Request, wanted: TokenRequest) -> str:
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or wanted.kind == "stream":
            raise RefusedError(401, NO_KEY)
        [slug] = wanted.slugs
        _slow_down(self._access.limits.keyless_mints.take(f"{address_of(request, self._access.proxies)} {slug}"))
        welcoming = welcoming_agents(self._book.everyone(), slug, origin)
        if not welcoming:
            raise RefusedError(403, FOREIGN_PAGE)
        agent = next((one for one in welcoming if is_online(self._presence, one.org, slug, one)), None)
        if agent is None:
            raise offline(slug)
        return self._access.tokens.mint(wanted.kind, agent.org, (slug,), origin=origin)


def welcoming_agents(agents: Sequence[Agent], slug: str, origin: str) -> list[Agent]:
    """The agents of that name that a page may talk to without a key, those of the default organisation first."""
    found = [each for each in agents if each.slug == slug and is_allowed(origin, each.allowed_origins)]
    return sorted(found, key=lambda each: (each.org != DEFAULT_ORG, each.org))


def _slow_down(wait: float) -> None:
    if wait > 0:
        seconds = math.ceil(wait)
        raise RefusedError(429, f"too many tokens; try again in {seconds} s", {hdrs.RETRY_AFTER: str(seconds)})
