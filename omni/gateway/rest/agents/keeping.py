"""Agents as the store has them: found, judged as a whole, and saved."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError

from omni.gateway.rest.errors import ApiError, conflict, contradiction, missing, refuse
from omni.gateway.rest.kit import RestKit
from omni.model.agent import Agent
from omni.model.channel import Channel, has_account
from omni.outgoing.addresses import webhook_url
from omni.outgoing.errors import AddressRefusedError

NO_AGENT = ("agent", "GET /v1/agents lists those there are")


class Agents:
    """`allow_private`: whether tools and webhooks may be on http:// and in private networks."""

    def __init__(self, kit: RestKit, *, allow_private: bool) -> None:
        self._kit = kit
        self._allow_private = allow_private

    async def get(self, org: str, slug: str) -> Agent:
        """As the store has it. Raises ApiError 404."""
        agent = await self._kit.store.agent(org, slug)
        if agent is None:
            raise missing(*NO_AGENT)
        return agent

    def known(self, org: str, slug: str) -> Agent:
        """As this process has it, which may be a moment old: for what is only read. Raises ApiError 404."""
        agent = self._kit.book.get(org, slug)
        if agent is None:
            raise missing(*NO_AGENT)
        return agent

    async def find(self, org: str, slug: str) -> Agent:
        """The one this process has, or else the store. Raises ApiError 404."""
        return self._kit.book.get(org, slug) or await self.get(org, slug)

    def changed(self, agent: Agent, changes: dict[str, object]) -> Agent:
        """The agent after a change of any calls, open ones too. Raises ApiError 400 or 422."""
        try:
            after = agent.at_once(changes)
        except ValidationError as error:
            refuse(error, status=422)
        self._judge(after)
        return after

    async def save(self, agent: Agent, *, before: Agent | None) -> None:
        """Raises ApiError 409 for a channel that another organisation has."""
        had = {channel.id for channel in before.channels} if before is not None else set()
        await self._check_accounts(agent.org, [one for one in agent.channels if one.id not in had])
        await self._kit.book.save(agent)

    async def _check_accounts(self, org: str, channels: Iterable[Channel]) -> None:
        """An account belongs to one agent of one organisation. It moves between one's own agents, and never from those
        of somebody else."""
        wanted = {one.id for one in channels if has_account(one.id)}
        if not wanted:
            return
        for other in await self._kit.store.agents():
            if other.org != org and (taken := wanted & {one.id for one in other.channels}):
                raise conflict(
                    "taken", f"the channel {min(taken)} is in use elsewhere on this server; free it there first"
                )

    def _judge(self, agent: Agent) -> None:
        """Raises ApiError for an agent that contradicts itself."""
        if agent.brain == "llm":
            if not agent.prompt:
                raise ApiError(
                    400, "missing", "system_prompt: an agent that a model answers for needs one", "system_prompt"
                )
            if any(tool.url is None and tool.builtin is None for tool in agent.tools) and agent.tool_url is None:
                raise contradiction("tool_url", "there are tools without a url of their own; say where they are run")
        names = [tool.name for tool in agent.tools]
        if len(set(names)) < len(names):
            raise contradiction("tools", "two tools have the same name; give each its own")
        addresses = {"tool_url": agent.tool_url, "webhook.url": agent.webhook.url if agent.webhook else None}
        addresses |= {f"tools.{place}.url": tool.url for place, tool in enumerate(agent.tools)}
        for param, url in addresses.items():
            if url is not None:
                self._check_address(param, url)

    def _check_address(self, param: str, url: str) -> None:
        try:
            webhook_url(url, allow_private=self._allow_private)
        except AddressRefusedError as error:
            raise ApiError(400, "address_refused", f"{param}: {error}", param) from None
