"""Signing in through the provider: away to its page, and back with its answer."""

from __future__ import annotations

import html
import logging
import math
from typing import Final

from aiohttp import web

from omni.access.operators.joining import operator_for
from omni.access.operators.oidc import FLOW_SECONDS, Oidc, OidcError
from omni.gateway.inbox.asking import NO_STORE
from omni.gateway.inbox.auth import Doors
from omni.model.base import DEFAULT_ORG
from omni.store.base import StoreError

log = logging.getLogger("omni.inbox")

FLOW_COOKIE: Final = "omni_oidc"
FLOW_PATH: Final = "/v1/inbox/oidc"
INBOX: Final = "/inbox"
_HEADERS: Final = {
    **NO_STORE,
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


class SingleSignOn:
    """People come here by following links, so what went wrong is a small page and not JSON."""

    def __init__(self, doors: Doors, oidc: Oidc | None) -> None:
        self._doors = doors
        self._oidc = oidc

    def routes(self) -> list[web.RouteDef]:
        guard = self._doors.guard
        return [
            web.get(f"{FLOW_PATH}/start", guard.open(self.start), allow_head=False),
            web.get(f"{FLOW_PATH}/callback", guard.open(self.callback), allow_head=False),
        ]

    async def start(self, request: web.Request) -> web.StreamResponse:
        if self._oidc is None:
            return _page(404, "signing in through a provider is not set up here; set OMNI_OIDC_ISSUER")
        wait = math.ceil(self._doors.throttle.flow(self._doors.guard.address(request)))
        if wait:
            return _page(429, f"too many attempts; try again in {wait} s", {"Retry-After": str(wait)})
        try:
            flow = await self._oidc.start(self._return_url(request))
        except OidcError as error:
            log.warning("%s", error)
            return _page(502, str(error))
        response = web.Response(status=302, headers={**_HEADERS, "Location": flow.url})
        response.set_cookie(
            FLOW_COOKIE,
            flow.kept,
            max_age=int(FLOW_SECONDS),
            path=FLOW_PATH,
            secure=self._doors.guard.is_secure(request),
            httponly=True,
            samesite="Lax",  # the provider sends the browser back from its own site: Strict would lose it
        )
        return response

    async def callback(self, request: web.Request) -> web.StreamResponse:
        if self._oidc is None:
            return _page(404, "signing in through a provider is not set up here; set OMNI_OIDC_ISSUER")
        doors, settings = self._doors, self._oidc.settings
        try:
            person = await self._oidc.finish(request.query, request.cookies.get(FLOW_COOKIE), self._return_url(request))
            operator = await operator_for(person, doors.store, doors.staff, settings, DEFAULT_ORG)
            response = web.Response(status=303, headers={**_HEADERS, "Location": INBOX})
            _, cookie = await doors.admit(request, operator, "oidc")
            doors.guard.set_cookie(request, response, cookie)
        except OidcError as error:
            log.warning("%s", error)
            response = _page(403, str(error))
        except StoreError as error:
            log.warning("the store failed while somebody came back from the sign-in provider: %s", error)
            response = _page(503, "the server cannot reach its store right now; try again in a moment")
        response.del_cookie(FLOW_COOKIE, path=FLOW_PATH, httponly=True, samesite="Lax")
        return response

    def _return_url(self, request: web.Request) -> str:
        return f"{self._doors.guard.url(request)}{FLOW_PATH}/callback"


def _page(status: int, sentence: str, headers: dict[str, str] | None = None) -> web.Response:
    told = html.escape(sentence[:1].upper() + sentence[1:])
    return web.Response(
        status=status,
        text=f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<title>Sign in</title><p>{told}.</p><p><a href="{INBOX}">Back to the sign-in page</a></p></html>',
        content_type="text/html",
        headers={**_HEADERS, **(headers or {})},
    )
