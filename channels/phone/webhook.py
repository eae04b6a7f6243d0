"""What Twilio posts about calls: that somebody calls, what becomes of a call, what to do next.

The answer to `/twilio/voice` is TwiML, within ten seconds whatever happens: Twilio gives up after fifteen, and then the
caller hears an error. Odd forms are counted and answered 200: a repetition would not mend them.

Source: Twilio's references of the voice webhook, Dial, and answering machine detection.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, Final

from aiohttp import web

from channels.phone import payloads, twiml
from channels.phone.addresses import (
    AFTER_PATH,
    AMD_PATH,
    ANNOUNCE_PATH,
    ANNOUNCE_PREFIX,
    JOINED_PATH,
    STATUS_PATH,
    VOICE_PATH,
    stream_url,
)
from channels.phone.directory import Directory, Line
from channels.phone.ordering import Forward
from channels.phone.reception import Admission, Answer, CallProgress, Reception, Refuse
from channels.twilio.door import TWIML, Door, RefusedRequest, answer, status_route
from channels.twilio.form import Form
from omni.access.seal import Sealer

log = logging.getLogger("omni.phone.webhook")

PATIENCE: Final = 10.0
"""Seconds for an answer, of the fifteen that Twilio waits."""
REMEMBERED: Final = 4096
"""Answers that are kept for repetitions of the same webhook."""
BUSY: Final = Refuse("busy")

Key = tuple[str, str, str]


class PhoneWebhook:
    """`url` is our public address without a trailing slash: the one Twilio was told. Close it when nothing comes any
    more."""

    def __init__(
        self,
        reception: Reception,
        directory: Callable[[], Directory],
        url: Callable[[], str],
        sealer: Sealer,
        clock: Callable[[], float] = time.time,
        patience: float = PATIENCE,
    ) -> None:
        self._door = Door("phone", url, clock)
        self._reception = reception
        self._directory = directory
        self._sealer = sealer
        self._patience = patience
        self._forward = Forward()
        self._asked: OrderedDict[Key, asyncio.Task[Admission]] = OrderedDict()

    def routes(self, *, with_status: bool = False) -> list[web.RouteDef]:
        """Without `/twilio/status`, which the SMS side serves for both (its `calls` is our `status`), unless told."""
        routes = [
            web.post(VOICE_PATH, self.voice),
            web.post(AFTER_PATH, self.after),
            web.post(AMD_PATH, self.amd),
            web.post(ANNOUNCE_PATH, self.announce),
            web.post(JOINED_PATH, self.joined),
        ]
        if with_status:
            routes.append(status_route(STATUS_PATH, self._door, messages=None, calls=self.status))
        return routes

    async def close(self) -> None:
        asked = list(self._asked.values())
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        self._asked.clear()

    async def voice(self, request: web.Request) -> web.Response:
        """`POST /twilio/voice`: somebody calls."""
        try:
            line, filled = await self._signed(request, payloads.called)
            call = payloads.incoming(line, filled)
        except RefusedRequest as refused:
            return self._door.refuse(request, refused)
        except payloads.OddFormError as odd:
            return self._door.odd("call", str(odd))
        given = await self._admission((line.account.sid, call.call, ""), lambda: self._reception.offer(call))
        self._door.count("call", "answered" if isinstance(given, Answer) else given.reason)
        return _twiml(_connected(line, given) or twiml.reject(getattr(given, "reason", "busy")))

    async def after(self, request: web.Request) -> web.Response:
        """`POST /twilio/after`: a transfer is over. Who was not put through comes back to the bot."""
        try:
            line, filled = await self._signed(request, payloads.ours)
            told, back = payloads.after(line, filled)
        except RefusedRequest as refused:
            return self._door.refuse(request, refused)
        except payloads.OddFormError as odd:
            return self._door.odd("transfer", str(odd))
        self._door.count("transfer", told.status)
        # The other party's call has an id of its own: a repetition names the same one, a second transfer another.
        which: str = filled.get("DialCallSid", "") or request.headers.get("I-Twilio-Idempotency-Token", "")

        async def ask() -> Admission:
            await self._reception.progress(told)
            return Refuse("rejected") if back is None else await self._reception.returned(back)

        given = await self._admission((line.account.sid, told.call, f"after {which[:64]}"), ask)
        return _twiml(_connected(line, given) or twiml.hang_up())

    async def status(self, request: web.Request, filled: Form) -> web.Response:
        """`POST /twilio/status`, of a call. Raises RefusedRequest."""
        line = self._line(request, filled, payloads.ours(filled))
        try:
            told = payloads.progress(line, filled)
        except payloads.OddFormError as odd:
            return self._door.odd("status", str(odd))
        return await self._told("status", told)

    async def amd(self, request: web.Request) -> web.Response:
        """`POST /twilio/amd`: who answered a call of ours. Its form names neither number: the address does."""
        try:
            filled = await self._door.read(request)
            line = self._line(request, filled, (f"+{request.query.get('n', '')}",))
            told = payloads.answered_by(line, filled)
        except RefusedRequest as refused:
            return self._door.refuse(request, refused)
        except payloads.OddFormError as odd:
            return self._door.odd("detection", str(odd))
        return await self._told("detection", told)

    async def joined(self, request: web.Request) -> web.Response:
        """`POST /twilio/joined`: somebody picked up whom a call is transferred to, and the bot's part is over. Which
        number is ours the address says, as for `/twilio/amd`."""
        try:
            filled = await self._door.read(request)
            line = self._line(request, filled, (f"+{request.query.get('n', '')}",))
            told = payloads.joined(line, filled)
        except RefusedRequest as refused:
            return self._door.refuse(request, refused)
        except payloads.OddFormError as odd:
            return self._door.odd("transfer", str(odd))
        return await self._told("transfer", told)

    async def announce(self, request: web.Request) -> web.Response:
        """`POST /twilio/announce`: somebody picked up whom a call is transferred to. Here the numbers may both be
        strangers': the caller's own is often shown."""
        try:
            filled = await self._door.read(request)
            self._door.signed(request, filled, self._directory().owners(payloads.account(filled)))
        except RefusedRequest as refused:
            return self._door.refuse(request, refused)
        match self._sealer.unseal(ANNOUNCE_PREFIX, request.query.get("m", "")):
            case {"say": str(words)}:
                return _twiml(twiml.say(words))
        return self._door.odd("announcement", "words that we have not sealed")

    async def _signed(self, request: web.Request, numbers: Callable[[Form], tuple[str, ...]]) -> tuple[Line, Form]:
        filled = await self._door.read(request)
        return self._line(request, filled, numbers(filled)), filled

    def _line(self, request: web.Request, filled: Form, numbers: tuple[str, ...]) -> Line:
        return self._door.signed(request, filled, self._directory().find(payloads.account(filled), *numbers))

    async def _told(self, kind: str, told: CallProgress | None) -> web.Response:
        if told is None:
            self._door.count(kind, "unknown")
        elif not self._forward.is_news(told):
            self._door.count(kind, "late")
        else:
            taken = False
            try:
                await self._reception.progress(told)
                taken = True
            finally:
                if not taken:
                    self._forward.forget(told)
            self._door.count(kind, "taken")
        return answer(200, TWIML, "text/xml")

    async def _admission(self, key: Key, ask: Callable[[], Coroutine[Any, Any, Admission]]) -> Admission:
        """The answer; the same one when Twilio asks again, also while the first is still thought about."""
        task = self._asked.get(key)
        if task is None:
            task = self._asked[key] = asyncio.create_task(self._asking(ask), name="phone-reception")
            while len(self._asked) > REMEMBERED:
                self._asked.popitem(last=False)[1].cancel()
        await asyncio.wait({task})
        if task.cancelled() or (error := task.exception()) is None:
            return BUSY if task.cancelled() else task.result()
        why = "no answer in time" if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"
        log.error("phone webhook: nobody takes the call %s: %s", key[1], ascii(why)[:300])
        return BUSY

    async def _asking(self, ask: Callable[[], Coroutine[Any, Any, Admission]]) -> Admission:
        async with asyncio.timeout(self._patience):
            return await ask()


def _connected(line: Line, given: Admission) -> str | None:
    if isinstance(given, Answer):
        return twiml.connect(stream_url(given.media_url, line.account.sid), given.token)
    return None


def _twiml(text: str) -> web.Response:
    return answer(200, text.encode(), twiml.MIME)
