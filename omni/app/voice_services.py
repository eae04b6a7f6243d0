"""What the calls of a voice worker work with, put together for one process: speech, carriers, doors for browsers,
recordings and listening in."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from channels.audio import Carrier, Door, Switchboard
from channels.phone.addresses import media_url
from channels.phone.directory import Directory
from channels.whatsapp.graph import Graph
from omni.access.seal import Sealer
from omni.app.engines import Engines
from omni.app.process import Process
from omni.app.speech import Speech, load_turn_model, open_speech
from omni.live.told import calls_topic
from omni.model.channel import Channel, has_account, own_channel
from omni.model.ids import new_id
from omni.model.queues import end_of
from omni.settings import Settings
from sessions.book import Book
from sessions.world import World

if TYPE_CHECKING:
    from channels.whatsapp.calling.carrier import WhatsAppCalls
    from workers.voice.services import Services

log = logging.getLogger("omni.voice")


async def open_services(
    process: Process,
    world: World,
    stack: AsyncExitStack,
    switchboard: Switchboard,
    *,
    url: Callable[[], str],
    own_url: Callable[[], str],
    sealer: Sealer,
    directory: Callable[[], Directory],
    speech: Speech | None,
) -> Services:
    """Open until the stack is closed. `url` is our public address, `own_url` that of this process's sound; `speech`
    takes the place of what the settings name. Raises SettingsError, BusError and StoreError."""
    from channels.phone.carrier import TwilioCarrier
    from workers.voice.listening.monitor import Monitor
    from workers.voice.playout.pacer import Pacer
    from workers.voice.recording.spool import Spool
    from workers.voice.services import Services
    from workers.voice.vad import choose as detectors

    settings, opened = process.settings, process.engines
    speech = speech or await open_speech(settings, stack)
    spool = Spool()
    await spool.open()
    stack.push_async_callback(spool.close)
    monitor = Monitor(opened.bus)
    await monitor.start()
    stack.push_async_callback(monitor.stop)
    twilio = TwilioCarrier(directory, url, lambda: media_url(own_url()), sealer, api_url=settings.twilio_api_url)
    await twilio.open()
    stack.push_async_callback(twilio.close)
    doors = await _doors(settings, opened, stack, switchboard)
    carriers: dict[str, Carrier] = {"phone": twilio}
    calls = await _whatsapp(process, stack, switchboard)
    if calls is not None:
        doors[calls.kind] = carriers[calls.kind] = calls
    if speech.vad is None:
        log.info("voices are detected by %s", await asyncio.to_thread(detectors.prepare))
    bus = opened.bus
    return Services(
        world=world,
        blobs=opened.blobs,
        pacer=Pacer(),
        recognisers=speech.recognisers,
        speakers=speech.speakers,
        vad=speech.vad or detectors.best,
        spool=spool,
        monitor=monitor,
        carriers=carriers,
        doors=doors,
        channel_of=lambda *channel: _channel_of(process.book, *channel),
        turn_model=await load_turn_model(settings.turn_model),
        is_heard=lambda org, agent: bus.hears(calls_topic(org, agent)),
    )


def _channel_of(book: Book, org: str, agent: str, channel: str) -> Channel | None:
    owner = book.owner(org, channel) if has_account(channel) else book.get(org, agent)
    return own_channel(owner.channels, channel) if owner is not None else None


async def _doors(
    settings: Settings, opened: Engines, stack: AsyncExitStack, switchboard: Switchboard
) -> dict[str, Door]:
    """Calls from browsers, where they can be had."""
    if importlib.util.find_spec("aiortc") is None:
        log.warning("calls from browsers and on WhatsApp need one package more: pip install 'omni-server[webrtc]'")
        return {}
    from channels.rtc.ice import stun_of
    from channels.webrtc.door import WebRtcDoor
    from omni.gateway.client.configs.agent import overrides_of
    from omni.live.hub import Hub

    hub = Hub(opened.bus, opened.store, new_id("desk"))
    await hub.start()
    stack.push_async_callback(hub.stop)
    door = WebRtcDoor(switchboard, hub, overrides_of, stun_of(settings.ice_urls))
    door.start()
    stack.push_async_callback(door.close)
    return {door.kind: door}


async def _whatsapp(process: Process, stack: AsyncExitStack, switchboard: Switchboard) -> WhatsAppCalls | None:
    """Calls on WhatsApp, where they can be had."""
    if importlib.util.find_spec("aiortc") is None:
        return None
    from channels.rtc.ice import stun_of
    from channels.whatsapp.calling.carrier import WhatsAppCalls

    settings, store = process.settings, process.engines.store

    async def was_ended(call: str) -> bool:
        return bool(await store.leases(end_of(call), now=time.time()))

    calls = WhatsAppCalls(
        switchboard,
        lambda *channel: _channel_of(process.book, *channel),
        was_ended,
        Graph(settings.whatsapp_graph_url),
        stun_of(settings.ice_urls),
    )
    await calls.open()
    stack.push_async_callback(calls.close)
    return calls
