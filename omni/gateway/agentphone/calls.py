"""`/v1/calls`: spoken calls, as far as this server has any: list, get, transcript; place and end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiohttp import web
from pydantic import JsonValue

from omni.gateway.agentphone.agents import AgentOperations
from omni.gateway.agentphone.answers import answer, page
from omni.gateway.agentphone.asking import Asked, Operation
from omni.gateway.agentphone.call_making import CallMaking
from omni.gateway.agentphone.call_mapping import VOICE, direction, ends, rows, shown_call, status, turns
from omni.gateway.agentphone.call_shapes import CallList
from omni.gateway.agentphone.dialling import Dialler
from omni.gateway.agentphone.errors import Refusal, missing
from omni.gateway.agentphone.numbers import Numbers
from omni.gateway.agentphone.reading import Talk
from omni.gateway.agentphone.shapes import MOUNT, Window
from omni.gateway.agentphone.talks import PublicUrl, Talks
from omni.gateway.agentphone.transcripts import TranscriptStream
from omni.gateway.rest.calls.ending import end_call
from omni.gateway.rest.calls.recordings import send_recording
from omni.gateway.rest.kit import RestKit
from omni.model.call import Call
from omni.model.entry import Entry
from omni.model.numbers import digits
from omni.model.transcript import lines_of
from omni.store.rest import CallQuery

FARTHEST: Final = 10_000
"""Calls that a list goes through at most."""
PAGE: Final = 500


class CallOperations:
    def __init__(
        self,
        kit: RestKit,
        agents: AgentOperations,
        numbers: Numbers,
        talks: Talks,
        dialler: Dialler,
        url: PublicUrl,
    ) -> None:
        self._kit = kit
        self._agents = agents
        self._numbers = numbers
        self._talks = talks
        self._making = CallMaking(kit, agents, numbers, dialler, self._whole)
        self._url = url
        self._stream = TranscriptStream(kit)

    def operations(self) -> list[Operation]:
        one = "/v1/calls/{call}"
        return [
            Operation("GET", "/v1/calls", self.every),
            *self._making.operations(),
            Operation("GET", "/v1/agents/{agent}/calls", self.of_agent),
            Operation("GET", "/v1/numbers/{number}/calls", self.of_number),
            Operation("GET", one, self.get),
            Operation("POST", f"{one}/end", self.end),
            Operation("GET", f"{one}/transcript", self.transcript),
            Operation("GET", f"{one}/transcript/stream", self.stream),
            Operation("GET", f"{one}/recording", self.recording),
        ]

    async def every(self, asked: Asked) -> web.Response:
        """Newest first."""
        query = asked.query(CallList)
        wanted = [
            talk
            for talk in await self._talks.talks(await self._voice_calls(asked.org))
            if query.status in (None, status(talk.call))
            and query.direction in (None, direction(talk.call))
            and query.type in (None, "web" if direction(talk.call) == "web" else "pstn")
            and _has(talk, query.search)
        ]
        return await self._listed(wanted, query)

    async def of_agent(self, asked: Asked) -> web.Response:
        agent = await self._agents.find(asked.org, asked.named("agent"))
        calls = await self._voice_calls(asked.org, agent=agent.slug)
        return await self._listed(await self._talks.talks(calls), asked.query(Window))

    async def of_number(self, asked: Asked) -> web.Response:
        number = await self._numbers.get(asked.org, asked.named("number"))
        channels = {f"phone:{number.number}", *(channel.id for channel in number.channels)}
        calls = [call for call in await self._voice_calls(asked.org) if call.channel in channels]
        return await self._listed(await self._talks.talks(calls), asked.query(Window))

    async def get(self, asked: Asked) -> web.Response:
        call = await self._find(asked)
        return answer(await self._whole(call))

    async def transcript(self, asked: Asked) -> web.Response:
        call = await self._find(asked)
        lines = lines_of(await self._entries(call))
        return answer(
            {
                "callId": call.id,
                "status": status(call),
                "direction": direction(call),
                "transcript": turns(lines),
                "data": rows(lines),
            }
        )

    async def stream(self, asked: Asked) -> web.StreamResponse:
        [talk] = await self._talks.talks([await self._find(asked)])
        return await self._stream.send(asked.request, talk)

    async def recording(self, asked: Asked) -> web.StreamResponse:
        call = await self._find(asked)
        if call.recording is not None:
            return await send_recording(asked.request, self._kit.blobs, call)
        raise missing(f"the call {call.id} has no recording; its transcript is at /v1/calls/{call.id}/transcript")

    async def end(self, asked: Asked) -> web.Response:
        call = await self._find(asked)
        if not call.is_open:
            raise Refusal(409, f"the call {call.id} is {status(call)} already; only one in progress can be ended")
        await end_call(self._kit, call, asked.by.name, "agent_hangup")
        return answer({**await self._whole(call), "status": "ending"})

    async def _find(self, asked: Asked) -> Call:
        call = await self._kit.store.call(asked.named("call"))
        if call is None or call.org != asked.org:
            raise missing("there is no such call; GET /v1/calls lists them")
        return call

    async def _voice_calls(self, org: str, agent: str | None = None) -> list[Call]:
        """Newest first."""
        found: list[Call] = []
        cursor: str | None = None
        looked = 0
        while looked < FARTHEST:
            read = await self._kit.store.call_page(CallQuery(org, agent=agent, cursor=cursor), limit=PAGE)
            looked += len(read.calls)
            found += [call for call in read.calls if call.transport in VOICE]
            cursor = read.next
            if cursor is None:
                break
        return found

    async def _listed(self, talks: Sequence[Talk], window: Window) -> web.Response:
        wanted = talks[window.offset : window.offset + window.limit]
        shown: list[JsonValue] = [shown_call(talk, self._name(talk.call), self._base()) for talk in wanted]
        return answer(page(shown, offset=window.offset, total=len(talks)))

    async def _whole(self, call: Call) -> dict[str, JsonValue]:
        [talk] = await self._talks.talks([call])
        return {
            **shown_call(talk, self._name(call), self._base()),
            "transcripts": rows(lines_of(await self._entries(call))),
        }

    async def _entries(self, call: Call) -> list[Entry]:
        found: list[Entry] = []
        while read := await self._kit.store.entries(call.id, after=found[-1].seq if found else 0):
            found += read
        return found

    def _base(self) -> str:
        return f"{self._url()}{MOUNT}"

    def _name(self, call: Call) -> str | None:
        agent = self._kit.book.get(call.org, call.agent)
        return None if agent is None else agent.name or agent.slug


def _has(talk: Talk, search: str | None) -> bool:
    if not search:
        return True
    wanted = digits(search)
    return any(search in end or (bool(wanted) and wanted in digits(end)) for end in ends(talk) if end is not None)
