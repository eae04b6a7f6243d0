"""An agent's hosted page, and the script that it shares with other people's pages: of a chat, or of calls."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Final

from aiohttp import hdrs, web

from omni.access.asking import Agents, Asking, PageKind, has_page
from omni.model.agent import Agent
from omni.model.base import DEFAULT_ORG

SCRIPT_CACHE: Final = "public, max-age=300, stale-while-revalidate=86400"

_INDENT: Final = re.compile(rb"^ +", re.MULTILINE)
"""Readers of the source need it, browsers do not."""


@dataclass(frozen=True, slots=True)
class _Asset:
    body: bytes
    etag: str

    @classmethod
    def of(cls, body: bytes) -> _Asset:
        return cls(body, hashlib.sha256(body).hexdigest()[:32])


@dataclass(frozen=True, slots=True)
class Hosting:
    """What one kind of page is made of: `/{script}` and `/{path}/<agent>`, which is `template` filled, with `headers`
    for whoever asks; `nobody` is what a wrong address says."""

    kind: PageKind
    script: Path
    template: Path
    path: str
    nobody: str
    headers: Callable[[Asking], Mapping[str, str]]


class HostedPages:
    """`asking` tells where a request comes from. The assets are read once, at the start."""

    def __init__(self, hosting: Hosting, agents: Agents, asking: Callable[[web.Request], Asking]) -> None:
        self._hosting = hosting
        self._agents = agents
        self._asking = asking
        self._script = _Asset.of(_INDENT.sub(b"", hosting.script.read_bytes()))
        self._page = Template(hosting.template.read_text(encoding="utf-8"))

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(f"/{self._hosting.script.name}", self.script),
            web.get(f"/{self._hosting.path}/{{agent:[a-z0-9-]{{1,64}}}}", self.page),
        ]

    async def script(self, request: web.Request) -> web.Response:
        headers = {
            hdrs.CACHE_CONTROL: SCRIPT_CACHE,
            hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*",
            "Cross-Origin-Resource-Policy": "cross-origin",
        }
        return _cached(request, self._script, "text/javascript", headers)

    async def page(self, request: web.Request) -> web.Response:
        """`?org=` where several organisations have an agent of that name."""
        agent = self._find(request.match_info["agent"], request.query.get("org"))
        if agent is None:
            return web.Response(status=404, text=self._hosting.nobody)
        name = agent.name or agent.slug.replace("-", " ").capitalize()
        filled = self._page.substitute(
            agent=escape(agent.slug), org=escape(agent.org), name=escape(name), language=escape(agent.language or "en")
        )
        headers = {
            hdrs.CACHE_CONTROL: "no-cache",
            **self._hosting.headers(self._asking(request)),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        return _cached(request, _Asset.of(filled.encode()), "text/html", headers)

    def _find(self, slug: str, org: str | None) -> Agent | None:
        """The agent of that name that has a page; that of the default organisation first."""
        kind = self._hosting.kind
        found = [one for one in self._agents() if one.slug == slug and org in (None, one.org) and has_page(one, kind)]
        return min(found, key=lambda one: (one.org != DEFAULT_ORG, one.org), default=None)


def _cached(request: web.Request, asset: _Asset, kind: str, headers: Mapping[str, str]) -> web.Response:
    known = [etag.value for etag in request.if_none_match or ()]
    response = web.Response(status=304) if asset.etag in known else web.Response(body=asset.body)
    if response.status == 200:
        response.content_type, response.charset = kind, "utf-8"
    response.headers.update(headers)
    response.etag = asset.etag
    return response
