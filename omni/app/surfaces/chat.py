"""The web chat: its socket, its REST fallback, uploads, the hosted page and the widget."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AsyncExitStack

from aiohttp import web

from channels.chat.admission import Admission
from channels.chat.files import LINK_PATH, Files
from channels.chat.page import CHAT
from channels.chat.rest import ChatRest
from channels.chat.socket import ChatSockets
from channels.chat.talk import Services
from channels.hosted import HostedPages
from omni.app.parts import Parts
from omni.live.visitor import Visits


async def chat(parts: Parts, _: AsyncExitStack) -> Iterable[web.RouteDef]:
    settings, engines = parts.settings, parts.engines
    files = Files(engines.blobs, parts.access.sealer)
    services = Services(
        visits=Visits(engines.store, engines.bus, parts.hub, settings.partitions),
        store=engines.store,
        files=files,
        has_program=lambda org, slug: parts.presence.program(org, slug) is not None,
        url=parts.url,
    )
    admission = Admission(parts.access, parts.book.everyone)
    sockets = ChatSockets(services, admission, public_url=settings.public_url, proxies=settings.proxies)
    parts.drains.append(sockets.drain)
    return [
        web.get("/chat/ws", sockets.handle, allow_head=False),
        web.get("/ws", sockets.handle, allow_head=False),
        web.get(f"{LINK_PATH}{{link}}", files.serve),
        *ChatRest(services, admission, sockets.asking).routes(),
        *HostedPages(CHAT, parts.book.everyone, sockets.asking).routes(),
    ]
