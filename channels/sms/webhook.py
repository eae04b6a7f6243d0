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
from prometheus_client import Histogram

from channels.sms import payloads
from channels.sms.directory import Directory, Line
from channels.twilio.door import TWIML, BodyLimits, Door, RefusedRequest, StatusReader, answer, status_route
from channels.twilio.form import Form
from omni.bus.base import Bus, BusError, Outgoing
from omni.model.delivery import pack_statuses
from omni.model.ids import new_id, partition_of
from omni.model.inbound import PersonNotice, UserMessage, pack
from omni.model.queues import STATUSES, inbound
from omni.telemetry.metrics import WEBHOOK_SECONDS

log = logging.getLogger("omni.sms.webhook")

PATH: Final = "/twilio/sms"
STATUS_PATH: Final = "/twilio/status"

Reroute = Callable[[str, str, str], str | None]
"""The agent that a developer's program answers with instead, from organisation, channel id and the caller's number."""
Ends = Callable[[Form], tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class WebhookLimits(BodyLimits):
    """`patience` are the seconds to wait before each further try to store what came; all limits together stay well
    below Twilio's own 15 seconds."""

    patience: tuple[float, ...] = (0.1, 0.3, 0.6, 1.0, 1.0, 2.0, 2.0)


def routes(
    directory: Callable[[], Directory],
    bus: Bus,
    partitions: int,
    url: Callable[[], str],
    clock: Callable[[], float] = time.time,
    limits: WebhookLimits | None = None,
    reroute: Reroute = lambda *_: None,
    calls: StatusReader | None = None,
) -> list[web.RouteDef]:
    """The routes of SMS. `directory` returns the newest snapshot of the numbers we serve, `url` our public address
    without a trailing slash: the one Twilio was told, because it is part of what is signed. `reroute` names another
    agent than the number's own for those callers that a developer has claimed. `calls` takes what became of telephone
    calls, which is told at the same address."""
    webhook = Webhook(directory, bus, partitions, url, clock, limits or WebhookLimits(), reroute)
    return [
        web.post(PATH, webhook.message),
        status_route(STATUS_PATH, webhook.door, messages=webhook.status, calls=calls),
    ]


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
        self.door = Door("sms", url, clock, limits)
        self._directory = directory
        self._bus = bus
        self._partitions = partitions
        self._clock = clock
        self._patience = limits.patience
        self._reroute = reroute
        self._name = new_id("sw")  # bus messages are named by this and a number: cheaper than an id each
        self._numbers = count(1)

    async def message(self, request: web.Request) -> web.Response:
        """`POST /twilio/sms`."""
        try:
            filled = await self.door.read(request)
            line = self._signed(request, filled, payloads.ends)
        except RefusedRequest as refused:
            return self.door.refuse(request, refused)
        started, now = time.perf_counter(), self._clock()
        try:
            made = payloads.message(line, filled, now, own=self._directory().own_keys(line.org))
        except payloads.OddFormError as odd:
            return self.door.odd("message", str(odd))
        if made is None:
            self.door.count("message", "own_number")
            return answer(200, TWIML, "text/xml")
        made = self._rerouted(made)
        queue = inbound(partition_of(made.sender.routing, self._partitions)).name
        response = await self._kept(Outgoing(queue=queue, body=pack((made,)), id=self._next()))
        self.door.count(made.type, "taken" if response.status == 200 else "deferred")
        _seconds(response.status).observe(time.perf_counter() - started)
        return response

    async def status(self, request: web.Request, filled: Form) -> web.Response:
        """`POST /twilio/status`, of a message. Raises RefusedRequest."""
        line = self._signed(request, filled, payloads.status_ends)
        try:
            update = payloads.status(line, filled, payloads.tracker_of(request.query), self._clock())
        except payloads.OddFormError as odd:
            return self.door.odd("status", str(odd))
        self.door.count("status", "taken" if update.state is not None else "unknown")
        return await self._kept(Outgoing(queue=STATUSES.name, body=pack_statuses((update,)), id=self._next()))

    def _signed(self, request: web.Request, filled: Form, ends: Ends) -> Line:
        return self.door.signed(request, filled, self._directory().find(*ends(filled)))

    def _rerouted(self, made: UserMessage | PersonNotice) -> UserMessage | PersonNotice:
        """The input, for the agent that gets what this person writes."""
        for identity in made.sender.identities:
            agent = self._reroute(made.org, made.channel, identity.value.removeprefix("+"))
            if agent is not None:
                return made.model_copy(update={"agent": agent})
        return made

    async def _kept(self, outgoing: Outgoing) -> web.Response:
        """200 once the bus has it; 503 when the bus stays away for longer than Twilio would wait."""
        for pause in (*self._patience, None):
            try:
                await self._bus.publish((outgoing,))
            except BusError as error:
                if pause is None:
                    log.error("sms webhook: answered 503, the bus did not take it: %s", ascii(str(error))[:300])
                    return answer(503, b"try again", headers={"Retry-After": "5"})
                await asyncio.sleep(pause)
            else:
                break
        return answer(200, TWIML, "text/xml")

    def _next(self) -> str:
        return f"{self._name}.{next(self._numbers)}"


@lru_cache(maxsize=16)
def _seconds(status: int) -> Histogram:
    return WEBHOOK_SECONDS.labels(channel="sms", status=str(status))
