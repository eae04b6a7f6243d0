"""The webhook's two handlers: the handshake (GET), and taking what the platform posts (POST).

A POST is answered 200 when everything it brought survives `kill -9`, and before anything is done about it. Anything
else but 200 makes the platform send the same again, for days: so odd items never change the answer, and an
unreachable bus does (503).

Source: the platform's webhook pages: signature, at most 3 MB and 1,000 updates a POST, no order, at least once.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import Any, Final

from aiohttp import web
from prometheus_client import Counter, Histogram

from channels.per_minute import PerMinute
from channels.whatsapp import payloads
from channels.whatsapp.batch import Batch, PersonInput
from channels.whatsapp.body import BadBodyError, load, load_odd
from channels.whatsapp.calling.reception import Reception
from channels.whatsapp.directory import Directory
from channels.whatsapp.notices import SEVERE
from channels.whatsapp.signature import HEADER, SignatureMissingError, SignatureWrongError, claimed_digest
from omni.bus.base import Bus, BusError, BusFullError, Outgoing
from omni.model.contact import IdentityKind
from omni.model.delivery import StatusUpdate, pack_statuses
from omni.model.ids import new_id, partition_of
from omni.model.inbound import AnyInput, pack
from omni.model.queues import STATUSES, inbound
from omni.store.base import StoreError
from omni.telemetry.metrics import WEBHOOK_ITEMS, WEBHOOK_SECONDS

log = logging.getLogger("omni.whatsapp.webhook")

PATH: Final = "/whatsapp/webhook"
STATUSES_PER_MESSAGE = 200
INPUTS_PER_MESSAGE = 200
Reroute = Callable[[str, str, str], str | None]
"""The agent that a developer's program answers with instead, from organisation, channel id and the caller's number."""

_FORBIDDEN: Final = b"forbidden"
_MAX_CHALLENGE = 256
_LONG_BODY = 128 * 1024


@dataclass(frozen=True, slots=True)
class WebhookLimits:
    """`max_body` in bytes, `max_reading` in bytes for all bodies that are still arriving (nobody knows yet whether
    they are signed), `read_seconds` for a whole body, `handshakes` wrong ones a minute from one address,
    `retry_after` in seconds for a POST that we cannot store now."""

    max_body: int = 4 * 1024 * 1024
    max_reading: int = 128 * 1024 * 1024
    read_seconds: float = 10.0
    handshakes: int = 30
    retry_after: int = 5


def routes(
    directory: Callable[[], Directory],
    bus: Bus,
    partitions: int,
    clock: Callable[[], float] = time.time,
    limits: WebhookLimits | None = None,
    is_pressed: Callable[[], bool] = lambda: False,
    reroute: Reroute = lambda *_: None,
    calls: Reception | None = None,
) -> list[web.RouteDef]:
    """The routes of `/whatsapp/webhook`. `directory` returns the newest snapshot of the numbers we serve.

    The body's cap is read here and does not depend on the application's `client_max_size`. While `is_pressed` says so,
    POSTs are answered 503 before anything is done for them: the platform keeps them and sends them again. `reroute`
    names another agent than the number's own for those callers that a developer has claimed. `calls` carries the calls
    of the numbers that take some.
    """
    webhook = Webhook(directory, bus, partitions, clock, limits or WebhookLimits(), is_pressed, reroute, calls)
    return [web.get(PATH, webhook.handshake, allow_head=False), web.post(PATH, webhook.receive)]


class Webhook:
    def __init__(
        self,
        directory: Callable[[], Directory],
        bus: Bus,
        partitions: int,
        clock: Callable[[], float],
        limits: WebhookLimits,
        is_pressed: Callable[[], bool] = lambda: False,
        reroute: Reroute = lambda *_: None,
        calls: Reception | None = None,
    ) -> None:
        self._calls = calls
        self._is_pressed = is_pressed
        self._reroute = reroute
        self._directory = directory
        self._bus = bus
        self._partitions = partitions
        self._queues = tuple(inbound(n).name for n in range(partitions))
        self._clock = clock
        self._limits = limits
        self._name = new_id("wh")  # bus messages are named by this and a number: cheaper than an id each
        self._numbers = count(1)
        self._reading = 0
        self._refusals = PerMinute(clock)
        self._guesses = PerMinute(clock)
        self._oddities = PerMinute(clock)

    async def handshake(self, request: web.Request) -> web.Response:
        """Answers the challenge when the token is one of ours."""
        source = request.remote or "?"
        query = request.query
        modes, tokens = query.getall("hub.mode", []), query.getall("hub.verify_token", [])
        challenges = query.getall("hub.challenge", [])
        if self._guesses.seen(source) >= self._limits.handshakes:
            return _forbid()
        if modes != ["subscribe"] or len(tokens) != 1 or len(challenges) != 1 or not self._knows(tokens[0]):
            self._guesses.count(source)
            self._refuse(source, "handshake with a wrong token or incomplete")
            return _forbid()
        challenge = challenges[0]
        if not challenge or len(challenge) > _MAX_CHALLENGE or not challenge.isascii() or not challenge.isprintable():
            return _forbid()
        return web.Response(
            text=challenge, content_type="text/plain", charset="utf-8", headers={"X-Content-Type-Options": "nosniff"}
        )

    def _knows(self, token: str) -> bool:
        given = token.encode("utf-8", "replace")
        known = False
        for expected in self._directory().verify_tokens:
            known |= hmac.compare_digest(given, expected)
        return known

    async def receive(self, request: web.Request) -> web.Response:
        """Check, store, acknowledge."""
        if self._is_pressed():
            return self._later("pressed")
        try:
            claimed = claimed_digest(request.headers.getall(HEADER, ()))
            body = await self._body(request)
            started = time.perf_counter()
            directory = self._directory()
            if len(body) < _LONG_BODY:
                secret = directory.secrets.match(body, claimed)
            else:  # megabytes that anybody may send must not hold the event loop, once for every secret
                secret = await asyncio.to_thread(directory.secrets.match, body, claimed)
        except SignatureMissingError:
            self._refuse(request.remote or "?", "no signature header")
            return _answer(401, b"unauthorized")
        except SignatureWrongError:
            self._refuse(request.remote or "?", "wrong signature")
            return _forbid()
        except _BodyRefusedError as refused:
            self._refuse(request.remote or "?", refused.reason)
            return _answer(refused.status, refused.reason.encode())
        response = await self._take(directory, secret, body)
        _seconds(response.status).observe(time.perf_counter() - started)
        return response

    async def _body(self, request: web.Request) -> bytes:
        """The body's bytes exactly as sent, however long or slow the sender claims or tries to be."""
        cap = self._limits.max_body
        if (request.content_length or 0) > cap:
            raise _BodyRefusedError(413, "body too large")
        if "Content-Encoding" in request.headers:
            raise _BodyRefusedError(415, "encoded body")  # the platform signs and sends plain bytes
        stream = request.content
        if stream.is_eof():  # the whole body came with the headers
            body = stream.read_nowait()
            if len(body) > cap:
                raise _BodyRefusedError(413, "body too large")
            return body
        pieces: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._limits.read_seconds):
                while piece := await stream.readany():
                    size += len(piece)
                    self._reading += len(piece)
                    if size > cap:
                        raise _BodyRefusedError(413, "body too large")
                    if self._reading > self._limits.max_reading:
                        raise _BodyRefusedError(503, "too many bodies at once")
                    pieces.append(piece)
        except TimeoutError:
            raise _BodyRefusedError(408, "body too slow") from None
        except (ConnectionError, web.RequestPayloadError):
            raise _BodyRefusedError(400, "body broken off") from None
        finally:
            self._reading -= size
        return b"".join(pieces)

    async def _take(self, directory: Directory, secret: int, body: bytes) -> web.Response:
        now = self._clock()
        try:
            document = load(body)
        except BadBodyError:
            try:
                document = await asyncio.to_thread(load_odd, body)
            except BadBodyError as bad:
                _items("body", "not_json").inc()
                if self._oddities.count("not json") == 1:
                    log.warning("whatsapp webhook: signed, but not JSON: %s", ascii(str(bad))[:200])
                return _answer(400, b"not json")
        batch = payloads.read(document, now, find=directory.find, secret=secret, own=directory.own_keys)
        batch.inputs = [self._rerouted(one) for one in batch.inputs]
        messages = self._messages(batch)
        if messages:
            try:
                await self._bus.publish(messages)
                await self._carry(batch)
            except BusFullError:
                return self._later("full")
            except BusError as error:
                if self._oddities.count("bus unavailable") == 1:
                    log.error("whatsapp webhook: answered 503, the bus did not take it: %s", ascii(str(error))[:300])
                return self._later("bus")
            except StoreError as error:
                if self._oddities.count("store unavailable") == 1:
                    log.error("whatsapp webhook: answered 503, the store did not answer: %s", ascii(str(error))[:300])
                return self._later("store")
        for (kind, outcome), number in batch.counts.items():
            _items(kind, outcome).inc(number)
        if batch.news or batch.notes:
            self._report(batch)
        return _answer(200, b"ok")

    async def _carry(self, batch: Batch) -> None:
        """Calls, after what they are for the person's conversation: each of them is there (`batch.inputs`) as well."""
        if self._calls is not None:
            for news in batch.calls:
                await self._calls.take(news)

    def _rerouted(self, one: PersonInput) -> PersonInput:
        """The input, for the agent that gets what this person writes."""
        for identity in one.sender.identities:
            if identity.kind in (IdentityKind.WA_ID, IdentityKind.PHONE):
                agent = self._reroute(one.org, one.channel, identity.value)
                if agent is not None:
                    return one.model_copy(update={"agent": agent})
        return one

    def _messages(self, batch: Batch) -> list[Outgoing]:
        """One bus message for each partition that the inputs touch, and statuses in their own lane."""
        if not batch.inputs and not batch.statuses:
            return []
        name = f"{self._name}.{next(self._numbers)}"
        if len(batch.inputs) == 1 and not batch.statuses:
            only = batch.inputs[0]
            queue = self._queues[partition_of(only.sender.routing, self._partitions)]
            return [Outgoing(queue=queue, body=pack((only,)), id=name)]
        lanes: dict[int, list[AnyInput]] = {}
        for one in batch.inputs:
            lanes.setdefault(partition_of(one.sender.routing, self._partitions), []).append(one)
        messages: list[Outgoing] = []
        for lane, inputs in lanes.items():
            for start in range(0, len(inputs), INPUTS_PER_MESSAGE):
                chunk = pack(tuple(inputs[start : start + INPUTS_PER_MESSAGE]))
                messages.append(Outgoing(queue=self._queues[lane], body=chunk, id=f"{name}-{len(messages)}"))
        for start in range(0, len(batch.statuses), STATUSES_PER_MESSAGE):
            updates: tuple[StatusUpdate, ...] = tuple(batch.statuses[start : start + STATUSES_PER_MESSAGE])
            messages.append(Outgoing(queue=STATUSES.name, body=pack_statuses(updates), id=f"{name}-{len(messages)}"))
        return messages

    def _later(self, why: str) -> web.Response:
        _items("body", f"deferred_{why}").inc()
        return _answer(503, b"try again", {"Retry-After": str(self._limits.retry_after)})

    def _refuse(self, source: str, reason: str) -> None:
        """Log a refusal once a minute and address; count all of them."""
        _items("body", "refused").inc()
        if self._refusals.count(f"{source}|{reason}") == 1:
            log.warning("whatsapp webhook: refused a request from %s: %s", ascii(source)[:64], reason)

    def _report(self, batch: Batch) -> None:
        for note in batch.notes:
            if self._oddities.count(note.about) == 1:
                log.warning("whatsapp webhook: left out an item: %s: %s", note.about, note.text)
        for news in batch.news:
            facts: dict[str, Any] = {"account": ascii(news.account)[:40], "field": news.field, "event": news.event}
            if news.complaint is not None:
                facts |= {"code": news.complaint.code, "details": news.complaint.details}
            level = logging.WARNING if news.complaint is not None or news.event in SEVERE else logging.INFO
            log.log(level, "whatsapp account: %s", json.dumps(facts)[:600])


class _BodyRefusedError(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def _answer(status: int, body: bytes, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(status=status, body=body, headers=headers)


def _forbid() -> web.Response:
    return _answer(403, _FORBIDDEN)


@lru_cache(maxsize=256)
def _items(kind: str, outcome: str) -> Counter:
    return WEBHOOK_ITEMS.labels(channel="whatsapp", kind=kind, outcome=outcome)


@lru_cache(maxsize=16)
def _seconds(status: int) -> Histogram:
    return WEBHOOK_SECONDS.labels(channel="whatsapp", status=str(status))
