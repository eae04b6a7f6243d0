"""Calls that a program places. Whatever becomes of one, the program hears `call.started` or `call.ended` of it in less
than 30 seconds: it hears nothing else, and waits no longer."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Any, Final

from pydantic import JsonValue

from omni.bus.base import BusError, Outgoing
from omni.gateway.client.agents import Agents
from omni.gateway.client.calling import target
from omni.gateway.client.codec import answers
from omni.gateway.client.codec.view import PROGRAM, Event
from omni.gateway.client.configs.agent import overrides_of
from omni.gateway.client.configs.reading import ConfigError
from omni.gateway.client.frames import CallBridge, CallDial
from omni.gateway.client.gear import Gear
from omni.gateway.client.refs import ids_of
from omni.gateway.client.sockets import Socket
from omni.live.told import Answered
from omni.model.agent import Agent
from omni.model.behaviour import Overrides
from omni.model.callers import on_the_line, on_whatsapp
from omni.model.channel import CallingChannel, WhatsAppChannel, calls_of, can_dial, shown_as, written_id
from omni.model.contact import Sender
from omni.model.ids import new_call_id
from omni.model.inbound import Ask, Dial, Opening, pack
from omni.model.queues import VOICE, voice_home
from omni.store.base import StoreError

NO_VOICE: Final = "this server has no voice worker, so nobody can be called; start one with omni serve --role voice"
NOBODY: Final = "no voice worker took the call in time; start one with omni serve --role voice, or add machines"
BRIDGING: Final = "this server does not join the calls of two agents; give the caller to a number with call.forward"
OUTCOMES: Final = ("busy", "no-answer", "canceled", "rejected")
LOOK_EVERY: Final = 0.25
SHORTEST: Final = 10.0
"""Seconds that a call rings at least."""
AT_ONCE: Final = 1_000
"""Calls that a socket places at once, and typed numbers that are remembered."""


class Dialling:
    def __init__(self, gear: Gear, socket: Socket, agents: Agents) -> None:
        self._gear = gear
        self._socket = socket
        self._agents = agents
        self._tasks: set[asyncio.Task[None]] = set()
        self._typed: OrderedDict[str, str] = OrderedDict()

    async def close(self) -> None:
        """Calls that were asked for are placed all the same."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def dial(self, frame: CallDial) -> None:
        """Begin to call, or say at once why not. Raises StoreError."""
        try:
            if len(self._tasks) >= AT_ONCE:
                raise ConfigError(f"{AT_ONCE} calls are being placed already; wait for some of them")
            dial = await self._read(frame)
        except ConfigError as error:
            self._fail(frame, {"from": frame.from_ or "", "to": frame.to}, "failed", str(error))
            return
        if dial.to != frame.to:
            self._typed[dial.to] = frame.to
            if len(self._typed) > AT_ONCE:
                self._typed.popitem(last=False)
        task = asyncio.create_task(self._place(frame, dial), name=f"place a call of {dial.agent}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def bridge(self, frame: CallBridge) -> None:
        self._fail(frame, {"from": frame.agent_id, "to": frame.target}, "failed", BRIDGING)

    def as_typed(self, event: Event) -> Event:
        """An event of a call that was placed, with the number as the program wrote it: by that it knows its call."""
        typed = self._typed.get(event.get("to", ""))
        return event if typed is None else event | {"to": typed}

    async def _read(self, frame: CallDial) -> Dial:
        """Raises ConfigError and StoreError."""
        registration = self._agents.find(frame.agent_id)
        if registration is None:
            raise ConfigError(f"this program has no agent {frame.agent_id[:64]!r}; create it first")
        agent = await self._gear.store.agent(self._socket.org, registration.slug)
        channel = _channel(agent, frame.from_)
        to = target(frame.to)
        overrides = overrides_of(frame.config or {})
        key = self._gear.new_id("dial")
        return Dial(
            key=key,
            org=self._socket.org,
            agent=registration.slug,
            channel=calls_of(channel),
            at=self._gear.clock(),
            person=_person(channel, to, self._socket.org, key),
            from_=shown_as(channel),
            to=to,
            by=PROGRAM,
            greeting=frame.greeting or "",  # the agent's own is for those who call it
            waits=bool(frame.detect_turn_end),
            opening=Opening(metadata=frame.metadata or {}, language=overrides.language),
            overrides=overrides if overrides != Overrides() else None,
        )

    async def _place(self, frame: CallDial, dial: Dial) -> None:
        try:
            answered = await self._asked(dial) if await self._has_voice(dial) else Answered(id="", error=NO_VOICE)
        except (BusError, StoreError) as error:
            answered = Answered(id="", error=f"the call could not be asked for: {error}")
        if answered.error is not None and "call" not in answered.data:  # a call tells of its end itself
            ends = {"from": frame.from_ or dial.from_, "to": frame.to}
            self._fail(frame, ends, _outcome(answered.data.get("outcome")), answered.error)

    async def _has_voice(self, dial: Dial) -> bool:
        """Whether a voice worker lives; one that comes up with the agent's first number takes a moment."""
        until = dial.at + self._gear.timing.voice_start
        while not await self._gear.store.leases(voice_home(""), now=(now := self._gear.clock())):
            if now >= until:
                return False
            await asyncio.sleep(LOOK_EVERY)
        return True

    async def _asked(self, dial: Dial) -> Answered:
        now = self._gear.clock()

        async def send(ask: Ask) -> None:
            late = max(0.0, now - dial.at)
            asking = {"ask": ask, "until": now + self._gear.timing.dial_start, "ring": max(SHORTEST, dial.ring - late)}
            await self._gear.bus.publish([Outgoing(VOICE.name, pack((dial.model_copy(update=asking),)), dial.key)])

        try:
            return await self._gear.hub.ask(send, timeout=self._gear.timing.dial)
        except TimeoutError:
            return Answered(id="", error=NOBODY)

    def _fail(self, frame: CallDial | CallBridge, ends: dict[str, str], reason: str, sentence: str) -> None:
        call, now = new_call_id("CA"), self._gear.clock()
        about: dict[str, Any] = {"metadata": frame.metadata, "reason": reason, "sentence": sentence}
        self._socket.send(answers.dial_failed(frame.agent_id, call, ends, now, **about))


def _outcome(outcome: JsonValue) -> str:
    return str(outcome) if outcome in OUTCOMES else "failed"


def _channel(agent: Agent | None, typed: str | None) -> CallingChannel:
    """The agent's number that the call comes from; WhatsApp only where it is named, or there is no telephone. Raises
    ConfigError."""
    able = [one for one in (agent.channels if agent is not None else ()) if can_dial(one)]
    if typed is not None and typed.strip():
        known = {written_id(one) for one in ids_of(typed)}
        ours = [one for one in able if one.id in known or shown_as(one) == typed.strip()]
        if not ours:
            raise ConfigError(f"{typed[:64]!r} is no number of this agent; add it as a phone channel first")
    else:
        ours = [one for one in able if not isinstance(one, WhatsAppChannel)] or able
    if len(ours) != 1:
        raise ConfigError(f"the agent has {len(ours)} numbers; say with `from` which one to call from")
    return ours[0]


def _person(channel: CallingChannel, to: str, org: str, key: str) -> Sender:
    """Whoever is called on WhatsApp is who writes there."""
    return on_whatsapp(to, org) if isinstance(channel, WhatsAppChannel) else on_the_line(to, key)
