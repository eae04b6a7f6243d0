"""The agent inbox: its page, signing in, and all that the page asks for."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AsyncExitStack

from aiohttp import web

from omni.app.kits import inbox_kit
from omni.app.parts import Parts
from omni.app.surfaces.operators import operator_routes
from omni.gateway.inbox.acting import Acting
from omni.gateway.inbox.calling import Calling
from omni.gateway.inbox.cases import Cases
from omni.gateway.inbox.casework import Casework
from omni.gateway.inbox.contacts import Contacts
from omni.gateway.inbox.conversations import Conversations
from omni.gateway.inbox.courtesy import Courtesy
from omni.gateway.inbox.desk import Desk
from omni.gateway.inbox.feeds import Feeds
from omni.gateway.inbox.holding import Holding
from omni.gateway.inbox.live import Live
from omni.gateway.inbox.media import Files
from omni.gateway.inbox.overview import Overview
from omni.gateway.inbox.pages import Pages
from omni.gateway.inbox.seating import Seating
from omni.gateway.inbox.sending import Sending
from omni.gateway.inbox.uploads import Sweeper, Uploads
from omni.live.inbox import OperatorsChanged, tell_inbox


async def inbox(parts: Parts, stack: AsyncExitStack) -> Iterable[web.RouteDef]:
    settings, engines = parts.settings, parts.engines
    kit = inbox_kit(parts, parts.templates)

    async def operators_changed(org: str) -> None:
        await tell_inbox(engines.bus, org, OperatorsChanged())

    feeds = Feeds(kit)
    casework = Casework(engines.store, engines.bus, kit.clock)
    holding = Holding(kit, casework)
    uploads = Uploads(kit)
    sweeper = Sweeper(engines.store, engines.blobs, kit.clock)
    sweeper.start()
    stack.push_async_callback(sweeper.stop)
    courtesy = Courtesy(engines.store, engines.bus, settings.partitions, kit.clock, kit.new_id)
    live = Live(kit, feeds, courtesy.typing)
    parts.drains.append(live.drain)
    return [
        *Pages().routes(),
        *operator_routes(settings, parts.access, engines.store, kit.guard, operators_changed),
        *Conversations(kit, feeds.present).routes(),
        *live.routes(),
        *Acting(kit, casework, holding, courtesy.typing).routes(),
        *Calling(kit).routes(),
        *Seating(kit).routes(),
        *Cases(kit, casework).routes(),
        *Sending(kit, holding, uploads).routes(),
        *uploads.routes(),
        *Desk(kit).routes(),
        *Contacts(kit, casework, holding).routes(),
        *Overview(kit).routes(),
        *Files(kit).routes(),
    ]
