"""Telephone calls at the gateway: what the carrier's webhooks ask of the voice workers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from channels.phone.reception import Admission, Answer, CallProgress, IncomingCall, Refuse, ReturnedCall
from omni.bus.base import Bus, BusError, Outgoing
from omni.live.hub import Hub
from omni.model.call import Call
from omni.model.callers import on_the_line
from omni.model.ids import new_id
from omni.model.inbound import Ask, CallOffered, pack
from omni.model.inbound import CallProgress as Progressed
from omni.model.queues import VOICE, claim_of, voice_home
from omni.store.base import Store, StoreError
from sessions.commands import Commands

log = logging.getLogger("omni.phone")

SECONDS: Final = 8.0
"""For a voice worker's answer, of the ten that the webhook has."""

LOOKS: Final = 20
LOOK_SECONDS: Final = 0.1
"""A call that we placed may be reported before it is in the store: it is looked for so often."""

_STATUS: Final = {"no-answer": "no_answer"}

Reroute = Callable[[str, str, str], str | None]
"""`(org, channel, caller)`: the agent whose developer has claimed this caller."""


class BusReception:
    """Whichever voice worker has room answers."""

    def __init__(self, hub: Hub, bus: Bus, store: Store, commands: Commands, reroute: Reroute) -> None:
        self._hub = hub
        self._bus = bus
        self._store = store
        self._commands = commands
        self._reroute = reroute

    async def offer(self, call: IncomingCall) -> Admission:
        now, channel = time.time(), call.channel.id

        async def send(ask: Ask) -> None:
            offered = CallOffered(
                key=f"call:{call.call}",
                org=call.org,
                agent=self._reroute(call.org, channel, call.from_) or call.agent,
                channel=channel,
                at=now,
                call=call.call,
                sender=on_the_line(call.from_, call.call, call.caller_name),
                from_=call.from_,
                to=call.to,
                ask=ask,
                until=now + SECONDS,
            )
            await self._bus.publish([Outgoing(VOICE.name, pack((offered,)), call.call)])

        return await self._admission(send, call.call)

    async def returned(self, call: ReturnedCall) -> Admission:
        found = await self._store.call(call.call)
        if found is None or not found.is_open:
            return Refuse("rejected")

        async def send(ask: Ask) -> None:
            head = self._commands.head(found)
            await self._commands.issue(Progressed(**head, status="not_forwarded", detail=call.why, ask=ask))

        return await self._admission(send, call.call)

    async def progress(self, progress: CallProgress) -> None:
        if progress.status == "not_forwarded":
            return  # who comes back says so (`returned`)
        found = await self._placed(progress.call)
        head = self._commands.head(found) if found is not None else await self._taken(progress)
        if head is None or (found is not None and not found.is_open):
            return
        told = {
            "status": _STATUS.get(progress.status, progress.status),
            "sequence": progress.sequence or 0,
            "code": progress.code,
            "detail": progress.detail,
        }
        await self._commands.issue(Progressed.model_validate({**head, **told}))

    async def _taken(self, progress: CallProgress) -> dict[str, Any] | None:
        """How to reach the worker that took a call whose sound has not come: whoever hung up so soon must not have a
        place there for a minute."""
        now, name = time.time(), claim_of(progress.call)
        worker = next((one.holder for one in await self._store.leases(name, now=now) if one.name == name), None)
        if worker is None:
            return None
        return {
            "key": new_id("cmd"),
            "org": progress.org,
            "agent": progress.agent,
            "channel": progress.channel.id,
            "at": now,
            "call": progress.call,
            "home": voice_home(worker),
        }

    async def _placed(self, call: str) -> Call | None:
        for _ in range(LOOKS):
            found = await self._store.call(call)
            if found is not None:
                return found
            await asyncio.sleep(LOOK_SECONDS)
        return None

    async def _admission(self, send: Callable[[Ask], Awaitable[None]], call: str) -> Admission:
        try:
            answered = await self._hub.ask(send, timeout=SECONDS)
        except TimeoutError:
            log.warning("no voice worker took the call %s", call)
            return Refuse("busy")
        except (BusError, StoreError) as error:
            log.warning("the call %s could not be offered: %s", call, error)
            return Refuse("busy")
        token, url = answered.data.get("token"), answered.data.get("media_url")
        if isinstance(token, str) and isinstance(url, str):
            return Answer(token, url)
        return Refuse("rejected" if answered.data.get("refused") == "rejected" else "busy")
