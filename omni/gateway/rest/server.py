"""Around every route of `/v1`: the key, the pace, the request's id, what POST did before, and errors as JSON."""

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
from omni.gateway.inbox.asking import InboxError
from omni.gateway.rest.errors import TOO_LARGE, ApiError, away, conflict, error_response
from omni.gateway.rest.idempotency import Attempt, Idempotency
from omni.gateway.rest.kit import RestKit
from omni.gateway.rest.routing import Caller, Route, allowed_at, sorted_routes
from omni.model.access import ApiKey
from omni.store.base import StoreError, VersionConflictError

log = logging.getLogger("omni.rest")

REQUEST_ID: Final = "X-Request-ID"
PER_MINUTE: Final = 12_000
"""Requests with one key, in one process."""
_OWN_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


class RestServer:
    def __init__(self, kit: RestKit, routes: Sequence[Route], *, per_minute: int = PER_MINUTE) -> None:
        self._kit = kit
        self._routes = sorted_routes(routes)
        self._buckets = Buckets(per_minute)
        self._idempotency = Idempotency(kit.store, kit.clock)

    def routes(self) -> list[web.RouteDef]:
        """The last ones answer for paths and methods that there are not; the inbox answers for its own."""
        return [
            *(web.route(each.method, each.path, self._wrap(each)) for each in self._routes),
            *(web.head(each.path, self._wrap(each)) for each in self._routes if each.method == "GET"),
            web.route("*", "/v1", self._answered(self._elsewhere)),
            web.route("*", "/v1/{tail:(?!inbox(?:/|$)).*}", self._answered(self._elsewhere)),
        ]

    def _wrap(self, route: Route) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            key, secret = await self._key(request)
            text = await _text(request) if route.method in ("POST", "PATCH") else ""
            attempt = Attempt.of(request, key, secret, text) if route.method == "POST" else None
            act = attempt.act if attempt is not None else self._kit.new_id("req")
            by = Caller(key, address_of(request, self._kit.access.proxies), act)
            if attempt is None:
                return await route.handle(request, by, text)
            return await self._idempotency.once(attempt, lambda: route.handle(request, by, text))

        return self._answered(handle)

    async def _key(self, request: web.Request) -> tuple[ApiKey, str]:
        secret = bearer(request)
        key = await self._kit.access.keys.find(secret)
        if key is None or secret is None:
            raise ApiError(401, "unauthorized", WRONG_KEY if secret else NO_KEY, hdrs.AUTHORIZATION)
        wait = math.ceil(self._buckets.take(key.id))
        if wait > 0:
            raise ApiError(429, "too_many_requests", f"too many requests; ask again in {wait} s", retry_after=wait)
        return key, secret

    async def _elsewhere(self, request: web.Request) -> web.StreamResponse:
        allowed = allowed_at(self._routes, request.path)
        if not allowed:
            raise ApiError(404, "not_found", f"there is nothing at {request.path[:200]}; see /docs/api")
        error = ApiError(405, "method_not_allowed", f"{request.method} is not for this path; use {', '.join(allowed)}")
        error.headers[hdrs.ALLOW] = ", ".join(allowed)
        raise error

    def _answered(self, handler: Handler) -> Handler:
        @functools.wraps(handler)
        async def answered(request: web.Request) -> web.StreamResponse:
            request_id = _request_id(request) or self._kit.new_id("req")
            try:
                response = await handler(request)
            except Exception as error:
                refusal = _refusal(error)
                if refusal is None:
                    log.exception("%s %s failed (%s)", request.method, request.path, request_id)
                    refusal = ApiError(
                        500, "internal", "something is wrong here; the server's log has the request's id"
                    )
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


def _refusal(error: Exception) -> ApiError | None:
    match error:
        case ApiError():
            return error
        case InboxError():
            return of_inbox(error)
        case VersionConflictError():
            return conflict("changed", "somebody else changes this at the same moment; try again")
        case StoreError() | BusError() | BlobError():
            return away()
        case web.HTTPRequestEntityTooLarge():
            return ApiError(413, "too_large", TOO_LARGE)
        case _:
            return None


def of_inbox(error: InboxError) -> ApiError:
    """A refusal of what we share with the inbox. A wrong value is a 400 here."""
    status = 400 if error.status == 422 else error.status
    refusal = ApiError(status, error.code, str(error), error.field)
    refusal.headers.update(error.headers)
    return refusal


def _request_id(request: web.Request) -> str | None:
    given = request.headers.get(REQUEST_ID, "")
    return given if _OWN_ID.fullmatch(given) else None


async def _text(request: web.Request) -> str:
    try:
        return (await request.read()).decode("utf-8")
    except UnicodeDecodeError:
        raise ApiError(400, "malformed", "the body is not UTF-8 text; send JSON") from None
