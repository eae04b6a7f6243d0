"""`/v1/calls`: spoken calls, as far as this server has any: list, get, transcript; place and end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiohttp import web
from pydantic import JsonValue

from omni.gateway.agentphone.agents import AgentOperations
from omni.gateway.agentphone.answers import answer, moment, page
from omni.gateway.agentphone.asking import Asked, Operation
from omni.gateway.agentphone.call_mapping import VOICE, direction, ends, rows, shown_call, status, turns
from omni.gateway.agentphone.call_shapes import CallList, MakeCall, WebCall
from omni.gateway.agentphone.dialling import CallOrder, Dialler
from omni.gateway.agentphone.errors import Refusal, missing, wrong
from omni.gateway.agentphone.number_shapes import Number
from omni.gateway.agentphone.numbers import Numbers
from omni.gateway.agentphone.reading import Talk
from omni.gateway.agentphone.shapes import Window
from omni.gateway.agentphone.talks import Talks
from omni.gateway.agentphone.transcripts import TranscriptStream
from omni.gateway.rest.calls.ending import end_call
from omni.gateway.rest.kit import RestKit
from omni.model.agent import Agent
from omni.model.call import Call
from omni.model.entry import Entry
from omni.model.numbers import digits
from omni.store.rest import CallQuery

CREATES: Final = 120
"""A minute, for one key."""
FARTHEST: Final = 10_000
"""Calls that a list goes through at most."""
PAGE: Final = 500


class CallOperations:
    def __init__(self, kit: RestKit, agents: AgentOperations, numbers: Numbers, talks: Talks, dialler: Dialler) -> None:
        self._kit = kit
        self._agents = agents
        self._numbers = numbers
        self._talks = talks
        self._dialler = dialler
        self._stream = TranscriptStream(kit)

    def operations(self) -> list[Operation]:
        one = "/v1/calls/{call}"
        return [
            Operation("GET", "/v1/calls", self.every),
            Operation("POST", "/v1/calls", self.make, CREATES),
            Operation("POST", "/v1/calls/web", self.make_web, CREATES),
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
        entries = await self._entries(call)
        return answer(
            {
                "callId": call.id,
                "status": status(call),
                "direction": direction(call),
                "transcript": turns(entries),
                "data": rows(entries),
            }
        )

    async def stream(self, asked: Asked) -> web.StreamResponse:
        [talk] = await self._talks.talks([await self._find(asked)])
        return await self._stream.send(asked.request, talk)

    async def recording(self, asked: Asked) -> web.Response:
        call = await self._find(asked)
        raise missing(f"the call {call.id} has no recording; its transcript is at /v1/calls/{call.id}/transcript")

    async def end(self, asked: Asked) -> web.Response:
        call = await self._find(asked)
        if not call.is_open:
            raise Refusal(409, f"the call {call.id} is {status(call)} already; only one in progress can be ended")
        await end_call(self._kit, call, asked.by.name, "agent_hangup")
        return answer({**await self._whole(call), "status": "ending"})

    async def make(self, asked: Asked) -> web.Response:
        """Answers while the phone still rings."""
        body = asked.body(MakeCall)
        agent = await self._agents.find(asked.org, body.agent_id)
        await self._check_brain(agent, body)
        number = await self._from(agent, body.from_number_id)
        order = CallOrder(
            agent=agent,
            from_=number.number,
            to=body.to_number,
            hosted_prompt=body.system_prompt or None,
            greeting=body.initial_greeting,
            voice=body.voice,
            tier=body.model_tier,
            variables=body.variables or {},
            is_recorded=not body.disable_recording,
            screening_identity=body.call_screening_identity,
            screening_purpose=body.call_screening_purpose,
        )
        id_ = await self._dialler.dial(order)
        call = await self._kit.store.call(id_)
        shown = await self._whole(call) if call is not None else {"id": id_, "startedAt": moment(self._kit.clock())}
        return answer(
            {
                **shown,
                "fromNumber": order.from_,
                "toNumber": order.to,
                "direction": "outbound",
                "status": "in-progress",
                "agentId": agent.slug,
                "phoneNumberId": number.id,
            }
        )

    async def make_web(self, asked: Asked) -> web.Response:
        body = asked.body(WebCall)
        agent = await self._agents.find(asked.org, body.agent_id)
        if body.variables and agent.brain != "llm":
            raise wrong("variables: they are filled into a prompt, and this agent has none", "variables")
        id_ = await self._dialler.web_call(agent, body.metadata or {}, body.variables or {})
        return answer({"callId": id_})

    async def _check_brain(self, agent: Agent, body: MakeCall) -> None:
        """Raises Refusal 400 when nobody would answer the person who is called."""
        if body.system_prompt:
            return
        if body.model_tier is not None:
            raise wrong("modelTier: it is for calls with a systemPrompt", "modelTier")
        if agent.brain == "llm":
            return
        if body.variables:
            raise wrong("variables: they are filled into a prompt; give systemPrompt", "variables")
        if agent.brain != "webhook" or (agent.webhook is not None and agent.webhook.url is not None):
            return
        scopes = {each.agent for each in await self._kit.webhooks.list(agent.org) if each.answers}
        if not scopes & {agent.slug, None}:
            raise wrong(
                f"the agent {agent.slug} has no webhook to answer with; set one, give systemPrompt, or make it hosted",
                "agentId",
            )

    async def _from(self, agent: Agent, wanted: str | None) -> Number:
        """Raises Refusal 400 and 404."""
        if wanted is not None:
            number = await self._numbers.get(agent.org, wanted)
            if number.agent != agent.slug:
                raise wrong(f"the number {number.id} is not attached to agent {agent.slug}", "fromNumberId")
            return number
        own = await self._numbers.of_agent(agent.org, agent.slug)
        if not own:
            raise wrong(f"the agent {agent.slug} has no number to call from; attach one", "fromNumberId")
        return min(own, key=lambda each: (each.created_at, each.number))

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
        shown: list[JsonValue] = [shown_call(talk, self._name(talk.call)) for talk in wanted]
        return answer(page(shown, offset=window.offset, total=len(talks)))

    async def _whole(self, call: Call) -> dict[str, JsonValue]:
        [talk] = await self._talks.talks([call])
        return {**shown_call(talk, self._name(call)), "transcripts": rows(await self._entries(call))}

    async def _entries(self, call: Call) -> list[Entry]:
        found: list[Entry] = []
        while read := await self._kit.store.entries(call.id, after=found[-1].seq if found else 0):
            found += read
        return found

    def _name(self, call: Call) -> str | None:
        agent = self._kit.book.get(call.org, call.agent)
        return None if agent is None else agent.name or agent.slug


def _has(talk: Talk, search: str | None) -> bool:
    if not search:
        return True
    wanted = digits(search)
    return any(search in end or (bool(wanted) and wanted in digits(end)) for end in ends(talk) if end is not None)
