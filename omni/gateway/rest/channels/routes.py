"""`/v1/channels`, and the channels of one agent: list, add, remove."""

from __future__ import annotations

from omni.gateway.rest.agents.keeping import Agents
from omni.gateway.rest.channels.shapes import ChannelBody, ChannelQuery, ChannelShown, shown_channel
from omni.gateway.rest.errors import contradiction, missing
from omni.gateway.rest.kit import RestKit
from omni.gateway.rest.paging import closed, opened
from omni.gateway.rest.routing import Route, Wanted, route
from omni.gateway.rest.shapes import Deleted, Nothing, Page, Paging
from omni.model.agent import Agent
from omni.model.channel import SmsChannel, WhatsAppChannel

TAG = "Channels and numbers"


class ChannelRoutes:
    def __init__(self, kit: RestKit, agents: Agents) -> None:
        self._kit = kit
        self._agents = agents

    def routes(self) -> list[Route]:
        path = "/v1/agents/{agent_id}/channels"
        return [
            route(
                "GET", "/v1/channels", self.list_channels, tag=TAG, summary="List all channels",
                query=ChannelQuery, answer=Page[ChannelShown],
            ),
            route(
                "GET", path, self.list_agent_channels, tag=TAG, summary="List an agent's channels",
                query=Paging, answer=Page[ChannelShown], errors=(404,),
            ),
            route(
                "POST", path, self.add_channel, tag=TAG, summary="Connect a channel",
                body=ChannelBody, answer=ChannelShown, status=201, errors=(404, 409, 422),
            ),
            route(
                "DELETE", f"{path}/{{channel_id}}", self.remove_channel, tag=TAG, summary="Disconnect a channel",
                answer=Deleted, errors=(404,),
            ),
        ]  # fmt: skip

    async def list_channels(self, wanted: Wanted[Nothing, ChannelQuery]) -> Page[ChannelShown]:
        """Of all agents, by agent and id."""
        query = wanted.query
        agents = [one for one in await self._kit.store.agents(wanted.org) if query.agent_id in (None, one.slug)]
        return _page(f"channels {wanted.org} {query.agent_id} {query.kind}", agents, query, query.kind)

    async def list_agent_channels(self, wanted: Wanted[Nothing, Paging]) -> Page[ChannelShown]:
        agent = await self._agents.get(wanted.org, wanted.path["agent_id"])
        return _page(f"channels {wanted.org}/{agent.slug}", [agent], wanted.query, None)

    async def add_channel(self, wanted: Wanted[ChannelBody, Nothing]) -> ChannelShown:
        """A number or address belongs to one agent: one of another agent of yours moves here. Sent again with other
        settings it replaces what there is; secrets are never shown again."""
        agent = await self._agents.get(wanted.org, wanted.path["agent_id"])
        channel = wanted.body.root
        if isinstance(channel, SmsChannel | WhatsAppChannel):
            for name, value in channel:
                if hasattr(value, "get_secret_value") and not value.get_secret_value():
                    raise contradiction(name, "it is empty; copy it from the provider's console")
        rest = tuple(one for one in agent.channels if one.id != channel.id)
        after = agent.model_copy(update={"channels": (*rest, channel)})
        await self._agents.save(after, before=agent)
        return shown_channel(after, channel)

    async def remove_channel(self, wanted: Wanted[Nothing, Nothing]) -> Deleted:
        """What comes in for it from now on reaches nobody. The number stays yours at its provider."""
        agent = await self._agents.get(wanted.org, wanted.path["agent_id"])
        id_ = wanted.path["channel_id"]
        rest = tuple(one for one in agent.channels if one.id != id_)
        if len(rest) == len(agent.channels):
            raise missing("channel of this agent", f"GET /v1/agents/{agent.slug}/channels lists them")
        await self._kit.audit(wanted.by, "channel.remove", agent.slug, channel=id_)
        await self._agents.save(agent.model_copy(update={"channels": rest}), before=agent)
        return Deleted(id=id_, object="channel")


def _page(question: str, agents: list[Agent], query: Paging, kind: str | None) -> Page[ChannelShown]:
    after = opened(question, query.cursor) or ""
    found = [
        (f"{agent.slug}/{channel.id}", agent, channel)
        for agent in agents
        for channel in agent.channels
        if kind in (None, channel.kind)
    ]
    found.sort(key=lambda each: each[0])
    rest = [each for each in found if each[0] > after]
    rows = rest[: query.limit]
    cursor = closed(question, rows[-1][0]) if len(rest) > len(rows) else None
    return Page[ChannelShown].of([shown_channel(agent, channel) for _, agent, channel in rows], cursor)
