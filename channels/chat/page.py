"""The hosted page `/chat/<agent>` and the widget's script, `/widget.js`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Final

from aiohttp import hdrs, web

from channels.chat.admission import Agents, Asking, has_page
from omni.model.agent import Agent
from omni.model.base import DEFAULT_ORG

ASSETS: Final = Path(__file__).parent / "assets"
_INDENT: Final = re.compile(rb"^ +", re.MULTILINE)
"""Readers of the source need it, browsers do not."""

SCRIPT_CACHE: Final = "public, max-age=300, stale-while-revalidate=86400"


@dataclass(frozen=True, slots=True)
class _Asset:
    body: bytes
    etag: str

    @classmethod
    def of(cls, body: bytes) -> _Asset:
        return cls(body, hashlib.sha256(body).hexdigest()[:32])


class Pages:
    """`asking` tells where a request comes from. The assets are read once, at the start."""

    def __init__(self, agents: Agents, asking: Callable[[web.Request], Asking]) -> None:
        self._agents = agents
        self._asking = asking
        self._script = _Asset.of(_INDENT.sub(b"", (ASSETS / "widget.js").read_bytes()))
        self._page = Template((ASSETS / "page.html").read_text(encoding="utf-8"))

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/widget.js", self.script), web.get("/chat/{agent:[a-z0-9-]{1,64}}", self.page)]

    async def script(self, request: web.Request) -> web.Response:
        """`GET /widget.js`."""
        headers = {
            hdrs.CACHE_CONTROL: SCRIPT_CACHE,
            hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",
            "Cross-Origin-Resource-Policy": "cross-origin",
        }
        return _cached(request, self._script, "text/javascript", headers)

    async def page(self, request: web.Request) -> web.Response:
        """`GET /chat/{agent}[?org=]`."""
        agent = self._find(request.match_info["agent"], request.query.get("org"))
        if agent is None:
            return web.Response(
                status=404, text="There is no chat here. Agents with a channel of kind chat have one.\n"
            )
        name = agent.name or agent.slug.replace("-", " ").capitalize()
        filled = self._page.substitute(
            agent=escape(agent.slug), org=escape(agent.org), name=escape(name), language=escape(agent.language or "en")
        )
        headers = {
            hdrs.CACHE_CONTROL: "no-cache",
            "Content-Security-Policy": policy(self._asking(request).own_origin),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        return _cached(request, _Asset.of(filled.encode()), "text/html", headers)

    def _find(self, slug: str, org: str | None) -> Agent | None:
        """The agent of that name that has a page; that of the default organisation first."""
        found = [one for one in self._agents() if one.slug == slug and org in (None, one.org) and has_page(one)]
        return min(found, key=lambda one: (one.org != DEFAULT_ORG, one.org), default=None)


def policy(origin: str) -> str:
    """The page's Content-Security-Policy: our own script alone, which styles without inline styles; pictures may come
    from anywhere, because agents show them. `origin` is the page's."""
    return "; ".join(
        [
            "default-src 'none'",
            "script-src 'self'",
            f"connect-src 'self' {origin.replace('http', 'ws', 1)}",
            "img-src 'self' https: data: blob:",
            "media-src 'self' https:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'self'",
        ]
    )


def _cached(request: web.Request, asset: _Asset, kind: str, headers: dict[str, str]) -> web.Response:
    known = [etag.value for etag in request.if_none_match or ()]
    response = web.Response(status=304) if asset.etag in known else web.Response(body=asset.body)
    if response.status == 200:
        response.content_type, response.charset = kind, "utf-8"
    response.headers.update(headers)
    response.etag = asset.etag
    return response
