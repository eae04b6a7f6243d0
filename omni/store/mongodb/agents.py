"""Agents with their channels, one document each."""

from __future__ import annotations

from pymongo.errors import DuplicateKeyError

from omni.model.agent import Agent
from omni.model.channel import REVEAL, Channel, has_account
from omni.mongodb import Document
from omni.store.mongodb.collections import AGENTS, Collections, write


class Agents(Collections):
    async def save_agent(self, agent: Agent) -> None:
        document = _document(agent)
        with self._told():
            while True:
                try:
                    await write(
                        lambda doc: self._in(AGENTS).replace_one({"_id": doc["_id"]}, doc, upsert=True), document
                    )
                    return
                except DuplicateKeyError:  # another agent has one of the accounts, or this agent was just inserted
                    await self._take_accounts(document)

    async def _take_accounts(self, document: Document) -> None:
        accounts = document["accounts"]
        await self._in(AGENTS).update_many(
            {"_id": {"$ne": document["_id"]}, "accounts": {"$in": accounts}},
            {"$pull": {"channels": {"account": {"$in": accounts}}, "accounts": {"$in": accounts}}},
        )

    async def agent(self, org: str, slug: str) -> Agent | None:
        with self._told():
            document = await self._in(AGENTS).find_one({"_id": _id(org, slug)})
        return _agent(document) if document else None

    async def agents(self, org: str | None = None) -> list[Agent]:
        with self._told():
            found = self._in(AGENTS).find({} if org is None else {"org": org}).sort([("org", 1), ("slug", 1)])
            return [_agent(document) async for document in found]

    async def remove_agent(self, org: str, slug: str) -> bool:
        with self._told():
            return (await self._in(AGENTS).delete_one({"_id": _id(org, slug)})).deleted_count == 1


def _id(org: str, slug: str) -> str:
    return f"{org}/{slug}"


def _account(channel: Channel) -> str | None:
    """What only one agent can have of a channel."""
    return channel.id if has_account(channel.id) else None


def _document(agent: Agent) -> Document:
    fields = agent.model_dump(mode="json", context=REVEAL, exclude={"channels"})
    channels = [
        {"account": _account(channel), "channel": channel.model_dump(mode="json", context=REVEAL)}
        for channel in agent.channels
    ]
    return {
        "_id": _id(agent.org, agent.slug),
        "org": agent.org,
        "slug": agent.slug,
        "agent": fields,
        "channels": channels,
        "accounts": [channel["account"] for channel in channels if channel["account"] is not None],
    }


def _agent(document: Document) -> Agent:
    channels = [each["channel"] for each in document["channels"]]
    return Agent.model_validate({**document["agent"], "channels": channels})
