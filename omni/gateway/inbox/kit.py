"""What the inbox's routes work with."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from aiohttp import web

from omni.access.seal import Sealer
from omni.access.web import Handler
from omni.blobs.base import Blobs
from omni.bus.base import Bus, BusError
from omni.gateway.inbox.asking import InboxError
from omni.gateway.inbox.cursors import Place
from omni.gateway.inbox.guard import Actor, ActorHandler, Guard
from omni.gateway.inbox.naming import conversation_of
from omni.live.hub import Hub
from omni.model.ids import NewId, new_id
from omni.model.message import Template
from omni.model.operator import Role
from omni.model.template import ApprovedTemplate
from omni.store.base import Store
from omni.store.inbox import Listed
from sessions.book import Book
from sessions.commands import Commands

log = logging.getLogger("omni.inbox")

AWAY: Final = "the server cannot do this right now; try again in a moment"


class TemplatesError(Exception):
    """Templates cannot be listed; the text says why and the mend."""


class TemplateSource(Protocol):
    """The approved message templates of a channel that has such."""

    async def approved(self, org: str, agent: str, channel: str) -> Sequence[ApprovedTemplate]:
        """Raises TemplatesError."""

    def filled(self, template: ApprovedTemplate, values: Mapping[str, str]) -> Template:
        """Ready to be sent. Raises ValueError with a sentence that says which value is missing or wrong."""


class NoTemplates:
    """Of a server without a channel that has templates."""

    async def approved(self, org: str, agent: str, channel: str) -> Sequence[ApprovedTemplate]:
        return ()

    def filled(self, template: ApprovedTemplate, values: Mapping[str, str]) -> Template:
        raise ValueError("this channel has no templates")


@dataclass(frozen=True, slots=True)
class Kit:
    store: Store
    blobs: Blobs
    bus: Bus
    hub: Hub
    book: Book
    commands: Commands
    guard: Guard
    sealer: Sealer
    partitions: int
    templates: TemplateSource = field(default_factory=NoTemplates)
    clock: Callable[[], float] = time.time
    new_id: NewId = new_id

    def wrap(self, role: Role, handler: ActorHandler) -> Handler:
        """As the guard does; a bus that is away is 503 like a store that is."""

        @functools.wraps(handler)
        async def tried(request: web.Request, actor: Actor) -> web.StreamResponse:
            try:
                return await handler(request, actor)
            except BusError as error:
                log.warning("%s %s: the bus failed: %s", request.method, request.path, error)
                raise InboxError(503, "unavailable", AWAY, headers={"Retry-After": "2"}) from None

        return self.guard.wrap(role, tried)

    async def conversation(self, request: web.Request, actor: Actor) -> Listed:
        """The conversation that the path names. Raises InboxError 404, also for somebody else's."""
        return await self.find(request.match_info["id"], actor)

    async def find(self, id_: str, actor: Actor) -> Listed:
        key = conversation_of(id_)
        found = await self.store.listed([key]) if key is not None else []
        if not found or found[0].call.org != actor.org:
            raise InboxError(404, "not_found", "there is no such conversation; go back to the list")
        return found[0]

    async def is_in(self, place: Place, conversation: str) -> bool:
        """Whether a place that somebody names is in that conversation: who may read one may not so read another."""
        call = await self.store.call(place.call)
        return call is not None and call.conversation == conversation
