"""Who asks, over HTTP: credentials, addresses, and what pages of other origins may read."""

from __future__ import annotations

import functools
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from ipaddress import IPv6Address, ip_address
from typing import Final

from aiohttp import hdrs, web

from omni.access.access import Access
from omni.model.access import ApiKey
from omni.store.base import StoreError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
KeyedHandler = Callable[[web.Request, ApiKey], Awaitable[web.StreamResponse]]
Refuse = Callable[[int, str], web.Response]
"""An error as this surface's clients read it, from its status and sentence."""

NO_KEY: Final = "an API key is needed: send it as `Authorization: Bearer pk_…` (`omni keys create` makes one)"
WRONG_KEY: Final = "the API key is not valid; make another with `omni keys create`"
TRY_LATER: Final = "the server cannot reach its store right now; try again in a moment"

ANY_PAGE: Final[Mapping[str, str]] = {
    hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",
    hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: "Retry-After",
}
"""Headers of an answer that every page may read: no cookies are used, so there is nothing to steal with it."""

_PREFLIGHT: Final[Mapping[str, str]] = {
    hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",
    hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, POST, OPTIONS",
    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "Authorization, Content-Type, Last-Event-ID",
    hdrs.ACCESS_CONTROL_MAX_AGE: "600",
}
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")


def bearer(request: web.Request) -> str | None:
    """What stands in `Authorization: Bearer …`."""
    scheme, _, value = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return value.strip() or None if scheme.lower() == "bearer" else None


def credential(request: web.Request) -> str | None:
    """An API key or token: the header wins over `?token=`."""
    return bearer(request) or request.query.get("token") or None


def keyed(access: Access, refuse: Refuse, handler: KeyedHandler) -> Handler:
    """A handler for bearers of an API key: 401 to everybody else, 503 while the store is away."""

    @functools.wraps(handler)
    async def guarded(request: web.Request) -> web.StreamResponse:
        secret = bearer(request)
        try:
            key = await access.keys.find(secret)
            if key is not None:
                return await handler(request, key)
        except StoreError:
            return refuse(503, TRY_LATER)
        return refuse(401, WRONG_KEY if secret else NO_KEY)

    return guarded


def for_pages(routes: Iterable[web.RouteDef]) -> list[web.RouteDef]:
    """The routes for pages of any origin: with CORS headers, errors too, and pre-flight requests answered.

    A handler's own `Access-Control-Allow-Origin` stays. What streams sets `ANY_PAGE` itself, before it begins.
    """
    open_ = [web.RouteDef(route.method, route.path, _readable(route.handler), route.kwargs) for route in routes]
    return open_ + [web.options(path, _preflight) for path in dict.fromkeys(route.path for route in open_)]


def _readable(handler: Handler) -> Handler:
    @functools.wraps(handler)
    async def answered(request: web.Request) -> web.StreamResponse:
        try:
            response = await handler(request)
        except web.HTTPException as error:
            error.headers.update(ANY_PAGE)
            raise
        if not response.prepared:
            for name, value in ANY_PAGE.items():
                response.headers.setdefault(name, value)
        return response

    return answered


async def _preflight(_: web.Request) -> web.Response:
    return web.Response(status=204, headers=_PREFLIGHT)


def address_of(request: web.Request, proxies: int) -> str:
    """The address to count a request under: behind proxies what the outermost of them saw; of IPv6 the network of 64
    bits that one household has."""
    address = _forwarded(request, "X-Forwarded-For", proxies) or request.remote or ""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))
    return str(parsed)


def server_url(request: web.Request, public_url: str | None, proxies: int) -> str:
    """How the asking page reaches us, without a trailing slash: the configured address, else the one it used."""
    if public_url is not None:
        return public_url
    scheme = _forwarded(request, "X-Forwarded-Proto", proxies) or request.scheme
    host = _forwarded(request, "X-Forwarded-Host", proxies) or request.host
    if scheme not in ("http", "https"):
        scheme = "http"
    return f"{scheme}://{host}" if _HOST.fullmatch(host) else f"{scheme}://localhost"


def _forwarded(request: web.Request, header: str, proxies: int) -> str:
    """What the outermost of our own proxies said; whatever stands before it anybody may have written."""
    if not proxies:
        return ""
    said = [each.strip() for each in ",".join(request.headers.getall(header, [])).split(",")]
    return said[max(0, len(said) - proxies)]
