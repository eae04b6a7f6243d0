"""What Twilio posts: messages to `/twilio/sms`, and what became of ours to `/twilio/status`.

A POST is answered when what it brought survives `kill -9`, and before anything is done about it. Twilio gives up after
15 seconds and does not try again by itself, so an engine that is away for a moment is waited for, and a process under
pressure takes messages all the same. Odd items are counted and answered 200: a repetition would not mend them.

Source: Twilio's messaging webhook and security pages: a signed form, at least once, in any order.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import Final

from aiohttp import web
from prometheus_client import Counter, Histogram

from channels.per_minute import PerMinute
from channels.sms import form, package, payloads
from channels.sms.directory import Directory, Line
from channels.sms.form import BadFormError, Form
from channels.sms.signature import HEADER, signer
from omni.bus.base import Bus, BusError, Outgoing
from omni.model.delivery import pack_statuses
from omni.model.ids import new_id, partition_of
from omni.model.inbound import PersonNotice, UserMessage, pack
from omni.model.queues import STATUSES, inbound
from omni.telemetry.metrics import WEBHOOK_ITEMS, WEBHOOK_SECONDS

log = logging.getLogger("omni.sms.webhook")

PATH: Final = "/twilio/sms"
STATUS_PATH: Final = "/twilio/status"
TWIML: Final = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'
"""Nothing to say: answers go out by themselves."""

Reroute = Callable[[str, str, str], str | None]
"""The agent that a developer's program answers with instead, from organisation, channel id and the caller's number."""
Ends = Callable[[Form], tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class WebhookLimits:
    """`max_body` in bytes, `read_seconds` for a whole body, `patience` are the seconds to wait before each further try
    to store what came, all of them well below Twilio's own 15."""

    max_body: int = 64 * 1024
    read_seconds: float = 5.0
    patience: tuple[float, ...] = (0.1, 0.3, 0.6, 1.0, 1.0, 2.0, 2.0)


def routes(
    directory: Callable[[], Directory],
    bus: Bus,
    partitions: int,
    url: Callable[[], str],
    clock: Callable[[], float] = time.time,
    limits: WebhookLimits | None = None,
    reroute: Reroute = lambda *_: None,
) -> list[web.RouteDef]:
    """The routes of SMS. `directory` returns the newest snapshot of the numbers we serve, `url` our public address
    without a trailing slash: the one Twilio was told, because it is part of what is signed. `reroute` names another
    agent than the number's own for those callers that a developer has claimed."""
    webhook = Webhook(directory, bus, partitions, url, clock, limits or WebhookLimits(), reroute)
    return [web.post(PATH, webhook.message), web.post(STATUS_PATH, webhook.status)]


class Webhook:
    def __init__(
        self,
        directory: Callable[[], Directory],
        bus: Bus,
        partitions: int,
        url: Callable[[], str],
        clock: Callable[[], float],
        limits: WebhookLimits,
        reroute: Reroute,
    ) -> None:
        self._directory = directory
        self._bus = bus
        self._partitions = partitions
        self._url = url
        self._clock = clock
        self._limits = limits
        self._reroute = reroute
        self._name = new_id("sw")  # bus messages are named by this and a number: cheaper than an id each
        self._numbers = count(1)
        self._oddities = PerMinute(clock)

    async def message(self, request: web.Request) -> web.Response:
        """`POST /twilio/sms`."""
        try:
            line, filled = await self._signed(request, payloads.ends)
        except _RefusedError as refused:
            return self._refuse(request, refused)
        started, now = time.perf_counter(), self._clock()
        try:
            made = payloads.message(line, filled, now, own=self._directory().own_keys(line.org))
        except payloads.OddFormError as odd:
            return self._odd("message", str(odd))
        if made is None:
            _items("message", "own_number").inc()
            return _answer(200, TWIML, "text/xml")
        made = self._rerouted(made)
        queue = inbound(partition_of(made.sender.routing, self._partitions)).name
        response = await self._kept(Outgoing(queue=queue, body=pack((made,)), id=self._next()))
        _items(made.type, "taken" if response.status == 200 else "deferred").inc()
        _seconds(response.status).observe(time.perf_counter() - started)
        return response

    async def status(self, request: web.Request) -> web.Response:
        """`POST /twilio/status`."""
        try:
            line, filled = await self._signed(request, payloads.status_ends)
        except _RefusedError as refused:
            return self._refuse(request, refused)
        try:
            update = payloads.status(line, filled, payloads.tracker_of(request.query), self._clock())
        except payloads.OddFormError as odd:
            return self._odd("status", str(odd))
        _items("status", "taken" if update.state is not None else "unknown").inc()
        return await self._kept(Outgoing(queue=STATUSES.name, body=pack_statuses((update,)), id=self._next()))

    async def _signed(self, request: web.Request, ends: Ends) -> tuple[Line, Form]:
        """The form, and the line whose secret signed it. Raises _RefusedError."""
        if len(request.headers.getall(HEADER, ())) != 1:
            raise _RefusedError(401, "no signature header")
        if request.content_type != "application/x-www-form-urlencoded" or "Content-Encoding" in request.headers:
            raise _RefusedError(415, "not a form")
        try:
            filled = form.load(await self._body(request))
        except BadFormError:
            raise _RefusedError(400, "not a readable form") from None
        lines = self._directory().find(*ends(filled))
        if not lines:
            raise _RefusedError(403, "a number, service or account that no agent has")
        if not package.is_installed():
            raise _RefusedError(503, package.MISSING)
        # The path as it was sent: a query belongs to what Twilio was told, and signed.
        line = signer(lines, f"{self._url()}{request.raw_path}", filled, request.headers)
        if line is None:
            raise _RefusedError(403, "wrong signature, or signed for another address than OMNI_PUBLIC_URL's")
        return line, filled

    async def _body(self, request: web.Request) -> bytes:
        """The body's bytes, however long or slow the sender claims or tries to be."""
        cap = self._limits.max_body
        if (request.content_length or 0) > cap:
            raise _RefusedError(413, "body too large")
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.read_seconds):
                while piece := await request.content.readany():
                    body += piece
                    if len(body) > cap:
                        raise _RefusedError(413, "body too large")
        except TimeoutError:
            raise _RefusedError(408, "body too slow") from None
        except (ConnectionError, web.RequestPayloadError):
            raise _RefusedError(400, "body broken off") from None
        return bytes(body)

    def _rerouted(self, made: UserMessage | PersonNotice) -> UserMessage | PersonNotice:
        """The input, for the agent that gets what this person writes."""
        for identity in made.sender.identities:
            agent = self._reroute(made.org, made.channel, identity.value.removeprefix("+"))
            if agent is not None:
                return made.model_copy(update={"agent": agent})
        return made

    async def _kept(self, outgoing: Outgoing) -> web.Response:
        """200 once the bus has it; 503 when the bus stays away for longer than Twilio would wait."""
        for pause in (*self._limits.patience, None):
            try:
                await self._bus.publish((outgoing,))
            except BusError as error:
                if pause is None:
                    log.error("sms webhook: answered 503, the bus did not take it: %s", ascii(str(error))[:300])
                    return _answer(503, b"try again", headers={"Retry-After": "5"})
                await asyncio.sleep(pause)
            else:
                break
        return _answer(200, TWIML, "text/xml")

    def _next(self) -> str:
        return f"{self._name}.{next(self._numbers)}"

    def _odd(self, kind: str, why: str) -> web.Response:
        _items(kind, "malformed").inc()
        if self._oddities.count(why) == 1:
            log.warning("sms webhook: left out a %s: %s", kind, why)
        return _answer(200, TWIML, "text/xml")

    def _refuse(self, request: web.Request, refused: _RefusedError) -> web.Response:
        _items("body", "refused").inc()
        source = ascii(request.remote or "?")[:64]
        if self._oddities.count(f"{source}|{refused.reason}") == 1:
            log.warning("sms webhook: refused a request from %s: %s", source, refused.reason)
        return _answer(refused.status, {401: b"unauthorized", 403: b"forbidden"}.get(refused.status, b"refused"))


class _RefusedError(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def _answer(
    status: int, body: bytes, content_type: str = "text/plain", headers: dict[str, str] | None = None
) -> web.Response:
    return web.Response(status=status, body=body, content_type=content_type, headers=headers)


@lru_cache(maxsize=64)
def _items(kind: str, outcome: str) -> Counter:
    return WEBHOOK_ITEMS.labels(channel="sms", kind=kind, outcome=outcome)


@lru_cache(maxsize=16)
def _seconds(status: int) -> Histogram:
    return WEBHOOK_SECONDS.labels(channel="sms", status=str(status))
