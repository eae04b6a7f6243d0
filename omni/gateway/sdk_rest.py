"""`/api/sdk/*`: which agents are connected, their channels, numbers and voices, as SDK programs and pages ask for them.

Errors are `{"success": false, "error": text}` with a 4xx status.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from aiohttp import web
from pydantic import JsonValue

from omni.access.access import Access
from omni.access.web import TRY_LATER, bearer, for_pages, keyed
from omni.bus.base import Bus, BusError
from omni.live.kicks import kick
from omni.live.online import is_online
from omni.live.presence import Presence, Program
from omni.model.access import ApiKey
from omni.model.agent import Agent
from omni.model.base import DEFAULT_ORG
from omni.model.channel import Channel, PhoneChannel, SipChannel, SmsChannel, WhatsAppChannel
from omni.model.slugs import slug_of
from omni.store.base import StoreError
from sessions.book import Book

NO_CARRIER: Final = "this server has no Twilio account to ask; look at its balance in Twilio's console"


def refused(status: int, text: str) -> web.Response:
    return web.json_response({"success": False, "error": text}, status=status)


class SdkRest:
    """`default_model` is what an agent with a model of the server's has when it names none; with `tells_channels`
    anybody may ask for an agent's channels."""

    def __init__(
        self,
        access: Access,
        book: Book,
        presence: Presence,
        bus: Bus,
        *,
        default_model: str,
        tells_channels: bool,
    ) -> None:
        self._access = access
        self._book = book
        self._presence = presence
        self._bus = bus
        self._default_model = default_model
        self._tells_channels = tells_channels

    def routes(self) -> list[web.RouteDef]:
        public = [web.get("/api/sdk/agent-info/{slug}", self.agent_info), web.get("/api/sdk/voices", self.voices)]
        return [
            *for_pages(public),
            web.get("/api/sdk/agents", keyed(self._access, refused, self.agents)),
            web.delete("/api/sdk/agents/{slug}", keyed(self._access, refused, self.kick)),
            web.get("/api/sdk/phone-numbers", keyed(self._access, refused, self.phone_numbers)),
            web.get("/api/sdk/twilio-balance", keyed(self._access, refused, self.twilio_balance)),
        ]

    async def agents(self, _: web.Request, key: ApiKey) -> web.Response:
        """Those with a program connected now."""
        programs = sorted((p for p in self._presence.everyone() if p.org == key.org), key=lambda each: each.agent)
        found = [(program, self._book.get(key.org, program.agent)) for program in programs]
        body: dict[str, JsonValue] = {
            "success": True,
            "total": len(found),
            "agents": [_connected(program, agent, self._default_model) for program, agent in found],
            "phone_map": {
                number: program.agent
                for program, agent in found
                for number in _numbers(agent.channels if agent else ())
            },
            "dev_overrides": _dev_overrides(programs),
            "dev_callers": _dev_callers(programs),
        }
        return web.json_response(body)

    async def kick(self, request: web.Request, key: ApiKey) -> web.Response:
        """Have the program that is connected for an agent told so, and let go."""
        typed = request.match_info["slug"]
        slug = slug_of(typed)
        await self._presence.refresh()
        program = self._presence.program(key.org, slug)
        if program is None and self._book.get(key.org, slug) is None:
            return refused(404, f"there is no agent {typed[:64]!r}")
        if program is None:
            return refused(404, f"no program is connected for the agent {typed[:64]!r}")
        try:
            await kick(self._bus, program)
        except BusError:
            return refused(503, "the server cannot reach the program's gateway right now; try again in a moment")
        return web.json_response({"success": True, "displaced": slug, "org_id": key.org})

    async def agent_info(self, request: web.Request) -> web.Response:
        """Where an agent can be reached: for a page's list of contacts, so without a key."""
        slug = slug_of(request.match_info["slug"])
        try:
            key = await self._access.keys.find(bearer(request))
        except StoreError:
            return refused(503, TRY_LATER)
        if key is None and not self._tells_channels:
            return refused(401, "this server tells an agent's channels to bearers of an API key only")
        agents = [self._book.get(key.org, slug)] if key is not None else _named(self._book.everyone(), slug)
        for agent in agents:
            if agent is not None and is_online(self._presence, agent.org, slug, agent):
                return web.json_response({"agent": slug, "channels": _contacts(agent.channels)})
        return refused(404, f"Agent '{slug}' is not online")

    async def phone_numbers(self, _: web.Request, key: ApiKey) -> web.Response:
        phones: list[JsonValue] = [
            {"number": channel.number, "name": agent.name or agent.slug, "sid": channel.id, "isSdk": True}
            for agent in sorted(self._book.everyone(), key=lambda each: each.slug)
            if agent.org == key.org
            for channel in agent.channels
            if isinstance(channel, PhoneChannel)
        ]
        return web.json_response({"success": True, "total": len(phones), "phones": phones})

    async def voices(self, _: web.Request) -> web.Response:
        """The voices that agents can speak with: none, until this server speaks."""
        return web.json_response({"success": True, "total": 0, "voices": []})

    async def twilio_balance(self, _: web.Request, __: ApiKey) -> web.Response:
        return refused(501, NO_CARRIER)


def _connected(program: Program, agent: Agent | None, default_model: str) -> JsonValue:
    channels = agent.channels if agent is not None else ()
    return {
        "slug": program.agent,
        "org_id": program.org,
        "active": True,
        "voice": agent.audio.get("voice") if agent is not None else None,
        "model": _model(agent, default_model) if agent is not None else None,
        "phones": list(_numbers(channels)),
        "channels": {
            kind: {
                "count": sum(channel.kind == kind for channel in channels),
                "refs": [ref for channel in channels if channel.kind == kind and (ref := _ref(channel))],
            }
            for kind in dict.fromkeys(channel.kind for channel in channels)
        },
    }


def _model(agent: Agent, default_model: str) -> str | None:
    return agent.llm.model or (default_model if agent.brain == "llm" else None)


def _numbers(channels: Iterable[Channel]) -> list[str]:
    return [channel.number for channel in channels if isinstance(channel, PhoneChannel)]


def _ref(channel: Channel) -> str | None:
    """The number or address that people reach a channel at, when it has one."""
    match channel:
        case PhoneChannel() | SmsChannel():
            return channel.number
        case WhatsAppChannel():
            return channel.phone or channel.phone_number_id
        case SipChannel():
            return channel.uri
        case _:
            return None


def _contacts(channels: Iterable[Channel]) -> list[JsonValue]:
    """`{"type": …}` for each way to reach an agent; phone numbers are one way, however many there are."""
    contacts: list[JsonValue] = [{"type": kind} for kind in ("webrtc", "chat", "mic") if _has(channels, kind)]
    numbers: list[JsonValue] = [*_numbers(channels)]
    if numbers:
        contacts.append({"type": "phone", "numbers": numbers})
    contacts += [{"type": "whatsapp", "phone": c.phone} for c in channels if isinstance(c, WhatsAppChannel) and c.phone]
    return contacts


def _has(channels: Iterable[Channel], kind: str) -> bool:
    return any(channel.kind == kind for channel in channels)


def _dev_overrides(programs: Iterable[Program]) -> JsonValue:
    """Which program wants the calls of its own callers to a number that is somebody else's."""
    wanted: dict[str, JsonValue] = {
        channel.partition(":")[2]: each.agent for each in programs for channel in sorted(each.overrides)
    }
    return wanted or None


def _dev_callers(programs: Iterable[Program]) -> JsonValue:
    callers: list[JsonValue] = [*sorted({caller for each in programs for caller in each.callers})]
    return callers or None


def _named(agents: Iterable[Agent], slug: str) -> list[Agent | None]:
    """The agents of that name, those of the default organisation first."""
    found = [agent for agent in agents if agent.slug == slug]
    return [*sorted(found, key=lambda each: (each.org != DEFAULT_ORG, each.org))]
