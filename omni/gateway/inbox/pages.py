"""`/inbox` and the files it is made of, served from memory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

PAGE: Final = Path(__file__).parent / "page"
INDEX: Final = "index.html"

TYPES: Final = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
}
"""What a page may be made of; other files are not served."""

_TEXT: Final = ("text/", "application/", "image/svg")

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'self'"
)
"""Our own files alone: nothing inline, nothing of anybody else's."""

HEADERS: Final = {
    hdrs.CACHE_CONTROL: "no-cache",
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    kind: str
    etag: str


class Pages:
    """The files under a folder, read once, at the start: a path of a request is a name among these, and never a path
    of the disk."""

    def __init__(self, folder: Path = PAGE) -> None:
        self._files = dict(_read(folder))

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/inbox", self.index),
            web.get("/inbox/", self.index),
            web.get("/inbox/static/{path:.+}", self.file),
            web.get("/inbox/{path:.+}", self.file),
        ]

    async def index(self, request: web.Request) -> web.Response:
        return self._answer(request, INDEX)

    async def file(self, request: web.Request) -> web.Response:
        return self._answer(request, request.match_info["path"])

    def _answer(self, request: web.Request, path: str) -> web.Response:
        file = self._files.get(path)
        if file is None:
            return web.Response(status=404, text="There is no such page; the inbox is at /inbox.\n", headers=HEADERS)
        known = [etag.value for etag in request.if_none_match or ()]
        response = web.Response(status=304) if file.etag in known else web.Response(body=file.body)
        if response.status == 200:
            response.content_type = file.kind
            response.charset = "utf-8" if file.kind.startswith(_TEXT) else None
        response.headers.update(HEADERS)
        response.etag = file.etag
        return response


def _read(folder: Path) -> list[tuple[str, _File]]:
    return [
        (path.relative_to(folder).as_posix(), _File(body, TYPES[path.suffix], hashlib.sha256(body).hexdigest()[:32]))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in TYPES
        for body in (path.read_bytes(),)
    ]
