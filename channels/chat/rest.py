"""The chat over plain HTTP, where no WebSocket gets through: `/chat/api/…`.

Open a session, post messages (sent again under the same id, they act once), read what is new after a cursor. Uploads
come by here for everybody. Errors are `{"error": "…"}`.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from aiohttp import hdrs, web
from pydantic import JsonValue

from channels.chat import wire
from channels.chat.admission import Admission, AdmissionError, Admitted
from channels.chat.files import MAX_FILE, FileRefusedError, body_of
from channels.chat.frames import ContextFrame, FrameRefusedError, HelloFrame, MessageFrame, parse_fields
from channels.chat.line import Line
from channels.chat.resumable import NO_ID, about
from channels.chat.talk import HUNG_UP, NOT_NOW, Services, message_of, wants_arrival
from channels.chat.transcript import Cursor, Transcript
from omni.access.asking import Asking
from omni.access.limits import Buckets
from omni.access.web import bearer, for_pages
from omni.bus.base import BusError
from omni.live.hub import SlowFollowerError
from omni.live.told import Told
from omni.store.base import StoreError

LONGEST_WAIT: Final = 25.0
"""Seconds that `GET /chat/api/events` waits for something new at most."""

BODY_SECONDS: Final = 15.0
UPLOAD_SECONDS: Final = 180.0
UPLOADS_PER_MINUTE: Final = 20
MAX_BODY: Final = 128 * 1024

Handler = Callable[[web.Request, Admitted], Awaitable[web.Response]]


class RestError(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, sentence: str, retry_after: float | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.retry_after = retry_after


class ChatRest:
    """`asking` tells where a request comes from."""

    def __init__(self, services: Services, admission: Admission, asking: Callable[[web.Request], Asking]) -> None:
        self._services = services
        self._admission = admission
        self._asking = asking
        self._uploads = Buckets(UPLOADS_PER_MINUTE)

    def routes(self) -> list[web.RouteDef]:
        return for_pages(
            [
                web.post("/chat/api/session", self._answering(self._session)),
                web.post("/chat/api/messages", self._admitted(self._message)),
                web.get("/chat/api/events", self._admitted(self._events), allow_head=False),
                web.post("/chat/api/context", self._admitted(self._context)),
                web.post("/chat/api/end", self._admitted(self._end)),
                web.post("/chat/api/files", self._admitted(self._upload)),
            ]
        )

    def _admitted(self, handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
        """For bearers of a session."""

        async def admitted(request: web.Request) -> web.Response:
            session = bearer(request)
            if session is None:
                raise RestError(401, "Send the session that /chat/api/session gave: Authorization: Bearer cts_…")
            return await handler(request, self._admission.by_session(session))

        return self._answering(admitted)

    def _answering(
        self, handler: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answered(request: web.Request) -> web.Response:
            try:
                return await handler(request)
            except RestError as error:
                return _failed(error.status, str(error), error.retry_after)
            except AdmissionError as error:
                return _failed(error.status, str(error), error.retry_after)
            except FrameRefusedError as error:
                return _failed(400, str(error))
            except FileRefusedError as error:
                return _failed(error.status, str(error))
            except (StoreError, BusError):
                return _failed(503, NOT_NOW, 5)

        return answered

    async def _session(self, request: web.Request) -> web.Response:
        """`POST {"agent"|"token", "visitor"?}`: as the socket's hello."""
        hello = parse_fields({**await _object(request), "event": "hello"})
        assert isinstance(hello, HelloFrame)
        admitted = await self._admission.by_hello(hello, self._asking(request))
        if wants_arrival(self._services, admitted.agent):
            line = await self._line(admitted)
            if await line.visit.newest_call() is None:
                await line.arrive()
        return _json(about(admitted))

    async def _message(self, request: web.Request, admitted: Admitted) -> web.Response:
        """`POST {"id", "text", "files"?, "choice"?}`."""
        frame = parse_fields({**await _object(request), "event": "message"})
        assert isinstance(frame, MessageFrame)
        if frame.id is None:
            raise FrameRefusedError(NO_ID, what="message")
        message = message_of(self._services.files, admitted.claim.who, frame)
        line = await self._line(admitted)
        await line.say(message, frame.id)
        return _json({"id": frame.id}, status=202)

    async def _context(self, request: web.Request, admitted: Admitted) -> web.Response:
        """`POST {"key", "value"}`: for the call that is open."""
        frame = parse_fields({**await _object(request), "event": "set_context"})
        assert isinstance(frame, ContextFrame)
        line = await self._line(admitted)
        await line.look()
        if line.call is None:
            raise RestError(409, "There is no conversation yet; set the context after the first message.")
        await line.set_context(frame)
        return _json({}, status=202)

    async def _end(self, request: web.Request, admitted: Admitted) -> web.Response:
        line = await self._line(admitted)
        await line.look()
        await line.end(HUNG_UP)
        return _json({}, status=202)

    async def _events(self, request: web.Request, admitted: Admitted) -> web.Response:
        """`GET ?after=&wait=`: what the socket would send of the log, and the cursor to go on from. `wait` is how many
        seconds to wait for something new."""
        after = request.query.get("after")
        cursor = Cursor.parse(after) if after else None
        if after and cursor is None:
            raise RestError(400, "after: send the cursor that the last answer gave.")
        line = await self._line(admitted)
        transcript = Transcript(self._services.files.url_of)
        async with line.follow() as news:
            past = await line.missed(cursor) if cursor is not None else await line.recent()
            frames = transcript.past(past)
            if not frames:
                frames = await self._wait(line, transcript, news, _seconds(request.query.get("wait", "")))
        newest = line.newest or cursor
        events: list[JsonValue] = [*frames]
        return _json({"events": events, "cursor": str(newest) if newest is not None else None})

    async def _wait(
        self, line: Line, transcript: Transcript, news: AsyncIterator[Told], seconds: float
    ) -> list[wire.Frame]:
        """The next frames of the log."""
        try:
            async with asyncio.timeout(seconds):
                async for told in news:
                    frames = transcript.past(line.fresh(told.entries))
                    if frames:
                        return frames
        except (TimeoutError, SlowFollowerError):
            pass
        return []

    async def _upload(self, request: web.Request, admitted: Admitted) -> web.Response:
        """`POST ?name=…` with the file as the body: `{"file"}` is what a message names."""
        wait = self._uploads.take(admitted.claim.visitor)
        if wait:
            raise RestError(429, "Too many files at once; try again in a moment.", wait)
        if (request.content_length or 0) > MAX_FILE:
            raise FileRefusedError(f"The file is larger than {MAX_FILE // 1024 // 1024} MB.", 413)
        mime = request.headers.get(hdrs.CONTENT_TYPE, "")
        try:
            async with asyncio.timeout(UPLOAD_SECONDS):
                file, media = await self._services.files.take(
                    admitted.claim.who, body_of(request), mime, request.query.get("name")
                )
        except TimeoutError:
            raise FileRefusedError("The file took too long to arrive.", 408) from None
        return _json({"file": file, "kind": media.kind.value, "name": media.filename, "size": media.size}, status=201)

    async def _line(self, admitted: Admitted) -> Line:
        visit = await self._services.visits.enter(admitted.claim.who)
        return Line(visit, self._services.store, admitted.claim.opening)


async def _object(request: web.Request) -> dict[str, JsonValue]:
    """The body, a JSON object. Raises RestError."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await request.read()
    except TimeoutError:
        raise RestError(408, "The body took too long to arrive.") from None
    if len(body) > MAX_BODY:
        raise RestError(413, f"The body is larger than {MAX_BODY // 1024} kB.")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise RestError(400, "The body is not JSON.") from None
    if not isinstance(value, dict):
        raise RestError(400, "The body must be a JSON object.")
    return value


def _seconds(text: str) -> float:
    try:
        wait = float(text or 0)
    except ValueError:
        raise RestError(400, f"wait: {text[:20]!r} is not a number of seconds.") from None
    return min(LONGEST_WAIT, wait) if wait > 0 else 0.0  # NaN is not


def _json(body: dict[str, JsonValue], status: int = 200) -> web.Response:
    return web.json_response(body, status=status, headers={hdrs.CACHE_CONTROL: "no-store"})


def _failed(status: int, sentence: str, retry_after: float | None = None) -> web.Response:
    headers = {hdrs.CACHE_CONTROL: "no-store"}
    if retry_after:
        headers[hdrs.RETRY_AFTER] = str(math.ceil(retry_after))
    return web.json_response({"error": sentence}, status=status, headers=headers)
