"""`/agentphone`: the REST dialect of AgentPhone's clients."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AsyncExitStack

from aiohttp import web

from omni.app.parts import Parts
from omni.gateway.agentphone.dialling import NoDialler
from omni.gateway.agentphone.expiring import Expiring
from omni.gateway.agentphone.numbers import Numbers
from omni.gateway.agentphone.server import AgentPhoneServer
from omni.gateway.agentphone.table import table
from omni.gateway.inbox.guard import Guard
from omni.gateway.inbox.kit import Kit
from omni.gateway.inbox.uploads import Uploads
from omni.gateway.rest.agents.keeping import Agents
from omni.gateway.rest.kit import RestKit


async def agentphone(parts: Parts, stack: AsyncExitStack) -> Iterable[web.RouteDef]:
    settings, engines = parts.settings, parts.engines
    inbox = Kit(
        store=engines.store,
        blobs=engines.blobs,
        bus=engines.bus,
        hub=parts.hub,
        book=parts.book,
        commands=parts.commands,
        guard=Guard(parts.access, engines.store, settings.public_url),
        sealer=parts.access.sealer,
        partitions=settings.partitions,
    )
    kit = RestKit(
        store=engines.store,
        blobs=engines.blobs,
        bus=engines.bus,
        hub=parts.hub,
        book=parts.book,
        commands=parts.commands,
        access=parts.access,
        webhooks=parts.webhooks,
        partitions=settings.partitions,
        declared=frozenset((agent.org, agent.slug) for agent in settings.agents),
    )
    keeping = Agents(kit, allow_private=settings.allow_private_webhooks)
    numbers = Numbers(kit, keeping, settings.inventory)
    expiring = Expiring(numbers)
    expiring.start()
    stack.push_async_callback(expiring.stop)
    operations = table(kit, keeping, Uploads(inbox), numbers, NoDialler(), parts.url)
    return AgentPhoneServer(kit, operations, per_minute=settings.rest_per_minute).routes()
