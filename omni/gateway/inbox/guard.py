"""Who asks, and whether they may: what every route of the inbox is wrapped in.

A browser shows its session's cookie, a program an API key (`Authorization: Bearer pk_…`), which acts as an admin. A
cookie is sent by the browser whoever's page asks, so whatever changes something must also carry the session's CSRF
token and come from a page of ours; so must a WebSocket, which no CSRF header can be added to, come from one.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from aiohttp import hdrs, web
from pydantic import JsonValue

from omni.access.access import Access
from omni.access.operators.csrf import csrf_token, is_csrf_token, is_own
from omni.access.operators.sessions import TOTAL_SECONDS, Session, Sessions
from omni.access.web import TRY_LATER, WRONG_KEY, Handler, address_of, bearer, server_url
from omni.gateway.inbox.asking import NO_STORE, TOO_LARGE, InboxError, error_response
from omni.model.access import ApiKey
from omni.model.ids import new_id
from omni.model.operator import RANKS, AuditRecord, Operator, Role
from omni.store.base import Store, StoreError

log = logging.getLogger("omni.inbox")

COOKIE: Final = "omni_session"
SECURE_COOKIE: Final = f"__Host-{COOKIE}"
"""Its name over https: browsers take it from no other host, and only with Secure and Path=/."""

CSRF_HEADER: Final = "X-CSRF-Token"
_READS: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})

SIGNED_OUT: Final = "you are not signed in (any more); sign in again"
_NEEDS: Final[dict[Role, str]] = {
    "viewer": "you may not see this; ask an admin",
    "agent": "you may only read; ask an admin for the role agent",
    "admin": "only admins may do this; ask one",
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: an operator with a session, or the bearer of an API key (`id` is `key:<id>`, an admin).

    `csrf` is the token that goes with the session; None for keys, which need none.
    """

    id: str
    name: str
    org: str
    role: Role
    language: Literal["en", "es"] | None = None
    csrf: str | None = field(default=None, repr=False)
    operator: Operator | None = field(default=None, repr=False)
    session: Session | None = field(default=None, repr=False)
    key: ApiKey | None = field(default=None, repr=False)

    def may(self, role: Role) -> bool:
        return RANKS[self.role] >= RANKS[role]


ActorHandler = Callable[[web.Request, Actor], Awaitable[web.StreamResponse]]
OpenHandler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Guard:
    """`public_url` is how the world reaches us, when that is configured."""

    def __init__(
        self,
        access: Access,
        store: Store,
        public_url: str | None = None,
        *,
        sessions: Sessions | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.sessions = sessions or Sessions(store)
        self._access = access
        self._store = store
        self._public_url = public_url
        self._clock = clock

    def wrap(self, role: Role, handler: ActorHandler) -> Handler:
        """A handler for those whose role is at least `role`. What it raises as InboxError becomes the JSON error, an
        unreachable store 503; whatever it answers is not to be kept by caches unless it says so itself."""

        @functools.wraps(handler)
        async def guarded(request: web.Request) -> web.StreamResponse:
            actor = await self._actor(request)
            if not actor.may(role):
                raise InboxError(403, "forbidden", _NEEDS[role])
            return await handler(request, actor)

        return self.open(guarded)

    def open(self, handler: OpenHandler) -> Handler:
        """The same answers, for a handler that everybody may ask: signing in."""

        @functools.wraps(handler)
        async def answered(request: web.Request) -> web.StreamResponse:
            try:
                response = await handler(request)
            except InboxError as error:
                return error_response(error)
            except web.HTTPRequestEntityTooLarge:
                return error_response(InboxError(413, "too_large", TOO_LARGE))
            except StoreError as error:
                log.warning("%s %s: the store failed: %s", request.method, request.path, error)
                return error_response(InboxError(503, "unavailable", TRY_LATER))
            if not response.prepared:
                for name, value in NO_STORE.items():
                    response.headers.setdefault(name, value)
            return response

        return answered

    async def current(self, actor: Actor) -> Actor | None:
        """The actor as they are now; None when their session or key has ended. What stays open for long (the live
        socket) asks every few seconds. Raises StoreError."""
        if actor.key is not None:
            return actor if await self._access.keys.is_valid(actor.key) else None
        found = await self.sessions.by_name(actor.session.name) if actor.session is not None else None
        return self.actor_of(*found) if found is not None else None

    async def audit(
        self, actor: Actor, request: web.Request, action: str, target: str | None = None, **details: JsonValue
    ) -> None:
        """Write down that somebody is about to do something: after every check, and before it is done.

        Before, because an action that nobody can be asked about must not happen: when the record cannot be written
        (StoreError, answered 503) nothing was done. The price is a record too many when the action itself then
        fails. `details` never hold a secret, or what customers or colleagues wrote.
        """
        record = AuditRecord(
            id=new_id("aud"),
            org=actor.org,
            at=self._clock(),
            actor=actor.id,
            name=actor.name,
            action=action,
            target=target,
            details=details,
            address=self.address(request),
        )
        await self._store.write_audit(record)

    def address(self, request: web.Request) -> str:
        return address_of(request, self._access.proxies)

    def url(self, request: web.Request) -> str:
        return server_url(request, self._public_url, self._access.proxies)

    def check_origin(self, request: web.Request, *, must_be_sent: bool = False) -> None:
        """Raises InboxError for a request that a page of somebody else's sends."""
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None and not must_be_sent:
            return
        ours = (self.url(request), server_url(request, None, self._access.proxies))
        if origin is None or not is_own(origin, *ours):
            raise InboxError(
                403,
                "csrf",
                f"this request comes from {(origin or 'a page that does not say its address')[:200]} and not from "
                f"{ours[0]}; when that is where you opened the inbox, set OMNI_PUBLIC_URL to it",
            )

    def is_secure(self, request: web.Request) -> bool:
        """Whether the asking page came over https. It says so itself, after `check_origin`, when it says anything:
        a Secure cookie would be lost on a page that was opened over http."""
        return (request.headers.get(hdrs.ORIGIN) or self.url(request)).lower().startswith("https:")

    def set_cookie(self, request: web.Request, response: web.StreamResponse, cookie: str) -> None:
        """SameSite is Lax, and not Strict: Strict would hide the cookies from the way back from the sign-in
        provider. What changes something is not a GET here, and Lax keeps other sites' POSTs out just as well."""
        secure = self.is_secure(request)
        response.set_cookie(
            SECURE_COOKIE if secure else COOKIE,
            cookie,
            max_age=int(TOTAL_SECONDS),
            path="/",
            secure=secure,
            httponly=True,
            samesite="Lax",
        )

    def drop_cookie(self, response: web.StreamResponse) -> None:
        response.del_cookie(COOKIE, path="/", httponly=True, samesite="Lax")
        response.del_cookie(SECURE_COOKIE, path="/", secure=True, httponly=True, samesite="Lax")

    async def _actor(self, request: web.Request) -> Actor:
        secret = bearer(request)
        if secret is not None:
            key = await self._access.keys.find(secret)
            if key is None:
                raise InboxError(401, "signed_out", WRONG_KEY)
            return Actor(id=f"key:{key.id}", name=key.name, org=key.org, role="admin", key=key)
        cookie = self._cookie(request)
        found = await self.sessions.find(cookie) if cookie else None
        if found is None:
            raise InboxError(401, "signed_out", SIGNED_OUT)
        session, operator = found
        is_socket = request.headers.get(hdrs.UPGRADE, "").lower() == "websocket"
        if is_socket or request.method not in _READS:
            self.check_origin(request, must_be_sent=is_socket)
        if request.method not in _READS and not is_csrf_token(
            self._access.sealer, request.headers.get(CSRF_HEADER, ""), session.id
        ):
            raise InboxError(
                403,
                "csrf",
                f"the header {CSRF_HEADER} is missing or another session's; send `csrf` of GET /v1/inbox/me",
            )
        return self.actor_of(session, operator)

    def _cookie(self, request: web.Request) -> str | None:
        """Over https only the one that nobody else can have set: a neighbour's subdomain could put a plain one here,
        and have people work in an account of its choice."""
        cookie = request.cookies.get(SECURE_COOKIE)
        is_https = server_url(request, None, self._access.proxies).startswith("https:")
        return cookie if cookie is not None or is_https else request.cookies.get(COOKIE)

    def actor_of(self, session: Session, operator: Operator) -> Actor:
        return Actor(
            id=operator.id,
            name=operator.name,
            org=operator.org,
            role=operator.role,
            language=operator.language,
            csrf=csrf_token(self._access.sealer, session.id),
            operator=operator,
            session=session,
        )
