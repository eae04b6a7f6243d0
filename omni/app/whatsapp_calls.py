"""WhatsApp calls at the gateway: what the platform's webhooks tell of them goes to the voice workers.

A webhook is answered as soon as what it brought is on the bus; whoever takes a call does so over Graph. Only a call
that nobody takes is refused from here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

from channels.base import RefusedError
from channels.whatsapp.calling.api import CallsApi
from channels.whatsapp.calling.news import CallNews
from channels.whatsapp.graph import Graph
from omni.bus.base import Bus, BusError, Outgoing
from omni.live.hub import Hub
from omni.live.told import Answered
from omni.model.access import Lease
from omni.model.call import Call
from omni.model.contact import IdentityKind
from omni.model.ids import new_id
from omni.model.inbound import Ask, CallOffered, CallProgress, CallSignal, pack
from omni.model.queues import VOICE, claim_of, end_of, voice_home
from omni.store.base import Store, StoreError
from omni.telemetry.tasks import Tasks
from sessions.commands import Commands

log = logging.getLogger("omni.whatsapp.calls")

SECONDS: Final = 10.0
"""For a voice worker's answer; the platform lets it ring for some thirty."""
STALE_SECONDS: Final = 60.0
"""A call that was made so long ago rings no more."""
REMEMBERED_SECONDS: Final = 180.0
"""So long a call is known to be over that nobody here knew of: the news that it began may come later."""
LOOKS: Final = 40
LOOK_SECONDS: Final = 0.1
"""What is told of a call that we placed may come before it is in the store: it is looked for so often."""
CLOSE_SECONDS: Final = 3.0
NOBODY: Final = (
    "no voice worker runs; start one with omni serve --role voice, and install what calls need: "
    "pip install 'omni-server[local-speech]' (or [voice], with speech services)"
)
BUSY: Final = "all lines are busy"

Reroute = Callable[[str, str, str], str | None]
"""`(org, channel, caller)`: the agent whose developer has claimed this caller."""


class WhatsAppReception:
    """A `channels.whatsapp.calling.reception.Reception`."""

    def __init__(self, hub: Hub, bus: Bus, store: Store, commands: Commands, graph: Graph, reroute: Reroute) -> None:
        self._hub = hub
        self._bus = bus
        self._store = store
        self._commands = commands
        self._graph = graph
        self._api = CallsApi(graph)
        self._reroute = reroute
        self._tasks = Tasks("a WhatsApp call", log)

    async def open(self) -> None:
        await self._graph.open()

    async def close(self) -> None:
        await self._tasks.finish(CLOSE_SECONDS)
        await self._graph.close()

    async def take(self, news: CallNews) -> None:
        match news.step:
            case "offered":
                await self._offer(news)
            case "over":
                await self._over(news)
            case "other":
                log.info("a step of a WhatsApp call that this release does not know: %s", news.event)
            case _:
                await self._signal(news)

    # somebody calls

    async def _offer(self, news: CallNews) -> None:
        """Returns when the call is on the bus; who takes it is seen to in the background."""
        if time.time() - news.sent_at > STALE_SECONDS:
            log.info("the WhatsApp call %s rings no more: it was told of too late", news.call)
            return
        published: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def send(ask: Ask) -> None:
            try:
                await self._bus.publish([Outgoing(VOICE.name, pack((self._offered(news, ask),)), news.call)])
            except BaseException as error:
                published.set_exception(error)
                raise
            published.set_result(None)

        self._tasks.begin(self._see_to(news, send), f"offer {news.call}")
        await published

    def _offered(self, news: CallNews, ask: Ask) -> CallOffered:
        line, now = news.line, time.time()
        numbers = [one.value for one in news.person.identities if one.kind is IdentityKind.WA_ID]
        claimed = self._reroute(line.org, line.channel_id, numbers[0]) if numbers else None
        return CallOffered(
            key=f"call:{news.call}",
            org=line.org,
            agent=claimed or line.agent,
            channel=line.channel.calls_id,
            at=now,
            call=news.call,
            sender=news.person,
            from_=news.address,
            to=line.channel.phone or line.channel.phone_number_id,
            ask=ask,
            until=now + SECONDS,
            sdp=news.sdp or "",
            provider_id=news.provider_id,
        )

    async def _see_to(self, news: CallNews, send: Callable[[Ask], Coroutine[Any, Any, None]]) -> None:
        try:
            why = _refusal(await self._hub.ask(send, timeout=SECONDS))
        except TimeoutError:
            why = await self._nobody()
        except BusError:
            return  # the platform tells of it again
        if why is None:
            return
        log.warning("the WhatsApp call %s is refused: %s", news.call, why)
        try:
            await self._api.reject(news.line.channel, news.provider_id)
        except RefusedError as error:
            log.info("the WhatsApp call %s may be over already: %s", news.call, error)

    async def _nobody(self) -> str:
        try:
            return BUSY if await self._store.leases(voice_home(""), now=time.time()) else NOBODY
        except StoreError as error:
            return f"the store is away: {error}"

    # what becomes of calls

    async def _over(self, news: CallNews) -> None:
        """A call's end can be told before its beginning, by another gateway: it is written down before anybody is
        asked whether they have the call, and whoever takes one looks there after they have said so."""
        now = time.time()
        mark = Lease(name=end_of(news.call), holder=news.call, until=now + REMEMBERED_SECONDS)
        await self._store.take_lease(mark, now=now)
        await self._tell_or_look(news)

    async def _signal(self, news: CallNews) -> None:
        await self._tell_or_look(news)

    async def _tell_or_look(self, news: CallNews) -> None:
        """What is told of a call that nobody knows is dropped, after a look whether we are just placing it."""
        if not await self._told(news) and news.direction != "USER_INITIATED":
            self._tasks.begin(self._look(news), f"look for {news.call}")

    async def _look(self, news: CallNews) -> None:
        try:
            for _ in range(LOOKS):
                await asyncio.sleep(LOOK_SECONDS)
                if await self._told(news):
                    return
        except (BusError, StoreError) as error:
            log.warning("what was told of the WhatsApp call %s got lost: %s", news.call, error)
        else:
            log.info("something was told of a WhatsApp call that is not ours: %s", news.event)

    async def _told(self, news: CallNews) -> bool:
        found = await self._store.call(news.call)
        if found is not None and not found.is_open:
            return True
        head = self._commands.head(found) if found is not None else await self._claimed(news)
        if head is None:
            return False
        more = {**head, "key": new_id("cmd")}
        match news.step:
            case "ringing":
                await self._commands.issue(CallProgress(**head, status="ringing"))
            case "declined":
                declined = CallProgress(**head, status="busy", code="rejected", detail="they declined the call")
                await self._commands.issue_all((declined, CallSignal(**more, is_over=True)))
            case "taken":
                await self._commands.issue(CallSignal(**head, is_taken=True))
            case "described":
                await self._commands.issue(CallSignal(**head, sdp=news.sdp or ""))
            case _:
                ended = CallProgress.model_validate({**head, **_end(news, found)})
                await self._commands.issue_all((ended, CallSignal(**more, is_over=True)))
        return True

    async def _claimed(self, news: CallNews) -> dict[str, Any] | None:
        """How to reach the worker that has a call which is not in its log yet."""
        now, name, line = time.time(), claim_of(news.call), news.line
        worker = next((one.holder for one in await self._store.leases(name, now=now) if one.name == name), None)
        if worker is None:
            return None
        return {
            "key": new_id("cmd"),
            "org": line.org,
            "agent": line.agent,
            "channel": line.channel.calls_id,
            "at": now,
            "call": news.call,
            "home": voice_home(worker),
        }


def _refusal(answered: Answered) -> str | None:
    refused = answered.data.get("refused")
    return None if refused is None else answered.error or BUSY


def _end(news: CallNews, found: Call | None) -> dict[str, str | None]:
    """How a call ended, from what the platform says and how far it was."""
    if found is None or not found.is_ringing or news.duration or news.started_at is not None:
        return {"status": "ended"}
    if news.complaint is not None:
        code = None if news.complaint.code is None else str(news.complaint.code)
        return {"status": "failed", "code": code, "detail": news.complaint.details}
    return {"status": "no_answer", "detail": "nobody took the call"}
