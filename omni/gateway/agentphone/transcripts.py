"""A call's transcript as it grows, as server-sent events: what was said so far, then what is said, then the end.

A spoken turn is told when it will not change any more: the caller's once somebody answers or nobody has spoken for
long, the agent's as far as it was heard. `connected` comes first and once, `ended` last. Every event is one line of
ASCII, and something comes at least every 15 seconds: these clients split lines at any separator, and give up after 30.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Final

from aiohttp import hdrs, web

from omni.gateway.agentphone.answers import Fields, moment_or_none, packed
from omni.gateway.agentphone.call_mapping import direction, ends, seconds, status, turn_of
from omni.gateway.agentphone.reading import Talk
from omni.gateway.rest.kit import RestKit
from omni.live.hub import SlowFollowerError
from omni.live.told import Told
from omni.model.entry import CallEnded
from omni.model.transcript import Line, Transcript

HEARTBEAT_SECONDS: Final = 15.0
PATIENCE_SECONDS: Final = 30.0
"""So long a reader may take nothing."""
HEARTBEAT: Final = b": heartbeat\n\n"


class TranscriptStream:
    def __init__(self, kit: RestKit, *, heartbeat: float = HEARTBEAT_SECONDS) -> None:
        self._kit = kit
        self._heartbeat = heartbeat

    async def send(self, request: web.Request, talk: Talk) -> web.StreamResponse:
        call = talk.call
        response = web.StreamResponse(
            headers={
                hdrs.CONTENT_TYPE: "text/event-stream; charset=utf-8",
                hdrs.CACHE_CONTROL: "no-cache",
                "X-Accel-Buffering": "no",
            }
        )
        await response.prepare(request)
        from_, to = ends(talk)
        connected: Fields = {
            "callId": call.id,
            "agentId": call.agent,
            "direction": direction(call),
            "from": from_,
            "to": to,
            "status": status(call),
        }
        try:
            await _write(response, _event("connected", connected))
            async with self._kit.hub.follow_call(call.id) as news:
                has_ended = await self._turns(response, news)
            now = await self._kit.store.call(call.id) or call
            if has_ended or not now.is_open:
                last: Fields = {
                    "callId": call.id,
                    "status": status(now),
                    "endedAt": moment_or_none(now.ended_at),
                    "durationSeconds": seconds(now),
                }
                await _write(response, _event("ended", last))
                await response.write_eof()
                return response
        except (ConnectionError, SlowFollowerError, TimeoutError):
            pass
        if request.transport is not None:  # cut short: an end that looks like one would be a lie
            request.transport.abort()
        return response

    async def _turns(self, response: web.StreamResponse, news: AsyncIterator[Told]) -> bool:
        """Whether the call has ended, not only we."""
        transcript = Transcript()
        while True:
            try:
                told = await asyncio.wait_for(anext(news), self._heartbeat)
            except StopAsyncIteration:
                return False
            except TimeoutError:
                await self._tell(response, transcript.settle())
                await _write(response, HEARTBEAT)
                continue
            transcript.add(told.entries)
            has_ended = any(isinstance(entry.fact, CallEnded) for entry in told.entries)
            await self._tell(response, transcript.settle() if has_ended else transcript.settled())
            if has_ended:
                return True

    async def _tell(self, response: web.StreamResponse, lines: Iterable[Line]) -> None:
        for line in lines:
            await _write(response, _event("turn", turn_of(line)))


async def _write(response: web.StreamResponse, body: bytes) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        await response.write(body)


def _event(name: str, about: Fields) -> bytes:
    return f"event: {name}\ndata: {packed(about)}\n\n".encode()
