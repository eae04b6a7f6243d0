"""Calls that are placed: judged, and given to whoever can place them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from omni.gateway.agentphone.agents import AgentOperations
from omni.gateway.agentphone.answers import Fields, answer, moment
from omni.gateway.agentphone.asking import Asked, Operation
from omni.gateway.agentphone.call_shapes import MakeCall, WebCall
from omni.gateway.agentphone.dialling import WEB_CALL_SECONDS, CallOrder, Dialler
from omni.gateway.agentphone.errors import wrong
from omni.gateway.agentphone.number_shapes import Number
from omni.gateway.agentphone.numbers import Numbers
from omni.gateway.rest.kit import RestKit
from omni.model.agent import Agent
from omni.model.call import Call
from omni.model.channel import PhoneChannel

CREATES: Final = 120
"""A minute, for one key."""


class CallMaking:
    """`whole` shows a call that is in the store."""

    def __init__(
        self,
        kit: RestKit,
        agents: AgentOperations,
        numbers: Numbers,
        dialler: Dialler,
        whole: Callable[[Call], Awaitable[Fields]],
    ) -> None:
        self._kit = kit
        self._agents = agents
        self._numbers = numbers
        self._dialler = dialler
        self._whole = whole

    def operations(self) -> list[Operation]:
        return [
            Operation("POST", "/v1/calls", self.make, CREATES),
            Operation("POST", "/v1/calls/web", self.make_web, CREATES),
        ]

    async def make(self, asked: Asked) -> web.Response:
        """Answers while the phone still rings."""
        body = asked.body(MakeCall)
        agent = await self._agents.find(asked.org, body.agent_id)
        await self._check_brain(agent, body)
        number = await self._from(agent, body.from_number_id)
        order = CallOrder(
            agent=agent,
            line=next(channel for channel in number.channels if isinstance(channel, PhoneChannel)),
            to=body.to_number,
            hosted_prompt=body.system_prompt or None,
            greeting=body.initial_greeting,
            voice=body.voice,
            tier=body.model_tier,
            variables=body.variables or {},
            is_recorded=not body.disable_recording,
            screening_identity=body.call_screening_identity,
            screening_purpose=body.call_screening_purpose,
            by=asked.by.name,
            key=f"agentphone:{asked.org}:{asked.by.act}",
        )
        id_ = await self._dialler.dial(order)
        call = await self._kit.store.call(id_)
        shown = await self._whole(call) if call is not None else {"id": id_, "startedAt": moment(self._kit.clock())}
        return answer(
            {
                **shown,
                "fromNumber": number.number,
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
        id_, token = await self._dialler.web_call(agent, body.metadata or {}, body.variables or {})
        return answer({"callId": id_, "accessToken": token, "agentId": agent.slug, "expiresIn": int(WEB_CALL_SECONDS)})

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
            if "phone" not in number.kinds:
                raise wrong(f"the number {number.id} is for texts only; call from another", "fromNumberId")
            return number
        own = [each for each in await self._numbers.of_agent(agent.org, agent.slug) if "phone" in each.kinds]
        if not own:
            raise wrong(
                f"the agent {agent.slug} has no number to call from; attach one whose inboundCallsEnabled is true",
                "fromNumberId",
            )
        return min(own, key=lambda each: (each.created_at, each.number))
