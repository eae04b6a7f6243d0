"""Public addresses of our files, for as long as Twilio needs to fetch them.

A file goes out by its address. Ours is sealed: it names one blob, runs out, and nobody else can make one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from aiohttp import web
from pydantic import JsonValue

from omni.access.seal import Sealer
from omni.blobs.base import BlobError, Blobs

PATH: Final = "/twilio/media-files/"
PREFIX: Final = "tmf_"
LIVES: Final = 43_200.0
"""Seconds an address works: longer than the ten hours that a message may wait at Twilio."""


class Links:
    """Addresses under `url`, our public one without a trailing slash; None when we have none."""

    def __init__(self, sealer: Sealer, url: Callable[[], str | None], clock: Callable[[], float] = time.time) -> None:
        self._sealer = sealer
        self._url = url
        self._clock = clock

    def of(self, blob: str, mime: str, name: str | None) -> str | None:
        base = self._url()
        payload: dict[str, JsonValue] = {"b": blob, "m": mime, "n": name or "", "e": int(self._clock() + LIVES)}
        return None if base is None else f"{base}{PATH}{self._sealer.seal(PREFIX, payload)}"


class LinkedFiles:
    """Serves what `Links` points to."""

    def __init__(self, blobs: Blobs, sealer: Sealer, clock: Callable[[], float] = time.time) -> None:
        self._blobs = blobs
        self._sealer = sealer
        self._clock = clock

    def routes(self) -> list[web.RouteDef]:
        return [web.get(f"{PATH}{{link}}", self.serve)]

    async def serve(self, request: web.Request) -> web.StreamResponse:
        match self._sealer.unseal(PREFIX, request.match_info["link"]):
            case {"b": str(key), "m": str(mime), "n": str(name), "e": int(until)} if self._clock() < until:
                pass
            case _:
                raise web.HTTPNotFound(text="This address of a file is not ours or has run out.\n")
        try:
            blob = await self._blobs.get(key)
        except BlobError:
            raise web.HTTPServiceUnavailable(text="Files cannot be read right now; try again in a moment.\n") from None
        if blob is None:
            raise web.HTTPNotFound(text="The file is not there any more.\n")
        headers = {
            "Content-Type": mime,
            "Content-Length": str(blob.size),
            "Cache-Control": "private, no-store",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
        }
        if name:
            headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name)}"
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        if request.method != "HEAD":
            async for piece in self._blobs.read(blob.key):
                await response.write(piece)
        await response.write_eof()
        return response
