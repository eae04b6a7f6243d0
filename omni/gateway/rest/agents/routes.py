"""`/v1/agents`: create, list, get, change, delete."""

from __future__ import annotations

from omni.gateway.rest.agents.keeping import NO_AGENT, Agents
from omni.gateway.rest.agents.mapping import CONTEXT_WINDOW, changes_of, shown_agent
from omni.gateway.rest.agents.shapes import AgentCreate, AgentPatch, AgentQuery, AgentShown, free_slug
from omni.gateway.rest.errors import conflict, contradiction, missing
from omni.gateway.rest.kit import RestKit
from omni.gateway.rest.paging import closed, opened
from omni.gateway.rest.routing import Route, Wanted, route
from omni.gateway.rest.shapes import Deleted, Nothing, Page
from omni.model.agent import Agent

TAG = "Agents"


class AgentRoutes:
    def __init__(self, kit: RestKit, agents: Agents) -> None:
        self._kit = kit
        self._agents = agents

    def routes(self) -> list[Route]:
        one = "/v1/agents/{agent_id}"
        return [
            route(
                "POST", "/v1/agents", self.create_agent, tag=TAG, summary="Create an agent",
                body=AgentCreate, answer=AgentShown, status=201, errors=(409, 422),
            ),
            route(
                "GET", "/v1/agents", self.list_agents, tag=TAG, summary="List agents",
                query=AgentQuery, answer=Page[AgentShown],
            ),
            route("GET", one, self.get_agent, tag=TAG, summary="Get an agent", answer=AgentShown, errors=(404,)),
            route(
                "PATCH", one, self.update_agent, tag=TAG, summary="Change an agent",
                body=AgentPatch, answer=AgentShown, errors=(404, 409, 422),
            ),
            route(
                "DELETE", one, self.delete_agent, tag=TAG, summary="Delete an agent",
                answer=Deleted, errors=(404, 409),
            ),
        ]  # fmt: skip

    async def create_agent(self, wanted: Wanted[AgentCreate, Nothing]) -> AgentShown:
        """An agent with the brain `llm` answers by itself from its `system_prompt` ("hosted"), `webhook` asks your
        server for every turn, `client` a connected program."""
        kit, body = self._kit, wanted.body
        taken = {agent.slug for agent in await kit.store.agents(wanted.org)}
        if body.slug is not None and body.slug in taken:
            raise conflict(
                "taken", f"slug: there is an agent {body.slug!r} already; choose another, or PATCH that one", "slug"
            )
        slug = body.slug or free_slug(body.name, taken)
        blank = Agent(slug=slug, org=wanted.org, name=body.name, brain=body.brain, channels=body.channels)
        twice = [one.id for one in body.channels]
        if len(set(twice)) < len(twice):
            raise contradiction("channels", "one channel is there twice; give it once")
        first = {"created_at": kit.clock(), "context_window": CONTEXT_WINDOW}
        agent = self._agents.changed(blank, {**first, **changes_of(blank, body)})
        await self._agents.save(agent, before=None)
        return shown_agent(agent)

    async def list_agents(self, wanted: Wanted[Nothing, AgentQuery]) -> Page[AgentShown]:
        """By slug."""
        question = f"agents {wanted.org}"
        after = opened(question, wanted.query.cursor) or ""
        found = sorted((agent for agent in await self._kit.store.agents(wanted.org)), key=lambda agent: agent.slug)
        rest = [agent for agent in found if agent.slug > after]
        rows = rest[: wanted.query.limit]
        has_more = len(rest) > len(rows)
        return Page[AgentShown].of([*map(shown_agent, rows)], closed(question, rows[-1].slug) if has_more else None)

    async def get_agent(self, wanted: Wanted[Nothing, Nothing]) -> AgentShown:
        return shown_agent(await self._agents.get(wanted.org, wanted.path["agent_id"]))

    async def update_agent(self, wanted: Wanted[AgentPatch, Nothing]) -> AgentShown:
        """Only what is in the body changes; null clears. It counts from the next turn on, in open calls too, whatever
        their brain was when they began. An agent that the server's configuration declares is as declared again after
        the next start."""
        agent = await self._agents.get(wanted.org, wanted.path["agent_id"])
        given = wanted.body.model_fields_set
        changes = changes_of(agent, wanted.body)
        changes |= {name: getattr(wanted.body, name) for name in ("name", "brain") if name in given}
        after = self._agents.changed(agent, changes)
        if after != agent:
            await self._agents.save(after, before=agent)
        if "paused" in given and wanted.body.paused != agent.is_paused:
            await self._kit.commands.pause_agent(wanted.org, agent.slug, wanted.by.name, paused=wanted.body.paused)
            after = after.model_copy(update={"is_paused": wanted.body.paused})
        return shown_agent(after)

    async def delete_agent(self, wanted: Wanted[Nothing, Nothing]) -> Deleted:
        """For good. Its calls stay as they are and can be read; nobody answers in those that are open, and what comes
        in for its channels from now on reaches nobody."""
        kit, slug = self._kit, wanted.path["agent_id"]
        if (wanted.org, slug) in kit.declared:
            raise conflict("declared", f"the server's configuration declares {slug!r}; remove it there")
        agent = await self._agents.get(wanted.org, slug)
        await kit.audit(wanted.by, "agent.delete", slug)
        if not await kit.book.remove(wanted.org, agent.slug):
            raise missing(*NO_AGENT)
        return Deleted(id=slug, object="agent")
