"""The gateway role: the carriers' webhooks, and what the surfaces share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from aiohttp import web
from pydantic import SecretStr

from channels.phone.directory import Directory as PhoneDirectory
from channels.phone.webhook import PhoneWebhook
from channels.sms.directory import Directory as SmsDirectory
from channels.sms.links import LinkedFiles
from channels.sms.webhook import routes as sms_routes
from channels.whatsapp.adapter import WhatsAppAdapter
from channels.whatsapp.directory import Directory as WhatsAppDirectory
from channels.whatsapp.graph import Graph
from channels.whatsapp.webhook import routes as whatsapp_routes
from omni.access.access import open_access
from omni.access.keys import Keys
from omni.app.front import open_front
from omni.app.parts import Parts
from omni.app.phone import BusReception
from omni.app.process import Process
from omni.app.templates import WhatsAppTemplates
from omni.app.whatsapp_calls import WhatsAppReception
from omni.live.hub import Hub
from omni.model.ids import new_id
from omni.outgoing.http import OutgoingHttp
from sessions.commands import Commands
from sessions.webhooks.courier import Courier
from sessions.webhooks.service import WebhookService


@dataclass(frozen=True, slots=True)
class Directories:
    """Whose a number or an account is, as the agents are now."""

    whatsapp: Callable[[], WhatsAppDirectory]
    sms: Callable[[], SmsDirectory]
    phones: Callable[[], PhoneDirectory]


async def open_gateway(
    app: web.Application,
    process: Process,
    stack: AsyncExitStack,
    directories: Directories,
    *,
    own_url: Callable[[], str],
    is_pressed: Callable[[], bool],
) -> Keys:
    """Adds the gateway to the HTTP front; returns the keys that open it. `own_url` is where this process listens;
    while `is_pressed`, carriers are asked to come again later."""
    settings, opened, presence = process.settings, process.engines, process.presence
    parts = await _parts(process, stack, own_url)
    graph = Graph(settings.whatsapp_graph_url)
    calls = WhatsAppReception(parts.hub, opened.bus, opened.store, parts.commands, graph, presence.dev_owner)
    await calls.open()
    stack.push_async_callback(calls.close)
    app.add_routes(
        whatsapp_routes(
            directories.whatsapp,
            opened.bus,
            settings.partitions,
            is_pressed=is_pressed,
            reroute=presence.dev_owner,
            calls=calls,
        )
    )
    reception = BusReception(parts.hub, opened.bus, opened.store, parts.commands, presence.dev_owner)
    phone = PhoneWebhook(reception, directories.phones, parts.url, parts.access.sealer)
    stack.push_async_callback(phone.close)
    app.add_routes(phone.routes())
    app.add_routes(
        sms_routes(
            directories.sms,
            opened.bus,
            settings.partitions,
            parts.url,
            reroute=presence.dev_owner,
            calls=phone.status,
        )
    )
    app.add_routes(LinkedFiles(opened.blobs, parts.access.sealer).routes())
    app.add_routes(await open_front(parts, stack))
    app.on_shutdown.append(lambda _: _all(parts.drains))
    return parts.access.keys


async def _parts(process: Process, stack: AsyncExitStack, own_url: Callable[[], str]) -> Parts:
    """What the surfaces share, started."""
    settings, opened = process.settings, process.engines
    hub = Hub(opened.bus, opened.store, new_id("desk"))
    await hub.start()
    stack.push_async_callback(hub.stop)
    commands = Commands(opened.store, opened.bus, settings.partitions)
    access = await open_access(
        opened.store,
        api_key=_clear(settings.api_key),
        secret=_clear(settings.secret),
        previous_secret=_clear(settings.previous_secret),
        proxies=settings.proxies,
    )
    may_be_private = settings.allow_private_webhooks
    http = OutgoingHttp(allow_private=may_be_private)
    stack.push_async_callback(http.close)
    courier = Courier(http)
    webhooks = WebhookService(opened.store, opened.bus, process.endpoints, courier, allow_private=may_be_private)
    adapter = WhatsAppAdapter(opened.blobs, graph_url=settings.whatsapp_graph_url)
    await adapter.open()
    stack.push_async_callback(adapter.close)
    templates = WhatsAppTemplates(process.book, adapter)
    public = settings.public_url
    return Parts(
        settings,
        opened,
        process.book,
        hub,
        process.presence,
        process.trunks,
        commands,
        access,
        lambda: public or own_url(),
        webhooks,
        templates,
    )


def _clear(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret is not None else None


async def _all(drains: Iterable[Callable[[], Awaitable[None]]]) -> None:
    await asyncio.gather(*(drain() for drain in drains))
