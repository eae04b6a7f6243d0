"""`/agentphone`: the REST dialect of AgentPhone's clients."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AsyncExitStack

from aiohttp import web

from omni.app.kits import inbox_kit, rest_kit
from omni.app.parts import Parts
from omni.app.voice import is_installed
from omni.gateway.agentphone.dialling import VoiceDialler
from omni.gateway.agentphone.expiring import Expiring
from omni.gateway.agentphone.numbers import Numbers
from omni.gateway.agentphone.server import AgentPhoneServer
from omni.gateway.agentphone.table import table
from omni.gateway.inbox.kit import NoTemplates
from omni.gateway.inbox.uploads import Uploads
from omni.gateway.rest.agents.keeping import Agents


async def agentphone(parts: Parts, stack: AsyncExitStack) -> Iterable[web.RouteDef]:
    settings = parts.settings
    kit = rest_kit(parts, NoTemplates())
    keeping = Agents(kit, allow_private=settings.allow_private_webhooks)
    numbers = Numbers(kit, keeping, settings.inventory)
    expiring = Expiring(numbers)
    expiring.start()
    stack.push_async_callback(expiring.stop)
    dialler = VoiceDialler(kit, may_speak=is_installed())
    operations = table(kit, keeping, Uploads(inbox_kit(parts, NoTemplates())), numbers, dialler, parts.url)
    return AgentPhoneServer(kit, operations, per_minute=settings.rest_per_minute).routes()
