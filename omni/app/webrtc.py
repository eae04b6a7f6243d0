"""Browser calls at the gateway: their pages, and what is asked of the voice workers."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from typing import Final

from aiohttp import hdrs, web

from channels.hosted import HostedPages
from channels.webrtc.admission import Admission
from channels.webrtc.offer import Offers
from channels.webrtc.page import CALLS
from channels.webrtc.reception import Answer, BrowserCall, Refuse
from omni.access.asking import Asking
from omni.access.web import address_of, server_url
from omni.app.parts import Parts
from omni.bus.base import Bus, BusError, Outgoing
from omni.gateway.client.configs.agent import overrides_of
from omni.live.hub import Hub
from omni.live.told import Answered
from omni.model.behaviour import Overrides
from omni.model.inbound import Ask, CallOffered, OfferedAgain, pack
from omni.model.queues import VOICE
from omni.store.base import Store
from sessions.commands import Commands

log = logging.getLogger("omni.webrtc")

SECONDS: Final = 10.0
"""For a voice worker's answer."""
WORKERS: Final = "voice:"
"""Names of the leases of voice workers."""
NOBODY: Final = "this server takes no calls: no voice worker runs (docs/browser-calls.md says what it needs)"
BUSY: Final = "all lines are busy; try again in a moment"


class BrowserReception:
    """A `channels.webrtc.reception.Reception`: whichever voice worker has room answers."""

    def __init__(self, hub: Hub, bus: Bus, store: Store, commands: Commands) -> None:
        self._hub = hub
        self._bus = bus
        self._store = store
        self._commands = commands

    async def offer(self, call: BrowserCall) -> Answer | Refuse:
        agent, now = call.caller.agent, time.time()
        try:
            overrides = overrides_of(dict(call.config)) if call.config else None
            if call.caller.token is not None and call.caller.token.vars:
                overrides = (overrides or Overrides()).model_copy(update={"vars": call.caller.token.vars})
        except ValueError as error:
            return Refuse("bad", str(error))
        if not await self._store.leases(WORKERS, now=now):
            return Refuse("nobody", NOBODY)

        async def send(ask: Ask) -> None:
            offered = CallOffered(
                key=f"call:{call.call}",
                org=agent.org,
                agent=agent.slug,
                channel="webrtc",
                at=now,
                call=call.call,
                sender=call.caller.sender,
                from_="webrtc",
                to=agent.slug,
                ask=ask,
                until=now + SECONDS,
                opening=call.opening,
                overrides=overrides,
                sdp=call.sdp,
            )
            await self._bus.publish([Outgoing(VOICE.name, pack((offered,)), call.call)])

        return await self._answered(send, call.call)

    async def back(self, call: str, sdp: str) -> Answer | Refuse:
        found = await self._store.call(call)
        if found is None or not found.is_open:
            return Refuse("over", "the call is over; call again")

        async def send(ask: Ask) -> None:
            await self._commands.issue(OfferedAgain(**self._commands.head(found), sdp=sdp, ask=ask))

        return await self._answered(send, call)

    async def _answered(self, send: Callable[[Ask], Awaitable[None]], call: str) -> Answer | Refuse:
        try:
            answered = await self._hub.ask(send, timeout=SECONDS)
        except TimeoutError:
            log.warning("no voice worker took the browser call %s", call)
            return Refuse("busy", BUSY)
        except BusError as error:
            log.warning("the browser call %s could not be offered: %s", call, error)
            return Refuse("busy", BUSY)
        return _read(answered)


def _read(answered: Answered) -> Answer | Refuse:
    sdp, refused = answered.data.get("sdp"), answered.data.get("refused")
    if isinstance(sdp, str):
        return Answer(sdp)
    if refused == "over":
        return Refuse("over", answered.error or "the call is over")
    if refused == "rejected" and answered.error is not None:
        return Refuse("bad", answered.error)
    return Refuse("busy", answered.error or BUSY)


async def webrtc(parts: Parts, _: AsyncExitStack) -> Iterable[web.RouteDef]:
    settings = parts.settings

    def asking(request: web.Request) -> Asking:
        return Asking(
            address=address_of(request, settings.proxies),
            origin=request.headers.get(hdrs.ORIGIN),
            own_origin=server_url(request, settings.public_url, settings.proxies),
        )

    admission = Admission(parts.access, parts.book.everyone)
    reception = BrowserReception(parts.hub, parts.engines.bus, parts.engines.store, parts.commands)
    secret = settings.turn_secret
    offers = Offers(
        admission,
        reception,
        asking,
        settings.ice_urls,
        secret.get_secret_value() if secret is not None else None,
    )
    return [*offers.routes(), *HostedPages(CALLS, parts.book.everyone, asking).routes()]
