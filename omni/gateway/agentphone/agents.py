"""`/v1/agents`: create, list, get, change, delete; voices; the numbers of an agent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiohttp import web
from pydantic import Field

from omni.gateway.agentphone.agent_mapping import changes_of, shown_agent
from omni.gateway.agentphone.agent_shapes import AgentCreate, AgentPatch
from omni.gateway.agentphone.answers import Fields, answer, page
from omni.gateway.agentphone.asking import Asked, Operation
from omni.gateway.agentphone.errors import Refusal, missing, unfit
from omni.gateway.agentphone.number_shapes import Number, shown_on_agent
from omni.gateway.agentphone.numbers import Numbers
from omni.gateway.agentphone.shapes import Camel, Window
from omni.gateway.agentphone.voices import voices
from omni.gateway.rest.agents.keeping import Agents
from omni.gateway.rest.agents.shapes import free_slug
from omni.gateway.rest.errors import ApiError
from omni.gateway.rest.kit import RestKit
from omni.model.agent import Agent

CREATES, UPDATES, DELETES = 30, 20, 30
"""A minute, for one key."""

NO_PROMPT: Final = "a hosted agent answers from it; give one, or use voiceMode webhook"


class NumberBody(Camel):
    number_id: str = Field(max_length=100)


class AgentOperations:
    def __init__(self, kit: RestKit, agents: Agents, numbers: Numbers) -> None:
        self._kit = kit
        self._agents = agents
        self._numbers = numbers

    def operations(self) -> list[Operation]:
        one = "/v1/agents/{agent}"
        return [
            Operation("POST", "/v1/agents", self.create, CREATES),
            Operation("GET", "/v1/agents", self.every),
            Operation("GET", "/v1/agents/voices", self.voices),
            Operation("GET", one, self.get),
            Operation("PATCH", one, self.update, UPDATES),
            Operation("DELETE", one, self.delete, DELETES),
            Operation("POST", f"{one}/numbers", self.attach),
            Operation("DELETE", f"{one}/numbers/{{number}}", self.detach),
        ]

    async def create(self, asked: Asked) -> web.Response:
        body = asked.body(AgentCreate)
        kit = self._kit
        taken = {agent.slug for agent in await kit.store.agents(asked.org)}
        # What nobody answers stays unanswered: these agents' developers answer by themselves.
        blank = Agent(
            slug=free_slug(body.name, taken), org=asked.org, name=body.name, brain="webhook",
            created_at=kit.clock(), fallback=None,
        )  # fmt: skip
        agent = self._changed(blank, changes_of(blank, body))
        await self._agents.save(agent, before=None)
        return answer(await self._shown(agent))

    async def every(self, asked: Asked) -> web.Response:
        """Newest first."""
        window = asked.query(Window)
        found = sorted(await self._kit.store.agents(asked.org), key=lambda agent: (-agent.created_at, agent.slug))
        rows = found[window.offset : window.offset + window.limit]
        numbers = await self._numbers.all(asked.org)
        return answer(page([_with(agent, numbers) for agent in rows], offset=window.offset, total=len(found)))

    async def voices(self, _: Asked) -> web.Response:
        return answer({"data": voices()})

    async def get(self, asked: Asked) -> web.Response:
        return answer(await self._shown(await self.find(asked.org, asked.named("agent"))))

    async def update(self, asked: Asked) -> web.Response:
        body = asked.body(AgentPatch)
        agent = await self.find(asked.org, asked.named("agent"))
        changes = changes_of(agent, body)
        if body.name is not None:
            changes["name"] = body.name
        after = self._changed(agent, changes)
        if after != agent:
            await self._agents.save(after, before=agent)
        return answer(await self._shown(after))

    async def delete(self, asked: Asked) -> web.Response:
        """Its numbers stay, without an agent; its calls and conversations can still be read."""
        kit, slug = self._kit, asked.named("agent")
        agent = await self.find(asked.org, slug)
        if (asked.org, slug) in kit.declared:
            raise Refusal(409, f"the server's configuration declares {slug!r}; remove it there")
        await kit.audit(asked.by, "agent.delete", slug)
        for number in await self._numbers.of_agent(asked.org, slug):
            await self._numbers.detach(number)
        endpoint = await kit.webhooks.of_scope(asked.org, slug)
        if endpoint is not None:
            await kit.webhooks.remove(asked.org, endpoint.id)
        if not await kit.book.remove(asked.org, slug):
            raise no_agent(slug)
        return answer({"success": True, "id": slug, "name": agent.name or slug})

    async def attach(self, asked: Asked) -> web.Response:
        """A number of another agent moves here."""
        agent = await self.find(asked.org, asked.named("agent"))
        number = await self._numbers.get(asked.org, asked.body(NumberBody).number_id)
        attached = await self._numbers.attach(number, agent)
        return answer({"agentId": agent.slug, "number": shown_on_agent(attached)})

    async def detach(self, asked: Asked) -> web.Response:
        agent = await self.find(asked.org, asked.named("agent"))
        number = await self._numbers.get(asked.org, asked.named("number"))
        if number.agent != agent.slug:
            raise missing(f"the number {number.id} is not attached to the agent {agent.slug}")
        await self._numbers.detach(number)
        return answer({"success": True})

    async def find(self, org: str, slug: str) -> Agent:
        """Raises Refusal 404."""
        agent = await self._kit.store.agent(org, slug)
        if agent is None:
            raise no_agent(slug)
        return agent

    def _changed(self, agent: Agent, changes: dict[str, object]) -> Agent:
        after_brain = changes.get("brain", agent.brain)
        if after_brain == "llm" and not changes.get("prompt", agent.prompt):
            raise unfit("systemPrompt", NO_PROMPT)
        try:
            return self._agents.changed(agent, changes)
        except ApiError as error:  # names the field as `/v1` does
            raise unfit("customTools", str(error)) if (error.param or "").startswith("tools") else error from None

    async def _shown(self, agent: Agent) -> Fields:
        return _with(agent, await self._numbers.of_agent(agent.org, agent.slug))


def _with(agent: Agent, numbers: Sequence[Number]) -> Fields:
    return shown_agent(agent, [shown_on_agent(number) for number in numbers if number.agent == agent.slug])


def no_agent(slug: str) -> Refusal:
    return missing(f"there is no agent {slug[:80]!r}; GET /v1/agents lists them")
