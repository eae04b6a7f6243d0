"""Around every operation: the key, the pace, what a POST did before, and refusals as these clients read them."""

from __future__ import annotations

import functools
import logging
import math
import re
from collections.abc import Sequence
from typing import Final

from aiohttp import hdrs, web

from omni.access.limits import Buckets
from omni.access.web import NO_KEY, WRONG_KEY, Handler, address_of, bearer
from omni.blobs.base import BlobError
from omni.bus.base import BusError
from omni.gateway.agentphone.asking import Asked, Operation
from omni.gateway.agentphone.children import Children
from omni.gateway.agentphone.errors import Refusal, error_response, missing, of_api
from omni.gateway.agentphone.shapes import MOUNT
from omni.gateway.inbox.asking import InboxError
from omni.gateway.rest.errors import AWAY, TOO_LARGE, ApiError
from omni.gateway.rest.idempotency import Attempt, Idempotency
from omni.gateway.rest.kit import RestKit
from omni.gateway.rest.routing import Caller
from omni.model.access import ApiKey
from omni.outgoing.errors import AddressRefusedError
from omni.store.base import StoreError, VersionConflictError

log = logging.getLogger("omni.agentphone")

REQUEST_ID: Final = "X-Request-ID"
SUB_ACCOUNT: Final = "X-Sub-Account-Id"
PER_MINUTE: Final = 12_000
"""Requests with one key, in one process."""
_OWN_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_PLACEHOLDER: Final = re.compile(r"{(\w+)}")


class AgentPhoneServer:
    def __init__(self, kit: RestKit, operations: Sequence[Operation], *, per_minute: int = PER_MINUTE) -> None:
        self._kit = kit
        # Fixed words before names at the same place: `/v1/agents/voices` is not the agent `voices`.
        self._operations = sorted(operations, key=lambda each: _PLACEHOLDER.sub("~", each.path))
        self._buckets = Buckets(per_minute)
        self._idempotency = Idempotency(kit.store, kit.clock)
        self._children = Children(kit.store, kit.clock)

    def routes(self) -> list[web.RouteDef]:
        """The last one answers for paths and methods that there are not: nothing here redirects."""
        return [
            *(web.route(each.method, f"{MOUNT}{each.path}", self._wrap(each)) for each in self._operations),
            web.route("*", MOUNT + "{tail:(?:/.*)?}", self._answered(self._elsewhere)),
        ]

    def _wrap(self, operation: Operation) -> Handler:
        buckets = Buckets(operation.per_minute) if operation.per_minute is not None else None

        async def handle(request: web.Request) -> web.StreamResponse:
            key, secret = await self._key(request)
            if buckets is not None:
                _check_pace(buckets.take(key.id))
            key = await self._as_child(key, request.headers.get(SUB_ACCOUNT))
            text = await _text(request) if operation.method in ("POST", "PATCH", "PUT") else ""
            attempt = Attempt.of(request, key, secret, text) if operation.method == "POST" else None
            act = attempt.act if attempt is not None else self._kit.new_id("req")
            asked = Asked(Caller(key, address_of(request, self._kit.access.proxies), act), request, text)
            if attempt is None:
                return await operation.handle(asked)
            return await self._idempotency.once(attempt, lambda: operation.handle(asked))

        return self._answered(handle)

    async def _key(self, request: web.Request) -> tuple[ApiKey, str]:
        secret = bearer(request)
        key = await self._kit.access.keys.find(secret)
        if key is None or secret is None:
            raise Refusal(401, WRONG_KEY if secret else NO_KEY, hdrs.AUTHORIZATION)
        _check_pace(self._buckets.take(key.id))
        return key, secret

    async def _as_child(self, key: ApiKey, child: str | None) -> ApiKey:
        """The key, for what is done in a sub-account. Raises Refusal 404."""
        if child is None:
            return key
        org = await self._children.org_of(key.org, child)
        if org is None:
            raise missing(f"there is no sub-account {child[:80]!r}; GET /v1/sub-accounts lists them")
        return key.model_copy(update={"org": org})

    async def _elsewhere(self, request: web.Request) -> web.StreamResponse:
        raise missing(
            f"there is nothing to {request.method} at {request.path[:200]}; the base URL ends in {MOUNT}, and "
            "paths go on with /v1/"
        )

    def _answered(self, handler: Handler) -> Handler:
        @functools.wraps(handler)
        async def answered(request: web.Request) -> web.StreamResponse:
            given = request.headers.get(REQUEST_ID, "")
            request_id = given if _OWN_ID.fullmatch(given) else self._kit.new_id("req")
            try:
                response = await handler(request)
            except Exception as error:
                refusal = _refusal(error)
                if refusal is None:
                    log.exception("%s %s failed (%s)", request.method, request.path, request_id)
                    refusal = Refusal(500, "something is wrong here; the server's log has the request's id")
                elif refusal.status == 503:
                    log.warning("%s %s (%s): %s", request.method, request.path, request_id, error)
                response = error_response(refusal, request_id)
                if refusal.status == 401:
                    response.headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
            if not response.prepared:
                response.headers[REQUEST_ID] = request_id
                response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
            return response

        return answered


def _check_pace(wait: float) -> None:
    if wait > 0:
        seconds = math.ceil(wait)
        raise Refusal(429, f"too many requests; ask again in {seconds} s", retry_after=seconds)


def _refusal(error: Exception) -> Refusal | None:
    match error:
        case Refusal():
            return error
        case ApiError() | InboxError():
            return of_api(error)
        case AddressRefusedError():
            return Refusal(400, f"url: {error}", "url")
        case VersionConflictError():
            return Refusal(409, "somebody else changes this at the same moment; try again")
        case StoreError() | BusError() | BlobError():
            return Refusal(503, AWAY, retry_after=2)
        case web.HTTPRequestEntityTooLarge():
            return Refusal(413, TOO_LARGE)
        case _:
            return None


async def _text(request: web.Request) -> str:
    try:
        return (await request.read()).decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal(400, "the body is not UTF-8 text; send JSON") from None
    except web.RequestPayloadError:
        raise Refusal(400, "the body broke off, or is not compressed as it says; send it again") from None
