"""Faults of a connection, as they happen on the socket: slow, silent, cut, half a body, too much of one."""

from __future__ import annotations

import asyncio

from aiohttp import hdrs, web

from channels.whatsapp.simulator.faults import REFUSALS, Fault
from channels.whatsapp.simulator.media import Media
from channels.whatsapp.simulator.simulator import Simulator

_HTML_502 = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


class Mishaps:
    """Applies faults to requests of one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def suffer(self, request: web.Request, faults: list[Fault]) -> web.StreamResponse | None:
        """Apply what happens before the request is looked at; None when it may go on. Raises ``GraphError``."""
        for fault in faults:
            rule = fault.rule
            self._simulator.journal.add(
                "fault", {"fault_id": fault.id, "kind": rule.kind, "place": rule.place, "left": fault.left}
            )
            match rule.kind:
                case "slow":
                    await self._wait(rule.ms / 1000)
                case "hang":
                    return await self.hang(request)
                case "reset":
                    return reset(request)
                case "html_502":
                    return web.Response(status=502, text=_HTML_502, content_type="text/html")
                case "garbage":
                    return web.Response(body=b'{"messaging_product": "whats\x00', content_type="application/json")
                case kind if kind in REFUSALS:
                    raise rule.error()
                case _:
                    pass  # happens later: while accepting, or while sending the bytes of media
        return None

    async def _wait(self, seconds: float) -> None:
        """Sleep, but not past the end of the server."""
        try:
            async with asyncio.timeout(seconds):
                await self._simulator.closing.wait()
        except TimeoutError:
            pass

    async def hang(self, request: web.Request) -> web.StreamResponse:
        # aiohttp tells a handler of a lost client only when the whole server asked for cancellation, which a server
        # that mounts the simulator need not do: hence the look at the transport.
        while request.transport is not None and not request.transport.is_closing():
            if self._simulator.closing.is_set():
                break
            await self._wait(0.1)
        return reset(request)


def reset(request: web.Request) -> web.Response:
    """Cut the connection without a word; what is returned is never written."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def half(request: web.Request, media: Media) -> web.StreamResponse:
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: media.mime_type})
    response.content_length = max(2, len(media.content))
    await response.prepare(request)
    await response.write(media.content[: len(media.content) // 2] or b"?")
    if request.transport is not None:
        request.transport.close()
    return response


async def endless(request: web.Request, media: Media, size: int) -> web.StreamResponse:
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: media.mime_type})
    response.enable_chunked_encoding()
    await response.prepare(request)
    block = bytes(64 * 1024)
    try:
        for _ in range(size // len(block) + 1):
            await response.write(block)
        await response.write_eof()
    except ConnectionError:
        pass  # the client had enough, which is what a careful one does
    return response
